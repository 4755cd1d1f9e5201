"""Benchmarks that anyone can run (`make bench`): figures of one run, never a timed test."""
