"""The command ``taskcounts``; also ``python -m taskcounts``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from taskcounts.cli.app import run  # noqa: PLC0415 - click and rich are an extra.
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.stderr.write(
            "error: the command line needs more packages\nhint: install taskcounts with its extra 'cli'\n"
        )
        sys.exit(2)
    except KeyboardInterrupt:
        # Loading takes a tenth of a second, long enough for an impatient Ctrl-C.
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
