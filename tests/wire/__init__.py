"""Wire cases: whatever a server does on a socket, over every way to send, and the next request after it.

`ways` has the ways and a session over one, `cases` what a case is, and the modules ``*_cases`` the tables.
The tests use nothing of the client but its public interface.
"""
