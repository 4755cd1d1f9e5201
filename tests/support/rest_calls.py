"""Calls of the generated functions over ``client.rest`` of either client, so that a test is written once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import httpx

from support.answers import COUNTS, Handler, Reply, answer
from support.client import ENDPOINT, KEY
from support.servers import Peer
from taskcounts import AsyncTaskCountsClient, TaskCountsClient
from taskcounts_rest.api.jobs import job_get, job_get_task_counts, job_list
from taskcounts_rest.api.tasks import task_list

OPERATIONS: dict[str, ModuleType] = {
    "Job_GetTaskCounts": job_get_task_counts,
    "Task_List": task_list,
    "Job_Get": job_get,
    "Job_List": job_list,
}
OF_A_JOB = [name for name in OPERATIONS if name != "Job_List"]
BODIES: dict[str, dict[str, Any]] = {
    "Job_GetTaskCounts": COUNTS,
    "Task_List": {"value": [{"id": "task-1", "state": "running"}], "odata.metadata": "x"},
    "Job_Get": {"id": "job-1", "state": "active"},
    "Job_List": {"value": [{"id": "job-1", "state": "active"}]},
}
"""The body of the answer to each operation."""


def arguments(name: str, job_id: str = "job-1") -> tuple[str, ...]:
    """Return the positional arguments of an operation's function."""
    return (job_id,) if name in OF_A_JOB else ()


class RestCall:
    """Calls a generated function over ``client.rest`` of one of the two clients."""

    def __init__(self, *, awaits: bool) -> None:
        self.awaits = awaits

    def __call__(
        self,
        name: str,
        to: Handler | str,
        *given: Any,
        client: dict[str, Any] | None = None,
        **named: Any,
    ) -> Any:
        """Return the function's Response, or raise.

        Args:
            name: The operation.
            to: A handler of requests, which needs no socket, or the URL of a server.
            *given: The job, by default one, if the operation is about one.
            client: The client's options.
            **named: The options of the call.
        """
        given = given or arguments(name)
        function = OPERATIONS[name]
        return self.using(
            to,
            lambda rest: function.sync_detailed(*given, client=rest, **named),
            lambda rest: function.asyncio_detailed(*given, client=rest, **named),
            client=client,
        )

    def using(
        self,
        to: Handler | str,
        sync: Callable[[Any], Any],
        awaited: Callable[[Any], Awaitable[Any]],
        *,
        client: dict[str, Any] | None = None,
    ) -> Any:
        """Return what a function makes of ``client.rest``, or of it awaited."""
        options = {"credential": KEY, **(client or {})}
        if isinstance(to, str):
            options["endpoint"] = to
        else:
            options |= {"endpoint": ENDPOINT, "transport": httpx.MockTransport(to)}
        if not self.awaits:
            with TaskCountsClient(**options) as ours:
                return sync(ours.rest)

        async def ask() -> Any:
            async with AsyncTaskCountsClient(**options) as ours:
                return await awaited(ours.rest)

        return asyncio.run(ask())


def serve_operations(peer: Peer) -> None:
    """Answer each operation over a socket, and keep the connection."""
    path = peer.head.split(b" ")[1].partition(b"?")[0].decode()
    if path == "/jobs":
        body = BODIES["Job_List"]
    elif path.endswith("/tasks"):
        body = BODIES["Task_List"]
    elif path.endswith("/taskcounts"):
        body = BODIES["Job_GetTaskCounts"]
    else:
        body = {**BODIES["Job_Get"], "id": unquote(path.removeprefix("/jobs/"))}
    reply = answer(body)
    peer.send(Reply(200, {**reply.headers, "connection": "keep-alive"}, reply.body).raw())
