"""Sessions: many waits in one loop, told to a viewer, ended by verdicts, by errors or by signals."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve

from support.client import ACCESS_KEY
from support.clocks import FakeClock
from taskcounts.flow.steps import Exchange, Pause, Settings
from taskcounts.protocol.messages import Question
from taskcounts.waiting import flow
from taskcounts.waiting.plan import WaitPlan
from taskcounts.waiting.values import Kind, Observation, Observer, Outcome, Verdict
from taskcounts_cli.exits import CommandError
from taskcounts_cli.input.options import Account
from taskcounts_cli.input.wait_options import WaitOptions
from taskcounts_cli.session import run_session
from taskcounts_cli.viewer import SessionResult, Together

NOW = datetime(2024, 8, 1, 12, 0, tzinfo=UTC)
ACCOUNT = Account(
    endpoint="http://127.0.0.1:9",
    account="myaccount",
    key=ACCESS_KEY,
    key_file=None,
    auth="shared-key",
    allow_token_over_http=False,
)
OPTIONS = WaitOptions(
    until="done",
    timeout=math.inf,
    stall=math.inf,
    interval=None,
    max_failures=10,
    fail_fast=False,
    exact_at_end=False,
    empty_is_done=False,
    service_timeout=None,
    attempt_timeout=35.0,
)


def verdict(job: str, outcome: Outcome = Outcome.MET, **facts: Any) -> Verdict:
    """Return a verdict."""
    known: dict[str, Any] = {
        "goal": "done",
        "text": f"job {job!r}: {outcome}",
        "confirmed": True,
        "snapshot": None,
        "polls": 1,
        "failed_polls": 0,
        "began_at": NOW,
        "ended_at": NOW,
        "elapsed": 1.0,
    }
    return Verdict(job_id=job, outcome=outcome, **{**known, **facts})


class Recorder:
    """A viewer that notes what it is told."""

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
    """Stands for the waiting flow: observes once, then does what its job is named for."""

    def __init__(self) -> None:
        self.plans: dict[str, WaitPlan] = {}
        self.questions: dict[str, Question] = {}
        self.started: dict[str, float] = {}
        self.closed: list[str] = []
        self.checks: list[bool] = []
        self.gated: list[bool] = []

    def __call__(
        self, settings: Settings, question: Question, plan: WaitPlan, observer: Observer, *, check: bool
    ) -> Exchange[Verdict]:
        """Return a flow."""
        job = question.job_id
        self.plans[job], self.started[job] = plan, settings.clock.monotonic()
        self.questions[job] = question
        self.checks.append(check)
        self.gated.append(settings.gate is not None)
        try:
            observer(Observation(job_id=job, number=1, at=NOW, elapsed=0.0, kind=Kind.COUNTS))
            if job.startswith("never"):
                yield Pause(3600)
            if job.startswith("late"):
                yield Pause(0.3)
            if job.startswith("broken"):
                raise ZeroDivisionError
            return verdict(job)
        finally:
            self.closed.append(job)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """Waits that ask nobody."""
    flows = Waits()
    monkeypatch.setattr(flow, "wait", flows)
    return flows


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signal handlers that are ours, whatever the tests themselves run in; afterwards as they were."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        assert signal.getsignal(number) is signal.default_int_handler
        signal.signal(number, handler)


def test_all_is_told(waits: Waits, handlers: None) -> None:
    """A viewer is told the jobs, each observation and verdict, that time passes, and the end."""
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
    """With up to twenty jobs the adapted interval is what it is for one, and a fixed one always."""
    run_session(ACCOUNT, ["a"], OPTIONS, Recorder(), clock=FakeClock())
    run_session(ACCOUNT, ["b", "c"], OPTIONS, Recorder(), clock=FakeClock())
    assert {plan.min_interval for plan in waits.plans.values()} == {2.0}
    assert {plan.interval for plan in waits.plans.values()} == {None}


def test_several_jobs_hold_back_together(waits: Waits, handlers: None) -> None:
    """When the service throttles one of several jobs, the others wait as well."""
    run_session(ACCOUNT, ["a"], OPTIONS, Recorder(), clock=FakeClock())
    run_session(ACCOUNT, ["b", "c"], OPTIONS, Recorder(), clock=FakeClock())
    assert waits.gated == [False, True, True]


def test_every_viewer_ends(waits: Waits, handlers: None) -> None:
    """Of several viewers each is told all, and each is ended, also where another one can't be."""

    def raising(text: str) -> None:
        if text == "end":
            raise OSError("torn")

    first, second = Recorder(), Recorder()
    first.at = raising
    with pytest.raises(OSError, match="torn"):
        run_session(ACCOUNT, ["late"], OPTIONS, Together(first, second))
    assert first.told == second.told
    assert second.told[-1] == "end"


