"""Snapshots, observations and verdicts as text for people and as records for programs."""
