"""Laws of get_many: the number of requests under way, their beginnings, and that none is lost."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import Any

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from support.answers import answer, error
from support.client import ENDPOINT, KEY
from support.clocks import FakeClock
from taskcounts import AsyncTaskCountsClient, JobResult, RetryPolicy, TaskCountsClient
from taskcounts.many.window import BUSY_STATUSES, Window, open_window

statuses = st.sampled_from([200, 200, 200, 404, 429, 503, 500, 408, None])


@given(
    most=st.integers(1, 100),
    # Each step: whether one more tries to start, which one ends, how, what rest it asks for; and time.
    steps=st.lists(
        st.tuples(st.booleans(), st.integers(0, 99), statuses, st.floats(0, 50), st.floats(0, 20)),
        max_size=80,
    ),
)
@example(most=8, steps=[(True, 0, None, 0, 0)] * 8 + [(False, 0, 429, 5, 0)] * 8)
def test_window(most: int, steps: list[tuple[bool, int, int | None, float, float]]) -> None:
    """The limit stays within its bounds, nothing starts beyond it or too soon, and each round halves once."""
    window, now, under_way = open_window(most), 0.0, list[int]()
    for starts, which, status, rest, passes in steps:
        now += passes
        if starts:
            if window.allows(len(under_way), now):
                assert len(under_way) < int(window.limit)
                assert now >= window.resume_at
                under_way.append(window.round)
            else:
                assert len(under_way) + 1 > window.limit or now < window.resume_at
        elif under_way:
            before, of_round = window, under_way.pop(which % len(under_way))
            window = window.after(of_round, status, now + rest)
            halves = status in BUSY_STATUSES and of_round == before.round
            assert window.round == before.round + halves
            assert window.limit == max(1, before.limit / 2) if halves else window.limit >= before.limit
            assert window.resume_at >= before.resume_at
            if status in BUSY_STATUSES:
                assert window.resume_at >= now + rest
        assert 1 <= window.limit <= most


@given(most=st.integers(1, 100), limit=st.floats(1, 100))
def test_window_recovers(most: int, limit: float) -> None:
    """After so many good answers as most * most / 2, about, it is as wide as ever."""
    window = Window(most=most, limit=min(float(most), limit))
    for _ in range(most * most // 2 + most):
        window = window.after(0, 200, 0)
    assert window == open_window(most)


class VirtualClock(FakeClock):
    """Time that passes when no task has anything else to do, for as many sleepers as there are."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._pumps = False

    async def sleep_async(self, seconds: float) -> None:
        wakes: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.seconds + seconds, next(self._numbers), wakes))
        if not self._pumps:
            self._pumps = True
            self._pump(8)
        await wakes

    def _pump(self, turns: int) -> None:
        # After some turns of the loop, whoever could go on has done so.
        if turns:
            asyncio.get_running_loop().call_soon(self._pump, turns - 1)
            return
        moment, _, wakes = heapq.heappop(self._sleepers)
        self.seconds = max(self.seconds, moment)
        if not wakes.done():
            wakes.set_result(None)
        self._pumps = bool(self._sleepers)
        if self._pumps:
            self._pump(8)