def test_limits_are_those_of_the_options(waits: Waits, handlers: None) -> None:
    """Each wait gets the limits of all, and of the time what is left when it begins."""
    options = WaitOptions(
        until="percent=50",
        timeout=10.0,
        stall=7.0,
        interval=3.0,
        max_failures=4,
        fail_fast=True,
        exact_at_end=True,
        empty_is_done=True,
        service_timeout=5,
        attempt_timeout=2.0,
    )
    run_session(ACCOUNT, ["a", "b"], options, Recorder(), clock=FakeClock())
    plan = waits.plans["b"]
    assert (str(plan.goal), plan.stall, plan.interval, plan.max_failures) == ("percent=50", 7.0, 3.0, 4)
    assert (plan.fail_fast, plan.exact_at_end, plan.empty_is_done) == (True, True, True)
    assert (waits.plans["a"].deadline, plan.deadline) == pytest.approx((10.0, 9.9))
    assert (waits.questions["b"].service_timeout, waits.questions["b"].timeout) == (5, 2.0)


def test_little_time_is_not_spent_on_turns(waits: Waits, handlers: None) -> None:
    """However many jobs there are, each has at least half of the time to be asked for."""
    options = evolve(OPTIONS, timeout=1.0)
    jobs = [f"job-{number}" for number in range(100)]

    class Standing(FakeClock):
        """Time that doesn't pass, since all sleep at once."""

        def sleep(self, seconds: float) -> None:
            self.pauses.append(seconds)

    clock = Standing()
    run_session(ACCOUNT, jobs, options, Recorder(), clock=clock)
    assert max(clock.pauses) < 0.5


def test_a_turn_that_comes_too_late(waits: Waits, handlers: None) -> None:
    """Where a machine slept for longer than the wait's time, each job has its verdict all the same."""

    class Late(FakeClock):
        """Time of which more passes than anybody sleeps."""

        def sleep(self, seconds: float) -> None:
            self.seconds += seconds + 60

    result = run_session(ACCOUNT, ["a", "b"], evolve(OPTIONS, timeout=1.0), Recorder(), clock=Late())
    assert list(result.verdicts) == ["a", "b"]
    assert {plan.deadline for plan in waits.plans.values()} == {0.001}


@pytest.mark.parametrize("where", ["observe a", "judge a", "tick"])
def test_what_a_viewer_raises_ends_all(waits: Waits, handlers: None, where: str) -> None:
    """An error of the viewer reaches the caller, once the other waits are ended and so is the viewer."""

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
    """A viewer that can't begin is ended all the same, and nothing is asked."""

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
    """What no wait should raise reaches the caller; the other waits are ended."""
    recorder = Recorder()
    with pytest.raises(ZeroDivisionError):
        run_session(ACCOUNT, ["never", "broken", "late-broken"], OPTIONS, recorder)
    assert recorder.told[-1] == "end"
    assert sorted(waits.closed) == sorted(waits.plans)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["begin never a", "observe never", "tick"])
def test_a_signal_ends_a_session(waits: Waits, handlers: None, number: signal.Signals, where: str) -> None:
    """Ctrl-C and SIGTERM end all waits, whenever they come; what was known is in the result."""

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


def test_a_signal_after_the_last_verdict_is_none(waits: Waits, handlers: None) -> None:
    """What is over can't be interrupted any more."""

    def interrupt(text: str) -> None:
        if text == "judge a":
            os.kill(os.getpid(), signal.SIGINT)

    recorder = Recorder()
    recorder.at = interrupt
    result = run_session(ACCOUNT, ["a"], OPTIONS, recorder)
    assert (result.interrupted, list(result.verdicts)) == (None, ["a"])


def test_a_second_signal_does_what_it_would_do(waits: Waits, handlers: None) -> None:
    """Who presses Ctrl-C twice doesn't wait for anything any more."""

    def interrupt(text: str) -> None:
        if text in ("observe never", "end"):
            os.kill(os.getpid(), signal.SIGINT)

    recorder = Recorder()
    recorder.at = interrupt
    with pytest.raises(KeyboardInterrupt):
        run_session(ACCOUNT, ["never"], OPTIONS, recorder)


def test_ignored_signals_stay_ignored(waits: Waits) -> None:
    """What a script runs in its background isn't ended by Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        recorder = Recorder()
        recorder.at = lambda _: os.kill(os.getpid(), signal.SIGINT)
        result = run_session(ACCOUNT, ["late"], OPTIONS, recorder)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert (result.interrupted, list(result.verdicts)) == (None, ["late"])


def test_other_threads_have_no_signals(waits: Waits) -> None:
    """A session runs in any thread."""
    results: list[SessionResult] = []
    thread = threading.Thread(target=lambda: results.append(run_session(ACCOUNT, ["a"], OPTIONS, Recorder())))
    thread.start()
    thread.join(20)
    assert list(results[0].verdicts) == ["a"]


def test_an_account_that_cannot_be_used(waits: Waits) -> None:
    """What is wrong with the account is said before the viewer begins."""
    recorder = Recorder()
    wrong = Account(
        endpoint=None, account="x", key="QUFB", key_file=None, auth="shared-key", allow_token_over_http=False
    )
    with pytest.raises(CommandError, match="no endpoint"):
        run_session(wrong, ["a"], OPTIONS, recorder)
    assert recorder.told == []
