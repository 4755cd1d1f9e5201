"""httpx2, which continues httpx."""

from __future__ import annotations

import httpx2

from benchmarks.clients.like_httpx import measure
from benchmarks.clients.measure import Setting, setting


def main(given: Setting) -> None:
    """Measure what is wanted."""
    measure(given, httpx2)


if __name__ == "__main__":
    main(setting())
