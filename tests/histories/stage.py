"""The stage of a history: an emulator over a real socket, its clock, and a network with latency."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import json
import random
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

import httpx

from histories.acts import perform
from histories.drawing import Act, History
from histories.truth import Truth, Witness
from taskcounts import AsyncTaskCountsClient, SharedKey, TaskCountsClient
from taskcounts.net.base import AsyncEngine, Engine
from taskcounts.net.factory import make_engine
from taskcounts.net.route import RouteOptions, find_route
from taskcounts.protocol.messages import Answer, Failure, Request
from taskcounts.waiting.values import Observation, Verdict
from taskcounts_emulator import Emulator
from taskcounts_emulator.errors import EmulatorError, NoSuchJob, NoSuchTask
from taskcounts_emulator.refusals import Refusal

__all__ = ["Asked", "Clock", "Played", "Stage"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Real seconds for a request on loopback: what passes for time is the scripted clock's.
_PLENTY = 30.0


class Asked(NamedTuple):
    """A request, as the network saw it; times in microseconds since the beginning of the history.

    Attributes:
        sent: When it was sent.
        seen: When the service answered it; None if it never got there.
        ended: When the answer came, or the client gave up.
        what: ``counts``, ``job``, or the filter of a list.
        status: The answer's; None if there was none.
        fault: What went wrong on purpose.
        reported: The task counts of an answer as it left the service.
        wish: How many seconds the service asked to wait.
    """

    sent: int
    seen: int | None
    ended: int
    what: str
    status: int | None
    fault: str | None
    reported: dict[str, int] | None
    wish: float = 0.0

    @property
    def healthy(self) -> bool:
        """True if a valid answer came; old counts are valid, and so is the error of a missing job."""
        return self.status in (200, 404, 409) and self.fault in (None, "lag")


class Played(NamedTuple):
    """The result of a history: the verdict or error, and everything that led to it."""

    history: History
    verdict: Verdict | None
    error: BaseException | None
    observations: list[Observation]
    asked: list[Asked]
    truth: Truth
    began: int
    ended: int


class Clock:
    """Time that passes where somebody sleeps or a request is under way, for client and emulator alike."""

    def __init__(self) -> None:
        self.at = 0
        self.chance = random.Random()  # noqa: S311 - to be repeated.
        self.stage: Stage | None = None

    def monotonic(self) -> float:
        return self.at / 1e6

    def now(self) -> datetime:
        return EPOCH + timedelta(microseconds=self.at)

    def draw(self) -> float:
        return self.chance.random()

    def sleep(self, seconds: float) -> None:
        if self.stage is not None:
            # No two things that a client does happen at the same moment.
            self.stage.pass_by(max(1, round(seconds * 1e6)))

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class _Network:
    """The time that requests take, and what is noted of each."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def leave(self, seconds: float) -> tuple[int, float, float | None]:
        """Let a request travel, and return when it left, what is left of its seconds, and its way back.

        The way back is None where the request never arrives in time.
        """
        stage = self._stage
        sent, there, back = stage.clock.at, stage.latency(), stage.latency()
        if there >= seconds:
            stage.clock.sleep(seconds)
            return sent, 0, None
        stage.clock.sleep(there)
        return sent, seconds - there, back

    def arrive(
        self, request: Request, sent: int, left: float, back: float | None, outcome: Answer | Failure
    ) -> Answer | Failure:
        """Let the answer travel back, note the request, and return what the client gets."""
        stage = self._stage
        what, seen, status, reported, wish = _what(request), None, None, None, 0.0
        fault: str | None = "slow"
        if back is not None:
            seen = stage.clock.at
            fault = stage.latest_fault()
            if isinstance(outcome, Answer):
                status = outcome.status
                if status == 200 and what == "counts":
                    reported = _reported(outcome.body)
            if back >= left:
                stage.clock.sleep(left)
                status, fault, outcome = None, "slow", _late()
            else:
                stage.clock.sleep(back)
                if isinstance(outcome, Answer):
                    wish = float(outcome.headers.get("retry-after", 0))
        stage.note(Asked(sent, seen, stage.clock.at, what, status, fault, reported, wish))
        return outcome


