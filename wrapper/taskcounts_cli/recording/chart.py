"""Draws a recording: the counts of jobs over time, stacked, with gaps where they weren't known."""

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

FORMATS = ("svg", "png")

# More of them are no drawing any more.
MAX_JOBS = 12

# Told apart by people who see few colours, too (Okabe and Ito); the hatches serve those who print.
_COLOURS = {"succeeded": "#009E73", "failed": "#D55E00", "running": "#56B4E9", "active": "#D0D3D8"}
_HATCHES = {"succeeded": "", "failed": "xxx", "running": "///", "active": ""}
_DOUBTFUL = "#E69F00"
_UNKNOWN = "#F4F4F4"

_NOTHING = (math.nan,) * len(SEGMENTS)


@define
class Series:
    """What is drawn of a job.

    Attributes:
        job_id: The job.
        times: When its counts changed, or began or ceased to be known.
        counts: What they were from then on, in the order of SEGMENTS; not numbers where they weren't known.
        unknown: From when to when nothing was known.
        doubtful: From when to when the counts couldn't be relied on.
        verdicts: What came of it.
    """

    job_id: str
    times: list[datetime] = field(factory=list)
    counts: list[tuple[float, ...]] = field(factory=list)
    unknown: list[tuple[datetime, datetime]] = field(factory=list)
    doubtful: list[tuple[datetime, datetime]] = field(factory=list)
    verdicts: list[Verdict] = field(factory=list)
    _lost: datetime | None = None
    _doubted: datetime | None = None
    _latest: datetime | None = None

    def take(self, event: Observation | Verdict) -> None:
        """Add an event to what is drawn."""
        if isinstance(event, Verdict):
            self._hold(event.ended_at)
            if event.snapshot is not None and self._lost is None:
                self._point(event.ended_at, event.snapshot.task_counts)
            self._close(event.ended_at)
            self.verdicts.append(event)
            return
        if event.number == 1 and self._latest is not None:
            # Another watch: what was in between nobody saw.
            self._break(self._latest)
            self._close(self._latest)
            self._lost = self._latest
        self._hold(event.at)
        if event.kind is Kind.FAILURE:
            if self._lost is None:
                self._break(event.at)
                self._lost = event.at
        elif event.kind in (Kind.COUNTS, Kind.EXACT) and event.snapshot is not None:
            if self._lost is not None:
                self.unknown.append((self._lost, event.at))
                self._lost = None
            self._point(event.at, event.snapshot.task_counts)
        doubtful = event.doubtful or bool(event.snapshot and event.snapshot.inconsistencies)
        if doubtful and self._doubted is None:
            self._doubted = event.at
        elif not doubtful and self._doubted is not None:
            self.doubtful.append((self._doubted, event.at))
            self._doubted = None

    def end(self) -> None:
        """Close what is open when there are no more events."""
        assert self._latest is not None  # noqa: S101 - a series begins with an event.
        self._close(self._latest)

    def _hold(self, moment: datetime) -> None:
        """Let the last counts last until a moment; a clock that was set back doesn't go back here."""
        self._latest = moment if self._latest is None else max(moment, self._latest)

    def _close(self, moment: datetime) -> None:
        if self._lost is not None:
            self.unknown.append((self._lost, moment))
            self._lost = None
        elif self.times and self.times[-1] < moment and self.counts[-1] is not _NOTHING:
            self._add(moment, self.counts[-1])
        if self._doubted is not None:
            self.doubtful.append((self._doubted, moment))
            self._doubted = None

    def _point(self, moment: datetime, counts: Any) -> None:
        values = tuple(float(getattr(counts, part)) for part in SEGMENTS)
        # Steps: whatever stays the same needs no point.
        if not self.counts or self.counts[-1] != values:
            self._add(moment, values)

    def _break(self, moment: datetime) -> None:
        if self.counts and self.counts[-1] is not _NOTHING:
            self._add(moment, self.counts[-1])
            self._add(moment, _NOTHING)

    def _add(self, moment: datetime, values: tuple[float, ...]) -> None:
        self.times.append(max(moment, self.times[-1]) if self.times else moment)
        self.counts.append(values)


def series(events: Iterable[Observation | Verdict], job: str | None = None) -> list[Series]:
    """Return what is drawn of each job, or of one."""
    found: dict[str, Series] = {}
    for event in events:
        if job is None or event.job_id == job:
            found.setdefault(event.job_id, Series(event.job_id)).take(event)
    for each in found.values():
        each.end()
    return list(found.values())


def draw(jobs: Sequence[Series], kind: str) -> bytes:
    """Return a drawing of jobs, one below the other, as the bytes of an SVG or PNG file."""
    figure = Figure(figsize=(10, 0.6 + 3.4 * len(jobs)), layout="constrained")
    for axes, job in zip(figure.subplots(len(jobs), 1, squeeze=False)[:, 0], jobs, strict=True):
        _draw_job(axes, job)
    figure.legend(handles=_legend(jobs), loc="outside lower center", ncols=6, frameon=False)
    written = io.BytesIO()
    # The same recording gives the same file; and its text stays text.
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "taskcounts", "hatch.linewidth": 0.4}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # What the font has no sign for is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(written, format=kind, dpi=150, metadata=metadata)
    return written.getvalue()


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
            colors=[_COLOURS[part] for part in SEGMENTS],
            step="post",
            linewidth=0,
        )
        for area, part in zip(areas, SEGMENTS, strict=True):
            area.set_hatch(_HATCHES[part])
            area.set_edgecolor("white")
    for start, end in job.unknown:
        axes.axvspan(start, end, facecolor=_UNKNOWN, edgecolor="#999999", hatch="..", linewidth=0)  # type: ignore[arg-type]
    for start, end in job.doubtful:
        axes.axvspan(start, end, ymin=0.965, facecolor=_DOUBTFUL, linewidth=0)  # type: ignore[arg-type]
    for verdict in job.verdicts:
        axes.axvline(verdict.ended_at, color="black", linewidth=1.2)  # type: ignore[arg-type]
    if job.verdicts:
        told = textwrap.fill(one_line(job.verdicts[-1].text, 300), 90)
        note = axes.text(1, 1.02, told, transform=axes.transAxes, ha="right", va="bottom", fontsize="small")
        note.set_parse_math(False)
    moments = [*job.times, *(moment for span in (*job.unknown, *job.doubtful) for moment in span)]
    moments += [verdict.ended_at for verdict in job.verdicts]
    if moments:
        start, end = min(moments), max(moments)
        # One moment alone has no width; and a verdict is seen better apart from the border.
        axes.set_xlim(start, end + max((end - start) / 100, timedelta(seconds=0.1)))  # type: ignore[arg-type]
    axes.set_ylim(
        bottom=0,
        top=max(1.0, max((sum(each) for each in job.counts if each is not _NOTHING), default=1)) * 1.06,
    )


def _legend(jobs: Sequence[Series]) -> list[Patch]:
    handles = [
        Patch(facecolor=_COLOURS[part], hatch=_HATCHES[part], edgecolor="white", label=part)
        for part in SEGMENTS
    ]
    if any(job.unknown for job in jobs):
        handles.append(Patch(facecolor=_UNKNOWN, edgecolor="#999999", hatch="..", label="unknown"))
    if any(job.doubtful for job in jobs):
        handles.append(Patch(facecolor=_DOUBTFUL, label="doubtful"))
    return handles
