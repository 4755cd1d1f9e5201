"""The public API is the committed one: a name that goes, changes or comes is seen in a review."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher, get_close_matches

import pytest

from support.public_api import FILE, public_api

ADVICE = """
A name that was removed or renamed breaks its users: CHANGELOG.md says what a version may change.
If the change is meant, run 'make api', commit tests/data/public_api.txt, and tell of it in CHANGELOG.md."""


def differences(before: list[str], after: list[str]) -> Iterator[str]:
    """Yield each difference between two public APIs; lines that are much alike are one change."""
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            continue
        added = after[new_start:new_end]
        for line in before[start:end]:
            if alike := get_close_matches(line, added, 1, 0.7):
                added.remove(alike[0])
                word = "changed" if name(line) == name(alike[0]) else "renamed"
                yield f"{word}: {line}\n      to: {alike[0]}"
            else:
                yield f"removed: {line}"
        yield from (f"added: {line}" for line in added)


def name(line: str) -> str:
    """Return the name that a line is about."""
    return re.split(r"[:=]", line, maxsplit=1)[0]


def test_public_api_is_the_committed_one() -> None:
    """Every public name of the packages, the plugin and the command line is in the committed file."""
    found = list(differences(FILE.read_text(encoding="utf-8").splitlines(), public_api()))
    if found:
        pytest.fail("\n".join(["The public API changed.", *found, ADVICE]), pytrace=False)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("a.f: int|a.g: int", "a.f: int|a.g: int", ""),
        ("a.f: int|a.g: int", "a.f: int", "removed: a.g: int"),
        ("a.f: int", "a.f: int|a.g: int", "added: a.g: int"),
        ("a.count: int", "a.count: str", "changed: a.count: int\n      to: a.count: str"),
        ("a.counts: int", "a.count: int", "renamed: a.counts: int\n      to: a.count: int"),
        ("a.f: int|a.g(x: int)", "a.g(x: int)|a.f: int", "added: a.g(x: int)|removed: a.g(x: int)"),
        ("a.f: int", "b.wait: method", "removed: a.f: int|added: b.wait: method"),
    ],
)
def test_differences_are_named(before: str, after: str, found: str) -> None:
    """A line that was removed, renamed, changed or added is told as that."""
    assert list(differences(before.split("|"), after.split("|"))) == (found.split("|") if found else [])
