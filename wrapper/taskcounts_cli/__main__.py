"""The command ``taskcounts``; also ``python -m taskcounts_cli``."""

from __future__ import annotations

import gc
import sys

# Loading makes some 50,000 objects, and frees none: a collection for each 700 of them would be in vain.
OBJECTS_BETWEEN_COLLECTIONS = 50_000


def main() -> None:
    """Run the command line, and exit with its code."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    try:
        from taskcounts_cli.app import run  # noqa: PLC0415 - click and rich are an extra.
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
    code = run(sys.argv[1:])
    # A last collection at exit would take a tenth of the time of a call.
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
