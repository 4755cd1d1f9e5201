"""The goals of our client, and the figures that are compared with an earlier run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from benchmarks.figures import Formula
from benchmarks.rows import AIO, BLOCKS, IDEAL, JOBS, LATENCY, ROWS, THEIRS, Row

__all__ = ["GOALS", "Goal", "checked", "chosen"]


@dataclass(frozen=True)
class Goal:
    """A figure of ours that is to be no larger than it is said to.

    Attributes:
        what: Its description, for readers.
        figure: How it is calculated.
        most: How large it may be.
        unit: Of both; empty for a ratio.
    """

    what: str
    figure: Formula
    most: float
    unit: str = ""


_IMPORT = Formula("cpu", "import/ours", minus="import/nothing")

GOALS = (
    Goal(
        "one call after another, CPU, of azure-batch 15.1",
        Formula("cpu", "sync/ours", f"sync/{THEIRS}"), 0.12,
    ),
    Goal(
        "64 in flight, asyncio, CPU per job, of azure-batch 15.1 aio",
        Formula("cpu", "asyncio/ours", f"asyncio/{AIO}"), 0.14,
    ),
    Goal(
        "the same with `get_many`",
        Formula("cpu", "asyncio/ours-get_many", f"asyncio/{AIO}"), 0.15,
    ),
    Goal(
        "64 threads, CPU per job, of azure-batch 15.1 in 64 threads",
        Formula("cpu", "threads/ours", f"threads/{THEIRS}"), 0.10,
    ),
    Goal(
        "the same with `get_many`",
        Formula("cpu", "threads/ours-get_many", f"threads/{THEIRS}"), 0.15,
    ),
    Goal(
        "64 threads, CPU per job, of ours at one thread",
        Formula("cpu", "threads/ours", "threads/ours-one-thread"), 1.2,
    ),
    *(
        Goal(
            f"256 in flight, {way}, CPU per job, of ours at 16",
            Formula("cpu", f"in-flight/ours-{way}-256", f"in-flight/ours-{way}-16"), 1.2,
        )
        for way in ("asyncio", "threads")
    ),
    Goal(
        "peak memory after 1,000 calls, sync, of azure-batch 15.1",
        Formula("memory", "sync/ours", f"sync/{THEIRS}"), 0.7,
    ),
    *(
        Goal(
            f"1,000 jobs of {LATENCY} ms, 64 in flight, `get_many` with {way}, wall time over the ideal",
            Formula("wall", f"latency/ours-get_many-{way}", divisor=IDEAL), 1.2,
        )
        for way in ("asyncio", "threads")
    ),
    *(
        Goal(
            f"{jobs:,} jobs, `get_many` with {way}, {of}, of 1,000 jobs",
            Formula(quantity, f"jobs/ours-{way}-{jobs}", f"jobs/ours-{way}-{JOBS[0]}"), 1.1,
        )
        for way in ("asyncio", "threads")
        for jobs in JOBS[1:]
        for quantity, of in (("cpu", "CPU per job"), ("memory", "peak memory"))
    ),
    Goal(
        "`import taskcounts`, CPU, beyond that of `import httpx, attrs`",
        _IMPORT._replace(less="import/theirs", divisor=1000), 15, "ms",
    ),
    Goal(
        "`taskcounts get JOB`, one call over TLS, CPU, of a script with azure-batch 15.1",
        Formula("cpu", "start/ours", f"start/{THEIRS}"), 0.65,
    ),
    Goal("the same of `az batch job task-counts show`", Formula("cpu", "start/ours", "start/az"), 0.45),
    Goal(
        "installed size, of azure-batch 15.1 without aio",
        Formula("size", "size/ours", f"size/{THEIRS}"), 1.0,
    ),
    Goal("installed size, of azure-batch 15.1 with aio", Formula("size", "size/ours", f"size/{AIO}"), 0.33),
    Goal("decode, check and type an answer of 1 KB", Formula("cpu", "micro/ours-answer"), 25, "µs"),
    Goal("a signature", Formula("cpu", "micro/ours-signature"), 5, "µs"),
)  # fmt: skip

# What isn't a ratio to another row depends on the machine: an earlier run is compared by these instead.
_RELATIVE = (
    _IMPORT._replace(over="import/theirs"),
    Formula("cpu", "micro/ours-answer", "micro/json"),
    Formula("cpu", "micro/ours-signature", "micro/hmac"),
    *(Formula("wall", f"latency/ours-get_many-{way}", f"latency/{AIO}") for way in ("asyncio", "threads")),
)


def checked(rows: Sequence[Row]) -> dict[str, Formula]:
    """Return the ratios of ours that some rows give, by name: the smaller, the better."""
    bases = {block.name: block.base for block in BLOCKS if block.kind != "size"}
    formulas = [
        Formula("cpu", row.key, f"{row.block}/{base}")
        for row in rows
        if row.ours and (base := bases.get(row.block)) is not None
    ]
    formulas += [goal.figure for goal in GOALS if goal.figure.over is not None]
    known = {row.key for row in rows}
    return {
        f"{each.row}: {each.quantity} of {each.over}": each
        for each in (*formulas, *_RELATIVE)
        if known.issuperset(each.rows)
    }


def chosen(patterns: Sequence[str], *, quick: bool) -> list[Row]:
    """Return the rows of a form, or those of them that patterns describe, and what those are compared with.

    A pattern is the name of a block, or describes keys, with ``*`` for anything.

    Raises:
        ValueError: A pattern describes no row.
    """
    rows = [replace(row, calls=row.quick) for row in ROWS if row.quick] if quick else list(ROWS)
    wanted = set()
    for pattern in patterns or "*":
        found = {row.key for row in rows if row.block == pattern or fnmatchcase(row.key, pattern)}
        if not found:
            blocks = ", ".join(block.name for block in BLOCKS)
            raise ValueError(f"no row is called {pattern!r}; the blocks are {blocks}")
        wanted |= found
    for key in list(wanted):
        wanted.update(_companions(key))
    return [row for row in rows if row.key in wanted]


def _companions(key: str) -> Iterator[str]:
    """Yield the rows that a row is compared with."""
    block_name = key.partition("/")[0]
    for block in BLOCKS:
        if block.name == block_name and block.base is not None:
            yield f"{block.name}/{block.base}"
    for formula in (*(goal.figure for goal in GOALS), *_RELATIVE):
        if formula.row == key:
            yield from formula.rows