class _Engine:
    """An engine behind a network that takes scripted time."""

    name = "scripted"

    def __init__(self, inner: Engine, network: _Network) -> None:
        self._inner = inner
        self._network = network

    def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        sent, left, back = self._network.leave(seconds)
        outcome = _late() if back is None else self._inner.send(request, _PLENTY, limit)
        return self._network.arrive(request, sent, left, back, outcome)

    def close(self) -> None:
        self._inner.close()


class _AsyncEngine:
    """The same for the asynchronous client."""

    name = "scripted"

    def __init__(self, inner: AsyncEngine, network: _Network) -> None:
        self._inner = inner
        self._network = network

    async def send(self, request: Request, seconds: float, limit: int) -> Answer | Failure:
        sent, left, back = self._network.leave(seconds)
        outcome = _late() if back is None else await self._inner.send(request, _PLENTY, limit)
        return self._network.arrive(request, sent, left, back, outcome)

    async def close(self) -> None:
        await self._inner.close()


class Stage:
    """An emulator and its clock, on which one history after the other is played; for a ``with`` statement."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.stage = self
        self.emulator = Emulator("histories", scripted=True, now=self.clock.now)
        self._witness = Witness(self.emulator.world)
        self._runner = asyncio.Runner()
        self._events: list[tuple[int, int, Act]] = []
        self._asked: list[Asked] = []
        self._chance = random.Random()  # noqa: S311 - to be repeated.
        self._order = count()
        self._origin = 0
        self._entry = 0

    def __enter__(self) -> Self:
        self.emulator.__enter__()
        reach = find_route(self.emulator.endpoint, RouteOptions(None, None, trust_env=False))
        network = _Network(self)
        self._engine = _Engine(make_engine(reach, awaits=False), network)
        self._async_engine = _AsyncEngine(make_engine(reach, awaits=True), network)
        return self

    def __exit__(self, *error: object) -> None:
        self._engine.close()
        self._runner.run(self._async_engine.close())
        self._runner.close()
        self.emulator.__exit__(None, None, None)

    def play(self, history: History) -> Played:
        """Let a history happen while a client waits for its job, and return what came of that."""
        self._begin(history)
        began = self.clock.at - self._origin
        observations: list[Observation] = []
        verdict = error = None
        try:
            verdict = self._wait(history, observations)
        except Exception as raised:
            error = raised
        ended = self.clock.at - self._origin
        self._witness.date(self.clock.at)
        truth = self._witness.truth(self._origin)
        return Played(history, verdict, error, observations, self._asked, truth, began, ended)

    def _begin(self, history: History) -> None:
        self.emulator.reset()
        self._entry = 0
        self._witness.begin()
        self._origin = self.clock.at = self.emulator.world.now()
        self._history, self._asked, self._events = history, [], []
        self._spite, self._after_all = list(history.spite), history.after_all
        self._chance.seed(f"network {history.seed}")
        self.clock.chance.seed(f"client {history.seed}")
        self.emulator.set_seed(history.seed)
        self.emulator.load(history.scenario)
        for at, act in history.events:
            self._schedule(at, act)
        self.pass_by(max(1, round(history.head_start * 1e6)))

    def _wait(self, history: History, observations: list[Observation]) -> Verdict:
        key = SharedKey(self.emulator.account, self.emulator.key)
        options: dict[str, Any] = {
            "retry": history.retry,
            "strict": history.strict,
            "clock": self.clock,
            "api_version": history.api_version,
        }
        ask = {**history.options, "check": False, "observer": observations.append}
        silent: Any = httpx.MockTransport(lambda _: httpx.Response(500))
        if not history.awaits:
            client = TaskCountsClient(self.emulator.endpoint, key, transport=silent, **options)
            client._engine = self._engine
            return client.wait_for_job(history.job_id, history.goal, **ask)
        other = AsyncTaskCountsClient(self.emulator.endpoint, key, transport=silent, **options)
        other._engine = self._async_engine
        return self._runner.run(other.wait_for_job(history.job_id, history.goal, **ask))

    def pass_by(self, microseconds: int) -> None:
        """Let time pass, with all that happens meanwhile."""
        until = self.clock.at + microseconds
        while self.clock.at < until:
            self._move(min(until, self._events[0][0]) if self._events else until)
            while self._events and self._events[0][0] <= self.clock.at:
                self._act(heapq.heappop(self._events)[2])

    def latency(self) -> float:
        """Return how long a way takes, in seconds."""
        history, chance = self._history, self._chance
        if chance.random() < history.slowness:
            return chance.uniform(2, 50)
        return history.latency * chance.random() ** 2 + 1e-6

    def latest_fault(self) -> str | None:
        """Return what went wrong with the latest call."""
        entries = self.emulator.journal.entries(self._entry)
        self._entry += len(entries)
        return entries[-1].fault if entries else None

    def note(self, asked: Asked) -> None:
        """Note a request, and where counts say that all is done, or nearly, do what makes that wrong."""
        origin = self._origin
        seen = None if asked.seen is None else asked.seen - origin
        self._asked.append(asked._replace(sent=asked.sent - origin, seen=seen, ended=asked.ended - origin))
        if not asked.healthy or not (told := asked.reported):
            return
        left = told["active"] + told["running"]
        while self._spite and left <= self._spite[0][0] * (left + told["completed"]) and told["completed"]:
            _, delay, act = self._spite.pop(0)
            self._schedule((self.clock.at - origin) / 1e6 + delay, act)
            if delay:
                break

    def _schedule(self, at: float, act: Act) -> None:
        heapq.heappush(self._events, (self._origin + round(at * 1e6), next(self._order), act))

    def _act(self, act: Act) -> None:
        # The job may be in no state for it, or have gone.
        with contextlib.suppress(Refusal, NoSuchJob, NoSuchTask, EmulatorError):
            perform(act, self.emulator, self._history, self._chance)
        self._witness.date(self.clock.at)

    def _move(self, until: int) -> None:
        """Let time pass up to a moment, or to the one at which the job is done for the first time."""
        world = self.emulator.world
        while self._after_all and self.clock.at < until:
            self._advance(min(until, world._next or until))
            done = world.all_counts().get(self._history.job_id)
            if done and done.tasks.completed and not done.tasks.active + done.tasks.running:
                for delay, act in self._after_all:
                    self._schedule((self.clock.at - self._origin) / 1e6 + delay, act)
                self._after_all = []
                return
        self._advance(until)

    def _advance(self, until: int) -> None:
        if until > self.clock.at:
            self.emulator.world.advance((until - self.clock.at) / 1e6)
            self.clock.at = until


def _late() -> Failure:
    return Failure("it took longer than this attempt may", TimeoutError())


def _what(request: Request) -> str:
    url = urlsplit(request.url)
    if url.path.endswith("/taskcounts"):
        return "counts"
    if url.path.endswith("/tasks"):
        query = parse_qs(url.query)
        # An exact count asks for whole pages.
        return "exact" if "maxresults" not in query else query.get("$filter", ["any"])[0]
    return "job"


def _reported(body: bytes) -> dict[str, int] | None:
    """Return the task counts of an answer; None if it is no right one."""
    try:
        counts = json.loads(body)["taskCounts"]
    except (ValueError, TypeError, KeyError):
        return None
    whole = (
        isinstance(counts, dict) and len(counts) == 5 and all(type(each) is int for each in counts.values())
    )
    return counts if whole else None
