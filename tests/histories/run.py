"""Plays histories one after the other, and reports their results."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from histories.drawing import draw_history
from histories.oracle import Judgement, judge
from histories.stage import Played, Stage

__all__ = ["Report", "be_quiet", "helpers", "play", "play_all", "told"]

# Histories that a process plays at once.
_PART = 50

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Report:
    """The results of some histories.

    Attributes:
        rows: By goal and outcome: how many verdicts were right, wrong, and apart from both.
        wrong: The seeds of wrong verdicts, and what is wrong with them.
        apart: The same for those that reported counts misled.
        seconds: Processor time of it all.
    """

    rows: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: dict[int, str] = field(default_factory=dict)
    apart: dict[int, str] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    lags: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    histories: int = 0
    refuted: int = 0
    failures: int = 0
    moments: int = 0
    answers: int = 0
    seconds: float = 0.0

    def add(self, played: Played, judgement: Judgement) -> None:
        """Count a history."""
        seed, verdict = played.history.seed, played.verdict
        outcome = "raised" if verdict is None else verdict.outcome.value
        kind = "right"
        if judgement.wrong is not None:
            kind, self.wrong[seed] = "wrong", judgement.wrong
        elif judgement.apart is not None:
            kind, self.apart[seed] = "apart", judgement.apart
        self.rows[played.history.goal.partition(">")[0].partition("=")[0], outcome][kind] += 1
        self.histories += 1
        self.moments += len(played.truth.states)
        self.answers = max(self.answers, judgement.answers)
        self.failures += sum(each.failures > 0 for each in played.observations)
        self.lags.update(played.history.lag.keys() - {"validation"} or {"none"})
        # Of the answers, and not as it was drawn.
        self.versions.update(
            {str(each.snapshot.api_version) for each in played.observations if each.snapshot}
        )
        for each in played.asked:
            self.requests[each.what if each.what in ("counts", "job", "exact") else "query"] += 1
            if each.fault is not None:
                self.faults[each.fault] += 1
            told = each.reported
            if told and told["completed"] and not told["active"] + told["running"]:
                self.refuted += not played.truth.at(each.seen or 0).finished

    def merge(self, other: Report) -> None:
        """Add the results of other histories."""
        for key, row in other.rows.items():
            self.rows[key].update(row)
        for mine, theirs in ((self.wrong, other.wrong), (self.apart, other.apart)):
            mine.update(theirs)
        for name in ("requests", "faults", "lags", "versions"):
            getattr(self, name).update(getattr(other, name))
        for name in ("histories", "refuted", "failures", "moments", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.answers = max(self.answers, other.answers)

    def table(self) -> str:
        """Return it as text."""
        lines = [f"{'goal':15}{'outcome':11}{'right':>7}{'wrong':>7}{'apart':>7}"]
        for (goal, outcome), counts in sorted(self.rows.items()):
            numbers = "".join(f"{counts[kind]:7}" for kind in ("right", "wrong", "apart"))
            lines.append(f"{goal:15}{outcome:11}{numbers}")
        sums = [sum(row[kind] for row in self.rows.values()) for kind in ("right", "wrong", "apart")]
        lines.append(f"{'all':26}" + "".join(f"{number:7}" for number in sums))
        lines += [
            "",
            f"{self.histories} histories with {self.moments} moments",
            f"{self.requests.total()} requests: {_listed(self.requests)}",
            f"counts said that a job is done that wasn't: {self.refuted} times",
            f"polls without a trustworthy answer: {self.failures}",
            f"most right answers in a row from the end of a job to its verdict: {self.answers}",
            f"lag: {_listed(self.lags)}",
            f"faults: {_listed(self.faults)}",
            f"api-versions: {_listed(self.versions)}",
            f"{self.seconds:.1f} s of processor time",
        ]
        for seed, why in sorted(self.apart.items()):
            lines.append(f"apart: {seed}: {why}")
        for seed, why in sorted(self.wrong.items()):
            lines.append(f"WRONG: {seed}: {why}; again: make histories ARGS='--only {seed}'")
        return "\n".join(lines)


def play(
    seeds: Iterable[int],
    *,
    enough: Callable[[Report], bool] = lambda _: False,
    tell: Callable[[Played, Judgement], object] = lambda *_: None,
) -> Report:
    """Play the histories of some seeds, and return what came of them.

    Args:
        seeds: The seeds.
        enough: Called after each history; ends it all if it is true.
        tell: Called after each history.
    """
    report, began = Report(), time.process_time()
    with Stage() as stage:
        for seed in seeds:
            played = stage.play(draw_history(seed))
            judgement = judge(played)
            report.add(played, judgement)
            tell(played, judgement)
            if enough(report):
                break
    report.seconds = time.process_time() - began
    return report


@contextlib.contextmanager
def helpers() -> Iterator[ProcessPoolExecutor]:
    """Hold processes that play, one for each processor: free of what traces or watches this one."""
    # Forked, they would have locks that threads of this one hold.
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_begin) as pool:
        yield pool


def play_all(seeds: Sequence[int]) -> Report:
    """Play the histories of some seeds on all processors, and return what came of them."""
    report = Report()
    with helpers() as pool:
        # Small parts, as some take longer than others.
        for part in pool.map(play, [seeds[first : first + _PART] for first in range(0, len(seeds), _PART)]):
            report.merge(part)
    return report


def _begin() -> None:
    be_quiet()
    # Traced, it all takes twice as long, and other tests reach every line.
    tracing = sys.modules.get("coverage")
    if tracing is not None and (current := tracing.Coverage.current()) is not None:
        current.stop()


def be_quiet() -> None:
    """Keep the client and the emulator from logging what goes wrong on purpose."""
    logging.getLogger("taskcounts").setLevel(logging.CRITICAL)


def told(played: Played, judgement: Judgement) -> str:
    """Return a history as text: what was planned, what was so, what was asked, and what came of it."""
    history = played.history
    lines = [f"history {history.seed}: {history.goal} {history.options}", f"  {history.scenario}"]
    lines.append(f"  strict={history.strict} awaits={history.awaits} retry={history.retry}")
    lines.append(f"  api-version={history.api_version}")
    lines += [f"  plan {at:9.3f} {act}" for at, act in sorted(history.events, key=lambda event: event[0])]
    lines += [f"  spite {part} {at:8.3f} {act}" for part, at, act in history.spite]
    lines += [f"  after all {at:5.3f} {act}" for at, act in history.after_all]
    entries: list[tuple[int, str]] = [(state.at, f"is    {state}") for state in played.truth.states]
    for each in played.asked:
        text = f"asked {each.what} from {each.sent / 1e6:.3f}: {each.status} {each.fault or ''}"
        entries.append((each.ended, f"{text} {list((each.reported or {}).values())}"))
    for seen in played.observations:
        doubt = " doubtful" if seen.doubtful else ""
        what = f"{seen.kind.value} {seen.looked_for or ''} found={seen.found} job={seen.job_state}{doubt}"
        at = played.began + round(seen.elapsed * 1e6)
        entries.append((at, f"tells {seen.number} {what} pause={seen.pause:.3f} {seen.note or ''}"))
    lines += [f"  {at / 1e6:9.3f} {text}" for at, text in sorted(entries, key=lambda entry: entry[0])]
    verdict = played.verdict
    lines.append(f"  verdict after {(played.ended - played.began) / 1e6:.3f} s: ")
    lines[-1] += repr(played.error) if verdict is None else f"{verdict.outcome.value}: {verdict.text}"
    lines.append(f"  judged: {judgement}")
    # The service names each request anew.
    return _GUID.sub("<guid>", "\n".join(lines))


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.most_common()) or "none"
