"""Calls of either client, so that a test is written once, and the account that they use."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from support.answers import Handler
from taskcounts import AsyncTaskCountsClient, SharedKey, Snapshot, TaskCountsClient
from taskcounts.net.route import Route
from taskcounts.protocol.messages import Request

ENDPOINT = "https://myaccount.westeurope.batch.azure.com"
# Made up: 64 bytes, as real keys have.
ACCESS_KEY = "3UX9lli8/iHsWeifWY2f6E4Z+o3GbLIIx2Sa4UzfDAHrTGg92PUoXpIb+DUQOLLFVIhN8HjPn6AytIus03ebzA=="
KEY = SharedKey("myaccount", ACCESS_KEY)
TOKEN = "eyJ0eXAiOiJKV1Qi.made-up-claims_of-nobody.c2lnbmF0dXJl"


def get(port: int, scheme: str = "http", host: str = "127.0.0.1") -> Request:
    """Return a request to a server on loopback, as engines take it."""
    return Request("GET", f"{scheme}://{host}:{port}/x", {"accept": "a", "authorization": "secretword"})


def route_to(port: int, scheme: str = "http", **options: Any) -> Route:
    """Return the route to a server on loopback."""
    return Route(scheme, "127.0.0.1", port, options.get("proxy"), options.get("verify"))


class Call:
    """Calls one of the two clients for the counts of a job.

    Attributes:
        awaits: True for the asynchronous client.
        client_type: The class of the client.
    """

    def __init__(self, *, awaits: bool) -> None:
        self.awaits = awaits
        self.client_type: Any = AsyncTaskCountsClient if awaits else TaskCountsClient

    def __call__(self, to: Handler | str, job_id: Any = "job-1", **options: Any) -> Snapshot:
        """Return the snapshot, or raise; see `times`."""
        (snapshot,) = self.times(1, to, job_id, **options)
        return snapshot

    def times(
        self,
        times: int,
        to: Handler | str,
        job_id: Any = "job-1",
        *,
        credential: Any = KEY,
        endpoint: str = ENDPOINT,
        client: dict[str, Any] | None = None,
        **question: Any,
    ) -> list[Snapshot]:
        """Make some calls over one client.

        Args:
            times: The number of calls.
            to: A handler of requests, which needs no socket, or the URL of a server.
            job_id: The job.
            credential: The credential that signs.
            endpoint: The endpoint in front of a handler.
            client: The client's options.
            **question: The options of each call.
        """
        options: dict[str, Any] = dict(client or {})
        if isinstance(to, str):
            endpoint = to
        else:
            options["transport"] = httpx.MockTransport(to)
        if not self.awaits:
            with TaskCountsClient(endpoint, credential, **options) as sync:
                return [sync.get_job_task_counts(job_id, **question) for _ in range(times)]

        async def ask() -> list[Snapshot]:
            async with AsyncTaskCountsClient(endpoint, credential, **options) as asynchronous:
                return [await asynchronous.get_job_task_counts(job_id, **question) for _ in range(times)]

        return asyncio.run(ask())
