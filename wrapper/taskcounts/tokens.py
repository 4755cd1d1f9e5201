"""The cache of a credential's token, which fetches one token at a time and keeps it while it is valid.

The rules are those of azure-core's BearerTokenCredentialPolicy, which authorizes the requests of Microsoft's
clients: a token is used until its ``refresh_on``, or else until 5 minutes before its ``expires_on``, and is
forgotten when the service answers 401 to it. A 401 alone is no reason to fetch another token: a credential of
azure-identity would give the same one from its own cache. A challenge that names claims is a reason.
"""

from __future__ import annotations

import inspect
import sys
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from taskcounts.clock import Clock
from taskcounts.credentials import BearerToken, token_method
from taskcounts.errors import cut_context
from taskcounts.forks import renew_after_fork
from taskcounts.protocol.messages import Request
from taskcounts.text import SecretText, one_line

if TYPE_CHECKING:
    import asyncio

# Seconds before its expiry from which a token is no longer used, unless it has a ``refresh_on``.
REFRESH_WINDOW = 300

# Characters. The message of DefaultAzureCredential lists all credentials that it has tried, in some 1,500.
LONGEST_REASON = 1800

# Errors that count as a credential's failure: those of processes that it runs and of libraries that send
# requests. An OSError, as urllib and requests raise them, or a ValueError is a failure as well. Any other
# error is a bug.
_FAILURES = (
    ("azure.core.exceptions", "AzureError"),
    ("subprocess", "SubprocessError"),
    ("http.client", "HTTPException"),
    ("httpx", "HTTPError"),
    ("httpx2", "HTTPError"),
    ("aiohttp", "ClientError"),
)

_NEVER = float("-inf")


class FetchToken(NamedTuple):
    """A step: fetch a token. The outcome is a BearerToken or a NoToken.

    Attributes:
        source: The source of the token.
        scope: The scope to ask for.
        claims: The claims that the service wants in the token, None if it wants none.
        until: The latest moment on the monotonic clock.
    """

    source: TokenCache
    scope: str
    claims: str | None
    until: float


class NoToken(NamedTuple):
    """The outcome of a credential that failed or was too slow."""

    reason: str
    error: BaseException
    timed_out: bool = False

    def __repr__(self) -> str:
        return f"NoToken({type(self.error).__name__})"


class _Fetched(NamedTuple):
    """The result of a fetch.

    Attributes:
        outcome: The token, or the credential's failure; None before the first fetch.
        claims: The claims that the token was fetched with.
        until: The end of its use, in seconds since 1970.
    """

    outcome: BearerToken | NoToken | None = None
    claims: str | None = None
    until: float = _NEVER


class _TokenHolder:
    """A holder of the object that a credential returned: its own repr might show the token."""

    __slots__ = ("value",)
    value: Any


