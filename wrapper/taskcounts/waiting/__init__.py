"""Waiting for a job: pure functions decide on the next poll, and a flow without I/O makes it."""
