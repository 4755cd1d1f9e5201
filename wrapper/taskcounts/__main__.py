"""``python -m taskcounts``, the same as ``taskcounts``: the command line is a package above this one."""

import runpy

if __name__ == "__main__":
    runpy.run_module("taskcounts_cli", run_name="__main__", alter_sys=True)
