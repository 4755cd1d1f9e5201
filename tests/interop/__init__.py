"""Microsoft's own clients, unmodified, against the emulator: each in its own environment, over real sockets.

The programs in ``clients/`` know nothing of the emulator. ``run.py`` starts it and them, and reads what
they report; `make interop` prints a table of all, and `make test` runs those that take seconds.
"""
