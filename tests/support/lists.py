"""Helpers for tests of lists: tasks and pages in the service's form, and calls of both clients."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx

from support.answers import Handler, Reply, answer
from support.client import ENDPOINT, KEY
from taskcounts import AsyncTaskCountsClient, Snapshot, TaskCountsClient, TaskCountsError


def task(task_id: str, state: str = "active", result: str | None = None, **members: Any) -> dict[str, Any]:
    """Return a task as a list shows it; one that is completed has succeeded unless it says otherwise."""
    if state.lower() == "completed":
        info = {"retryCount": 0, "requeueCount": 0, "result": result or "success"}
        members = {"executionInfo": info, **members}
    return {"id": task_id, "state": state, **members}


def link_to(token: str, job_id: str = "job-1") -> str:
    """Return a link in the service's form."""
    return f"{ENDPOINT}/jobs/{job_id}/tasks?$skiptoken={token}&api-version=2024-07-01.20.0"


def page(*items: object, token: str | None = None, link: str | None = None, **headers: Any) -> Reply:
    """Return a page, with a link if a link or a token is given."""
    body: dict[str, Any] = {"value": list(items)}
    if link is None and token is not None:
        link = link_to(token)
    if link is not None:
        body["odata.nextLink"] = link
    return answer(body, **headers)


class Lister:
    """Counts the tasks of a job exactly with one of the two clients, so that a test is written once."""

    def __init__(self, *, awaits: bool) -> None:
        self.awaits = awaits

    def __call__(
        self,
        to: Handler | str,
        job_id: Any = "job-1",
        *,
        method: str = "get_exact_job_task_counts",
        times: int = 1,
        credential: Any = KEY,
        client: dict[str, Any] | None = None,
        **question: Any,
    ) -> Snapshot:
        """Return the last snapshot of some, or raise.

        Args:
            to: A handler of requests, which needs no socket, or the URL of a server.
            job_id: The job.
            method: The client's method.
            times: How often to call it over one client; all but the last may fail.
            credential: Who asks.
            client: The client's options.
            **question: The options of the call.
        """
        options: dict[str, Any] = dict(client or {})
        endpoint = to if isinstance(to, str) else ENDPOINT
        if not isinstance(to, str):
            options["transport"] = httpx.MockTransport(to)
        if not self.awaits:
            with TaskCountsClient(endpoint, credential, **options) as sync:
                for _ in range(times - 1):
                    with contextlib.suppress(TaskCountsError, LookupError):
                        getattr(sync, method)(job_id, **question)
                return getattr(sync, method)(job_id, **question)  # type: ignore[no-any-return]

        async def ask() -> Snapshot:
            async with AsyncTaskCountsClient(endpoint, credential, **options) as asynchronous:
                for _ in range(times - 1):
                    with contextlib.suppress(TaskCountsError, LookupError):
                        await getattr(asynchronous, method)(job_id, **question)
                return await getattr(asynchronous, method)(job_id, **question)  # type: ignore[no-any-return]

        return asyncio.run(ask())
