"""Benchmarks that anyone can run: figures of one run, never a timed test.

`make bench` compares clients (``__main__``), `make bench-emulator` measures the emulator (``emulator``).
"""
