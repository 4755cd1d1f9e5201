"""httpx: one client for all threads or tasks, with the limits that it has by itself."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

from benchmarks.clients.measure import Setting, in_tasks, in_threads, setting
from benchmarks.clients.signing import Signer


def trust(given: Setting) -> ssl.SSLContext | bool:
    """Return whom to trust."""
    return True if given.authority is None else ssl.create_default_context(cafile=given.authority)


async def opened(given: Setting) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Give a call."""
    signer = Signer(given.account, given.key, given.url)
    async with httpx.AsyncClient(verify=trust(given)) as client:

        async def call() -> object:
            answer = await client.get(given.url, headers=signer.headers())
            answer.raise_for_status()
            return answer.json()

        yield call


def main(given: Setting) -> None:
    """Measure what is wanted."""
    if given.how == "async":
        in_tasks(given, opened)
        return
    signer = Signer(given.account, given.key, given.url)
    with httpx.Client(verify=trust(given)) as client:

        def call() -> object:
            answer = client.get(given.url, headers=signer.headers())
            answer.raise_for_status()
            return answer.json()

        in_threads(given, call)


if __name__ == "__main__":
    main(setting())
