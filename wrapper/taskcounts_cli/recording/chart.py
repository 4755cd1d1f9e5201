"""A chart of a recording: the counts of jobs over time, stacked, with gaps where they were unknown."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import matplotlib as mpl
from attrs import define, field
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from taskcounts.text import one_line
from taskcounts.waiting.values import Kind, Observation, Verdict
from taskcounts_cli.screen.glyphs import SEGMENTS

# More jobs make a chart too high to read.
MAX_JOBS = 12

# The colours of Okabe and Ito, which colour-blind people tell apart; hatches, for prints without colours.
_COLOURS = {"succeeded": "#009E73", "failed": "#D55E00", "running": "#56B4E9", "active": "#D0D3D8"}
_HATCHES = {"succeeded": "", "failed": "xxx", "running": "///", "active": ""}
_DOUBTFUL = "#E69F00"
_UNKNOWN = "#F4F4F4"

_UNKNOWN_COUNTS = (math.nan,) * len(SEGMENTS)


@define
class Series:
    """The counts of a job over time, as a chart shows them.

    Attributes:
        job_id: The job.
        times: The times at which the counts changed, or became known or unknown.
        counts: The counts from each of these times on, in the order of SEGMENTS; NaN where they are unknown.
        unknown: Start and end of each time span in which the counts were unknown.
        doubtful: Start and end of each time span in which the counts were doubtful.
        verdicts: The verdicts, one for each watch that reached one.
    """

    job_id: str
    times: list[datetime] = field(factory=list)
    counts: list[tuple[float, ...]] = field(factory=list)
    unknown: list[tuple[datetime, datetime]] = field(factory=list)
    doubtful: list[tuple[datetime, datetime]] = field(factory=list)
    verdicts: list[Verdict] = field(factory=list)
    # The starts of the spans that have not ended yet.
    _unknown_since: datetime | None = None
    _doubtful_since: datetime | None = None
    _latest: datetime | None = None

    def add(self, event: Observation | Verdict) -> None:
        """Add an event."""
        if isinstance(event, Verdict):
            self._note_time(event.ended_at)
            if event.snapshot is not None and self._unknown_since is None:
                self._add_counts(event.ended_at, event.snapshot.task_counts)
            self._end_spans(event.ended_at)
            self.verdicts.append(event)
            return
        if event.number == 1 and self._latest is not None:
            # Another watch begins: nobody polled between the two.
            self._add_gap(self._latest)
            self._end_spans(self._latest)
            self._unknown_since = self._latest
        self._note_time(event.at)
        if event.kind is Kind.FAILURE:
            if self._unknown_since is None:
                self._add_gap(event.at)
                self._unknown_since = event.at
        elif event.kind in (Kind.COUNTS, Kind.EXACT) and event.snapshot is not None:
            if self._unknown_since is not None:
                self.unknown.append((self._unknown_since, event.at))
                self._unknown_since = None
            self._add_counts(event.at, event.snapshot.task_counts)
        doubtful = event.doubtful or bool(event.snapshot and event.snapshot.inconsistencies)
        if doubtful and self._doubtful_since is None:
            self._doubtful_since = event.at
        elif not doubtful and self._doubtful_since is not None:
            self.doubtful.append((self._doubtful_since, event.at))
            self._doubtful_since = None

    def end(self) -> None:
        """End the spans that have not ended yet, when there are no more events."""
        assert self._latest is not None  # noqa: S101 - a series begins with an event.
        self._end_spans(self._latest)

    def _note_time(self, moment: datetime) -> None:
        """Note the time of an event; a clock that was set back does not move it back."""
        self._latest = moment if self._latest is None else max(moment, self._latest)

    def _end_spans(self, moment: datetime) -> None:
        if self._unknown_since is not None:
            self.unknown.append((self._unknown_since, moment))
            self._unknown_since = None
        elif self.times and self.times[-1] < moment and self.counts[-1] is not _UNKNOWN_COUNTS:
            self._add_point(moment, self.counts[-1])
        if self._doubtful_since is not None:
            self.doubtful.append((self._doubtful_since, moment))
            self._doubtful_since = None

    def _add_counts(self, moment: datetime, counts: Any) -> None:
        values = tuple(float(getattr(counts, segment)) for segment in SEGMENTS)
        # The chart is drawn in steps: counts that stay the same need no point.
        if not self.counts or self.counts[-1] != values:
            self._add_point(moment, values)

    def _add_gap(self, moment: datetime) -> None:
        if self.counts and self.counts[-1] is not _UNKNOWN_COUNTS:
            self._add_point(moment, self.counts[-1])
            self._add_point(moment, _UNKNOWN_COUNTS)

    def _add_point(self, moment: datetime, values: tuple[float, ...]) -> None:
        self.times.append(max(moment, self.times[-1]) if self.times else moment)
        self.counts.append(values)


def series(events: Iterable[Observation | Verdict], job: str | None = None) -> list[Series]:
    """Return the series of each job, or of a single one."""
    found: dict[str, Series] = {}
    for event in events:
        if job is None or event.job_id == job:
            found.setdefault(event.job_id, Series(event.job_id)).add(event)
    for each in found.values():
        each.end()
    return list(found.values())


def draw(jobs: Sequence[Series], kind: str) -> bytes:
    """Return a chart of jobs, one below the other, as the bytes of an SVG or PNG file."""
    figure = Figure(figsize=(10, 0.6 + 3.4 * len(jobs)), layout="constrained")
    for axes, job in zip(figure.subplots(len(jobs), 1, squeeze=False)[:, 0], jobs, strict=True):
        _draw_job(axes, job)
    figure.legend(handles=_legend(jobs), loc="outside lower center", ncols=6, frameon=False)
    file = io.BytesIO()
    # Text stays text, and the same recording gives the same file.
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "taskcounts", "hatch.linewidth": 0.4}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A character that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(file, format=kind, dpi=150, metadata=metadata)
    return file.getvalue()


def _draw_job(axes: Axes, job: Series) -> None:
    title = axes.set_title(one_line(job.job_id), loc="left", fontweight="bold")
    title.set_parse_math(False)
    axes.set_ylabel("tasks")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    locator = AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
    axes.set_xlabel("UTC", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    if job.times:
        areas = axes.stackplot(
            cast(Any, job.times),
            *zip(*job.counts, strict=True),
            colors=[_COLOURS[segment] for segment in SEGMENTS],
            step="post",
            linewidth=0,
        )
        for area, segment in zip(areas, SEGMENTS, strict=True):
            area.set_hatch(_HATCHES[segment])
            area.set_edgecolor("white")
    for start, end in job.unknown:
        axes.axvspan(start, end, facecolor=_UNKNOWN, edgecolor="#999999", hatch="..", linewidth=0)  # type: ignore[arg-type]
    for start, end in job.doubtful:
        axes.axvspan(start, end, ymin=0.965, facecolor=_DOUBTFUL, linewidth=0)  # type: ignore[arg-type]
    for verdict in job.verdicts:
        axes.axvline(verdict.ended_at, color="black", linewidth=1.2)  # type: ignore[arg-type]
    if job.verdicts:
        text = textwrap.fill(one_line(job.verdicts[-1].text, 300), 90)
        note = axes.text(1, 1.02, text, transform=axes.transAxes, ha="right", va="bottom", fontsize="small")
        note.set_parse_math(False)
    moments = [*job.times, *(moment for span in (*job.unknown, *job.doubtful) for moment in span)]
    moments += [verdict.ended_at for verdict in job.verdicts]
    if moments:
        start, end = min(moments), max(moments)
        # A margin: a single moment has no width, and a verdict must not coincide with the border.
        axes.set_xlim(start, end + max((end - start) / 100, timedelta(seconds=0.1)))  # type: ignore[arg-type]
    axes.set_ylim(
        bottom=0,
        top=max(1.0, max((sum(each) for each in job.counts if each is not _UNKNOWN_COUNTS), default=1))
        * 1.06,
    )


def _legend(jobs: Sequence[Series]) -> list[Patch]:
    handles = [
        Patch(facecolor=_COLOURS[segment], hatch=_HATCHES[segment], edgecolor="white", label=segment)
        for segment in SEGMENTS
    ]
    if any(job.unknown for job in jobs):
        handles.append(Patch(facecolor=_UNKNOWN, edgecolor="#999999", hatch="..", label="unknown"))
    if any(job.doubtful for job in jobs):
        handles.append(Patch(facecolor=_DOUBTFUL, label="doubtful"))
    return handles
