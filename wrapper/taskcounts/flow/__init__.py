"""One flow without I/O from a call to its value or error, and the two drivers that run it."""
