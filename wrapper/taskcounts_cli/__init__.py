"""The command line ``taskcounts``, which needs the extra ``cli``: data goes to stdout, messages to stderr."""
