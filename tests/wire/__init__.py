"""Tests over sockets: servers that answer rightly and wrongly, and the next request after that.

Each test runs over every transport: our own engine, httpx and httpx2, sync and async. `sessions` has the
transports and a session over one of them, `cases` the class of a case, the modules ``*_cases`` the tables.
The tests use nothing of the client but its public interface.
"""
