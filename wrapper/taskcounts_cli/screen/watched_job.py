"""The state of a watched job, from which the view is drawn."""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import evolve, frozen

from taskcounts.snapshot import Snapshot
from taskcounts.text import one_line
from taskcounts.waiting.values import Observation, Outcome, Verdict
from taskcounts_cli.output import formatting

# The shortest time that a note is shown, so that a person sees it.
NOTE_STAYS = timedelta(seconds=10)


@frozen(kw_only=True)
class WatchedJob:
    """A job as it is known so far.

    Attributes:
        job_id: The job.
        latest: Its newest observation, None before the first.
        verdict: Its verdict, None before there is one.
        note: The newest note of an observation, None if there was none.
        noted_at: The time of that observation.
    """

    job_id: str
    latest: Observation | None = None
    verdict: Verdict | None = None
    note: str | None = None
    noted_at: datetime | None = None

    def after(self, event: Observation | Verdict) -> WatchedJob:
        """Return the job after an event. The first observation of another watch replaces what was known."""
        if isinstance(event, Verdict):
            return evolve(self, verdict=event)
        before = WatchedJob(job_id=self.job_id) if event.number == 1 else self
        if event.note is not None:
            return evolve(before, latest=event, note=event.note, noted_at=event.at)
        return evolve(before, latest=event)

    @property
    def name(self) -> str:
        """The job's id without control characters: a recording may hold any text."""
        return one_line(self.job_id)

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest counts, None before the first."""
        if self.verdict is not None:
            return self.verdict.snapshot
        return None if self.latest is None else self.latest.snapshot

    @property
    def inconsistent(self) -> bool:
        """True if the newest counts contradict themselves."""
        return self.snapshot is not None and bool(self.snapshot.inconsistencies)

    @property
    def doubtful(self) -> bool:
        """True if the newest counts contradict themselves, or a list of tasks contradicts them."""
        return self.inconsistent or (self.latest is not None and self.latest.doubtful)

    @property
    def failures(self) -> int:
        """The number of polls in a row without a trustworthy answer."""
        return 0 if self.latest is None or self.verdict is not None else self.latest.failures

    @property
    def rank(self) -> int:
        """The priority in a view: 0 for a job in trouble, 1 for one that is waited for, 2 not met, 3 met."""
        if self.verdict is None:
            return 0 if self.failures or self.doubtful else 1
        return 3 if self.verdict.outcome is Outcome.MET else 2

    @property
    def status(self) -> str:
        """The state of the job in a few words, empty if there is nothing special."""
        if self.verdict is not None:
            return formatting.outcome_name(self.verdict)
        if self.failures:
            return f"{self.failures} without answer"
        if self.doubtful:
            return "doubtful"
        return self._job_state or ("asking" if self.latest is None else "")

    def warnings(self, now: datetime) -> list[str]:
        """Return what is wrong with the answers, the counts or the job itself, each in one line."""
        if self.verdict is not None or self.latest is None:
            return []
        found = []
        if self.failures:
            why = f": {self.latest.error}" if self.latest.error is not None else ""
            times = "the last poll has" if self.failures == 1 else f"{self.failures} polls in a row have"
            found.append(f"{times} no answer{why}")
        if self.snapshot is not None:
            found += [f"{each.text}; don't rely on these numbers" for each in self.snapshot.inconsistencies]
        recent = self.noted_at is not None and now - self.noted_at < NOTE_STAYS
        if self.note is not None and (recent or self.doubtful):
            found.append(self.note)
        elif self.doubtful and not self.inconsistent:
            found.append("a list of tasks contradicts these counts")
        if self._job_state:
            found.append(f"the job itself is {self._job_state}")
        return [one_line(text, 500) for text in found]

    @property
    def _job_state(self) -> str:
        """The service's state of the job, empty if it is unknown or the usual one."""
        state = None if self.latest is None else self.latest.job_state
        return one_line(state, 40) if state and state != "active" else ""
