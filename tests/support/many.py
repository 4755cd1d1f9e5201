"""Asking for many jobs, and listing them, with either client, so that a test is written once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from typing import Any

import httpx

from support.answers import Handler
from support.client import ENDPOINT, KEY
from taskcounts import AsyncTaskCountsClient, JobResult, ListedJob, TaskCountsClient


class Many:
    """Asks for many jobs, or lists them, with one of the two clients."""

    def __init__(self, *, awaits: bool) -> None:
        self.awaits = awaits
        self.client_type: Any = AsyncTaskCountsClient if awaits else TaskCountsClient

    def __call__(
        self,
        to: Handler | str,
        job_ids: Any,
        *,
        client: dict[str, Any] | None = None,
        take: int | None = None,
        **options: Any,
    ) -> list[JobResult]:
        """Return the results, or as many as are taken before the iterator is closed."""
        return self._all("get_many", to, take, client, {"job_ids": job_ids, **options})

    def jobs(
        self,
        to: Handler | str,
        *,
        client: dict[str, Any] | None = None,
        take: int | None = None,
        **options: Any,
    ) -> list[ListedJob]:
        """Return the listed jobs, or as many as are taken before the iterator is closed."""
        return self._all("list_jobs", to, take, client, options)

    def _all(
        self,
        method: str,
        to: Handler | str,
        take: int | None,
        client: dict[str, Any] | None,
        options: dict[str, Any],
    ) -> list[Any]:
        settings = dict(client or {})
        endpoint = to if isinstance(to, str) else ENDPOINT
        if not isinstance(to, str):
            settings["transport"] = httpx.MockTransport(to)
        credential = settings.pop("credential", KEY)
        if not self.awaits:
            with TaskCountsClient(endpoint, credential, **settings) as sync:
                results = getattr(sync, method)(**options)
                taken = list(itertools.islice(results, take))
                results.close()
                return taken

        async def ask() -> list[Any]:
            async with AsyncTaskCountsClient(endpoint, credential, **settings) as asynchronous:
                results = getattr(asynchronous, method)(**options)
                taken: list[Any] = []
                if take == 0:
                    return taken
                async for result in results:
                    taken.append(result)
                    if len(taken) == take:
                        break
                await results.aclose()
                return taken

        return asyncio.run(ask())


def ids(number: int) -> list[str]:
    """Return so many job ids."""
    return [f"job-{n}" for n in range(number)]


def by_id(results: Iterable[JobResult]) -> dict[str, JobResult]:
    """Return results by their job ids."""
    return {result.job_id: result for result in results}
