"""Lists, followed from page to page, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from contract.probing import Judged
from contract.target import Answered, Counts, Item, Target

# How many pages of a list are looked at; more of it says nothing new.
MOST_PAGES = 40


@dataclass
class Listing:
    """The result of following the links of a list.

    Attributes:
        answers: The answers, one for each page.
        items: The items on all pages.
        whole: Whether the last page was reached.
        wrong: The promise of the service that the list breaks, None if there is none.
    """

    answers: list[Answered] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    whole: bool = False
    wrong: str | None = None

    @property
    def by_id(self) -> dict[str, Item]:
        """What is listed, by its id in lower case."""
        return {item["id"].lower(): item for item in self.items}

    def judged(self, wrong: str | None = None) -> Judged:
        """Yield the answers, the last one with what is wrong with the list."""
        *before, last = self.answers
        yield from ((answered, None) for answered in before)
        yield last, self.wrong or wrong


def follow(
    target: Target, operation: str, query: str = "", job: str | None = None, most: int = MOST_PAGES
) -> Listing:
    """Ask for a list page by page, by the links that the pages give.

    Args:
        target: Who is asked.
        operation: Which list.
        query: Further parameters, as they are sent.
        job: Whose tasks; by default those of the target's job.
        most: How many pages to ask for.
    """
    listing = Listing()
    asked = target.locate(operation, query, job)
    pages: dict[str, int] = {}
    while True:
        number = pages[asked] = len(pages) + 1
        answered = target.ask(asked)
        listing.answers.append(answered)
        page = answered.conforming(operation)
        if page is None:
            listing.wrong = f"page {number} is no list: {answered.status}"
            return listing
        listing.items += page["value"]
        link = page.get("odata.nextLink")
        if link is None:
            listing.whole = True
            return listing
        if not link.lower().startswith(target.endpoint.lower() + "/"):
            # The credential would go to wherever that is.
            listing.wrong = f"the link on page {number} leads elsewhere"
            return listing
        asked = link[len(target.endpoint) :]
        if asked in pages:
            listing.wrong = f"the link on page {number} leads back to page {pages[asked]}"
            return listing
        if number == most:
            return listing


def tally(items: list[Item]) -> Counts:
    """Count listed tasks: how many they are, and how many slots they need."""
    tasks, slots = [0] * 5, [0] * 5
    for item in items:
        info = item.get("executionInfo", {})
        for place in _places(item["state"].lower(), info.get("result", "").lower()):
            tasks[place] += 1
            slots[place] += item.get("requiredSlots", 1)
    return (tasks[0], tasks[1], tasks[2], tasks[3], tasks[4]), (
        slots[0], slots[1], slots[2], slots[3], slots[4]
    )  # fmt: skip


def _places(state: str, result: str) -> Iterator[int]:
    """Yield which of active, running, completed, succeeded and failed a task counts to."""
    places = {"active": 0, "preparing": 1, "running": 1, "completed": 2}
    if state in places:
        yield places[state]
    if state == "completed" and result in ("success", "failure"):
        yield 3 if result == "success" else 4