class TokenCache:
    """A client's credential with its last token, shared by threads or by the tasks of an event loop."""

    __slots__ = ("__weakref__", "_credential", "_last", "_lock", "_loop", "_method", "_turn")

    def __init__(self, credential: object) -> None:
        self._credential = credential
        self._method = token_method(credential) or "get_token"
        self._last = _Fetched()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn: asyncio.Lock | None = None
        self.renew()
        renew_after_fork(self)

    def __repr__(self) -> str:
        # The repr of a foreign credential may show anything.
        return type(self._credential).__name__

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a token can't be pickled; create a client in each process")

    def renew(self) -> None:
        """Replace the lock: the thread that held it at a fork doesn't exist in the child."""
        self._lock = threading.RLock()

    def known(self, now: datetime, claims: str | None) -> BearerToken | None:
        """Return the last token while it is valid, None otherwise.

        Args:
            now: The current time.
            claims: The claims that it must have been fetched with; None if any will do.
        """
        outcome, fetched_with, until = self._last
        lives = isinstance(outcome, BearerToken) and now.timestamp() < until
        return outcome if lives and claims in (None, fetched_with) else None  # type: ignore[return-value]

    def forget(self, request: Request) -> None:
        """Forget the token that the service refused in a request, unless another one has replaced it."""
        token = self._last.outcome
        if isinstance(token, BearerToken) and token.authorization() == request.headers["authorization"]:
            self._last = _Fetched()

    def takes_claims(self) -> bool:
        """Return whether the credential can be asked for a token with certain claims."""
        wanted = "options" if self._method == "get_token_info" else "claims"
        try:
            parameters = inspect.signature(getattr(self._credential, self._method)).parameters.values()
        except (ValueError, TypeError):
            # A function in C may have no signature.
            return False
        return any(each.name == wanted or each.kind is each.VAR_KEYWORD for each in parameters)

    def fetch(self, step: FetchToken, clock: Clock) -> BearerToken | NoToken:
        """Return a new token, or one that another thread has fetched meanwhile.

        The wait for other threads ends at the deadline. The credential's own work has no time limit, since it
        can't be stopped from outside.

        Raises:
            TypeError: The credential is asynchronous, or returns something else than a token.
        """
        outcome = self._fetch(step, clock)
        if inspect.isawaitable(outcome):
            raise TypeError("the credential is an asynchronous one; use it with AsyncTaskCountsClient")
        return outcome  # type: ignore[no-any-return]

    async def fetch_async(self, step: FetchToken, clock: Clock) -> BearerToken | NoToken:
        """Return a new token, or one that another task has fetched meanwhile, before the deadline.

        A synchronous credential is called in a thread, so that it doesn't block the event loop.

        Raises:
            TypeError: The credential returns something else than a token.
        """
        import asyncio  # noqa: PLC0415 - takes 10 ms to load, and a coroutine has loaded it.

        from taskcounts.net.base import running_loop  # noqa: PLC0415 - loads ssl, as asyncio does.

        loop = running_loop()
        if self._turn is None or self._loop is not loop:
            self._loop, self._turn = loop, asyncio.Lock()
        before = self._last
        limit = asyncio.timeout(step.until - clock.monotonic())
        try:
            async with limit, self._turn:
                if (found := self._fetched_meanwhile(before, step, clock)) is not None:
                    return found
                if inspect.iscoroutinefunction(getattr(self._credential, self._method)):
                    outcome = self._request_token(step)
                else:
                    # It takes the threads' lock as well: the thread of a cancelled task goes on.
                    outcome = await asyncio.to_thread(self._fetch_in_thread, step, clock)
                return await self._await_outcome(outcome, step)
        except TimeoutError as error:
            if not limit.expired():
                raise
            return NoToken("it took longer than the deadline", error, timed_out=True)

    def _fetch_in_thread(self, step: FetchToken, clock: Clock) -> Any:
        try:
            return self._fetch(step, clock)
        except StopIteration as error:
            # A future can't hold a StopIteration; a coroutine raises this error in its place.
            raise RuntimeError("coroutine raised StopIteration") from error

    def _fetch(self, step: FetchToken, clock: Clock) -> Any:
        """Return the outcome of a fetch, or an awaitable that gives the token."""
        before = self._last
        lock = self._lock
        seconds = min(max(step.until - clock.monotonic(), 0.0), threading.TIMEOUT_MAX)
        try:
            if not lock.acquire(timeout=seconds):
                error = TimeoutError("another call is still fetching a token")
                return NoToken("another call's fetch took longer than the deadline", error, timed_out=True)
            found = self._fetched_meanwhile(before, step, clock)
            return self._request_token(step) if found is None else found
        finally:
            # An RLock knows its owner, so it is released wherever an interruption came. Nothing is called
            # before that, since Python handles interruptions after calls.
            try:  # noqa: SIM105
                lock.release()
            except RuntimeError:
                pass

    def _fetched_meanwhile(
        self, before: _Fetched, step: FetchToken, clock: Clock
    ) -> BearerToken | NoToken | None:
        """Return the result that others have fetched since ``before``: a valid token, or a failure.

        Without the shared failure, waiting calls would repeat a slow failure one after the other.
        """
        if (token := self.known(clock.now(), step.claims)) is not None:
            return token
        last = self._last
        failed_meanwhile = isinstance(last.outcome, NoToken) and last is not before
        return last.outcome if failed_meanwhile and last.claims == step.claims else None

    def _request_token(self, step: FetchToken) -> Any:
        """Call the credential; return the outcome, or an awaitable that gives the token."""
        handled = sys.exc_info()[1]
        try:
            # Keyword arguments only if they are needed: not every credential accepts them.
            more: dict[str, Any] = {} if step.claims is None else {"claims": step.claims}
            if more and self._method == "get_token_info":
                more = {"options": more}
            holder = _TokenHolder()
            holder.value = getattr(self._credential, self._method)(step.scope, **more)
            return holder.value if inspect.isawaitable(holder.value) else self._keep(holder, step)
        except Exception as error:
            return self._failed(error, step, handled)

    async def _await_outcome(self, outcome: Any, step: FetchToken) -> BearerToken | NoToken:
        """Return an outcome, or that of an awaitable."""
        if not inspect.isawaitable(outcome):
            return outcome  # type: ignore[no-any-return]
        handled = sys.exc_info()[1]
        try:
            holder = _TokenHolder()
            holder.value = await outcome
            return self._keep(holder, step)
        except Exception as error:
            return self._failed(error, step, handled)

    def _keep(self, holder: _TokenHolder, step: FetchToken) -> BearerToken:
        """Keep the token that the credential returned, and return it as a BearerToken."""
        if not hasattr(holder.value, "token"):
            raise TypeError(
                f"{self!r}.{self._method} returned {type(holder.value).__name__}, which has no attribute "
                "'token'; it must return an object such as azure-core's AccessToken"
            )
        hidden = isinstance(holder.value.token, str)
        token = BearerToken(SecretText(holder.value.token) if hidden else holder.value.token)
        expires, refresh = (getattr(holder.value, name, None) for name in ("expires_on", "refresh_on"))
        self._last = _Fetched(token, step.claims, _kept_until(expires, refresh))
        return token

    def _failed(self, error: Exception, step: FetchToken, handled: BaseException | None) -> NoToken:
        """Return the failure of a credential; raise any other error, which is a bug."""
        if not isinstance(error, (OSError, ValueError, *_loaded_failures())):
            raise error
        cut_context(error, handled)
        outcome = NoToken(one_line(f"{type(error).__name__}: {error}", LONGEST_REASON), error)
        self._last = _Fetched(outcome, step.claims)
        return outcome


def _kept_until(expires: object, refresh: object) -> float:
    """Return the end of a token's use, in seconds since 1970; a token without an expiry is not kept."""
    if not isinstance(expires, int | float):
        return _NEVER
    return min(refresh, expires) if isinstance(refresh, int | float) and refresh else expires - REFRESH_WINDOW


def _loaded_failures() -> list[type[Exception]]:
    """Return the types of failures whose modules are loaded: no others can have been raised."""
    return [getattr(sys.modules[module], name) for module, name in _FAILURES if module in sys.modules]
