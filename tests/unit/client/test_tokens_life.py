"""The life of a token, and the fetch of the next one."""

from __future__ import annotations

import asyncio
import math
import os
import pickle
import signal
import threading
import time
import traceback
import warnings
from typing import Any

import httpx
import pytest

from support.answers import BUSY, Script, answer, error
from support.client import ENDPOINT, TOKEN, Call
from support.clocks import FakeClock
from support.credentials import each_credential, sent
from support.threads import Interrupted, in_threads, interrupted, join
from taskcounts import (
    AsyncTaskCountsClient,
    AuthenticationFailed,
    BearerToken,
    CredentialFailed,
    DeadlineExceeded,
    JobResult,
    TaskCountsClient,
    WaitFailed,
    tokens,
)
from taskcounts.clock import SYSTEM_CLOCK
from taskcounts.protocol.messages import Request
from taskcounts.tokens import FetchToken, NoToken, TokenCache

PACKAGE = os.path.dirname(tokens.__file__)

HOUR = 3600


class Access:
    """A token with the attributes of azure-core's AccessToken or AccessTokenInfo."""

    def __init__(self, token: str, **says: Any) -> None:
        self.token = token
        vars(self).update(says)


class Credential:
    """A credential: each call gives a new token, which is valid for some seconds on a clock."""

    def __init__(self, clock: Any = SYSTEM_CLOCK, lives: float | None = HOUR, **says: Any) -> None:
        self.clock = clock
        self.lives = lives
        self.says = says
        self.fetches = 0

    def give(self) -> Access:
        self.fetches += 1
        says = dict(self.says)
        if self.lives is not None:
            says["expires_on"] = int(self.clock.now().timestamp() + self.lives)
        return Access(f"token-{self.fetches}", **says)

    def get_token(self, *_: str, **__: Any) -> Any:
        return self.give()


class AsyncCredential(Credential):
    """The same for coroutines."""

    async def get_token(self, *_: str, **__: Any) -> Any:
        await asyncio.sleep(0)
        return self.give()


class InfoCredential(Credential):
    """A credential with azure-core's newer protocol, whose older method must not be called."""

    def get_token_info(self, *_: str, **__: Any) -> Any:
        return self.give()

    def get_token(self, *_: str, **__: Any) -> Any:
        raise AssertionError("get_token_info comes first")


class AsyncInfoCredential(Credential):
    """The same for coroutines, without the older one."""

    get_token = None  # type: ignore[assignment]

    async def get_token_info(self, *_: str, **__: Any) -> Any:
        await asyncio.sleep(0)
        return self.give()


with_credentials = each_credential(
    [Credential, InfoCredential], [AsyncCredential, AsyncInfoCredential, Credential]
)


@with_credentials
def test_one_fetch_for_a_token_s_life(call: Call, kind: Any, clock: FakeClock) -> None:
    """All calls and attempts of a client share a token, until 5 minutes before it expires."""
    credential, script = kind(clock), Script(BUSY, answer())
    call.times(5, script, credential=credential, client={"clock": clock})
    assert sent(script) == ["token-1"] * 6


@with_credentials
@pytest.mark.parametrize(
    ("lives", "refresh", "age", "fetches"),
    [
        (HOUR, None, HOUR - 301, 1),
        (HOUR, None, HOUR - 300, 2),
        (HOUR, None, HOUR + 1, 2),
        # It says itself when it is to be fetched anew, before or after those 5 minutes.
        (HOUR, 1800, 1799, 1),
        (HOUR, 1800, 1800, 2),
        (HOUR, HOUR - 60, HOUR - 61, 1),
        (HOUR, HOUR - 60, HOUR - 60, 2),
        # Nobody uses a token that has expired, whatever it says.
        (HOUR, 2 * HOUR, HOUR, 2),
        # What says nothing of use, says nothing.
        (HOUR, 0, HOUR - 301, 1),
        (HOUR, "soon", HOUR - 301, 1),
        # What lives for no longer than that is used once, as what has expired when it comes.
        (300, None, 0, 2),
        (-10, None, 0, 2),
        (None, None, 0, 2),
        (None, 1800, 0, 2),
    ],
)  # fmt: skip
def test_when_a_token_is_fetched_anew(  # noqa: PLR0917 - pytest gives them by name.
    call: Call, kind: Any, lives: float | None, refresh: Any, age: float, fetches: int
) -> None:
    """A token is used as long as azure-core would use it, on the client's clock."""
    clock = FakeClock()
    says = {} if refresh is None else {"refresh_on": refresh}
    if isinstance(refresh, int) and refresh:
        says = {"refresh_on": int(clock.now().timestamp()) + refresh}
    credential = kind(clock, lives, **says)

    def pass_by(_: Any) -> Any:
        clock.pass_by(age)
        return answer()

    script = Script(pass_by, answer())
    call.times(2, script, credential=credential, client={"clock": clock}, deadline=10 * HOUR)
    assert sent(script) == ["token-1", f"token-{fetches}"]
    assert credential.fetches == fetches


