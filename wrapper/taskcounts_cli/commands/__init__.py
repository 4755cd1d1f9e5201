"""The commands, one in each module: options in, exit code out."""
