"""What is known of a watched job: its newest observation, its verdict, and what was last worth telling."""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import evolve, frozen

from taskcounts.snapshot import Snapshot
from taskcounts.text import one_line
from taskcounts.waiting.values import Observation, Outcome, Verdict
from taskcounts_cli.output import formatting

# A note is shown at least this long, so that a person sees it.
NOTE_STAYS = timedelta(seconds=10)


@frozen(kw_only=True)
class WatchedJob:
    """A job as it is known.

    Attributes:
        job_id: The job.
        latest: Its newest observation, None before the first.
        verdict: Its verdict, None before there is one.
        note: What was last worth telling.
        noted_at: When that was.
    """

    job_id: str
    latest: Observation | None = None
    verdict: Verdict | None = None
    note: str | None = None
    noted_at: datetime | None = None

    def after(self, event: Observation | Verdict) -> WatchedJob:
        """Return the job as it is known after an event. A first observation begins it anew."""
        if isinstance(event, Verdict):
            return evolve(self, verdict=event)
        before = WatchedJob(job_id=self.job_id) if event.number == 1 else self
        if event.note is not None:
            return evolve(before, latest=event, note=event.note, noted_at=event.at)
        return evolve(before, latest=event)

    @property
    def name(self) -> str:
        """The job's id as a terminal can show it; that of a recording may be anything."""
        return one_line(self.job_id)

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest counts, None as long as there are none."""
        if self.verdict is not None:
            return self.verdict.snapshot
        return None if self.latest is None else self.latest.snapshot

    @property
    def doubtful(self) -> bool:
        """Whether the newest counts can't be relied on."""
        snapshot = self.snapshot
        return (snapshot is not None and bool(snapshot.inconsistencies)) or (
            self.latest is not None and self.latest.doubtful
        )

    @property
    def failures(self) -> int:
        """How many polls in a row had no trustworthy answer."""
        return 0 if self.latest is None or self.verdict is not None else self.latest.failures

    @property
    def rank(self) -> int:
        """How much it wants to be seen: 0 for a job in trouble, to 3 for one that is fine for good."""
        if self.verdict is None:
            return 0 if self.failures or self.doubtful else 1
        return 3 if self.verdict.outcome is Outcome.MET else 2

    def remark(self) -> str | None:
        """Return in a few words how it stands, None if there is nothing to say."""
        if self.verdict is not None:
            return formatting.outcome(self.verdict)
        if self.failures:
            return f"{self.failures} without answer"
        if self.doubtful:
            return "doubtful"
        state = self._state()
        return state or ("asking" if self.latest is None else None)

    def trouble(self, now: datetime) -> list[str]:
        """Return what a person should know, each in one line: why there is no answer, what is doubtful."""
        if self.verdict is not None or self.latest is None:
            return []
        told = []
        if self.failures:
            why = f": {self.latest.error}" if self.latest.error is not None else ""
            times = "the last poll has" if self.failures == 1 else f"{self.failures} polls in a row have"
            told.append(f"{times} no answer{why}")
        if self.snapshot is not None:
            told += [f"{each.text}; don't rely on these numbers" for each in self.snapshot.inconsistencies]
        recent = self.noted_at is not None and now - self.noted_at < NOTE_STAYS
        if self.note is not None and (recent or self.doubtful):
            told.append(self.note)
        elif self.doubtful and not (self.snapshot is not None and self.snapshot.inconsistencies):
            told.append("a list of tasks contradicts these counts")
        if state := self._state():
            told.append(f"the job itself is {state}")
        return [one_line(text, 500) for text in told]

    def _state(self) -> str | None:
        state = None if self.latest is None else self.latest.job_state
        return one_line(state, 40) if state and state != "active" else None
