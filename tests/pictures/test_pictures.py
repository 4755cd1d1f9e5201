"""The pictures of the README: they show what the project shows today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pictures.draw import pictures
from pictures.jobs import night

FOLDER = Path(__file__).parents[2] / ".github"


def words(picture: str) -> list[str]:
    """Return the texts of an SVG, in order."""
    return [text for text in re.findall(r">([^<>]+)<", picture) if text.strip()]


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    """The pictures as they are drawn now."""
    return dict(pictures(night()))


@pytest.mark.parametrize("name", ["watch.svg", "plot.svg"])
def test_they_are_up_to_date(name: str, drawn: dict[str, str]) -> None:
    """Every word of a committed picture is still drawn; if not, `make pictures` draws it anew."""
    assert words((FOLDER / name).read_text(encoding="utf-8")) == words(drawn[name]), "run `make pictures`"


def test_the_view_shows_doubt(drawn: dict[str, str]) -> None:
    """The moment that is shown has what the README says of it: a doubtful job, and one without an answer."""
    shown = " ".join(words(drawn["watch.svg"])).replace("&#160;", " ")
    assert "by the counts all tasks are completed, but &#x27;late-1&#x27; is running" in shown
    assert "3 polls in a row have no answer" in shown


def test_the_chart_shows_doubt(drawn: dict[str, str]) -> None:
    """The chart has a time without counts, and one with doubtful ones."""
    assert {"unknown", "doubtful"} <= set(words(drawn["plot.svg"]))


def test_no_picture_needs_the_network(drawn: dict[str, str]) -> None:
    """A picture loads nothing: no font, no image."""
    for picture in drawn.values():
        assert "url(http" not in picture
        assert 'href="http' not in picture
