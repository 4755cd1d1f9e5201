"""$select and $skiptoken: known names, and tokens that are valid for their list."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.tables import table
from taskcounts_emulator.api.selection import parse_select, read_skiptoken, skiptoken

KNOWN = ("id", "state", "executionInfo", "requiredSlots")
BOUND = "/jobs/nightly/tasks\n$filter=state eq 'active'\nmaxresults=5"

# Not only what ids are made of: a token has to carry anything that a store may hold.
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=80)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, None),
        ("id", {"id"}),
        ("id,state,executionInfo,requiredSlots", set(KNOWN)),
        (" id ,\tstate ", {"id", "state"}),
        ("id,id", {"id"}),
    ],
)
def test_a_selection_is_names_with_commas(text: str | None, names: set[str] | None) -> None:
    """Blanks around commas and repeated names are ignored; the default is all members."""
    assert parse_select(text, KNOWN) == names


@pytest.mark.parametrize("known", [KNOWN, frozenset(KNOWN), dict.fromkeys(KNOWN)])
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        *table("emulator/selections", "wrong selections"),
        ("x" * 5000, "unknown member 'xxxxxxxxxxxx...xxxxxxxxxxxxx'"),
    ],
)
def test_a_wrong_selection_is_refused_with_the_known_names(
    text: str, wrong: str, known: tuple[str, ...]
) -> None:
    """The reason is one line: the problem, and the known names in a fixed order."""
    with pytest.raises(ValueError, match="known are") as caught:
        parse_select(text, known)
    assert str(caught.value) == f"{wrong}; known are executionInfo, id, requiredSlots, state"


@given(st.text() | st.lists(st.sampled_from([*KNOWN, "", "x", "a/b", " "])).map(",".join))
def test_any_text_selects_what_is_known_or_is_refused(text: str) -> None:
    """Any text gives known names or a ValueError."""
    try:
        names = parse_select(text, KNOWN)
    except ValueError as error:
        reason = str(error)
    else:
        reason = ""
        assert names
        assert names <= set(KNOWN)
    assert len(reason.splitlines()) <= 1


@given(ANYTHING, ANYTHING)
def test_a_token_is_read_as_it_was_made(last_id: str, bound_to: str) -> None:
    """It can contain any id, in characters that need no escape in a URL."""
    token = skiptoken(last_id, bound_to)
    assert re.fullmatch("[A-Za-z0-9_-]+", token)
    assert read_skiptoken(token, bound_to) == last_id


def test_a_token_does_not_change_between_runs() -> None:
    """A link is still valid after a restart of the emulator."""
    assert skiptoken("task-5", BOUND) == "q4MRyuKffsTkInuwdGFzay01"


@given(st.sampled_from(["a", "task-17", ""]), ANYTHING, ANYTHING)
def test_a_token_is_valid_for_its_own_list_alone(last_id: str, bound_to: str, other: str) -> None:
    """With another job, filter or page size it is refused, with advice."""
    token = skiptoken(last_id, bound_to)
    if other != bound_to:
        with pytest.raises(
            ValueError, match=r"^it was not given for this list: follow an odata\.nextLink as it is$"
        ):
            read_skiptoken(token, other)


def test_a_token_separates_its_list_from_its_id() -> None:
    """Moving a character from the list to the id gives another token."""
    with pytest.raises(ValueError, match="not given for this list"):
        read_skiptoken(skiptoken("bc", "a"), "ab")
    assert skiptoken("bc", "a")[:16] != skiptoken("c", "ab")[:16]


@pytest.mark.parametrize(
    "token",
    [
        "",
        "A",
        "AAAA",
        "task-5",
        "!",
        "é",
        "\ud800",
        "\0",
        "A" * 10_000,
        "=" * 10,
        # Not UTF-8 behind the digest.
        "AAAAAAAAAAAAAAAA_w",
        # Otherwise right, but with padding, blanks, another alphabet, and bits that are passed over.
        skiptoken("task-", BOUND) + "=",
        skiptoken("task-", BOUND) + "\n",
        skiptoken("task-", BOUND)[:-1] + "!" + skiptoken("task-", BOUND)[-1],
        skiptoken("a??>", BOUND).replace("-", "+").replace("_", "/"),
        skiptoken("task-", BOUND)[:-1] + chr(ord(skiptoken("task-", BOUND)[-1]) + 1),
    ],
)
def test_an_invalid_token_is_refused(token: str) -> None:
    """Any other text is a ValueError of one line."""
    with pytest.raises(ValueError, match=r"^it (is|was) .*odata\.nextLink") as caught:
        read_skiptoken(token, BOUND)
    assert type(caught.value) is ValueError
    assert "\n" not in str(caught.value)


@given(ANYTHING | st.text("ABCabc019-_=+/", max_size=60), st.integers(0, 40), st.sampled_from("AZaz09-_"))
def test_garbage_never_leads_anywhere(garbage: str, at: int, letter: str) -> None:
    """Any text is a ValueError, and so is a token with one changed character."""
    token = skiptoken("task-0000000017", BOUND)
    at %= len(token)
    for wrong in (garbage, token[:at] + letter + token[at + 1 :], token[:at], token + letter):
        if wrong != token:
            with pytest.raises(ValueError, match=r"^it "):
                read_skiptoken(wrong, BOUND)
