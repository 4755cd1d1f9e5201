"""The two clients that people import. They check arguments and hold the parts together; no policy in here."""

from __future__ import annotations

import inspect
import math
import os
import re
import ssl
import uuid
from types import TracebackType
from typing import Any, ClassVar, Generic, NoReturn, Protocol, Self, TypeVar
from urllib.parse import urlsplit

import httpx

from taskcounts._clock import SYSTEM_CLOCK
from taskcounts._connection import connection, is_loopback
from taskcounts._exchange import exchange
from taskcounts._steps import Question, Settings
from taskcounts._transport import AsyncClock, AsyncHttpxEngine, HttpxEngine, SyncClock, run, run_async
from taskcounts.credentials import (
    AsyncTokenCredential,
    BearerToken,
    Credential,
    SharedKey,
    scope_for,
)
from taskcounts.errors import one_line
from taskcounts.retry import RetryPolicy
from taskcounts.snapshot import Snapshot
from taskcounts_rest import contract

__all__ = ["AsyncTaskCountsClient", "TaskCountsClient"]

# One attempt may take a little longer than the 30 s that the service gives itself.
DEFAULT_TIMEOUT = 35.0
DEFAULT_DEADLINE = 120.0

_JOB_ID = re.compile(contract.PARAMETERS["jobId"]["pattern"])
_HOST = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.]+")
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
        self._endpoint = _check_endpoint(endpoint)
        self._timeout = _check_seconds("timeout", timeout)
        self._deadline = _check_seconds("deadline", deadline)
        if not isinstance(retry, RetryPolicy):
            raise TypeError(f"retry must be a RetryPolicy, not {type(retry).__name__}")
        _check_credential(credential, awaits=self._awaits)
        if not isinstance(credential, SharedKey):
            _check_token_channel(self._endpoint, allow_token_over_http)
        scope = scope_for(self._endpoint) if scope is None else scope
        self._settings = Settings(self._endpoint, credential, scope, retry, strict, clock)
        self._clock = clock
        self._closed = False
        self._engine: SomeEngine = (
            self._engine_type(transport)
            if transport is not None
            else self._engine_type.over(connection(self._endpoint, proxy, verify, trust_env))
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
            raise ValueError(f"{' and '.join(missing)} {verb} not set in the environment")
        if credential is None:
            credential = SharedKey(os.environ["AZURE_BATCH_ACCOUNT"], os.environ["AZURE_BATCH_ACCESS_KEY"])
        return cls(os.environ["AZURE_BATCH_ENDPOINT"], credential, **options)

    def _question(
        self,
        job_id: str,
        service_timeout: int | None,
        timeout: float | None,
        deadline: float | None,
        client_request_id: str | uuid.UUID | None,
    ) -> Question:
        if self._closed:
            raise RuntimeError("the client is closed; make a new one")
        return Question(
            job_id=_check_job_id(job_id),
            service_timeout=_check_service_timeout(service_timeout),
            timeout=self._timeout if timeout is None else _check_seconds("timeout", timeout),
            deadline=self._deadline if deadline is None else _check_seconds("deadline", deadline),
            client_request_id=_check_guid(client_request_id),
        )

    @property
    def endpoint(self) -> str:
        """The URL that requests go to, without a slash at its end."""
        return self._endpoint

    def __repr__(self) -> str:
        credential = self._settings.credential
        # A credential of somebody else's may show anything in its own repr.
        shown = (
            repr(credential) if isinstance(credential, SharedKey | BearerToken) else type(credential).__name__
        )
        return f"{type(self).__name__}({self._endpoint!r}, {shown})"

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
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        client_request_id: str | uuid.UUID | None = None,
    ) -> Snapshot:
        """Return where a job stands: how many of its tasks are active, running, completed, succeeded, failed.

        Args:
            job_id: The job: letters, digits, ``-`` and ``_``, at most 64; ``schedule:job-1`` for
                a job of a schedule.
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
        return run(exchange(self._settings, question), self._engine, self._clock)

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
        service_timeout: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        client_request_id: str | uuid.UUID | None = None,
    ) -> Snapshot:
        """Return where a job stands; see TaskCountsClient.get_job_task_counts, which does the same."""
        question = self._question(job_id, service_timeout, timeout, deadline, client_request_id)
        return await run_async(exchange(self._settings, question), self._engine, self._clock)

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


def _check_endpoint(endpoint: str) -> str:
    if not isinstance(endpoint, str):
        raise TypeError(f"endpoint must be a str, not {type(endpoint).__name__}")
    text = endpoint.strip()
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        host, port, sound = url.hostname or "", url.port, True
    except ValueError:
        host, port, sound = "", None, False
    if (
        not sound
        or not _HOST.fullmatch(host)
        or url.username is not None
        or url.scheme not in ("http", "https")
    ):
        # What was given isn't shown: it may hold a password.
        raise ValueError(
            "the endpoint is not the URL of a Batch account, such as "
            "https://myaccount.westeurope.batch.azure.com"
        )
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError("the endpoint must end with the host: no path, query or fragment")
    shown = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{shown}" + (f":{port}" if port is not None else "")


def _check_credential(credential: object, *, awaits: bool) -> None:
    if isinstance(credential, SharedKey | BearerToken):
        return
    get_token = getattr(credential, "get_token", None)
    kind = type(credential).__name__
    if not callable(get_token):
        hint = "; wrap a token in BearerToken, or a key in SharedKey" if isinstance(credential, str) else ""
        raise TypeError(
            "credential must be a SharedKey, a BearerToken or a credential object of azure-identity, "
            f"not {kind}{hint}"
        )
    if inspect.iscoroutinefunction(get_token) and not awaits:
        raise TypeError(
            f"{kind} is an asynchronous credential; use it with AsyncTaskCountsClient, "
            "or take its namesake from azure.identity"
        )


def _check_token_channel(endpoint: str, allow_token_over_http: bool) -> None:
    """Refuse plain http: whoever sees a bearer token can use it, while a shared key sends only signatures."""
    url = urlsplit(endpoint)
    if url.scheme == "https":
        return
    if not is_loopback(url.hostname or ""):
        raise ValueError("a bearer token is not sent over plain http, where anybody could read it; use https")
    if not allow_token_over_http:
        raise ValueError(
            "a bearer token is not sent over plain http; for an emulator on this machine "
            "pass allow_token_over_http=True"
        )


def _check_job_id(job_id: str) -> str:
    if not isinstance(job_id, str):
        raise TypeError(f"job_id must be a str, not {type(job_id).__name__}")
    # Anything else could make another path of it: dots, slashes encoded or not, control characters.
    if not _JOB_ID.fullmatch(job_id):
        raise ValueError(
            f"{one_line(ascii(job_id), 100)} is not a job id: letters, digits, '-' and '_', 1 to 64 of them, "
            "with ':job-1' or the like behind for a job of a schedule"
        )
    return job_id


def _check_service_timeout(seconds: int | None) -> int | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise TypeError(f"service_timeout must be an int, not {type(seconds).__name__}")
    if seconds > 30:
        raise ValueError(f"service_timeout is {seconds}; the service would use 30 instead: give 1 to 30")
    if seconds < 1:
        raise ValueError(f"service_timeout is {seconds}; the service would refuse it: give 1 to 30")
    return seconds


def _check_seconds(name: str, seconds: float) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {type(seconds).__name__}")
    if math.isnan(seconds) or seconds <= 0:
        raise ValueError(f"{name} is {seconds}; give seconds above 0, or math.inf for no limit")
    return float(seconds)


def _check_guid(guid: str | uuid.UUID | None) -> uuid.UUID:
    if guid is None:
        return uuid.uuid4()
    if isinstance(guid, uuid.UUID):
        return guid
    if not isinstance(guid, str):
        raise TypeError(f"client_request_id must be a str or a UUID, not {type(guid).__name__}")
    try:
        parsed = uuid.UUID(guid)
    except ValueError:
        parsed = None
    # uuid.UUID also reads braces, URNs and missing hyphens; the service doesn't.
    if parsed is None or str(parsed) != guid.lower():
        raise ValueError(
            f"client_request_id {one_line(ascii(guid), 60)} is not a plain GUID, "
            "such as 9c4d50ee-2d56-4cd3-8152-34347dc9f2b0"
        )
    return parsed
