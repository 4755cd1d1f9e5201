"""The two clients that people import. They check arguments and hold the parts together; no policy in here."""

from __future__ import annotations

import math
import os
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Protocol, Self, TypeVar

import httpx

from taskcounts._arguments import (
    check_credential,
    check_endpoint,
    check_guid,
    check_job_id,
    check_seconds,
    check_service_timeout,
    check_token_channel,
)
from taskcounts._clock import SYSTEM_CLOCK
from taskcounts._connection import Reach, connection
from taskcounts._counts import COUNTS
from taskcounts._exchange import exchange
from taskcounts._steps import Exchange, Question, Settings
from taskcounts._transport import AsyncClock, AsyncHttpxEngine, HttpxEngine, SyncClock, run, run_async
from taskcounts.credentials import (
    AsyncTokenCredential,
    Credential,
    SharedKey,
    scope_for,
)
from taskcounts.retry import RetryPolicy
from taskcounts.snapshot import Snapshot

if TYPE_CHECKING:
    from taskcounts.many.values import JobResult, ListedJob
    from taskcounts.waiting.plan import Plan
    from taskcounts.waiting.values import Observer, Verdict

__all__ = ["AsyncTaskCountsClient", "TaskCountsClient"]

# One attempt may take a little longer than the 30 s that the service gives itself.
DEFAULT_TIMEOUT = 35.0
DEFAULT_DEADLINE = 120.0

# A wait goes on over this many questions in a row without a trustworthy answer, each with its own retries.
DEFAULT_MAX_FAILURES = 10

DEFAULT_CONCURRENCY = 16

# What the az CLI reads.
ENVIRONMENT = ("AZURE_BATCH_ACCOUNT", "AZURE_BATCH_ENDPOINT", "AZURE_BATCH_ACCESS_KEY")


class AnyClock(SyncClock, AsyncClock, Protocol):
    """What stands behind a client's ``clock``."""


SomeTransport = TypeVar("SomeTransport", httpx.BaseTransport, httpx.AsyncBaseTransport)
SomeEngine = TypeVar("SomeEngine", HttpxEngine, AsyncHttpxEngine)


