"""Sessions: many waits in one event loop, ended by verdicts, errors or signals."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from attrs import evolve

from support.client import ACCESS_KEY
from support.clocks import FakeClock
from support.observations import NOON, bare_verdict
from taskcounts.base_client import DEFAULT_API_VERSION
from taskcounts.flow.steps import Flow, Pause, Settings
from taskcounts.protocol.messages import Call
from taskcounts.waiting import flow
from taskcounts.waiting.plan import WaitPlan
from taskcounts.waiting.values import Kind, Observation, Observer, Verdict
from taskcounts_cli.exits import CommandError
from taskcounts_cli.input.options import Account
from taskcounts_cli.input.wait_options import WaitOptions
from taskcounts_cli.session import _StopSignal, run_session
from taskcounts_cli.viewer import Broadcast, SessionResult, Viewer

ACCOUNT = Account(
    endpoint="http://127.0.0.1:9",
    account="myaccount",
    key=ACCESS_KEY,
    key_file=None,
    auth="shared-key",
    allow_token_over_http=False,
    api_version=DEFAULT_API_VERSION,
)
OPTIONS = WaitOptions(until="done", deadline=math.inf, attempt_timeout=35.0, others={})


class Recorder(Viewer):
    """A viewer that records its calls."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.at: Callable[[str], object] = lambda _: None

    def _note(self, text: str) -> None:
        self.told.append(text)
        self.at(text)

    def begin(self, jobs: Sequence[str]) -> None:
        """Note the jobs."""
        self._note(f"begin {' '.join(jobs)}")

    def observe(self, observation: Observation) -> None:
        """Note an observation."""
        self._note(f"observe {observation.job_id}")

    def judge(self, verdict: Verdict) -> None:
        """Note a verdict."""
        self._note(f"judge {verdict.job_id}")

    def tick(self) -> None:
        """Note that time has passed."""
        self._note("tick")

    def end(self) -> None:
        """Note the end."""
        self._note("end")


class Waits:
    """A fake of the waiting flow: it observes once, then acts by the name of its job."""

    def __init__(self) -> None:
        self.plans: dict[str, WaitPlan] = {}
        self.questions: dict[str, Call] = {}
        self.started: dict[str, float] = {}
        self.closed: list[str] = []
        self.checks: list[bool] = []
        self.limited: list[bool] = []

    def __call__(
        self, settings: Settings, call: Call, plan: WaitPlan, observer: Observer, *, check: bool
    ) -> Flow[Verdict]:
        """Return the generator of a wait."""
        job = call.job_id
        self.plans[job], self.started[job] = plan, settings.clock.monotonic()
        self.questions[job] = call
        self.checks.append(check)
        self.limited.append(settings.limiter is not None)
        try:
            observer(Observation(job_id=job, number=1, at=NOON, elapsed=0.0, kind=Kind.COUNTS))
            if job.startswith("never"):
                yield Pause(3600)
            if job.startswith("late"):
                yield Pause(0.3)
            if job.startswith("broken"):
                raise ZeroDivisionError
            return bare_verdict(job)
        finally:
            self.closed.append(job)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """Waits that send no request."""
    flows = Waits()
    monkeypatch.setattr(flow, "wait", flows)
    return flows


