"""pyreqwest, an engine in Rust: synchronously in any number of threads, or as coroutines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from pyreqwest.client import ClientBuilder, SyncClientBuilder  # type: ignore[import-not-found] # Not with the tools.

from benchmarks.clients.measure import Setting, in_tasks, in_threads, setting
from benchmarks.clients.signing import Signer


def trusting(given: Setting, builder: Any) -> Any:
    """Return a builder of clients that trust whom they are to trust."""
    if given.authority is None:
        return builder
    return builder.add_root_certificate_pem(Path(given.authority).read_bytes())


async def opened(given: Setting) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Give a call."""
    signer = Signer(given.account, given.key, given.url)
    async with trusting(given, ClientBuilder()).error_for_status(True).build() as client:

        async def call() -> object:
            answer = await client.get(given.url).headers(signer.headers()).build().send()
            return await answer.json()

        yield call


def main(given: Setting) -> None:
    """Measure what is wanted."""
    if given.how == "async":
        in_tasks(given, opened)
        return
    signer = Signer(given.account, given.key, given.url)
    with trusting(given, SyncClientBuilder()).error_for_status(True).build() as client:
        in_threads(given, lambda: client.get(given.url).headers(signer.headers()).build().send().json())


if __name__ == "__main__":
    main(setting())
