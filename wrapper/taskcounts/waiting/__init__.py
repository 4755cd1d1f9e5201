"""Waiting for a job: what to ask next is decided by pure functions, and a flow without I/O asks it."""
