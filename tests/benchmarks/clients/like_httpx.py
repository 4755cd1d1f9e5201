"""The measurement of httpx and httpx2: one client for all threads or tasks, with its own limits."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType

from benchmarks.clients.measure import Setting, in_tasks, in_threads
from benchmarks.clients.signing import Signer

__all__ = ["measure", "trust"]


def trust(given: Setting) -> ssl.SSLContext | bool:
    """Return whom to trust."""
    return True if given.authority is None else ssl.create_default_context(cafile=given.authority)


def measure(given: Setting, library: ModuleType) -> None:
    """Measure what is wanted of httpx, or of another library with its interface."""
    signer = Signer(given.account, given.key, given.url)

    async def opened(given: Setting) -> AsyncIterator[Callable[[], Awaitable[object]]]:
        async with library.AsyncClient(verify=trust(given)) as client:

            async def call() -> object:
                answer = await client.get(given.url, headers=signer.headers())
                answer.raise_for_status()
                return answer.json()

            yield call

    if given.how == "async":
        in_tasks(given, opened)
        return
    with library.Client(verify=trust(given)) as client:

        def call() -> object:
            answer = client.get(given.url, headers=signer.headers())
            answer.raise_for_status()
            return answer.json()

        in_threads(given, call)
