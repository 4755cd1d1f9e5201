"""urllib3, with a pool that has room for all threads."""

from __future__ import annotations

import urllib3  # type: ignore[import-untyped,unused-ignore]

from benchmarks.clients.measure import Setting, in_threads, setting
from benchmarks.clients.signing import Signer


def main(given: Setting) -> None:
    """Measure what is wanted."""
    signer = Signer(given.account, given.key, given.url)
    pool = urllib3.PoolManager(maxsize=given.in_flight, ca_certs=given.authority)

    def call() -> object:
        answer = pool.request("GET", given.url, headers=signer.headers())
        if answer.status != 200:
            raise RuntimeError(answer.status)
        return answer.json()

    in_threads(given, call)


if __name__ == "__main__":
    main(setting())
