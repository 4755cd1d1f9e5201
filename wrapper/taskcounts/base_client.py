"""The base of both clients: it checks the arguments and puts the parts together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Self, TypeVar

from taskcounts.arguments import (
    check_api_version,
    check_callback,
    check_credential,
    check_endpoint,
    check_guid,
    check_job_id,
    check_seconds,
    check_service_timeout,
    check_token_channel,
    new_guid,
)
from taskcounts.clock import SYSTEM_CLOCK, AnyClock
from taskcounts.credentials import AsyncTokenCredential, BearerToken, Credential, SharedKey, scope_for
from taskcounts.flow.exchange import exchange
from taskcounts.flow.steps import Flow, Limiter, Settings
from taskcounts.net.factory import engine_over, make_engine
from taskcounts.net.route import RouteOptions, find_route
from taskcounts.protocol.counts import TASK_COUNTS_OPERATION
from taskcounts.protocol.messages import Call
from taskcounts.retry import RetryPolicy
from taskcounts.snapshot import Snapshot
from taskcounts.tokens import TokenCache
from taskcounts_rest import contract

if TYPE_CHECKING:
    import ssl
    import uuid
    from collections.abc import Callable

    import httpx

    from taskcounts.many.job_list import Listing
    from taskcounts.many.plan import ManyPlan
    from taskcounts.net.base import AsyncEngine, Engine
    from taskcounts.rest import RestClient
    from taskcounts.waiting.values import Observer, Verdict

# Seconds. An attempt may take a little longer than the 30 s that the service may work on a request.
DEFAULT_TIMEOUT = 35.0
DEFAULT_DEADLINE = 120.0

# Seconds. The shortest adaptive interval between two polls of a wait.
DEFAULT_MIN_INTERVAL = 2.0

# The number of polls in a row without a trustworthy answer, each with its retries, after which a wait ends.
DEFAULT_MAX_FAILURES = 10

DEFAULT_CONCURRENCY = 16

# The api-versions that the client speaks, and the one that it speaks unless another is chosen.
API_VERSIONS = tuple(contract.VERSIONS)
DEFAULT_API_VERSION = contract.API_VERSION

# The variables that the az CLI reads, and one that it doesn't know.
ENVIRONMENT = ("AZURE_BATCH_ACCOUNT", "AZURE_BATCH_ENDPOINT", "AZURE_BATCH_ACCESS_KEY")
VERSION_VARIABLE = "AZURE_BATCH_API_VERSION"


Checked = TypeVar("Checked")
SomeTransport = TypeVar("SomeTransport", "httpx.BaseTransport", "httpx.AsyncBaseTransport")
SomeEngine = TypeVar("SomeEngine", "Engine", "AsyncEngine")


class Client(Generic[SomeTransport, SomeEngine]):
    """The base of both clients, without the methods that wait for answers."""

    _awaits: ClassVar[bool]
    _rest: RestClient

    def __init__(
        self,
        endpoint: str,
        credential: Credential | AsyncTokenCredential,
        *,
        api_version: str = DEFAULT_API_VERSION,
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
        concurrency: int | None = None,
        clock: AnyClock = SYSTEM_CLOCK,
    ) -> None:
        """Make a client for one account. Nothing is sent yet.

        Args:
            endpoint: The account's URL, such as ``https://myaccount.westeurope.batch.azure.com``.
                Without a scheme, https is meant.
            credential: A SharedKey, a BearerToken, or a credential object of azure-identity.
            api_version: The api-version that all requests name, one of ``taskcounts_rest.contract.VERSIONS``.
                The methods return the same in each.
            retry: The number of attempts, and the pauses between them.
            timeout: Seconds that one attempt may take to connect, send, wait and read.
            deadline: Seconds that all attempts and pauses of a call may take together.
            strict: Raise ContractViolation for what is otherwise reported in ``Snapshot.inconsistencies``:
                numbers that contradict each other or, with ``verify``, a list; a task that a list names
                twice; signs that an answer belongs to another request or comes from a cache.
            scope: The scope to ask a token credential for; by default that of the endpoint's cloud.
            allow_token_over_http: Send a bearer token over plain http to this machine's
                loopback interface (an emulator). To other hosts it is never sent without TLS.
            proxy: The URL of a proxy, with its user and password percent-encoded; by default the proxy that
                the environment names for the endpoint. NO_PROXY may have names, with or without a leading
                ``*.``, addresses and networks (``10.0.0.0/8``); names and addresses may have a port.
            verify: The certificates to trust: an ssl.SSLContext, which is never changed, or the path of a
                PEM file or of a hashed folder; by default SSL_CERT_FILE and SSL_CERT_DIR of the environment
                together, or REQUESTS_CA_BUNDLE if neither is set, else certifi's list.
            trust_env: Whether to look up the proxy and certificates in the environment.
            transport: A transport of httpx or httpx2 to send over, in place of ``proxy``, ``verify`` and
                ``trust_env``. It is closed with the client. The deadline can't interrupt a synchronous read
                of the transport before its own timeouts, and bytes that follow an answer unasked may be
                taken for the next one. A forked process needs a client of its own.
            concurrency: The number of requests of this client that may be under way at once, 1 to 256, over
                all threads or tasks; the others wait, within their own deadlines. When the service throttles,
                all wait together and fewer are sent at once, until it recovers: see `taskcounts.many.window`.
                By default only ``get_many`` has a limit.
            clock: The source of time, sleep and random numbers, for tests.

        Raises:
            ValueError: An argument can't be used; the message says why and holds no secret.
            TypeError: An argument is of the wrong type.
        """
        if isinstance(credential, str | bytes):
            # It may be a key or a token: no frame of ours may show it.
            del credential
            raise TypeError(
                "credential must be a SharedKey, a BearerToken or a credential object of azure-identity, "
                "not a str; wrap a token in BearerToken, or a key in SharedKey"
            )
        options = RouteOptions(proxy, verify, trust_env)
        # An error reporter prints local variables: it must not find the proxy's password here.
        del proxy
        self._endpoint = check_endpoint(endpoint)
        self._api_version = check_api_version(api_version)
        self._timeout = check_seconds("timeout", timeout)
        self._deadline = check_seconds("deadline", deadline)
        if not isinstance(retry, RetryPolicy):
            raise TypeError(f"retry must be a RetryPolicy, not {type(retry).__name__}")
        check_credential(credential, awaits=self._awaits)
        if not isinstance(credential, SharedKey):
            check_token_channel(self._endpoint, allow_token_over_http, options)
        scope = scope_for(self._endpoint) if scope is None else scope
        limiter = None if concurrency is None else self._make_limiter(concurrency, clock)
        source = credential if isinstance(credential, SharedKey | BearerToken) else TokenCache(credential)
        self._settings = Settings(self._endpoint, source, scope, retry, strict, clock, limiter)
        self._clock = clock
        self._closed = False
        self._engine: SomeEngine = (
            make_engine(find_route(self._endpoint, options), awaits=self._awaits)
            if transport is None
            else engine_over(transport, awaits=self._awaits)
        )

    @classmethod
    def from_environment(cls, **options: Any) -> Self:
        """Return a client for the account that the environment names.

        Reads AZURE_BATCH_ACCOUNT, AZURE_BATCH_ENDPOINT and AZURE_BATCH_ACCESS_KEY, as the az CLI does, and
        AZURE_BATCH_API_VERSION if that is set.

        Args:
            **options: Keyword arguments of the client. With ``credential``, the account and its key are not
                read; with ``api_version``, its variable is not.

        Raises:
            ValueError: A variable is missing or can't be used; the message names it.
        """
        try:
            endpoint, credential = _read_environment(options.pop("credential", None))
            if "api_version" not in options and os.environ.get(VERSION_VARIABLE):
                options["api_version"] = _checked(check_api_version, VERSION_VARIABLE)
            return cls(endpoint, credential, **options)
        except BaseException:
            # A proxy's URL may hold a password, which this frame must not show.
            options.clear()
            raise

    def _call(
        self,
        job_id: str,
        service_timeout: int | None,
        timeout: float | None,
        deadline: float | None,
        client_request_id: str | uuid.UUID | None = None,
    ) -> Call:
        """Return a call about a job, or about none if the id is empty, with the client's limits as defaults.

        Raises:
            RuntimeError: The client is closed.
            ValueError: A limit or the client request id is out of its range.
            TypeError: A limit or the client request id is of the wrong type.
        """
        if self._closed:
            raise RuntimeError("the client is closed; make a new one")
        return Call(
            job_id,
            None if service_timeout is None else check_service_timeout(service_timeout),
            self._timeout if timeout is None else check_seconds("timeout", timeout),
            self._deadline if deadline is None else check_seconds("deadline", deadline),
            new_guid() if client_request_id is None else check_guid(client_request_id),
            self._api_version,
        )

    def _task_counts(self, job_id: str, verify: bool, *limits: Any) -> Flow[Snapshot]:
        call = self._call(check_job_id(job_id), *limits)
        if not verify:
            return exchange(self._settings, TASK_COUNTS_OPERATION, call)
        from taskcounts.exact import verified_counts  # noqa: PLC0415 - most callers never list.

        return verified_counts(self._settings, call)

    def _exact_task_counts(
        self, job_id: str, progress: Callable[[int], object] | None, *limits: Any
    ) -> Flow[Snapshot]:
        from taskcounts.exact import exact_counts  # noqa: PLC0415 - most callers never list.

        return exact_counts(self._settings, self._call(check_job_id(job_id), *limits), progress)

    def _wait(
        self,
        job_id: str,
        until: str,
        service_timeout: int | None,
        timeout: float | None,
        *,
        check: bool,
        observer: Observer | None,
        **limits: Any,
    ) -> Flow[Verdict]:
        from taskcounts.waiting.flow import wait  # noqa: PLC0415 - most callers never wait.
        from taskcounts.waiting.plan import plan_wait  # noqa: PLC0415

        check_callback("observer", observer)
        call = self._call(check_job_id(job_id), service_timeout, timeout, None)
        return wait(self._settings, call, plan_wait(until, **limits), observer, check=check)

    @classmethod
    def _make_limiter(cls, concurrency: int, clock: Any) -> Limiter:
        from taskcounts.many.limiter import TaskLimiter, ThreadLimiter  # noqa: PLC0415 - most clients have none.
        from taskcounts.many.window import check_concurrency  # noqa: PLC0415

        return (TaskLimiter if cls._awaits else ThreadLimiter)(check_concurrency(concurrency), clock)

    def _many(
        self,
        service_timeout: int | None,
        timeout: float | None,
        **options: Any,
    ) -> ManyPlan:
        from taskcounts.many.plan import plan_many  # noqa: PLC0415 - most callers ask for one job.

        call = self._call("", service_timeout, timeout, None)
        return plan_many(self._settings, call, make_limiter=self._make_limiter, **options)

    def _listing(self, filter_: str | None, *limits: Any) -> Listing:
        from taskcounts.many.job_list import Listing, check_filter  # noqa: PLC0415 - most callers list nothing.

        return Listing(self._settings, self._call("", *limits), check_filter(filter_))

    @property
    def rest(self) -> RestClient:
        """The client of ``taskcounts_rest``, which sends over this one; see `taskcounts.rest`."""
        if "_rest" not in vars(self):
            from taskcounts.rest import RestClient  # noqa: PLC0415 - takes 40 ms to load.

            rest = RestClient(
                self._settings,
                self._call,
                self._engine,
                self._clock,
                api_version=self._api_version,
                awaits=self._awaits,
            )
            # Threads that get here at once all get the same one.
            vars(self).setdefault("_rest", rest)
        return self._rest

    @property
    def engine(self) -> str:
        """The library that requests are sent over, with its version, such as ``httptools 0.8.0``."""
        return self._engine.name

    @property
    def endpoint(self) -> str:
        """The URL that requests go to, without a slash at its end."""
        return self._endpoint

    @property
    def api_version(self) -> str:
        """The api-version that requests name."""
        return self._api_version

    def __repr__(self) -> str:
        shown = ""
        # An error reporter may call this while the constructor refuses its arguments.
        if hasattr(self, "_settings"):
            credential = self._settings.credential
            shown = f"{self._endpoint!r}, {credential!r}, api_version={self._api_version!r}"
        return f"{type(self).__name__}({shown})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds connections and can't be pickled; create one in each process"
        )


def _read_environment(credential: Any) -> tuple[str, Any]:
    """Return the endpoint that the environment names, and the credential if it is None."""
    needed = ENVIRONMENT if credential is None else ("AZURE_BATCH_ENDPOINT",)
    missing = [name for name in needed if not os.environ.get(name)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        named = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
        raise ValueError(f"{named} {verb} not set in the environment")
    endpoint = _checked(check_endpoint, "AZURE_BATCH_ENDPOINT")
    if credential is None:
        credential = _checked(SharedKey, "AZURE_BATCH_ACCOUNT", "AZURE_BATCH_ACCESS_KEY")
    return endpoint, credential


def _checked(check: Callable[..., Checked], *variables: str) -> Checked:
    """Return what a check makes of variables; raise its ValueError with their names."""
    try:
        return check(*(os.environ[name] for name in variables))
    except ValueError as error:
        raise ValueError(f"{' or '.join(variables)}: {error}") from None
