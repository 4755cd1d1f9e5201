"""azure-batch 15.1: synchronously in any number of threads, or as coroutines over aiohttp.

Whom it trusts stands in the environment: with a path, aiohttp would open a connection for each request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from azure.core.credentials import AzureNamedKeyCredential

from benchmarks.clients.measure import Setting, in_tasks, in_threads, setting


def options(given: Setting) -> dict[str, Any]:
    """Return the arguments of both clients."""
    return {"endpoint": given.endpoint, "credential": AzureNamedKeyCredential(given.account, given.key)}


async def opened(given: Setting) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Give a call."""
    from azure.batch.aio import BatchClient  # type: ignore[import-untyped]

    async with BatchClient(**options(given)) as client:
        yield lambda: client.get_job_task_counts(given.job)


def main(given: Setting) -> None:
    """Measure what is wanted."""
    if given.how == "async":
        in_tasks(given, opened)
        return
    from azure.batch import BatchClient  # type: ignore[import-untyped]

    # All threads share one, as the documentation has it.
    client = BatchClient(**options(given))
    in_threads(given, lambda: client.get_job_task_counts(given.job))


if __name__ == "__main__":
    main(setting())
