"""The view at every width and height."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console, Group

from support.observations import MANY, NOON, failed, judged, known_jobs, seen, snapshot, watched
from taskcounts.snapshot import Inconsistency
from taskcounts.waiting.values import Kind, Outcome
from taskcounts_cli.output import formatting
from taskcounts_cli.screen.glyphs import (
    ASCII,
    SEGMENTS,
    UNICODE,
    Glyphs,
    glyphs_for,
    segment_widths,
)
from taskcounts_cli.screen.view import MIN_WIDTH, frame, window
from taskcounts_cli.screen.watched_job import NOTE_STAYS, WatchedJob

NOW = NOON + timedelta(seconds=3)


def shown(
    *jobs: WatchedJob, width: int = 80, height: int | None = None, glyphs: Glyphs = UNICODE, after: float = 3
) -> list[str]:
    """Return the lines of the view, without the blanks at their ends."""
    lines = frame(jobs, NOON + timedelta(seconds=after), width, height, glyphs)
    return [line.plain.rstrip() for line in lines]


@given(
    st.lists(known_jobs(), max_size=12),
    st.integers(1, 140),
    st.none() | st.integers(0, 60),
    st.sampled_from([UNICODE, ASCII]),
)
@example(MANY, 30, 5, UNICODE)
def test_nothing_is_beyond_the_window(
    jobs: list[WatchedJob], width: int, height: int | None, glyphs: Glyphs
) -> None:
    """Law: no line is wider than the window, there are no more than it has, and none breaks another."""
    lines = frame(jobs, NOW, width, height, glyphs)
    assert all(line.cell_len <= width for line in lines)
    assert height is None or len(lines) <= height
    assert all(line.plain.isprintable() for line in lines)


@given(
    st.lists(known_jobs(), min_size=1, max_size=9),
    st.integers(MIN_WIDTH, 140),
    st.none() | st.integers(1, 60),
)
def test_no_number_is_cut(jobs: list[WatchedJob], width: int, height: int | None) -> None:
    """Law: a job that is shown has all its numbers uncut; the others are counted."""
    # Such as no text holds.
    jobs = [evolve(job, job_id=f"{n}-{job.job_id}-{n}") for n, job in enumerate(jobs)]
    lines = [line.plain for line in frame(jobs, NOW, width, height)]
    text = "\n".join(lines)
    flat = re.sub(r"\s+", "", text)
    here = [job for job in jobs if job.job_id in flat]
    more = re.search(r"… and ([\d,]+) more", " ".join(text.split()))
    if more is None:
        assert len(here) == len(jobs)
    else:
        assert len(here) == len(jobs) - int(more[1].replace(",", ""))
    for job in here:
        if job.snapshot is not None and (job.snapshot.total or more):
            tasks = job.snapshot.task_counts
            for part in SEGMENTS:
                number = re.escape(f"{getattr(tasks, part):,}")
                assert re.search(rf"(?<![\d,]){number}(?![\d,])", text), (part, number, text)


@given(st.lists(st.integers(0, 10**9) | st.integers(0, 3), min_size=4, max_size=4), st.integers(4, 100))
def test_a_bar_is_true(numbers: list[int], width: int) -> None:
    """Law: a bar has its width, and shows the numbers above 0 and no others."""
    cells = segment_widths(numbers, width)
    assert sum(cells) == (width if any(numbers) else 0)
    assert [bool(share) for share in cells] == [bool(number) for number in numbers]
    # Each is right to a cell, but for what small ones need to be seen.
    for number, share in zip(numbers, cells, strict=True):
        assert abs(share - number * width / max(1, sum(numbers))) <= 3


def test_one_job() -> None:
    """A job has a line for its progress, a bar, a line for its tasks and one for its slots."""
    assert shown(watched("nightly-render", seen("nightly-render", rate=1.4, left=16.2))) == [
        "  nightly-render               63.3 % completed  1.4/s  about 16 s left  3 s ago",
        "  " + "█" * 47 + "x" * 2 + ">" * 21 + "·" * 8,
        "  █ 36 succeeded  x 2 failed  > 16 running  · 6 active  60 in all",
        "  slots:  72 succeeded  4 failed  32 running  12 active",
    ]


def test_one_job_in_ascii() -> None:
    """On a terminal with ASCII only, the view is ASCII, with the same content."""
    lines = shown(watched("j", seen("j"), judged("j", numbers=(6, 16, 36, 2))), glyphs=ASCII)
    assert all(line.isascii() for line in lines)
    assert lines[0].startswith("+ j")
    assert lines[1].strip() == "#" * 47 + "x" * 2 + ">" * 21 + "." * 8


@pytest.mark.parametrize(
    ("encoding", "glyphs"), [("utf-8", UNICODE), ("UTF8", UNICODE), ("latin-1", ASCII), (None, ASCII)]
)
def test_characters_by_encoding(encoding: str | None, glyphs: Glyphs) -> None:
    """Characters beyond ASCII are used only with a Unicode encoding."""
    assert glyphs_for(encoding) is glyphs
    assert glyphs.met.isascii() is (glyphs is ASCII)


def test_a_narrow_window_has_whole_numbers() -> None:
    """In forty columns names and numbers continue in further lines."""
    job = "a-job-with-a-name-that-is-longer-than-the-window-is-wide"
    big = (1_234_567, 7_654_321, 2_147_483_647, 999_999_999)
    assert shown(watched(job, seen(job, big)), width=40) == [
        "  a-job-with-a-name-that-is-longer-than-",
        "  the-window-is-wide",
        "  99.7 % completed  time left unknown",
        "  3 s ago",
        "  ████████████████████████xxxxxxxxxxxx>·",
        "  █ 2,147,483,647 succeeded",
        "  x 999,999,999 failed",
        "  > 7,654,321 running",
        "  · 1,234,567 active",
        "  3,156,372,534 in all",
        "  slots:  4,294,967,294 succeeded",
        "  1,999,999,998 failed",
        "  15,308,642 running  2,469,134 active",
    ]


def test_a_narrow_window_shows_a_message() -> None:
    """A window too narrow for numbers shows a message instead."""
    assert shown(MANY[0], width=MIN_WIDTH - 1) == ["window too narrow"]
    assert shown(MANY[0], width=10) == ["window too", "narrow"]
    assert shown(MANY[0], width=10, height=1) == ["window too"]
    assert shown(MANY[0], height=0) == []


def test_unknown_counts_are_not_shown_as_zero() -> None:
    """A job without counts has neither numbers nor a bar."""
    assert shown(watched("j")) == ["? j", "  no counts yet"]
    lines = shown(watched("j", failed("j", None)))
    assert lines[:2] == ["? j", "  no counts yet"]
    assert not any("0" in line for line in lines[:2])
    assert "  no counts" in shown(watched("j", judged("j", Outcome.LOST, None)))
    assert all("?" in line for line in shown(*[watched(f"j{n}") for n in range(20)])[1:])


def test_a_job_without_tasks() -> None:
    """A job without tasks has neither a bar nor a percentage."""
    assert shown(watched("j", seen("j", (0, 0, 0, 0))))[1:] == ["  no tasks"]
    assert "%" not in "".join(shown(watched("j", seen("j", (0, 0, 0, 0)))))


def test_polls_without_answer() -> None:
    """Failed polls are shown with their reason and their number; the counts stay, and age."""
    once = shown(watched("j", failed("j", at=-90)))
    assert once[0].startswith("? j")
    assert once[0].endswith("93 s ago")
    assert once[-1] == "  ! the last poll has no answer: 503 ServerBusy: The server is busy."
    assert "3 polls in a row have no answer" in shown(watched("j", failed("j", failures=3)))[-1]
    assert shown(watched("j", failed("j", error=None)))[-1] == "  ! the last poll has no answer"


def test_doubtful_counts() -> None:
    """Counts that contradict a list or themselves are marked, with the reason."""
    refuted = watched("j", seen("j", (0, 0, 5, 0), doubtful=True, note="but 'task-9' is running"))
    assert shown(refuted, after=3600)[0].startswith("! j")
    assert "100.0 %, doubtful" in shown(refuted)[0]
    assert shown(refuted, after=3600)[-1] == "  ! but 'task-9' is running"
    silent = watched("j", seen("j", (0, 0, 5, 0), doubtful=True))
    assert shown(silent)[-1] == "  ! a list of tasks contradicts these counts"
    broken = (Inconsistency("task-counts-completed", "taskCounts.completed", "completed is not the sum"),)
    contradictory = watched("j", seen("j", snapshot=snapshot("j", inconsistencies=broken)))
    assert shown(contradictory)[0].startswith("! j")
    assert shown(contradictory)[-1] == "  ! completed is not the sum; don't rely on these numbers"


def test_notes_are_seen_for_a_while() -> None:
    """A note is shown for some seconds, also when the next observation has none."""
    job = watched("j", seen("j", note="tasks were added: 60 instead of 50"), seen("j", at=2))
    assert shown(job)[-1] == "  ! tasks were added: 60 instead of 50"
    assert len(shown(job, after=NOTE_STAYS.total_seconds())) == 4


def test_a_job_that_is_not_active() -> None:
    """The job's own state is shown unless it is the usual one."""
    assert shown(watched("j", seen("j", job_state="disabled")))[-1] == "  ! the job itself is disabled"
    assert len(shown(watched("j", seen("j", job_state="active")))) == 4


