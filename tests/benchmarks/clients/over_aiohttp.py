"""aiohttp, with as many connections as there are tasks."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp  # type: ignore[import-not-found] # It is in its own environment.

from benchmarks.clients.measure import Setting, in_tasks, setting
from benchmarks.clients.signing import Signer


async def opened(given: Setting) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Give a call."""
    signer = Signer(given.account, given.key, given.url)
    trust = True if given.authority is None else ssl.create_default_context(cafile=given.authority)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=trust)) as session:

        async def call() -> object:
            async with session.get(given.url, headers=signer.headers()) as answer:
                answer.raise_for_status()
                return await answer.json()

        yield call


if __name__ == "__main__":
    in_tasks(setting(), opened)