@pytest.mark.parametrize("says", ["tomorrow", None, float("nan"), b"1", [9e9]], ids=repr)
def test_nonsense_for_a_time(call: Call, says: Any) -> None:
    """A token whose time can't be read is used once."""
    credential = Credential(lives=None, expires_on=says)
    script = Script(answer())
    call.times(2, script, credential=credential)
    assert sent(script) == ["token-1", "token-2"]


def test_a_token_without_end(call: Call) -> None:
    """A time beyond all floats is a time."""
    credential = Credential(lives=None, expires_on=10**400)
    call.times(3, Script(answer()), credential=credential)
    assert credential.fetches == 1


def test_a_token_of_the_caller_s(call: Call) -> None:
    """A BearerToken is sent unchanged, after a 401 too."""
    script = Script(error(401, "AuthenticationFailed"), answer())
    with pytest.raises(AuthenticationFailed):
        call(script, credential=BearerToken(TOKEN))
    call(script, credential=BearerToken(TOKEN))
    assert sent(script) == [TOKEN, TOKEN]


def ask_each_time(call: Call, times: int, script: Any, credential: Any, **client: Any) -> list[Any]:
    """Call some times over one client; return the snapshots and errors."""
    if not call.awaits:
        with TaskCountsClient(ENDPOINT, credential, transport=httpx.MockTransport(script), **client) as sync:
            return [each.error or each.snapshot for n in range(times) for each in sync.get_many([f"job-{n}"])]

    async def ask() -> list[Any]:
        found: list[JobResult] = []
        async with AsyncTaskCountsClient(
            ENDPOINT, credential, transport=httpx.MockTransport(script), **client
        ) as client_:
            for n in range(times):
                found += [each async for each in client_.get_many([f"job-{n}"])]
        return [each.error or each.snapshot for each in found]

    return asyncio.run(ask())


@with_credentials
@pytest.mark.parametrize(
    ("refusal", "after"),
    [
        (error(401, "AuthenticationFailed"), "token-2"),
        (error(403, "AuthenticationFailed"), "token-1"),
        (error(401, "AuthenticationFailed", client_request_id="somebody-else-s"), "token-1"),
        (BUSY, "token-1"),
    ],
    ids=["401", "403", "401 to another", "503"],
)
def test_a_refused_token_is_forgotten(call: Call, kind: Any, refusal: Any, after: str) -> None:
    """After a 401 the next call fetches another one; the call itself has its answer."""
    script = Script(answer(), refusal, answer())
    first, second, *_ = ask_each_time(call, 3, script, kind(), clock=FakeClock())
    assert first.attempts == 1
    assert second.attempts == (2 if refusal is BUSY else 1)
    assert sent(script)[:3] == ["token-1", "token-1", after]


def step(
    source: TokenCache, seconds: float = 10, claims: str | None = None, clock: Any = SYSTEM_CLOCK
) -> FetchToken:
    return FetchToken(source, "scope", claims, clock.monotonic() + seconds)


def test_another_token_is_not_forgotten() -> None:
    """A 401 to a token that was replaced meanwhile says nothing about the new one."""
    source = TokenCache(Credential())
    fetched = source.fetch(step(source), SYSTEM_CLOCK)
    for token, known in (("token-0", True), ("token-1", False), ("token-1", False)):
        source.forget(Request("GET", ENDPOINT, {"authorization": f"Bearer {token}"}))
        assert (source.known(SYSTEM_CLOCK.now(), None) is fetched) == known


class Gated:
    """A credential whose fetches wait to be let through."""

    def __init__(self, *, fails: Exception | None = None, lives: float | None = HOUR) -> None:
        self.inner = Credential(lives=lives)
        self.fails = fails
        self.entered = threading.Semaphore(0)
        self.leave = threading.Semaphore(0)
        self.busy = 0
        self.most = 0

    def get_token(self, *_: str, **__: Any) -> Any:
        self.busy += 1
        self.most = max(self.most, self.busy)
        self.entered.release()
        try:
            assert self.leave.acquire(timeout=10)
            given = self.inner.give()
            if self.fails is not None:
                raise self.fails
            return given
        finally:
            self.busy -= 1