@pytest.mark.parametrize(
    ("outcome", "mark", "word"),
    [
        (Outcome.MET, "✓", "done"),
        (Outcome.FAILED, "✗", "failed"),
        (Outcome.UNMET, "✗", "not met"),
        (Outcome.GONE, "✗", "gone"),
        (Outcome.LOST, "✗", "lost"),
        (Outcome.TIMED_OUT, "✗", "timed out"),
        (Outcome.STALLED, "✗", "stalled"),
    ],
)
def test_verdicts(outcome: Outcome, mark: str, word: str) -> None:
    """A verdict has its mark and text, or in a table its word; earlier failures are no longer shown."""
    job = watched("j", failed("j"), judged("j", outcome, text="job 'j': how\nit\x1b[2J ended"))
    assert shown(job)[0].startswith(f"{mark} j")
    assert shown(job)[-1] == "  job 'j': how it ended"
    row = shown(job, *MANY, height=9, width=120)[1]
    assert row.startswith(f"{mark} j ")
    assert row.endswith(f"  {word}")


def test_a_goal_that_is_no_end() -> None:
    """A goal other than done or all-succeeded is shown as met."""
    assert watched("j", judged("j", goal="percent=50")).status == "met"


def test_a_table() -> None:
    """Many jobs are shown in a table, with warnings and verdicts below it."""
    lines = shown(*MANY, width=110, height=16)
    assert lines[0].split() == ["job", *SEGMENTS, "total", "percent", "age"]
    row = lines[1].split()
    assert row[0] == "nightly-render"
    assert row[2:6] == ["36", "2", "16", "6"]
    assert [line[0] for line in lines[1:8]] == [" ", "?", "!", "✗", "✓", " ", "?"]
    assert lines[8] == ""
    assert lines[9].startswith("  ! reindex: 3 polls in a row have no answer: 503 ServerBusy")


