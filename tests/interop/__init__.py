"""Microsoft's own clients, unmodified, against the emulator: each in its own environment, over real sockets.

The programs in ``clients/`` know nothing of the emulator. ``run.py`` starts both, and reads the reports.
`make interop` prints a table of all clients; `make test` runs those that take seconds.
"""
