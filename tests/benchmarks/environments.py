"""The environments of the clients: where they are, what is in them, how large they are."""

from __future__ import annotations

import re
import sys
from pathlib import Path

__all__ = ["NAMED", "installed", "packages", "python", "size"]

# The packages whose versions readers want to know.
NAMED = {
    "bench/default": ("taskcounts", "httptools", "httpx"),
    "bench/azure-batch-15": ("azure-batch", "azure-core", "requests"),
    "interop/azure-batch-14": ("azure-batch",),
    "interop/azure-cli": ("azure-cli",),
    "bench/httpx2": ("httpx2",),
    "bench/urllib3": ("urllib3",),
    "bench/aiohttp": ("aiohttp",),
    "bench/pyreqwest": ("pyreqwest",),
    "bench/pycurl": ("pycurl",),
}
# Beside the environment that this runs in: `make` puts them there.
HOME = Path(sys.prefix)


def python(environment: str) -> Path:
    """Return the interpreter of an environment.

    Raises:
        FileNotFoundError: The environment isn't there.
    """
    path = HOME / environment / "bin" / "python"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: 'make bench' sets it up")
    return path


def installed(environment: str) -> Path:
    """Return where an environment has its packages."""
    return python(environment).parents[1] / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"


def packages(environment: str) -> dict[str, str]:
    """Return the versions of the packages of an environment, by name."""
    found = {}
    for path in sorted(installed(environment).glob("*.dist-info")):
        name, _, version = path.name.removesuffix(".dist-info").partition("-")
        found[re.sub(r"[-_.]+", "-", name).lower()] = version
    return found


def size(folder: Path) -> int:
    """Return how many bytes the files below a folder have, without those that Python compiled."""
    return sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts
    )