def test_a_table_in_a_narrow_window() -> None:
    """Without room for column names the heading has the bar's characters, with a legend."""
    lines = shown(*MANY, width=44, height=12)
    assert lines[0] == "  █ succeeded  x failed  > running  · active"
    assert lines[1].split()[:5] == ["job", *"█x>·"]
    assert lines[2].split()[:5] == ["nightly-render", "36", "2", "16", "6"]


def test_a_table_in_the_narrowest_window() -> None:
    """In the narrowest window the numbers are below the names."""
    lines = shown(*MANY, width=30, height=26)
    assert lines[2:5] == ["  nightly-render", "  █ 36  x 2  > 16  · 6  of 60", "  3 s"]
    assert lines[20:23] == ["? new", "  █ ?  x ?  > ?  · ?  of ?", "  asking"]


def test_more_jobs_than_lines() -> None:
    """Jobs in trouble come first, then unfinished ones; the others are counted."""
    lines = shown(*MANY, height=5)
    assert [line.split()[1] for line in lines[1:3]] == ["reindex", "weekly-report:job-7"]
    assert "nightly-render" in lines[3]
    assert lines[4] == "… and 4 more: 2 waiting, 1 not met, 1 met"
    two = shown(*MANY, height=2)
    assert two[0].startswith("? reindex ")
    assert two[1:] == ["… and 6 more: 1 in trouble, 3 waiting, 1 not met, 1 met"]
    assert shown(*MANY, height=1) == ["… and 7 more: 2 in trouble, 3 waiting, 1 not met, 1 met"]


