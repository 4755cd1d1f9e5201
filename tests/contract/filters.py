"""The filters of the fragment, understood: whether a task or a job fits one."""

from __future__ import annotations

import re
from collections.abc import Callable

from contract.target import Asked, Item

Fits = Callable[[Item], bool | None]
"""Returns whether an item fits; None if nobody says so, or if what decides it isn't there."""

_TERM = re.compile(r"(?P<path>[A-Za-z/]+) (?P<operator>eq|ne) '(?P<value>[^']*)'")
_BEGINNING = re.compile(r"startswith\(id,'(?P<value>[^']*)'\)")


def filter_of(asked: Asked) -> Fits | None:
    """Return what decides whether an item fits a request's filter; None, if the fragment doesn't have it."""
    text = asked.query.get("$filter")
    if text is None:
        return lambda _: True
    if asked.operation is None:
        return None
    pattern = asked.operations[asked.operation].parameters.get("$filter", {}).get("pattern", "(?!)")
    # No value of the fragment's has spaces, so that the words between terms are none of a term's.
    return _any_of(text) if re.fullmatch(pattern, text) else None


def _any_of(text: str) -> Fits:
    alternatives = [_all_of(part) for part in text.split(" or ")]

    def fits(item: Item) -> bool | None:
        answers = {alternative(item) for alternative in alternatives}
        return True if True in answers else None if None in answers else False

    return fits


def _all_of(text: str) -> Fits:
    terms = [_term(part) for part in text.split(" and ")]

    def fits(item: Item) -> bool | None:
        answers = {term(item) for term in terms}
        return False if False in answers else None if None in answers else True

    return fits


def _term(text: str) -> Fits:
    beginning = _BEGINNING.fullmatch(text)
    if beginning is not None:
        return lambda item: item["id"].lower().startswith(beginning["value"].lower())
    term = _TERM.fullmatch(text)
    assert term is not None
    head, _, rest = term["path"].partition("/")
    wanted, equal = term["value"].lower(), term["operator"] == "eq"

    def holds(item: Item) -> bool | None:
        value = item.get(head, {}).get(rest) if rest else item.get(head)
        if value is None:
            # A running task has no result. Whether that differs from one, nobody says.
            return False if equal and item.get("state", "completed").lower() != "completed" else None
        return bool((value.lower() == wanted) == equal)

    return holds