class _Client(Generic[SomeTransport, SomeEngine]):
    """What both clients have in common: all but the waiting."""

    _awaits: ClassVar[bool]
    _engine_type: ClassVar[Any]

    def __init__(
        self,
        endpoint: str,
        credential: Credential | AsyncTokenCredential,
        *,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen.
        timeout: float = DEFAULT_TIMEOUT,
        deadline: float = DEFAULT_DEADLINE,
        strict: bool = False,
        scope: str | None = None,
        allow_token_over_http: bool = False,
        proxy: str | None = None,
        verify: ssl.SSLContext | str | os.PathLike[str] | None = None,
        trust_env: bool = True,
        transport: SomeTransport | None = None,
        clock: AnyClock = SYSTEM_CLOCK,
    ) -> None:
        """Make a client for one account. Nothing is sent yet.

        Args:
            endpoint: The account's URL, such as ``https://myaccount.westeurope.batch.azure.com``.
                Without a scheme, https is meant.
            credential: A SharedKey, a BearerToken, or a credential object of azure-identity.
            retry: How often to ask, and how long to pause in between.
            timeout: Seconds that one attempt may take as a whole: to connect, send, wait and read.
            deadline: Seconds that a call may take as a whole, over all attempts and pauses.
            strict: Raise ContractViolation for an answer whose numbers contradict each other,
                instead of reporting that in ``Snapshot.inconsistencies``.
            scope: The scope to ask of a token credential; by default that of the endpoint's cloud.
            allow_token_over_http: Send a bearer token over plain http to this machine's
                loopback interface (an emulator). To other hosts it is never sent without TLS.
            proxy: The URL of a proxy; by default what the environment names for the endpoint.
            verify: What certificates to trust: an ssl.SSLContext, or the path of a PEM file or
                of a hashed folder; by default SSL_CERT_FILE, SSL_CERT_DIR or REQUESTS_CA_BUNDLE
                of the environment, else the list that comes with httpx.
            trust_env: Whether proxies and certificates are looked up in the environment.
            transport: An httpx transport to send over; it takes the place of ``proxy``,
                ``verify`` and ``trust_env``, and is closed with the client. The deadline then
                can't cut a synchronous read that the transport makes short of its own timeouts.
            clock: Time, sleep and chance, for tests.

        Raises:
            ValueError: An argument can't be used; the message says why and holds no secret.
            TypeError: An argument is of the wrong type.
        """
        if isinstance(credential, str | bytes):
            # A key or token as it is: no frame of ours is to show it.
            del credential
            raise TypeError(
                "credential must be a SharedKey, a BearerToken or a credential object of azure-identity, "
                "not a str; wrap a token in BearerToken, or a key in SharedKey"
            )
        reach = Reach(proxy, verify, trust_env)
        # An error reporter that prints local variables must not find its password here.
        del proxy
        self._endpoint = check_endpoint(endpoint)
        self._timeout = check_seconds("timeout", timeout)
        self._deadline = check_seconds("deadline", deadline)
        if not isinstance(retry, RetryPolicy):
            raise TypeError(f"retry must be a RetryPolicy, not {type(retry).__name__}")
        check_credential(credential, awaits=self._awaits)
        if not isinstance(credential, SharedKey):
            check_token_channel(self._endpoint, allow_token_over_http, reach)
        scope = scope_for(self._endpoint) if scope is None else scope
        self._settings = Settings(self._endpoint, credential, scope, retry, strict, clock)
        self._clock = clock
        self._closed = False
        self._engine: SomeEngine = (
            self._engine_type(transport)
            if transport is not None
            else self._engine_type.over(connection(self._endpoint, reach))
        )

    @classmethod
    def from_environment(cls, **options: Any) -> Self:
        """Return a client for the account that the environment names.

        Reads AZURE_BATCH_ACCOUNT, AZURE_BATCH_ENDPOINT and AZURE_BATCH_ACCESS_KEY, as the az CLI does.

        Args:
            **options: The client's keyword arguments, passed on. With ``credential``,
                only AZURE_BATCH_ENDPOINT is read.

        Raises:
            ValueError: A variable is missing or can't be used; the message names it.
        """
        credential = options.pop("credential", None)
        needed = ENVIRONMENT if credential is None else ("AZURE_BATCH_ENDPOINT",)
        missing = [name for name in needed if not os.environ.get(name)]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            named = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
            raise ValueError(f"{named} {verb} not set in the environment")
        try:
            endpoint = check_endpoint(os.environ["AZURE_BATCH_ENDPOINT"])
        except ValueError as error:
            raise ValueError(f"AZURE_BATCH_ENDPOINT: {error}") from None
        if credential is None:
            try:
                credential = SharedKey(
                    os.environ["AZURE_BATCH_ACCOUNT"], os.environ["AZURE_BATCH_ACCESS_KEY"]
                )
            except ValueError as error:
                raise ValueError(f"AZURE_BATCH_ACCOUNT or AZURE_BATCH_ACCESS_KEY: {error}") from None
        try:
            return cls(endpoint, credential, **options)
        except BaseException:
            # A proxy's URL may hold a password, which this frame is not to show.
            options.clear()
            raise

    def _question(self, job_id: str, *limits: Any) -> Question:
        """Return a question about a job; see _listed for its limits."""
        return self._listed(*limits)._replace(job_id=check_job_id(job_id))

    def _listed(
        self,
        service_timeout: int | None,
        timeout: float | None,
        deadline: float | None,
        client_request_id: str | uuid.UUID | None = None,
    ) -> Question:
        """Return a question about no single job, with the client's limits where none are given."""
        if self._closed:
            raise RuntimeError("the client is closed; make a new one")
        return Question(
            job_id="",
            service_timeout=check_service_timeout(service_timeout),
            timeout=self._timeout if timeout is None else check_seconds("timeout", timeout),
            deadline=self._deadline if deadline is None else check_seconds("deadline", deadline),
            client_request_id=check_guid(client_request_id),
        )

    def _counting(self, question: Question, verify: bool) -> Exchange[Snapshot]:
        if not verify:
            return exchange(self._settings, COUNTS, question)
        from taskcounts._listing import verified_counts  # noqa: PLC0415 - most callers never list.

        return verified_counts(self._settings, question)

    def _waiting(
        self,
        job_id: str,
        until: str,
        service_timeout: int | None,
        timeout: float | None,
        **limits: Any,
    ) -> tuple[Question, Plan]:
        from taskcounts.waiting.plan import make_plan  # noqa: PLC0415 - most callers never wait.

        return self._question(job_id, service_timeout, timeout, None), make_plan(until, **limits)

    @property
    def endpoint(self) -> str:
        """The URL that requests go to, without a slash at its end."""
        return self._endpoint

    def __repr__(self) -> str:
        # An error reporter may ask for it while the constructor refuses its arguments.
        settings = getattr(self, "_settings", "Settings()")
        return type(self).__name__ + repr(settings).strip("'").removeprefix("Settings")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds connections and is not pickled; make it where it is used"
        )