@pytest.mark.parametrize("fails", [None, OSError("no")], ids=["token", "failure"])
def test_threads_fetch_once(fails: Exception | None) -> None:
    """Of threads that want a token, one fetches it; the others wait for that, or for its failure."""
    credential = Gated(fails=fails)
    source = TokenCache(credential)
    threads, results = in_threads(8, lambda: source.fetch(step(source), SYSTEM_CLOCK))
    assert credential.entered.acquire(timeout=10)
    # All of them wait by now, or nearly so; who comes later fetches after a failure once more.
    time.sleep(0.2)
    credential.leave.release(8)
    join(*threads)
    assert (credential.inner.fetches, credential.most) == (1, 1)
    assert len(results) == 8
    assert all(each is results[0] for each in results)
    # What failed is fetched anew by whoever comes later.
    source.fetch(step(source), SYSTEM_CLOCK)
    assert credential.inner.fetches == (1 if fails is None else 2)


def test_threads_whose_tokens_are_used_once() -> None:
    """A token that doesn't say when it expires belongs to one request; they are fetched one at a time."""
    credential = Gated(lives=None)
    credential.leave.release(8)
    source = TokenCache(credential)
    threads, results = in_threads(8, lambda: source.fetch(step(source), SYSTEM_CLOCK))
    join(*threads)
    assert (credential.inner.fetches, credential.most) == (8, 1)
    assert len(set(map(id, results))) == 8


def test_get_many_fetches_once() -> None:
    """Many jobs share one fetch as well."""
    credential = Credential()
    script = Script(answer())
    with TaskCountsClient(ENDPOINT, credential, transport=httpx.MockTransport(script)) as client:
        assert all(each.snapshot for each in client.get_many([f"job-{n}" for n in range(50)]))
    assert credential.fetches == 1


def test_waiting_for_another_thread_ends_in_time() -> None:
    """A thread that waits for another one's fetch waits until its own deadline at the latest."""
    credential = Gated()
    script = Script(answer())
    with TaskCountsClient(ENDPOINT, credential, transport=httpx.MockTransport(script)) as client:
        threads, results = in_threads(1, lambda: client.get_job_task_counts("job-1"))
        assert credential.entered.acquire(timeout=10)
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match="another call's fetch took longer than the deadline"):
            client.get_job_task_counts("job-1", deadline=0.1)
        assert time.monotonic() - began < 5
        credential.leave.release()
        join(*threads)
        assert results[0].total
        assert client.get_job_task_counts("job-1", deadline=math.inf).total
    assert credential.inner.fetches == 1


@pytest.mark.parametrize("fails", [None, OSError("no")], ids=["token", "failure"])
def test_interrupted_fetches(fails: Exception | None) -> None:
    """Wherever an exception comes out of a signal handler, no thread hangs afterwards."""

    class Once(Credential):
        def give(self) -> Access:
            given = super().give()
            if fails is not None:
                raise fails
            return given

    source, at = TokenCache(Once(lives=None)), 1
    while interrupted(lambda: source.fetch(step(source), SYSTEM_CLOCK), at):
        threads, results = in_threads(1, lambda: source.fetch(step(source, 5), SYSTEM_CLOCK))
        join(*threads)
        assert isinstance(results[0], NoToken if fails else BearerToken), at
        assert not isinstance(results[0], NoToken) or not results[0].timed_out, at
        at += 1
    assert at > 20


def test_an_interrupted_wait() -> None:
    """An exception out of a signal handler ends the wait for another thread, and leaves its lock alone."""
    credential = Gated()
    source = TokenCache(credential)
    threads, results = in_threads(1, lambda: source.fetch(step(source), SYSTEM_CLOCK))
    assert credential.entered.acquire(timeout=10)

    def interrupt(*_: Any) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupted):
            source.fetch(step(source), SYSTEM_CLOCK)
    finally:
        signal.signal(signal.SIGALRM, before)
    credential.leave.release()
    join(*threads)
    assert isinstance(results[0], BearerToken)


