"""Programs that ask for counts through one client each, and tell what that cost them.

They run inside the client's environment, with Python's library and the client alone; only ``ours`` imports
taskcounts. Each does what a user has to: sign, send, check the status, decode.
"""
