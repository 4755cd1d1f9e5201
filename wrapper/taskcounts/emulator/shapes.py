"""Bodies of a 200 that break the contract, each in one way: what a client must not take for counts.

Each is made from a job's true counts, and is wrong whatever they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from taskcounts.emulator import wire
from taskcounts.emulator.model import JobCounts

__all__ = ["VARIANTS", "broken_body"]

_Body = dict[str, Any]


def broken_body(variant: str, stamp: wire.Stamp, counts: JobCounts) -> bytes:
    """Return a body of one of the ``VARIANTS``."""
    body: _Body = {"odata.metadata": wire.metadata(stamp, "taskcountsresult"), **counts.as_json()}
    return VARIANTS[variant](body, stamp)


def _with_active(change: Callable[[int], object]) -> Callable[[_Body, wire.Stamp], bytes]:
    """Return a maker of bodies in which the number of active tasks is something else."""

    def make(body: _Body, _: wire.Stamp) -> bytes:
        body["taskCounts"]["active"] = change(body["taskCounts"]["active"])
        return wire.body_text(body)

    return make


def _without_a_number(body: _Body, _: wire.Stamp) -> bytes:
    del body["taskCounts"]["failed"]
    return wire.body_text(body)


def _without_slots(body: _Body, _: wire.Stamp) -> bytes:
    del body["taskSlotCounts"]
    return wire.body_text(body)


def _array(body: _Body, _: wire.Stamp) -> bytes:
    return wire.body_text([body])


def _duplicate(body: _Body, _: wire.Stamp) -> bytes:
    active = json.dumps(body["taskCounts"]["active"])
    return wire.body_text(body).replace(
        f'"active":{active},'.encode(), f'"active":{active},"active":{active},'.encode(), 1
    )


def _flat(body: _Body, stamp: wire.Stamp) -> bytes:
    # What the service itself answered up to api-version 2020-03-01.11.0.
    return wire.body_text({"odata.metadata": wire.metadata(stamp, "taskcounts"), **body["taskCounts"]})


def _contradiction(body: _Body, _: wire.Stamp) -> bytes:
    # Each number is one, and yet they can't all be right.
    body["taskCounts"]["completed"] += 1
    return wire.body_text(body)


def _not_json(body: _Body, _: wire.Stamp) -> bytes:
    return wire.body_text(body)[:-1]


def _not_utf8(body: _Body, _: wire.Stamp) -> bytes:
    return wire.body_text(body).replace(b"odata.metadata", b"odata.metadata\xff", 1)


def _empty(_body: _Body, _: wire.Stamp) -> bytes:
    return b""


VARIANTS: dict[str, Callable[[_Body, wire.Stamp], bytes]] = {
    "missing-member": _without_a_number,
    "missing-slots": _without_slots,
    "string-number": _with_active(str),
    "float": _with_active(lambda number: number + 0.5),
    "negative": _with_active(lambda number: -1 - number),
    "null": _with_active(lambda _: None),
    "boolean": _with_active(lambda _: True),
    "not-a-number": _with_active(lambda _: float("nan")),
    "beyond-int32": _with_active(lambda number: number + 2**31),
    "array": _array,
    "duplicate-member": _duplicate,
    "contradiction": _contradiction,
    "flat": _flat,
    "not-json": _not_json,
    "not-utf8": _not_utf8,
    "empty": _empty,
}
