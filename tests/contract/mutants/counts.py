"""Mutants of the counts: wrong numbers in each counter of tasks and of slots, and wrong blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from contract.mutants.server import Answer, Mutant, Request, Serve, Server
from contract.target import COUNTS

BLOCKS = ("taskCounts", "taskSlotCounts")
COUNTERS = ("active", "running", "completed", "succeeded", "failed")

STANDS_STILL = "the counts of a job that stands still don't change"
ONE_JOB = "only one job is counted there"
SMALL = "the job's numbers are too small for that"
SAME = "both numbers are the same there"

# The checks that hold counts against the truth, or against each other.
TRUTH = frozenset({"counts-agree", "reference", "true-counts", "movement", "stillness"})

Change = Callable[[Server, Request, dict[str, dict[str, int]]], Any]


def counts(change: Change) -> Serve:
    """Return a server that changes both blocks of its counts."""

    def serve(server: Server, request: Request) -> Answer:
        answer = server.ask(request)
        if answer.status == 200 and request.operation == COUNTS:
            body = answer.json
            change(server, request, body)
            answer.json = body
        return answer

    return serve


def _one(block: str, counter: str, change: Callable[[int, dict[str, dict[str, int]]], int]) -> Serve:
    """Return a server that changes one number, given the right ones."""

    def spoil(_: Server, __: Request, body: dict[str, dict[str, int]]) -> None:
        body[block][counter] = change(body[block][counter], body)

    return counts(spoil)


def _frozen(block: str, counter: str) -> Serve:
    """Return a server that remembers one number of each job as it was at first."""

    def spoil(server: Server, request: Request, body: dict[str, dict[str, int]]) -> None:
        number = body[block][counter]
        body[block][counter] = server.memory.setdefault(request.job.lower(), number)

    return counts(spoil)


def _sometimes(fits: Callable[[int], bool], change: Change) -> Serve:
    """Return a server that changes some of its counts, by the number of the answer."""

    def spoil(server: Server, request: Request, body: dict[str, dict[str, int]]) -> None:
        server.memory["answers"] = number = server.memory.get("answers", 0) + 1
        if fits(number):
            change(server, request, body)

    return counts(spoil)


def _put(block: str, counter: str, number: int) -> Change:
    return lambda _, __, body: body[block].update({counter: number})


def _of_job(block: str, counter: str, job: str) -> Serve:
    """Return a server that takes one number from another job."""

    def spoil(server: Server, request: Request, body: dict[str, dict[str, int]]) -> None:
        body[block][counter] = server.ask_instead(request, request.of_job(job)).json[block][counter]

    return counts(spoil)


def _numbers() -> Iterator[Mutant]:
    for block, other in (BLOCKS, BLOCKS[::-1]):
        neighbours = dict(pairwise((*COUNTERS, COUNTERS[0])))
        for counter in COUNTERS:
            wrong: dict[str, tuple[Serve, str]] = {
                "zero": (_one(block, counter, lambda *_: 0), ""),
                "doubled": (_one(block, counter, lambda number, _: 2 * number), ""),
                "one more": (_one(block, counter, lambda number, _: number + 1), ""),
                "one less": (_one(block, counter, lambda number, _: max(number - 1, 0)), ""),
                "its neighbour": (
                    _one(block, counter, lambda _, body, b=block, c=neighbours[counter]: body[b][c]),  # type: ignore[misc]
                    SAME if (block, counter) == ("taskSlotCounts", "running") else "",
                ),
                "of the other block": (
                    _one(block, counter, lambda _, body, b=other, c=counter: body[b][c]),  # type: ignore[misc]
                    SAME if counter == "failed" else "",
                ),
                "at most 1,000": (_one(block, counter, lambda number, _: min(number, 1000)), SMALL),
                "in 8 bits": (_one(block, counter, lambda number, _: number % 2**8), SMALL),
                "as it was at first": (_frozen(block, counter), STANDS_STILL),
                "zero at every seventh answer": (
                    _sometimes(lambda number: number % 7 == 0, _put(block, counter, 0)),
                    "",
                ),
                "of a job without tasks": (_of_job(block, counter, "empty"), ""),
                "of another job": (_of_job(block, counter, "nightly:job-12"), ""),
            }
            if block == BLOCKS[1]:
                wrong["in 16 bits"] = (_one(block, counter, lambda number, _: number % 2**16), SMALL)
            # A sum that is wrong says so by itself.
            invariants = {"invariants"} if counter in COUNTERS[2:] else set()
            for what, (serve, unseen) in wrong.items():
                yield Mutant(f"counts: {block}", f"{counter} {what}", TRUTH | invariants, serve, unseen)


def _zeros(*_: object) -> None:
    body: dict[str, dict[str, int]] = _[2]  # type: ignore[assignment]
    for block in BLOCKS:
        body[block].update(dict.fromkeys(COUNTERS, 0))


def _each(change: Callable[[dict[str, int]], object]) -> Change:
    """Return what changes both blocks in the same way."""
    return lambda _, __, body: [change(body[block]) for block in BLOCKS]


def _move(block: dict[str, int], old: str, new: str) -> None:
    """Count one as another, so that the sums agree."""
    if block[old]:
        block[old] -= 1
        block[new] += 1


def _swap(block: dict[str, int], one: str, other: str) -> None:
    block[one], block[other] = block[other], block[one]


def _completed_for_running(block: dict[str, int]) -> None:
    block.update(completed=block["completed"] + block["running"], running=0)
    block.update(succeeded=block["completed"] - block["failed"])


def _job_before(server: Server, request: Request) -> Answer:
    """Answer with the counts of the job that was asked for before."""
    answer = server.ask(request)
    if answer.status == 200 and request.operation == COUNTS:
        before = server.memory.get("body", answer.body)
        server.memory["body"], answer.body = answer.body, before
    return answer


def _first_answer(server: Server, request: Request) -> Answer:
    """Answer for each job as at first."""
    answer = server.ask(request)
    if answer.status == 200 and request.operation == COUNTS:
        answer.body = server.memory.setdefault(request.job.lower(), answer.body)
    return answer


def _zeros_if(fits: Callable[[Request], bool]) -> Serve:
    def spoil(server: Server, request: Request, body: dict[str, dict[str, int]]) -> None:
        if fits(request):
            _zeros(server, request, body)

    return counts(spoil)


def _other_job(job: str) -> Serve:
    """Return a server that counts another job."""
    return lambda server, request: (
        server.ask_instead(request, request.of_job(job))
        if _is_counted(server, request)
        else server.ask(request)
    )


def _is_counted(server: Server, request: Request) -> bool:
    return request.operation == COUNTS and server.ask(request).status == 200


_ANSWERS: Mapping[str, tuple[Serve, str]] = {
    "all zero": (counts(_zeros), ""),
    "all doubled": (counts(_each(lambda block: block.update({name: 2 * block[name] for name in block}))), ""),
    "all one more": (
        counts(_each(lambda block: block.update({name: block[name] + 1 for name in block}))),
        "",
    ),
    "slots as tasks": (counts(lambda _, __, body: body.update(taskCounts=body["taskSlotCounts"])), ""),
    "tasks as slots": (counts(lambda _, __, body: body.update(taskSlotCounts=body["taskCounts"])), ""),
    "the blocks swapped": (
        counts(
            lambda _, __, body: body.update(zip(BLOCKS, [body[name] for name in BLOCKS[::-1]], strict=True))
        ),
        "",
    ),
    "no slots": (
        counts(lambda _, __, body: body["taskSlotCounts"].update(dict.fromkeys(COUNTERS, 0))),
        "",
    ),
    "no tasks": (counts(lambda _, __, body: body["taskCounts"].update(dict.fromkeys(COUNTERS, 0))), ""),
    "active and running swapped": (counts(_each(lambda block: _swap(block, "active", "running"))), ""),
    "succeeded and failed swapped": (counts(_each(lambda block: _swap(block, "succeeded", "failed"))), ""),
    "one failed as succeeded": (counts(_each(lambda block: _move(block, "failed", "succeeded"))), ""),
    "one running as active": (counts(_each(lambda block: _move(block, "running", "active"))), ""),
    "running as completed": (counts(_each(_completed_for_running)), ""),
    "all active": (
        counts(_each(lambda block: block.update(active=sum([*block.values()][:3]), running=0, completed=0))),
        "",
    ),
    "one more succeeded": (
        counts(
            _each(
                lambda block: block.update(completed=block["completed"] + 1, succeeded=block["succeeded"] + 1)
            )
        ),
        "",
    ),
    "the completed left out": (
        counts(_each(lambda block: block.update(completed=0, succeeded=0, failed=0))),
        "",
    ),
    "another job's": (_other_job("nightly:job-12"), ""),
    "an empty job's": (_other_job("empty"), ""),
    "those of the job before": (_job_before, ""),
    "as at first": (_first_answer, STANDS_STILL),
    "zero at every seventh answer": (_sometimes(lambda number: number % 7 == 0, _zeros), ""),
    "zero at the first answer": (_sometimes(lambda number: number == 1, _zeros), ""),
    "zero after 20 answers": (_sometimes(lambda number: number > 20, _zeros), ""),
    "one more with every answer": (
        counts(
            lambda server, _, body: body["taskCounts"].update(
                active=body["taskCounts"]["active"]
                + server.memory.setdefault("more", iter(range(10**6))).__next__()
            )
        ),
        "",
    ),
    "zero with a timeout": (_zeros_if(lambda request: "timeout" in request.parameters), ""),
    "zero with a client-request-id": (_zeros_if(lambda request: "client-request-id" in request.headers), ""),
    "zero without a client-request-id": (
        _zeros_if(lambda request: "client-request-id" not in request.headers),
        "",
    ),
    "zero for an id in another case": (_zeros_if(lambda request: request.job == "NIGHTLY-RENDER"), ""),
    "zero for jobs of schedules": (_zeros_if(lambda request: ":" in request.job), ONE_JOB),
}


def mutants() -> Iterator[Mutant]:
    """Yield the mutants of the counts."""
    yield from _numbers()
    for what, (serve, unseen) in _ANSWERS.items():
        yield Mutant("counts: both blocks", what, TRUTH | {"invariants"}, serve, unseen)
