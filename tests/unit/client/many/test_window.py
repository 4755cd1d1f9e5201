"""The window: the limit of concurrent requests, and the end of a cooldown."""

import pytest

from taskcounts.many.window import Window, check_concurrency, open_window
from taskcounts.net.limits import MAX_CONNECTIONS


def test_begins_open() -> None:
    """A new window is as wide as it may be."""
    window = open_window(3)
    assert window.allows(2, 0)
    assert not window.allows(3, 0)


@pytest.mark.parametrize("status", [429, 503])
def test_refusal_halves(status: int) -> None:
    """A 429 or 503 halves the limit, begins a round, and starts a cooldown."""
    window = open_window(8).after(0, status, resume_at=50)
    assert window == Window(most=8, limit=4, round=1, resume_at=50)
    assert not window.allows(0, 49.9)
    assert window.allows(0, 50)


def test_burst_of_refusals_halves_once() -> None:
    """Refusals of requests sent before the halving only lengthen the cooldown."""
    window = open_window(8)
    for resume_at in (50, 60, 40):
        window = window.after(0, 429, resume_at)
    assert window == Window(most=8, limit=4, round=1, resume_at=60)


def test_never_below_one() -> None:
    """However often it is halved, one request may be under way."""
    window = open_window(3)
    for of_round in range(5):
        assert window.allows(0, of_round)
        window = window.after(of_round, 429, of_round)
    assert (window.limit, window.round) == (1, 5)


@pytest.mark.parametrize("status", [200, 404, 401, 302, 400, 499])
def test_answers_widen(status: int) -> None:
    """Any answer that shows no trouble of the service adds 1 / limit, up to ``most``."""
    window = Window(most=4, limit=2.0, round=3).after(3, status, 99)
    assert window == Window(most=4, limit=2.5, round=3)
    assert Window(most=4, limit=3.9).after(0, status, 0).limit == 4


def test_nothing_changes_where_the_service_keeps_up() -> None:
    """An open window stays the very same with each good answer, and costs nothing."""
    window = open_window(4)
    assert window.after(0, 200, 99) is window


@pytest.mark.parametrize("status", [None, 500, 502, 504, 520, 408])
def test_trouble_changes_nothing(status: int | None) -> None:
    """An answer that shows nothing of the service's load leaves the limit as it is."""
    assert Window(most=4, limit=2.0).after(0, status, 99) == Window(most=4, limit=2.0)


def test_answers_of_before_do_not_widen() -> None:
    """A request that was sent before the halving says nothing of what the service bears after it."""
    window = Window(most=8, limit=4.0, round=1)
    assert window.after(0, 200, 0).limit == 4


def test_part_of_a_place_is_none() -> None:
    """Of a limit of 2.9, two may be under way."""
    window = Window(most=4, limit=2.9)
    assert window.allows(1, 0)
    assert not window.allows(2, 0)


@pytest.mark.parametrize("wrong", [0, -1, MAX_CONNECTIONS + 1, 10**9])
def test_concurrency_out_of_range(wrong: int) -> None:
    """A concurrency that no client can keep is refused with the range to give."""
    with pytest.raises(ValueError, match="give 1 to 256"):
        check_concurrency(wrong)


@pytest.mark.parametrize("wrong", [True, 1.0, "4", None])
def test_concurrency_of_another_type(wrong: object) -> None:
    """A concurrency that is no int is refused by its type."""
    with pytest.raises(TypeError, match="concurrency must be an int"):
        check_concurrency(wrong)  # type: ignore[arg-type]


def test_concurrency() -> None:
    """From one to as many connections as there are is fine."""
    assert (check_concurrency(1), check_concurrency(MAX_CONNECTIONS)) == (1, 256)