@pytest.fixture
def handlers() -> Iterator[None]:
    """Set Python's default signal handlers, and restore the handlers afterwards."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        assert signal.getsignal(number) is signal.default_int_handler
        signal.signal(number, handler)


def test_viewers_get_every_event(waits: Waits, handlers: None) -> None:
    """A viewer gets the jobs, each observation and verdict, ticks, and the end."""
    recorder = Recorder()
    result = run_session(ACCOUNT, ["a", "late"], OPTIONS, recorder)
    assert recorder.told[0] == "begin a late"
    assert recorder.told[-1] == "end"
    assert "tick" in recorder.told
    assert [told for told in recorder.told[1:-1] if told != "tick"] == [
        "observe a", "judge a", "observe late", "judge late",
    ]  # fmt: skip
    assert (result.jobs, list(result.verdicts), result.interrupted) == (("a", "late"), ["a", "late"], None)
    assert result.last["late"].job_id == "late"
    assert waits.checks == [False, False]


def test_first_polls_are_spread_out(waits: Waits, handlers: None) -> None:
    """There are no more than ten polls a second over all jobs, at the beginning and later."""
    clock = FakeClock()
    jobs = [f"job-{number}" for number in range(50)]
    result = run_session(ACCOUNT, jobs, OPTIONS, Recorder(), clock=clock)
    assert sorted(clock.pauses) == pytest.approx([number / 10 for number in range(50)])
    assert {plan.min_interval for plan in waits.plans.values()} == {5.0}
    assert result.ended_at == clock.now()


def test_few_jobs_have_the_usual_interval(waits: Waits, handlers: None) -> None:
    """With up to twenty jobs the adaptive interval is that of one job, and a fixed one is unchanged."""
    run_session(ACCOUNT, ["a"], OPTIONS, Recorder(), clock=FakeClock())
    run_session(ACCOUNT, ["b", "c"], OPTIONS, Recorder(), clock=FakeClock())
    assert {plan.min_interval for plan in waits.plans.values()} == {2.0}
    assert {plan.interval for plan in waits.plans.values()} == {None}


def test_several_jobs_share_a_limiter(waits: Waits, handlers: None) -> None:
    """Several jobs share a limiter, so that all pause when the service throttles one."""
    run_session(ACCOUNT, ["a"], OPTIONS, Recorder(), clock=FakeClock())
    run_session(ACCOUNT, ["b", "c"], OPTIONS, Recorder(), clock=FakeClock())
    assert waits.limited == [False, True, True]


def test_every_viewer_ends(waits: Waits, handlers: None) -> None:
    """Each of several viewers gets all calls, and is ended even if another one's end fails."""

    def raising(text: str) -> None:
        if text == "end":
            raise OSError("torn")

    first, second = Recorder(), Recorder()
    first.at = raising
    with pytest.raises(OSError, match="torn"):
        run_session(ACCOUNT, ["late"], OPTIONS, Broadcast(first, second))
    assert first.told == second.told
    assert second.told[-1] == "end"


def test_limits_are_those_of_the_options(waits: Waits, handlers: None) -> None:
    """Each wait gets the limits of the options, and the time that is left when it begins."""
    options = WaitOptions(
        until="percent=50",
        deadline=10.0,
        attempt_timeout=2.0,
        others={
            "stall": 7.0,
            "interval": 3.0,
            "max_failures": 4,
            "fail_fast": True,
            "exact_at_end": True,
            "empty_is_done": True,
            "service_timeout": 5,
        },
    )
    run_session(ACCOUNT, ["a", "b"], options, Recorder(), clock=FakeClock())
    plan = waits.plans["b"]
    assert (str(plan.goal), plan.stall, plan.interval, plan.max_failures) == ("percent=50", 7.0, 3.0, 4)
    assert (plan.fail_fast, plan.exact_at_end, plan.empty_is_done) == (True, True, True)
    assert (waits.plans["a"].deadline, plan.deadline) == pytest.approx((10.0, 9.9))
    assert (waits.questions["b"].service_timeout, waits.questions["b"].timeout) == (5, 2.0)


def test_a_short_deadline_is_not_spent_on_spreading_polls(waits: Waits, handlers: None) -> None:
    """Each of many jobs has at least half of the deadline."""
    options = evolve(OPTIONS, deadline=1.0)
    jobs = [f"job-{number}" for number in range(100)]

    class Standing(FakeClock):
        """A clock that does not advance when something sleeps."""

        def sleep(self, seconds: float) -> None:
            self.pauses.append(seconds)

    clock = Standing()
    run_session(ACCOUNT, jobs, options, Recorder(), clock=clock)
    assert max(clock.pauses) < 0.5


def test_a_job_that_starts_after_the_deadline(waits: Waits, handlers: None) -> None:
    """If the machine slept beyond the deadline, each job still has its verdict."""

    class Late(FakeClock):
        """A clock that advances by more than anything sleeps."""

        def sleep(self, seconds: float) -> None:
            self.seconds += seconds + 60

    result = run_session(ACCOUNT, ["a", "b"], evolve(OPTIONS, deadline=1.0), Recorder(), clock=Late())
    assert list(result.verdicts) == ["a", "b"]
    assert {plan.deadline for plan in waits.plans.values()} == {0.001}


@pytest.mark.parametrize("where", ["observe a", "judge a", "tick"])
def test_an_error_of_a_viewer_ends_the_session(waits: Waits, handlers: None, where: str) -> None:
    """An error of the viewer is raised after the waits and the viewer have ended."""

    def raising(text: str) -> None:
        if text == where:
            raise BrokenPipeError

    recorder = Recorder()
    recorder.at = raising
    with pytest.raises(BrokenPipeError):
        run_session(ACCOUNT, ["never-1", "a" if where != "tick" else "never-2"], OPTIONS, recorder)
    assert recorder.told[-1] == "end"
    assert sorted(waits.closed) == sorted(waits.plans)


