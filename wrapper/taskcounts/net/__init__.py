"""The network side of the client: from a request and the seconds that it may take to an answer.

Requests go over sockets of our own, whose answers httptools reads; over an httpx transport where the caller
brings one, or where httptools can't be imported.
"""
