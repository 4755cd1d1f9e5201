"""The generated client as it comes, on httpx; what it can't do, sign, is an authentication of httpx."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator

import httpx

from benchmarks.clients.like_httpx import trust
from benchmarks.clients.measure import Setting, in_tasks, in_threads, setting
from benchmarks.clients.signing import Signer
from taskcounts_rest import Client
from taskcounts_rest.api.jobs import job_get_task_counts
from taskcounts_rest.models import TaskCountsResult


class Signature(httpx.Auth):
    """Signs each request."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request, signed."""
        request.headers.update(self._signer.headers())
        yield request


def connect(given: Setting) -> Client:
    """Return the generated client."""
    signature = Signature(Signer(given.account, given.key, given.url))
    return Client(base_url=given.endpoint, verify_ssl=trust(given), httpx_args={"auth": signature})


def check(counted: object) -> object:
    """Return counts; refuse what is none."""
    if not isinstance(counted, TaskCountsResult):
        raise TypeError(f"no counts: {counted}")
    return counted


async def opened(given: Setting) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Give a call."""
    async with connect(given) as client:

        async def call() -> object:
            return check(await job_get_task_counts.asyncio(given.job, client=client))

        yield call


def main(given: Setting) -> None:
    """Measure what is wanted."""
    if given.how == "async":
        in_tasks(given, opened)
        return
    with connect(given) as client:
        in_threads(given, lambda: check(job_get_task_counts.sync(given.job, client=client)))


if __name__ == "__main__":
    main(setting())
