"""Fetches the tokens of a credential: one fetch at a time, and one for as long as a token lives.

The rules are those of azure-core's BearerTokenCredentialPolicy, which authorizes the requests of Microsoft's
clients: a token is used until its ``refresh_on``, or else until 5 minutes before its ``expires_on``, and is
forgotten once the service answers 401 to it. Such an answer alone is no reason to ask again: a credential of
azure-identity would give the same token from a cache of its own. A challenge that names claims is one.
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
from taskcounts.flow.steps import FetchToken, NoToken
from taskcounts.forks import renew_after_fork
from taskcounts.protocol.messages import Request
from taskcounts.text import SecretText, one_line

if TYPE_CHECKING:
    import asyncio

# Seconds before a token expires from which on it is not used any more, if it has no time of its own for that.
REFRESH_WINDOW = 300

# The text of DefaultAzureCredential names all credentials that it has tried, and takes 1,500 characters.
LONGEST_REASON = 1800

# Errors by which a sound credential fails: those of processes that it runs, and of libraries that send
# requests. Errors of the system, as those of urllib and requests are, and ValueErrors are failures, too.
# Everything else is a bug.
_FAILURES = (
    ("azure.core.exceptions", "AzureError"),
    ("subprocess", "SubprocessError"),
    ("http.client", "HTTPException"),
    ("httpx", "HTTPError"),
    ("httpx2", "HTTPError"),
    ("aiohttp", "ClientError"),
)

_NEVER = float("-inf")


class _Fetched(NamedTuple):
    """The end of a fetch.

    Attributes:
        outcome: The token, or the credential's failure; None before the first fetch.
        claims: The claims that it was fetched with.
        until: When it is to be fetched anew, in seconds since 1970.
    """

    outcome: BearerToken | NoToken | None = None
    claims: str | None = None
    until: float = _NEVER


class _Given:
    """The object that a credential gave, whose own repr may show the token to an error reporter."""

    __slots__ = ("value",)
    value: Any


class TokenCache:
    """A client's credential, with the token that it gave last. Threads, or the tasks of a loop, share it."""

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
        # A credential of somebody else's may show anything in its own repr.
        return type(self._credential).__name__

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a token can't be pickled; create a client in each process")

    def renew(self) -> None:
        """Have a lock that nobody holds: the thread that held it at a fork is not there in the child."""
        self._lock = threading.RLock()

    def known(self, now: datetime, claims: str | None) -> BearerToken | None:
        """Return the last token while it lives, None otherwise.

        Args:
            now: The current time.
            claims: The claims that it has to have been fetched with; None if any will do.
        """
        outcome, fetched_with, until = self._last
        lives = isinstance(outcome, BearerToken) and now.timestamp() < until
        return outcome if lives and claims in (None, fetched_with) else None  # type: ignore[return-value]

    def forget(self, request: Request) -> None:
        """Forget the token that a request was refused with, unless it is another one by now."""
        token = self._last.outcome
        if isinstance(token, BearerToken) and token.authorization() == request.headers["authorization"]:
            self._last = _Fetched()

    def takes_claims(self) -> bool:
        """Whether the credential can be asked for a token that has certain claims."""
        wanted = "options" if self._method == "get_token_info" else "claims"
        try:
            parameters = inspect.signature(getattr(self._credential, self._method)).parameters.values()
        except (ValueError, TypeError):
            # What is not written in Python may not tell.
            return False
        return any(each.name == wanted or each.kind is each.VAR_KEYWORD for each in parameters)

    def fetch(self, step: FetchToken, clock: Clock) -> BearerToken | NoToken:
        """Return a new token, or one that another thread has fetched meanwhile.

        The wait for other threads ends in time. The credential's own work has no limit: it can't be stopped
        from outside.

        Raises:
            TypeError: The credential is asynchronous, or what it gives is no token.
        """
        outcome = self._fetch(step, clock)
        if inspect.isawaitable(outcome):
            raise TypeError("the credential is an asynchronous one; use it with AsyncTaskCountsClient")
        return outcome  # type: ignore[no-any-return]

    async def fetch_async(self, step: FetchToken, clock: Clock) -> BearerToken | NoToken:
        """Return a new token, or one that another task has fetched meanwhile, in time.

        A synchronous credential is asked in a thread: it would hold up the whole event loop.

        Raises:
            TypeError: What the credential gives is no token.
        """
        import asyncio  # noqa: PLC0415 - takes 10 ms to load, and whoever runs this has it.

        from taskcounts.net.base import running_loop  # noqa: PLC0415 - loads ssl, as asyncio does.

        loop = running_loop()
        if self._turn is None or self._loop is not loop:
            self._loop, self._turn = loop, asyncio.Lock()
        before = self._last
        limit = asyncio.timeout(step.until - clock.monotonic())
        try:
            async with limit, self._turn:
                if (found := self._found(before, step, clock)) is not None:
                    return found
                if inspect.iscoroutinefunction(getattr(self._credential, self._method)):
                    outcome = self._ask(step)
                else:
                    # It takes the threads' lock as well: the thread of a task that is cancelled goes on.
                    outcome = await asyncio.to_thread(self._fetch_in_thread, step, clock)
                return await self._awaited(outcome, step)
        except TimeoutError as error:
            if not limit.expired():
                raise
            return NoToken("it took longer than the deadline", error, timed_out=True)

    def _fetch_in_thread(self, step: FetchToken, clock: Clock) -> Any:
        try:
            return self._fetch(step, clock)
        except StopIteration as error:
            # No future can hold one; this is what a coroutine makes of it.
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
            found = self._found(before, step, clock)
            return self._ask(step) if found is None else found
        finally:
            # The lock knows whose it is, so it is released wherever an interruption came. Nothing is called
            # before that: Python looks for interruptions after calls.
            try:  # noqa: SIM105
                lock.release()
            except RuntimeError:
                pass

    def _found(self, before: _Fetched, step: FetchToken, clock: Clock) -> BearerToken | NoToken | None:
        """Return what others have fetched since ``before``: a token that lives, or the credential's failure.

        Calls whose credential fails would otherwise wait for each other's failures, one after the other.
        """
        if (token := self.known(clock.now(), step.claims)) is not None:
            return token
        last = self._last
        failed_meanwhile = isinstance(last.outcome, NoToken) and last is not before
        return last.outcome if failed_meanwhile and last.claims == step.claims else None

    def _ask(self, step: FetchToken) -> Any:
        """Ask the credential; return the outcome, or an awaitable that gives the token."""
        handled = sys.exc_info()[1]
        try:
            # There are keywords only where they are needed: not every credential takes them.
            more: dict[str, Any] = {} if step.claims is None else {"claims": step.claims}
            if more and self._method == "get_token_info":
                more = {"options": more}
            given = _Given()
            given.value = getattr(self._credential, self._method)(step.scope, **more)
            return given.value if inspect.isawaitable(given.value) else self._keep(given, step)
        except Exception as error:
            return self._failed(error, step, handled)

    async def _awaited(self, outcome: Any, step: FetchToken) -> BearerToken | NoToken:
        """Return an outcome once it is there."""
        if not inspect.isawaitable(outcome):
            return outcome  # type: ignore[no-any-return]
        handled = sys.exc_info()[1]
        try:
            given = _Given()
            given.value = await outcome
            return self._keep(given, step)
        except Exception as error:
            return self._failed(error, step, handled)

    def _keep(self, given: _Given, step: FetchToken) -> BearerToken:
        """Keep the token that the credential gave for as long as it says, and return it."""
        if not hasattr(given.value, "token"):
            raise TypeError(
                f"{self!r}.{self._method} returned {type(given.value).__name__}, which has no attribute "
                "'token'; it must return an object such as azure-core's AccessToken"
            )
        hidden = isinstance(given.value.token, str)
        token = BearerToken(SecretText(given.value.token) if hidden else given.value.token)
        expires, refresh = (getattr(given.value, name, None) for name in ("expires_on", "refresh_on"))
        self._last = _Fetched(token, step.claims, _kept_until(expires, refresh))
        return token

    def _failed(self, error: Exception, step: FetchToken, handled: BaseException | None) -> NoToken:
        """Return the failure of a credential; raise what isn't one: bugs stay bugs."""
        if not isinstance(error, (OSError, ValueError, *_loaded_failures())):
            raise error
        cut_context(error, handled)
        outcome = NoToken(one_line(f"{type(error).__name__}: {error}", LONGEST_REASON), error)
        self._last = _Fetched(outcome, step.claims)
        return outcome


def _kept_until(expires: object, refresh: object) -> float:
    """Return when a token is to be fetched anew, in seconds since 1970; one that doesn't tell is not kept."""
    if not isinstance(expires, int | float):
        return _NEVER
    return min(refresh, expires) if isinstance(refresh, int | float) and refresh else expires - REFRESH_WINDOW


def _loaded_failures() -> list[type[Exception]]:
    """Return the kinds of failures whose modules are loaded: nothing else can have raised one."""
    return [getattr(sys.modules[module], name) for module, name in _FAILURES if module in sys.modules]