def test_an_error_at_the_beginning(waits: Waits, handlers: None) -> None:
    """A viewer that fails to begin is still ended, and nothing is sent."""

    def raising(text: str) -> None:
        if text.startswith("begin"):
            raise OSError("no window")

    recorder = Recorder()
    recorder.at = raising
    with pytest.raises(OSError, match="no window"):
        run_session(ACCOUNT, ["a"], OPTIONS, recorder)
    assert recorder.told == ["begin a", "end"]
    assert not waits.plans


def test_a_bug_ends_all(waits: Waits, handlers: None) -> None:
    """An unexpected exception in a wait is raised, and the other waits are cancelled."""
    recorder = Recorder()
    with pytest.raises(ZeroDivisionError):
        run_session(ACCOUNT, ["never", "broken", "late-broken"], OPTIONS, recorder)
    assert recorder.told[-1] == "end"
    assert sorted(waits.closed) == sorted(waits.plans)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["begin never a", "observe never", "tick"])
def test_a_signal_ends_a_session(waits: Waits, handlers: None, number: signal.Signals, where: str) -> None:
    """Ctrl-C and SIGTERM end all waits at any time, and the result has the last observations."""

    def interrupt(text: str) -> None:
        if text == where:
            recorder.at = lambda _: None
            os.kill(os.getpid(), number)

    recorder = Recorder()
    recorder.at = interrupt
    result = run_session(ACCOUNT, ["never", "a"], OPTIONS, recorder)
    assert result.interrupted == number
    assert recorder.told[-1] == "end"
    assert "never" not in result.verdicts
    assert sorted(waits.closed) == sorted(waits.plans)


def test_a_signal_after_the_last_verdict_is_ignored(waits: Waits, handlers: None) -> None:
    """A signal after the last verdict changes nothing."""

    def interrupt(text: str) -> None:
        if text == "judge a":
            os.kill(os.getpid(), signal.SIGINT)

    recorder = Recorder()
    recorder.at = interrupt
    result = run_session(ACCOUNT, ["a"], OPTIONS, recorder)
    assert (result.interrupted, list(result.verdicts)) == (None, ["a"])


def test_a_second_signal_ends_the_session_at_once(waits: Waits, handlers: None) -> None:
    """A second Ctrl-C ends the session at once."""

    def interrupt(text: str) -> None:
        if text in ("observe never", "end"):
            os.kill(os.getpid(), signal.SIGINT)

    recorder = Recorder()
    recorder.at = interrupt
    with pytest.raises(KeyboardInterrupt):
        run_session(ACCOUNT, ["never"], OPTIONS, recorder)


def test_ignored_signals_stay_ignored(waits: Waits) -> None:
    """Ctrl-C does not end a background process of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        recorder = Recorder()
        recorder.at = lambda _: os.kill(os.getpid(), signal.SIGINT)
        result = run_session(ACCOUNT, ["late"], OPTIONS, recorder)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert (result.interrupted, list(result.verdicts)) == (None, ["late"])


def test_a_session_runs_in_any_thread(waits: Waits) -> None:
    """A session runs in any thread."""
    results: list[SessionResult] = []
    thread = threading.Thread(target=lambda: results.append(run_session(ACCOUNT, ["a"], OPTIONS, Recorder())))
    thread.start()
    thread.join(20)
    assert list(results[0].verdicts) == ["a"]


def test_an_account_that_cannot_be_used(waits: Waits) -> None:
    """An invalid account is reported before the viewer begins."""
    recorder = Recorder()
    wrong = evolve(ACCOUNT, endpoint=None)
    with pytest.raises(CommandError, match="no endpoint"):
        run_session(wrong, ["a"], OPTIONS, recorder)
    assert recorder.told == []


def test_a_signal_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal after the end of the loop or of the wait for it raises nothing."""

    def closed() -> None:
        raise RuntimeError("Event loop is closed")

    signals = _StopSignal()
    signals._wake = closed
    signals._handle(signal.SIGINT, None)
    assert signals.received == signal.SIGINT

    async def stop() -> None:
        task = asyncio.create_task(signals.wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    signals.received = None
    asyncio.run(stop())
    assert signals._wake is None
    signals._handle(signal.SIGTERM, None)
    assert signals.received == signal.SIGTERM
