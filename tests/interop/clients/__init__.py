"""Programs that call a Batch account through one client each, and tell what they saw.

They run inside the client's environment, with Python's library and the client alone: nothing in here may
import taskcounts.
"""