class TaskCountsClient(_Client[httpx.BaseTransport, HttpxEngine]):
    """Asks an Azure Batch account where its jobs stand. Threads may share one.

    It is a context manager; used otherwise, close it.
    """

    _awaits = False
    _engine_type = HttpxEngine

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
        question = self._question(job_id, service_timeout, timeout, deadline, client_request_id)
        return run(self._counting(question, verify), self._engine, self._clock)

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
        from taskcounts._listing import exact_counts  # noqa: PLC0415 - most callers never list.

        question = self._question(job_id, service_timeout, timeout, deadline, client_request_id)
        return run(exact_counts(self._settings, question, progress), self._engine, self._clock)

    def wait_for_job(
        self,
        job_id: str,
        until: str = "done",
        *,
        deadline: float = math.inf,
        stall: float = math.inf,
        interval: float | None = None,
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
            deadline: Seconds that the wait may take as a whole.
            stall: Seconds after which a job of which nothing changes counts as stalled.
            interval: Seconds from one question to the next; None adapts it, see `taskcounts.waiting.pace`.
            max_failures: How many questions in a row may have no trustworthy answer.
            fail_fast: End as soon as a task has failed.
            exact_at_end: List all tasks before a verdict, and let that decide.
            empty_is_done: Take a job without tasks for done.
            check: Raise WaitFailed unless what was waited for is so; otherwise the verdict tells.
            observer: Called with an Observation after each question. What it raises ends the wait.
            service_timeout: Seconds that the service may work on each request.
            timeout: Seconds that one attempt may take; by default the client's.

        Raises:
            WaitFailed: The wait ended with another outcome; its ``verdict`` tells which.
            ValueError: An argument is out of its range. Nothing was sent.
            TypeError: An argument is of the wrong type. Nothing was sent.
        """
        question, plan = self._waiting(
            job_id,
            until,
            service_timeout,
            timeout,
            deadline=deadline,
            stall=stall,
            interval=interval,
            max_failures=max_failures,
            fail_fast=fail_fast,
            exact_at_end=exact_at_end,
            empty_is_done=empty_is_done,
        )
        from taskcounts.waiting.flow import wait  # noqa: PLC0415 - most callers never wait.

        return run(wait(self._settings, question, plan, observer, check=check), self._engine, self._clock)

    def get_many(
        self,
        job_ids: Iterable[str],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        progress: Callable[[int, int], object] | None = None,
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Iterator[JobResult]:
        """Yield where many jobs stand, in the order in which the answers come.

        Each job has an outcome of its own: counts, or the error that it met. When the service throttles,
        all wait together and fewer are asked for at once, until it recovers.

        Args:
            job_ids: The jobs; an iterator is read as far as it is needed.
            concurrency: How many jobs may be asked for at once.
            progress: Called after each result with how many there are, and how many of these are errors.
            service_timeout: Seconds that the service may work on each request.
            timeout: Seconds that one attempt may take; by default the client's.
            deadline: Seconds that all jobs may take together, by default without limit; what is not
                asked for by then ends with DeadlineExceeded. Each job by itself has the client's deadline.

        Raises:
            ValueError: An argument is out of its range. Nothing was sent.
            TypeError: An argument is of the wrong type. Nothing was sent.
        """
        raise NotImplementedError

    def list_jobs(
        self,
        *,
        filter: str | None = None,  # noqa: A002 - the service's word.
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Iterator[ListedJob]:
        """Yield the account's jobs with their states, page by page.

        Args:
            filter: Which ones, in the service's words, such as ``state eq 'active'``
                or ``startswith(id,'nightly')``.
            service_timeout: Seconds that the service may work on each page.
            timeout: Seconds that one attempt at a page may take; by default the client's.
            deadline: Seconds that each page may take; by default the client's.

        Raises:
            TaskCountsError: There is no trustworthy list of all jobs; those of earlier pages were yielded.

        Source: https://learn.microsoft.com/rest/api/batchservice/jobs/list
        """
        raise NotImplementedError

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


class AsyncTaskCountsClient(_Client[httpx.AsyncBaseTransport, AsyncHttpxEngine]):
    """Asks an Azure Batch account where its jobs stand. The tasks of one asyncio event loop may share one.

    It is an asynchronous context manager; used otherwise, close it.
    """

    _awaits = True
    _engine_type = AsyncHttpxEngine

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
        question = self._question(job_id, service_timeout, timeout, deadline, client_request_id)
        return await run_async(self._counting(question, verify), self._engine, self._clock)

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
        from taskcounts._listing import exact_counts  # noqa: PLC0415 - most callers never list.

        question = self._question(job_id, service_timeout, timeout, deadline, client_request_id)
        return await run_async(exact_counts(self._settings, question, progress), self._engine, self._clock)

    async def wait_for_job(
        self,
        job_id: str,
        until: str = "done",
        *,
        deadline: float = math.inf,
        stall: float = math.inf,
        interval: float | None = None,
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
        question, plan = self._waiting(
            job_id,
            until,
            service_timeout,
            timeout,
            deadline=deadline,
            stall=stall,
            interval=interval,
            max_failures=max_failures,
            fail_fast=fail_fast,
            exact_at_end=exact_at_end,
            empty_is_done=empty_is_done,
        )
        from taskcounts.waiting.flow import wait  # noqa: PLC0415 - most callers never wait.

        flow = wait(self._settings, question, plan, observer, check=check)
        return await run_async(flow, self._engine, self._clock)

    def get_many(
        self,
        job_ids: Iterable[str],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        progress: Callable[[int, int], object] | None = None,
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> AsyncIterator[JobResult]:
        """Yield where many jobs stand, as the answers come; see TaskCountsClient.get_many."""
        raise NotImplementedError

    def list_jobs(
        self,
        *,
        filter: str | None = None,  # noqa: A002 - the service's word.
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> AsyncIterator[ListedJob]:
        """Yield the account's jobs with their states; see TaskCountsClient.list_jobs."""
        raise NotImplementedError

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
