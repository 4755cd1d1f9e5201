"""A fixture that waits with either client, so that each test is written once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from support.answers import Handler
from support.client import ENDPOINT, KEY
from taskcounts import AsyncTaskCountsClient, TaskCountsClient, Verdict


class Wait:
    """Waits for a job with one of the two clients."""

    def __init__(self, *, awaits: bool) -> None:
        self.awaits = awaits

    def __call__(
        self,
        to: Handler | str,
        until: str = "done",
        *,
        job_id: str = "job-1",
        credential: Any = KEY,
        client: dict[str, Any] | None = None,
        **options: Any,
    ) -> Verdict:
        """Return the verdict, or raise.

        Args:
            to: A handler of requests, which needs no socket, or the URL of a server.
            until: What to wait for.
            job_id: The job.
            credential: Who asks.
            client: The client's options.
            **options: Those of the wait.
        """
        settings = dict(client or {})
        endpoint = to if isinstance(to, str) else ENDPOINT
        if not isinstance(to, str):
            settings["transport"] = httpx.MockTransport(to)
        if not self.awaits:
            with TaskCountsClient(endpoint, credential, **settings) as sync:
                return sync.wait_for_job(job_id, until, **options)

        async def ask() -> Verdict:
            async with AsyncTaskCountsClient(endpoint, credential, **settings) as asynchronous:
                return await asynchronous.wait_for_job(job_id, until, **options)

        return asyncio.run(ask())


@pytest.fixture(params=["sync", "async"])
def wait(request: pytest.FixtureRequest) -> Wait:
    return Wait(awaits=request.param == "async")
