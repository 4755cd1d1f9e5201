"""The account's jobs, page by page."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator
from typing import Any
from uuid import uuid4

from taskcounts import _answers
from taskcounts._arguments import JOB_ID
from taskcounts._exchange import exchange
from taskcounts._lists import Page, Trail, ask_jobs
from taskcounts._steps import Ask, Exchange, Question, Reply, Settings
from taskcounts._transport import AsyncClock, AsyncEngine, Engine, SyncClock, run, run_async
from taskcounts.many.values import ListedJob

logger = logging.getLogger("taskcounts")


class Listing:
    """The pages of one list of jobs. ``ended`` is true after the last one."""

    def __init__(self, settings: Settings, question: Question, filter_: str | None) -> None:
        self.ended = False
        self._settings = settings
        self._question = question
        self._options: dict[str, Any] = {"select": "id,state"}
        if filter_ is not None:
            self._options["filter_"] = filter_
        self._link: str | None = None
        self._trail = Trail()

    def next_page(self) -> Exchange[list[ListedJob]]:
        """Ask for the next page, which may have no jobs without being the last."""
        ask = ask_jobs(self._settings.endpoint, link=self._link, trail=self._trail, **self._options)
        # What is checked while an answer is read gets all that is known of it into its error.
        page: Page = yield from exchange(
            self._settings, ask._replace(build=lambda reply: self._checked(ask, reply)), self._question
        )
        for doubt in page.doubts:
            logger.warning("the list of jobs: %s", doubt.text)
        self._link = page.link
        self.ended = page.link is None
        self._question = self._question._replace(client_request_id=uuid4())
        return [
            ListedJob(job_id=item["id"], state=item["state"].lower(), inconsistencies=page.doubts)
            for item in page.items
        ]

    @staticmethod
    def _checked(ask: Ask[Page], reply: Reply) -> Page:
        page = ask.build(reply)
        for index, item in enumerate(page.items):
            if not JOB_ID.fullmatch(item["id"]):
                raise _answers.Violation(f"value[{index}].id", "it is no job id")
        return page


def list_jobs(listing: Listing, engine: Engine, clock: SyncClock) -> Generator[ListedJob, None, None]:
    """Yield the jobs of all pages; the next one is asked for when those before are used up."""
    while not listing.ended:
        yield from run(listing.next_page(), engine, clock)


async def list_jobs_async(
    listing: Listing, engine: AsyncEngine, clock: AsyncClock
) -> AsyncGenerator[ListedJob, None]:
    """Yield the jobs of all pages; the next one is asked for when those before are used up."""
    while not listing.ended:
        for job in await run_async(listing.next_page(), engine, clock):
            yield job


def check_filter(text: str | None) -> str | None:
    """Return a filter; refuse what is none before anything is sent."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError(f"filter must be a str, not {type(text).__name__}")
    if not text.strip():
        raise ValueError("filter is empty; leave it out for all jobs")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("filter holds what is no character; give it in UTF-8") from None
    return text
