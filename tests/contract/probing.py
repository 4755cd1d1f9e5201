"""The parts of probes: their conditions, and the judgement of their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from contract.checks import new_guid
from contract.target import Answered, Target
from taskcounts.credentials import SharedKey
from taskcounts.protocol.answers import read_error

Judged = Iterator[tuple[Answered, str | None]]

# The codes that refuse the value of a parameter.
REFUSALS = ("InvalidQueryParameterValue", "OutOfRangeQueryParameterValue")


@dataclass(frozen=True)
class Probe:
    """A question to a target.

    Attributes:
        ask: Asks the question, and returns the judged answers.
        unfit: Returns the reason why a target can't be asked, None if it can.
    """

    ask: Callable[[Target], Judged]
    unfit: Callable[[Target], str | None] = lambda _: None


def expect(answered: Answered, status: int, *codes: str) -> tuple[Answered, str | None]:
    """Judge an answer by its status and, for an error, its code."""
    code = read_error(answered.headers, answered.body)[0]
    said = f"{answered.status} {code or ''}".strip()
    if answered.status != status or (codes and code not in codes):
        return (
            answered,
            f"expected {' or '.join([f'{status} {code}' for code in codes]) or status}, got {said}",
        )
    return answered, None


def own_headers(wanted: str | None = "true", own: str = "") -> dict[str, str]:
    """Return headers with the caller's id, a new one by default; `wanted` says whether it is to come back."""
    flag = {"return-client-request-id": wanted} if wanted else {}
    return {"client-request-id": own or new_guid(), **flag}


def needs_shared_key(target: Target) -> str | None:
    return None if isinstance(target.credential, SharedKey) else "needs a shared key"


def needs_writes(target: Target) -> str | None:
    return "only GETs are sent to this endpoint" if target.gets_only else None


def needs_own_job(target: Target) -> str | None:
    return None if target.known else "needs jobs whose tasks are known"


def needs_movement(target: Target) -> str | None:
    return None if target.moves else "needs a job whose tasks can be moved"
