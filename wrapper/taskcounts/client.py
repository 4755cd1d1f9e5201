"""The two clients, for threads and for asyncio: the public methods, over the checks of `base_client`."""

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
    """A client for the task counts of an Azure Batch account. Threads may share it.

    It is a context manager, which closes it; without ``with``, call ``close``.
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
        """Return the numbers of a job's tasks that are active, running, completed, succeeded and failed.

        Args:
            job_id: The job: letters, digits, ``-`` and ``_``, at most 64; ``schedule:job-1`` for
                a job of a schedule.
            verify: List all tasks as well, and report differences from the counts in
                ``Snapshot.inconsistencies``; ``Snapshot.listed`` has the exact counts.
            service_timeout: Seconds that the service may work on the request, 1 to 30 (its default).
            timeout: Seconds that one attempt may take; by default the client's.
            deadline: Seconds that all attempts and pauses may take together; by default the client's.
            client_request_id: A GUID that marks the request in the service's logs, the same
                on all attempts; by default a new one.

        Returns:
            One observation. The service counts in the background, so the counts may lag.

        Raises:
            TaskCountsError: There is no trustworthy answer; see `taskcounts.errors`.
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
        """Return a job's exact counts, by listing all its tasks: one request for each 1,000 of them.

        A list of several pages is no snapshot, since tasks change while it is read. It covers the time
        between ``Snapshot.began_at`` and ``observed_at``.

        Args:
            job_id: The job.
            progress: Called after each page with the number of tasks so far. An exception that it raises
                ends the call.
            service_timeout: Seconds that the service may work on each page.
            timeout: Seconds that one attempt at a page may take; by default the client's.
            deadline: Seconds that all pages may take together; by default the client's.
            client_request_id: A GUID that marks the request for the first page; by default a new one.

        Returns:
            The counts, with ``Snapshot.exact`` set.

        Raises:
            TaskCountsError: There is no trustworthy list of all tasks; a part of a list is no result.
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
        """Wait until a job is done, or has reached another goal, and return the verdict.

        Counts that claim the goal is reached are confirmed by small list queries, which are never behind.

        Args:
            job_id: The job.
            until: The goal: ``done``, ``all-succeeded``, ``any-failed``, ``no-active``,
                ``percent=N``, or a counter: ``count>=N`` (completed tasks), ``succeeded>=N``.
            deadline: Seconds that the wait may take as a whole, by default without limit. Each poll by
                itself has the client's deadline.
            stall: Seconds after which a job whose counts don't change is stalled; by default never.
            interval: Seconds from one poll to the next; None adapts it, see `taskcounts.waiting.pace`.
            min_interval: The least adapted interval in seconds; a longer one suits a wait for many jobs at
                once.
            max_failures: The number of polls in a row without a trustworthy answer after which the status
                is lost.
            fail_fast: End as soon as a task has failed.
            exact_at_end: List all tasks before a verdict, and let that decide.
            empty_is_done: Take a job without tasks for done.
            check: Raise WaitFailed unless the goal is reached; if false, return every verdict.
            observer: Called with an Observation after each poll. An error that it raises ends the wait.
            service_timeout: Seconds that the service may work on each request.
            timeout: Seconds that one attempt may take; by default the client's.

        Returns:
            The verdict, which is true if the goal is reached.

        Raises:
            WaitFailed: The wait ended with another outcome, which its ``verdict`` names. An error that
                ended it, such as JobNotFound or AuthenticationFailed, is its cause.
            ValueError: An argument is out of its range. Nothing was sent.
            TypeError: An argument is of the wrong type. Nothing was sent.
        """
        flow = self._wait(
            job_id,
            until,
            service_timeout,
            timeout,
            check=check,
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
        return run(flow, self._engine, self._clock)

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
        """Yield the counts of many jobs, in the order in which the answers come.

        Each job has a result of its own: counts or an error, also for a value that is no job id. When the
        service throttles, all requests wait for as long as it asks, and fewer are under way at once until it
        recovers: see `taskcounts.many.window`. A busy service doesn't use up a job's own deadline: that
        begins once the job's first request may be sent.

        Nothing is sent before the first result is asked for. Closing or dropping the iterator ends the
        requests under way.

        Args:
            job_ids: The jobs. An iterator is read in the caller's thread, and only as far as needed: at most
                ``concurrency`` and a few ids ahead of the results. An error that it raises is raised here,
                after the results of the ids before. An id that is given twice is asked for twice.
            concurrency: The number of jobs that may be asked for at once, 1 to 256; the client's own
                ``concurrency`` limits it further.
            progress: Called before each result is yielded, with the number of results so far and of errors
                among them. An error that it raises ends the call.
            service_timeout: Seconds that the service may work on each request.
            timeout: Seconds that one attempt may take; by default the client's.
            deadline: Seconds that all jobs may take together, from the moment at which the first result is
                asked for; by default without limit. All later jobs get a DeadlineExceeded as their result,
                to the end of ``job_ids``, even if that never comes. Each job by itself has the client's
                deadline.

        Yields:
            A JobResult for each id.

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

        A list of several pages is no snapshot. Jobs that are added or deleted while it is read may be
        missing, and a job that moves from page to page comes twice.

        Args:
            filter: An OData filter, such as ``state eq 'active'`` or ``startswith(id,'nightly')``; by
                default all jobs.
            service_timeout: Seconds that the service may work on each page.
            timeout: Seconds that one attempt at a page may take; by default the client's.
            deadline: Seconds that each page may take; by default the client's.

        Yields:
            A job with its state.

        Raises:
            TaskCountsError: A page has no trustworthy answer. The jobs of the earlier pages were yielded.
            ValueError: An argument is out of its range. Nothing was sent.
            TypeError: An argument is of the wrong type. Nothing was sent.

        Source: https://learn.microsoft.com/rest/api/batchservice/jobs/list
        """
        from taskcounts.many.job_list import list_jobs  # noqa: PLC0415 - most callers list nothing.

        listing = self._listing(filter, service_timeout, timeout, deadline)
        return list_jobs(listing, self._engine, self._clock)

    def close(self) -> None:
        """Close all connections. Later calls raise RuntimeError."""
        self._closed = True
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncTaskCountsClient(Client["httpx.AsyncBaseTransport", "AsyncEngine"]):
    """A client for the task counts of an Azure Batch account. The tasks of one event loop may share it.

    It is an asynchronous context manager, which closes it; without ``async with``, await ``close``.
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
        """Return the numbers of a job's tasks that are active, running, completed, succeeded and failed.

        Args:
            job_id: The job.
            verify: List all tasks as well, and report differences in ``Snapshot.inconsistencies``.
            service_timeout: Seconds that the service may work on the request, 1 to 30.
            timeout: Seconds that one attempt may take; by default the client's.
            deadline: Seconds that all attempts and pauses may take together; by default the client's.
            client_request_id: A GUID that marks the request in the service's logs; by default a new one.

        Returns:
            One observation. The service counts in the background, so the counts may lag.

        Raises:
            TaskCountsError: There is no trustworthy answer; see `taskcounts.errors`.
            ValueError: An argument is out of its range. Nothing was sent.
            TypeError: An argument is of the wrong type. Nothing was sent.
        """
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
        """Return a job's exact counts, by listing all its tasks: one request for each 1,000 of them.

        Args:
            job_id: The job.
            progress: Called after each page with the number of tasks so far; a plain function.
            service_timeout: Seconds that the service may work on each page.
            timeout: Seconds that one attempt at a page may take; by default the client's.
            deadline: Seconds that all pages may take together; by default the client's.
            client_request_id: A GUID that marks the request for the first page; by default a new one.

        Returns:
            The counts, between ``Snapshot.began_at`` and ``observed_at``.

        Raises:
            TaskCountsError: There is no trustworthy list of all tasks; a part of a list is no result.
            ValueError: An argument is out of its range. Nothing was sent.
            TypeError: An argument is of the wrong type. Nothing was sent.
        """
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
        """Wait until a job is done, or has reached another goal, and return the verdict.

        The arguments are those of TaskCountsClient.wait_for_job.

        Raises:
            WaitFailed: The wait ended with another outcome, which its ``verdict`` names.
        """
        flow = self._wait(
            job_id,
            until,
            service_timeout,
            timeout,
            check=check,
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
        """Yield the counts of many jobs, in the order in which the answers come.

        The arguments are those of TaskCountsClient.get_many. ``job_ids`` may be an asynchronous iterator as
        well; it is read in a task of its own. A loop that may be left early is best written with
        ``contextlib.aclosing``: otherwise asyncio closes the iterator only later.
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
        """Yield the account's jobs with their states, page by page: one request for each 1,000 of them.

        Args:
            filter: An OData filter, such as ``state eq 'active'``; by default all jobs.
            service_timeout: Seconds that the service may work on each page.
            timeout: Seconds that one attempt at a page may take; by default the client's.
            deadline: Seconds that each page may take; by default the client's.

        Yields:
            A job with its state.

        Raises:
            TaskCountsError: A page has no trustworthy answer. The jobs of the earlier pages were yielded.
            ValueError: An argument is out of its range. Nothing was sent.
            TypeError: An argument is of the wrong type. Nothing was sent.
        """
        from taskcounts.many.job_list import list_jobs_async  # noqa: PLC0415 - most callers list nothing.

        listing = self._listing(filter, service_timeout, timeout, deadline)
        return list_jobs_async(listing, self._engine, self._clock)

    async def close(self) -> None:
        """Close all connections. Later calls raise RuntimeError."""
        self._closed = True
        await self._engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
