"""One program for all clients: the checks, and an adapter for each client.

It runs inside the client's environment, with Python's library and the client alone: nothing in here may
import taskcounts.
"""
