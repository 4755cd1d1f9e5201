"""The network side of the client: it sends a request and reads the answer, within some seconds.

Requests go over sockets of our own, whose answers httptools reads; over an httpx transport where the caller
brings one, or where httptools can't be imported.
"""