def test_a_fork_during_a_fetch() -> None:
    """A child doesn't wait for a thread that it doesn't have."""
    credential = Gated()
    source = TokenCache(credential)
    threads, _ = in_threads(1, lambda: source.fetch(step(source), SYSTEM_CLOCK))
    assert credential.entered.acquire(timeout=10)
    with warnings.catch_warnings():
        # Python 3.12 warns of any fork beside threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        credential.leave.release()
        fetched = source.fetch(step(source, 5), SYSTEM_CLOCK)
        os._exit(0 if isinstance(fetched, BearerToken) else 1)
    assert os.waitpid(child, 0)[1] == 0
    credential.leave.release()
    join(*threads)


class Slow(Credential):
    """An asynchronous credential that takes its time, and counts how many of its fetches are under way."""

    busy = 0
    most = 0

    async def get_token(self, *_: str, **__: Any) -> Any:
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            await asyncio.sleep(0.1)
            return self.give()
        finally:
            self.busy -= 1


class SlowInThread(Slow):
    """A synchronous credential, which can't be stopped."""

    def get_token(self, *_: str, **__: Any) -> Any:
        self.busy += 1
        self.most = max(self.most, self.busy)
        time.sleep(0.1)
        self.busy -= 1
        return self.give()


both = pytest.mark.parametrize("kind", [Slow, SlowInThread])


@both
def test_tasks_fetch_once(kind: Any) -> None:
    """Of tasks that want a token, one fetches it."""
    credential, script = kind(), Script(answer())

    async def ask() -> None:
        async with AsyncTaskCountsClient(
            ENDPOINT, credential, transport=httpx.MockTransport(script)
        ) as client:
            results = [each async for each in client.get_many([f"job-{n}" for n in range(50)])]
            assert all(each.snapshot for each in results)

    asyncio.run(ask())
    assert (credential.fetches, credential.most) == (1, 1)


@both
def test_a_cancelled_fetch(kind: Any) -> None:
    """If the fetching task is cancelled, another one takes over; only one fetch is under way at a time."""
    credential = kind()
    source = TokenCache(credential)

    async def ask() -> None:
        tasks = [asyncio.create_task(source.fetch_async(step(source), SYSTEM_CLOCK)) for _ in range(4)]
        await asyncio.sleep(0.03)
        tasks[0].cancel()
        tasks[2].cancel()
        one, two, three, four = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(one, asyncio.CancelledError)
        assert isinstance(three, asyncio.CancelledError)
        assert isinstance(two, BearerToken)
        assert two is four

    asyncio.run(ask())
    # What a thread fetches for a task that was cancelled is not lost.
    assert (credential.fetches, credential.most) == (1, 1)


@both
def test_waiting_for_another_task_ends_in_time(kind: Any) -> None:
    """A task that waits for another one's fetch waits until its own deadline at the latest."""
    source = TokenCache(kind())

    async def ask() -> tuple[Any, Any]:
        return await asyncio.gather(
            source.fetch_async(step(source), SYSTEM_CLOCK),
            source.fetch_async(step(source, 0.02), SYSTEM_CLOCK),
        )

    fetched, late = asyncio.run(ask())
    assert isinstance(fetched, BearerToken)
    assert isinstance(late, NoToken)
    assert late.timed_out


@both
def test_a_failure_is_shared_by_tasks(kind: Any) -> None:
    """Tasks that wait while the credential fails have its failure, and don't wait for their own."""

    class Failing(kind):  # type: ignore[misc]
        def give(self) -> Access:
            super().give()
            raise OSError("no")

    credential = Failing()
    source = TokenCache(credential)

    async def ask() -> list[Any]:
        return await asyncio.gather(*(source.fetch_async(step(source), SYSTEM_CLOCK) for _ in range(5)))

    outcomes = asyncio.run(ask())
    assert credential.fetches == 1
    assert all(each is outcomes[0] for each in outcomes)


def test_one_loop_after_the_other() -> None:
    """A source isn't bound to a loop that has ended."""
    source = TokenCache(Slow(lives=None))

    async def ask() -> list[Any]:
        return await asyncio.gather(*(source.fetch_async(step(source), SYSTEM_CLOCK) for _ in range(2)))

    for _ in range(2):
        assert all(isinstance(each, BearerToken) for each in asyncio.run(ask()))


def test_a_clock_that_times_out() -> None:
    """A TimeoutError that isn't the deadline's is not taken for that."""

    class Clock(FakeClock):
        def now(self) -> Any:
            raise TimeoutError("the clock's own")

    source, clock = TokenCache(Slow()), Clock()
    with pytest.raises(TimeoutError, match="the clock's own"):
        asyncio.run(source.fetch_async(step(source, clock=clock), clock))