class Service:
    """A service that answers as it was told to, and notes what it sees of the rules."""

    def __init__(self, clock: FakeClock, script: list[tuple[int, float | None, float]]) -> None:
        self.clock = clock
        self.script = script
        self.requests = 0
        self.under_way = 0
        self.most = 0
        self.refused_at = 0.0
        self.resume_at = 0.0
        self.too_soon: list[float] = []

    def begin(self) -> tuple[int, float | None, float]:
        """Note the beginning of a request, and return what becomes of it."""
        # Who got leave in the very moment of the refusal couldn't know of it.
        if self.refused_at < self.clock.seconds < self.resume_at:
            self.too_soon.append(self.clock.seconds)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        planned = self.script[self.requests % len(self.script)] if self.requests < 300 else (200, None, 0.0)
        self.requests += 1
        return planned

    def end(self, request: httpx.Request, status: int, wish: float | None) -> httpx.Response:
        """Note the end of a request, and return its answer."""
        self.under_way -= 1
        if status == 200:
            return answer(client_request_id=request.headers["client-request-id"]).response()
        headers = {} if wish is None else {"retry_after": repr(wish)}
        if status in BUSY_STATUSES:
            self.refused_at = self.clock.seconds
            self.resume_at = max(self.resume_at, self.clock.seconds + (wish or 0))
        return error(status, "Busy", **headers).response()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        status, wish, takes = self.begin()
        try:
            await self.clock.sleep_async(takes)
        except asyncio.CancelledError:
            # Where little time is left, the machine's own clock may end the attempt.
            self.under_way -= 1
            raise
        return self.end(request, status, wish)

    def sync(self, request: httpx.Request) -> httpx.Response:
        status, wish, takes = self.begin()
        self.clock.pass_by(takes)
        return self.end(request, status, wish)


answers = st.tuples(
    st.sampled_from([200, 200, 404, 429, 503, 500]),
    st.none() | st.integers(0, 40).map(float) | st.floats(0, 3).map(lambda x: round(x, 2)),
    st.floats(0, 5),
)
limited = st.none() | st.integers(1, 20)


def _check(service: Service, results: list[JobResult], jobs: int, at_once: int) -> None:
    assert sorted(result.job_id for result in results) == sorted(f"job-{n}" for n in range(jobs))
    assert all((result.snapshot is None) != (result.error is None) for result in results)
    assert service.under_way == 0
    assert service.most <= at_once
    assert service.too_soon == []


@given(
    jobs=st.integers(0, 25),
    concurrency=st.integers(1, 20),
    own=limited,
    script=st.lists(answers, min_size=1, max_size=12),
    deadline=st.none() | st.floats(0.1, 60),
    first_pause=st.floats(0, 2),
)
@example(jobs=20, concurrency=8, own=None, script=[(429, 5.0, 1.0)], deadline=None, first_pause=0.5)
def test_tasks(  # noqa: PLR0917 - Hypothesis gives them by name.
    jobs: int,
    concurrency: int,
    own: int | None,
    script: list[Any],
    deadline: float | None,
    first_pause: float,
) -> None:
    """Each job has one result, no more are asked for than allowed, none before the service allows it."""
    clock = VirtualClock()
    service = Service(clock, script)

    async def ask() -> list[JobResult]:
        async with AsyncTaskCountsClient(
            ENDPOINT,
            KEY,
            transport=httpx.MockTransport(service),
            clock=clock,
            concurrency=own,
            retry=RetryPolicy(first_pause=first_pause),
        ) as client:
            results = client.get_many(
                (f"job-{n}" for n in range(jobs)), concurrency=concurrency, deadline=deadline
            )
            found = [result async for result in results]
            limiter: Any = client._settings.limiter
            if limiter is not None:
                assert limiter.in_flight == 0
                assert not any(limiter._queues)
            return found

    results = asyncio.run(ask())
    _check(service, results, jobs, min(concurrency, own or concurrency))
    if deadline is not None and jobs:
        # What is under way when the time is over may still be answered.
        assert clock.seconds <= 1000 + deadline + 5 + 1e-6


@given(jobs=st.integers(0, 12), own=limited, script=st.lists(answers, min_size=1, max_size=12))
def test_threads(jobs: int, own: int | None, script: list[Any]) -> None:
    """The same holds for threads; here only for one at a time, so that every run is like the others."""
    clock = FakeClock()
    service = Service(clock, script)
    with TaskCountsClient(
        ENDPOINT, KEY, transport=httpx.MockTransport(service.sync), clock=clock, concurrency=own
    ) as client:
        results = list(client.get_many((f"job-{n}" for n in range(jobs)), concurrency=1))
    _check(service, results, jobs, 1)
