"""The two clients that people import: what can be asked, and who waits for the answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from taskcounts.base_client import DEFAULT_CONCURRENCY, DEFAULT_MAX_FAILURES, DEFAULT_MIN_INTERVAL, Client
from taskcounts.flow.drive import run, run_async
from taskcounts.snapshot import Snapshot

if TYPE_CHECKING:
    import uuid

    import httpx  # noqa: F401 - the clients' bases name it.

    from taskcounts.many.values import JobResult, ListedJob
    from taskcounts.net.base import AsyncEngine, Engine  # noqa: F401 - the clients' bases name them.
    from taskcounts.waiting.values import Observer, Verdict

__all__ = ["AsyncTaskCountsClient", "TaskCountsClient"]


class TaskCountsClient(Client["httpx.BaseTransport", "Engine"]):
    """Asks an Azure Batch account where its jobs stand. Threads may share one.

    It is a context manager; used otherwise, close it.
    """

    _awaits = False

    def get_job_task_counts(
        self,
        job_id: str,
        *,
        verify: bool = False,
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        client_request_id: str | uuid.UUID | None = None,
    ) -> Snapshot:
        """Return where a job stands: how many of its tasks are active, running, completed, succeeded, failed.

        Args:
            job_id: The job: letters, digits, ``-`` and ``_``, at most 64; ``schedule:job-1`` for
                a job of a schedule.
            verify: List all tasks as well, and report in ``Snapshot.inconsistencies`` where the counts
                differ from them; ``Snapshot.listed`` has the exact ones.
            service_timeout: Seconds that the service may work on the request, 1 to 30 (its default).
            timeout: Seconds that one attempt may take; by default the client's.
            deadline: Seconds that all attempts and pauses may take together; by default the client's.
            client_request_id: A GUID that marks the request in the service's logs, the same
                on all attempts; by default a new one.

        Returns:
            One observation. The service counts in the background, so it may trail the truth.

        Raises:
            TaskCountsError: There is no trustworthy answer; `taskcounts.errors` tells the kinds apart.
            ValueError: An argument is out of its range. Nothing was sent.
            TypeError: An argument is of the wrong type. Nothing was sent.

        Source: https://learn.microsoft.com/rest/api/batchservice/jobs/get-task-counts
        """
        flow = self._task_counts(job_id, verify, service_timeout, timeout, deadline, client_request_id)
        return run(flow, self._engine, self._clock)

    def get_exact_job_task_counts(
        self,
        job_id: str,
        *,
        progress: Callable[[int], object] | None = None,
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        client_request_id: str | uuid.UUID | None = None,
    ) -> Snapshot:
        """Return exactly where a job stands, by listing its tasks: one request for each 1,000 of them.

        A list of several pages is no snapshot: tasks move while it is read. What it covers lies between
        ``Snapshot.began_at`` and ``observed_at``.

        Args:
            job_id: The job.
            progress: Called after each page with the number of tasks seen so far. What it raises ends
                the call.
            service_timeout: Seconds that the service may work on each page.
            timeout: Seconds that one attempt at a page may take; by default the client's.
            deadline: Seconds that all pages may take together; by default the client's.
            client_request_id: A GUID that marks the request for the first page.

        Raises:
            TaskCountsError: There is no trustworthy list of all tasks; a part of one is no result.
            ValueError: An argument is out of its range. Nothing was sent.
            TypeError: An argument is of the wrong type. Nothing was sent.

        Source: https://learn.microsoft.com/rest/api/batchservice/tasks/list
        """
        flow = self._exact_task_counts(
            job_id, progress, service_timeout, timeout, deadline, client_request_id
        )
        return run(flow, self._engine, self._clock)

    def wait_for_job(
        self,
        job_id: str,
        until: str = "done",
        *,
        deadline: float | None = None,
        stall: float | None = None,
        interval: float | None = None,
        min_interval: float = DEFAULT_MIN_INTERVAL,
        max_failures: int = DEFAULT_MAX_FAILURES,
        fail_fast: bool = False,
        exact_at_end: bool = False,
        empty_is_done: bool = False,
        check: bool = True,
        observer: Observer | None = None,
        service_timeout: int | None = None,
        timeout: float | None = None,
    ) -> Verdict:
        """Wait until a job is done, or otherwise as it should be, and return the verdict.

        What the counts say is confirmed by a small list query before it is believed.

        Args:
            job_id: The job.
            until: What to wait for: ``done``, ``all-succeeded``, ``any-failed``, ``no-active``,
                ``percent=N``, or a counter: ``count>=N`` (completed tasks), ``succeeded>=N``.
            deadline: Seconds that the wait may take as a whole, by default without limit. Each poll by
                itself has the client's deadline.
            stall: Seconds after which a job whose counts don't change is stalled, by default never.
            interval: Seconds from one poll to the next; None adapts it, see `taskcounts.waiting.pace`.
            min_interval: The least that an adapted interval is: who waits for many jobs at once may ask
                for each of them less often.
            max_failures: After how many polls in a row without a trustworthy answer the wait is lost.
            fail_fast: End as soon as a task has failed.
            exact_at_end: List all tasks before a verdict, and let that decide.
            empty_is_done: Take a job without tasks for done.
            check: Raise WaitFailed unless what was waited for is so; otherwise the verdict tells.
            observer: Called with an Observation after each poll. What it raises ends the wait.
            service_timeout: Seconds that the service may work on each request.
            timeout: Seconds that one attempt may take; by default the client's.

        Raises:
            WaitFailed: The wait ended with another outcome; its ``verdict`` tells which. What ended it,
                such as JobNotFound or AuthenticationFailed, is its cause.
            ValueError: An argument is out of its range. Nothing was sent.
            TypeError: An argument is of the wrong type. Nothing was sent.
        """
        call, plan = self._waiting(
            job_id,
            until,
            service_timeout,
            timeout,
            observer=observer,
            deadline=deadline,
            stall=stall,
            interval=interval,
            min_interval=min_interval,
            max_failures=max_failures,
            fail_fast=fail_fast,
            exact_at_end=exact_at_end,
            empty_is_done=empty_is_done,
        )
        from taskcounts.waiting.flow import wait  # noqa: PLC0415 - most callers never wait.

        return run(wait(self._settings, call, plan, observer, check=check), self._engine, self._clock)

    def get_many(
        self,
        job_ids: Iterable[str],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        progress: Callable[[int, int], object] | None = None,
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Generator[JobResult, None, None]:
        """Yield where many jobs stand, in the order in which the answers come.

        Each job has an outcome of its own: counts, or the error that it met, also for what is no job id.
        When the service throttles, all wait together, for as long as it asks, and fewer are asked for at
        once until it recovers: see `taskcounts.many.window`. That time is nobody's but the call's:
        a job's own deadline counts from when its turn has come.

        Nothing is sent before the first result is asked for. Closing the iterator ends what is under way,
        as dropping it does.

        Args:
            job_ids: The jobs. An iterator is read as far as it is needed, in the caller's thread: not more
                than ``concurrency`` and a few ahead of the results. What it raises is raised here,
                after the results of what it gave before. An id that is given twice is asked for twice.
            concurrency: How many jobs may be asked for at once, 1 to 256; not more than the client's own.
            progress: Called before each result is yielded with how many there are, and how many of these
                are errors. What it raises ends the call.
            service_timeout: Seconds that the service may work on each request.
            timeout: Seconds that one attempt may take; by default the client's.
            deadline: Seconds that all jobs may take together, from the first result that is asked for; by
                default without limit. What is not asked for by then ends with DeadlineExceeded, to
                the end of ``job_ids``; an endless iterator goes on so without end. Each job by itself
                has the client's deadline.

        Raises:
            ValueError: An argument is out of its range. Nothing was sent.
            TypeError: An argument is of the wrong type. Nothing was sent.
        """
        from taskcounts.many.plan import check_ids  # noqa: PLC0415 - most callers ask for one job.
        from taskcounts.many.threads import count_many  # noqa: PLC0415

        plan = self._many(
            service_timeout, timeout, concurrency=concurrency, deadline=deadline, progress=progress
        )
        return count_many(plan, iter(check_ids(job_ids, Iterable)), self._engine, self._clock)

    def list_jobs(
        self,
        *,
        filter: str | None = None,  # noqa: A002 - the service's word.
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Generator[ListedJob, None, None]:
        """Yield the account's jobs with their states, page by page: one request for each 1,000 of them.

        A list of several pages is no snapshot. Jobs that are added or deleted while it is read may be in
        it or not, and a service that moves one from page to page yields it twice.

        Args:
            filter: Which ones, in the service's words, such as ``state eq 'active'``
                or ``startswith(id,'nightly')``.
            service_timeout: Seconds that the service may work on each page.
            timeout: Seconds that one attempt at a page may take; by default the client's.
            deadline: Seconds that each page may take; by default the client's.

        Raises:
            TaskCountsError: There is no trustworthy list of all jobs; those of earlier pages were yielded.
            ValueError: An argument is out of its range. Nothing was sent.
            TypeError: An argument is of the wrong type. Nothing was sent.

        Source: https://learn.microsoft.com/rest/api/batchservice/jobs/list
        """
        from taskcounts.many.job_list import list_jobs  # noqa: PLC0415 - most callers list nothing.

        listing = self._listing(filter, service_timeout, timeout, deadline)
        return list_jobs(listing, self._engine, self._clock)

    def close(self) -> None:
        """Close all connections. A closed client can't be used again."""
        self._closed = True
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncTaskCountsClient(Client["httpx.AsyncBaseTransport", "AsyncEngine"]):
    """Asks an Azure Batch account where its jobs stand. The tasks of one asyncio event loop may share one.

    It is an asynchronous context manager; used otherwise, close it.
    """

    _awaits = True

    async def get_job_task_counts(
        self,
        job_id: str,
        *,
        verify: bool = False,
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        client_request_id: str | uuid.UUID | None = None,
    ) -> Snapshot:
        """Return where a job stands; see TaskCountsClient.get_job_task_counts, which does the same."""
        flow = self._task_counts(job_id, verify, service_timeout, timeout, deadline, client_request_id)
        return await run_async(flow, self._engine, self._clock)

    async def get_exact_job_task_counts(
        self,
        job_id: str,
        *,
        progress: Callable[[int], object] | None = None,
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        client_request_id: str | uuid.UUID | None = None,
    ) -> Snapshot:
        """Return exactly where a job stands; see TaskCountsClient.get_exact_job_task_counts."""
        flow = self._exact_task_counts(
            job_id, progress, service_timeout, timeout, deadline, client_request_id
        )
        return await run_async(flow, self._engine, self._clock)

    async def wait_for_job(
        self,
        job_id: str,
        until: str = "done",
        *,
        deadline: float | None = None,
        stall: float | None = None,
        interval: float | None = None,
        min_interval: float = DEFAULT_MIN_INTERVAL,
        max_failures: int = DEFAULT_MAX_FAILURES,
        fail_fast: bool = False,
        exact_at_end: bool = False,
        empty_is_done: bool = False,
        check: bool = True,
        observer: Observer | None = None,
        service_timeout: int | None = None,
        timeout: float | None = None,
    ) -> Verdict:
        """Wait until a job is as it should be; see TaskCountsClient.wait_for_job, which does the same."""
        call, plan = self._waiting(
            job_id,
            until,
            service_timeout,
            timeout,
            observer=observer,
            deadline=deadline,
            stall=stall,
            interval=interval,
            min_interval=min_interval,
            max_failures=max_failures,
            fail_fast=fail_fast,
            exact_at_end=exact_at_end,
            empty_is_done=empty_is_done,
        )
        from taskcounts.waiting.flow import wait  # noqa: PLC0415 - most callers never wait.

        flow = wait(self._settings, call, plan, observer, check=check)
        return await run_async(flow, self._engine, self._clock)

    def get_many(
        self,
        job_ids: Iterable[str] | AsyncIterable[str],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        progress: Callable[[int, int], object] | None = None,
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> AsyncGenerator[JobResult, None]:
        """Yield where many jobs stand, as the answers come; see TaskCountsClient.get_many.

        ``job_ids`` may be an asynchronous iterator as well; it is read in a task of its own. Whoever leaves
        the loop early closes the iterator, best by ``contextlib.aclosing``; asyncio does it later otherwise.
        """
        from taskcounts.many.plan import check_ids  # noqa: PLC0415 - most callers ask for one job.
        from taskcounts.many.tasks import count_many_async  # noqa: PLC0415

        plan = self._many(
            service_timeout, timeout, concurrency=concurrency, deadline=deadline, progress=progress
        )
        return count_many_async(plan, check_ids(job_ids, Iterable, AsyncIterable), self._engine, self._clock)

    def list_jobs(
        self,
        *,
        filter: str | None = None,  # noqa: A002 - the service's word.
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> AsyncGenerator[ListedJob, None]:
        """Yield the account's jobs with their states; see TaskCountsClient.list_jobs."""
        from taskcounts.many.job_list import list_jobs_async  # noqa: PLC0415 - most callers list nothing.

        listing = self._listing(filter, service_timeout, timeout, deadline)
        return list_jobs_async(listing, self._engine, self._clock)

    async def close(self) -> None:
        """Close all connections. A closed client can't be used again."""
        self._closed = True
        await self._engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