def test_bugs_are_not_shared() -> None:
    """A bug of the credential's belongs to the call that meets it."""
    credential = Gated(fails=KeyError("bug"))
    credential.leave.release(4)
    source = TokenCache(credential)

    def fetch() -> Any:
        with pytest.raises(KeyError):
            source.fetch(step(source), SYSTEM_CLOCK)

    threads, _ = in_threads(4, fetch)
    join(*threads)
    assert credential.inner.fetches == 4


class Shown(Credential):
    """A credential as people write them, with its secret in its repr."""

    def __repr__(self) -> str:
        return f"Shown({TOKEN})"

    def give(self) -> Access:
        self.fetches += 1
        return Access(TOKEN, expires_on=9e9)


@pytest.mark.parametrize("kind", [Shown, type("AsyncShown", (Shown, AsyncCredential), {})])
def test_a_kept_token_is_secret(call: Call, kind: Any) -> None:
    """No repr, pickle or frame shows the token that is kept."""
    if not call.awaits:
        kind = Shown
    shown: list[str] = []

    def look(_: Any) -> Any:
        # Deep inside of a call: what an error reporter would show of all frames.
        frames = traceback.StackSummary.extract(
            traceback.walk_stack(None), capture_locals=True, lookup_lines=False
        )
        shown.extend(
            f"{name}: {value}"
            for frame in frames
            if frame.filename.startswith(PACKAGE)
            for name, value in (frame.locals or {}).items()
        )
        return answer()

    ask_each_time(call, 2, Script(look), kind())
    assert shown
    source = TokenCache(kind())
    asyncio.run(source.fetch_async(step(source), SYSTEM_CLOCK))
    # Without the texts, which may be long: pytest compares what differs.
    leaks = [TOKEN in text for text in (*shown, repr(source), repr(step(source)), repr(source._last))]
    assert not any(leaks)
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(source)
    with pytest.raises(TypeError):
        vars(source)


def test_a_credential_that_fails_while_waiting(call: Call) -> None:
    """A poll whose credential fails is one failed poll, whatever library failed."""

    class Failing(Credential):
        def give(self) -> Access:
            given = super().give()
            if self.fetches == 2:
                raise PermissionError(13, "Permission denied")
            return given

    credential = Failing(lives=None)
    seen: list[Any] = []
    done = {"active": 0, "running": 1, "completed": 0, "succeeded": 0, "failed": 0}
    script = Script(answer({"taskCounts": done, "taskSlotCounts": done}))
    options: dict[str, Any] = {"deadline": 20, "interval": 5, "check": False, "observer": seen.append}
    transport, clock = httpx.MockTransport(script), FakeClock()
    if not call.awaits:
        with TaskCountsClient(ENDPOINT, credential, transport=transport, clock=clock) as client:
            client.wait_for_job("job-1", **options)
    else:

        async def wait() -> None:
            async with AsyncTaskCountsClient(
                ENDPOINT, credential, transport=transport, clock=clock
            ) as client:
                await client.wait_for_job("job-1", **options)

        asyncio.run(wait())
    errors = [each.error for each in seen]
    assert isinstance(errors[1], CredentialFailed)
    assert errors[2] is None


LONG = "\n".join(
    [
        "DefaultAzureCredential failed to retrieve a token from the included credentials.",
        *(
            f"\tCredential{n}: unavailable. Set what it needs, as its guide says.{' ' * 40}"
            for n in range(12)
        ),
        "\tAzureCliCredential: \x1b[31mERROR\x1b[0m: AADSTS700082: The refresh token has expired.\x1b[0m",
    ]
)


def test_what_a_failed_sign_in_said(call: Call) -> None:
    """The message has the whole text of a failed sign-in, on one line and without escape sequences."""

    class Failing(Credential):
        def give(self) -> Access:
            raise ValueError(LONG)

    with pytest.raises(CredentialFailed) as caught:
        call(Script(answer()), credential=Failing())
    said = "AzureCliCredential: ERROR: AADSTS700082: The refresh token has expired. (0 attempts)"
    assert str(caught.value).endswith(said)
    assert str(caught.value).isprintable()
    with pytest.raises(WaitFailed) as lost, TaskCountsClient(ENDPOINT, Failing()) as client:
        client.wait_for_job("job-1")
    assert said in str(lost.value)
