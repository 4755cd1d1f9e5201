"""The command line; needs the extra ``cli``. Data goes to stdout, talk to stderr."""