def test_no_room_for_the_summary() -> None:
    """If even the summary is too long for the window, the number of jobs is shown."""
    assert shown(*MANY, width=32, height=1) == ["… and 7 more"]


def test_as_many_lines_as_jobs() -> None:
    """With a line for each job and none for the heading, each job has its line."""
    lines = shown(*MANY[:4], height=4)
    assert sorted(line[1:].split()[0] for line in lines) == sorted(job.job_id for job in MANY[:4])


def test_no_room_to_tell_jobs_apart() -> None:
    """Without room for the counts by group, one number is shown."""
    assert shown(*MANY, width=MIN_WIDTH, height=1) == ["… and 7 more"]


def test_a_thousand_jobs() -> None:
    """A thousand jobs fit into the window."""
    jobs = [watched(f"job-{n}", seen(f"job-{n}", (n, 0, 0, 0))) for n in range(5000)]
    lines = shown(*jobs, height=10)
    assert len(lines) == 10
    assert lines[-1] == "… and 4,992 more: 4,992 waiting"
    assert len(shown(*jobs[:50])) == 51


def test_blocks_stand_apart_if_there_is_room() -> None:
    """Blank lines between jobs are the first to be dropped."""
    two = MANY[0], MANY[5]
    assert len(shown(*two, height=20)) == 4 + 1 + 2
    assert len(shown(*two, height=6)) == 4 + 2
    assert shown(*two, height=5)[0].split()[0] in ("job", "█")


def test_a_window_has_messages_and_a_footer() -> None:
    """Messages are above the footer, the newest lowest, in at most a quarter of the window."""
    lines = [
        line.plain
        for line in window(
            MANY[:1],
            NOW,
            60,
            24,
            footer="until done",
            messages=["one", "\x1b[1mwarning:\x1b[0m two", "three"],
        )
    ]
    assert len(lines) == 24
    assert lines[-5:] == ["  one", "  warning: two", "  three", "", "  until done"]
    assert [line.plain for line in window(MANY[:1], NOW, 60, 9, footer="f", messages=["x " * 200])][
        -1
    ] == "  f"
    assert "  f" not in [line.plain for line in window(MANY[:1], NOW, 60, 7, footer="f")]


def test_rich_shows_what_was_laid_out() -> None:
    """rich prints the lines of the view unchanged."""
    console = Console(width=80, height=24, color_system=None)
    with console.capture() as captured:
        console.print(Group(*frame(MANY[:2], NOW, 80, 24)))
    assert [line.rstrip() for line in captured.get().splitlines()] == shown(*MANY[:2], height=24)


def test_parts_have_colours_of_their_own() -> None:
    """The segments of a bar differ in colour, and also without colours."""
    bar = frame(MANY[:1], NOW, 80, None)[1]
    assert len({span.style for span in bar.spans}) == 4
    assert len(set(bar.plain.strip())) == 4


def test_another_watch_replaces_the_old_verdict() -> None:
    """The first observation of another watch replaces the old verdict."""
    job = watched("j", seen("j", number=1), judged("j"), seen("j", number=1, kind=Kind.COUNTS))
    assert job.verdict is None
    assert job.rank == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"), (0.9, "0 s"), (119.9, "119 s"), (120, "2 min"), (7199, "119 min"),
        (7200, "2 h 00 min"), (172_799, "47 h 59 min"), (172_800, "2 d 0 h"), (1e9, "11574 d 1 h"),
    ],
)  # fmt: skip
def test_spans(seconds: float, text: str) -> None:
    """A duration has one or two units, and is rounded down."""
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(1234.5, "1,234/s"), (100, "100/s"), (1.44, "1.4/s"), (0.5, "30.0/min"), (0.001, "3.6/h"), (0, "0.0/h")],
)
def test_rates(rate: float, text: str) -> None:
    """A rate is per second, minute or hour, whichever gives at least 1."""
    assert formatting.rate(rate) == text


def test_a_percentage_is_cut() -> None:
    """100 % is shown only if every task is completed, however many there are."""
    assert formatting.percent(snapshot("j", (1, 0, 10**15, 0))) == "99.9 %"
    assert formatting.percent(snapshot("j", (0, 0, 10**15, 0))) == "100.0 %"


def test_the_time_left_is_at_least_a_second() -> None:
    """The time left of an unfinished job is at least a second."""
    assert formatting.time_left(0.2) == "about 1 s left"
