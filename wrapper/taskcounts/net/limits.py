"""The limits of a client's connections; without imports, since the command line needs one before it sends."""

# The number of requests of a client that can be under way at once.
MAX_CONNECTIONS = 256

# Seconds that an idle connection is kept, so that polling doesn't open a new one each time.
IDLE = 60.0
