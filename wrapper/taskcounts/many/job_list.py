"""The account's jobs, page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable
from typing import TYPE_CHECKING, Any

from taskcounts.arguments import JOB_ID, new_guid
from taskcounts.clock import AsyncClock, SyncClock
from taskcounts.flow.drive import run, run_async
from taskcounts.flow.exchange import exchange
from taskcounts.flow.steps import Flow, Settings
from taskcounts.many.values import ListedJob
from taskcounts.protocol.lists import LoopDetector, Page, job_list_operation
from taskcounts.protocol.messages import Call, CheckedAnswer, Operation
from taskcounts.protocol.schema import Violation
from taskcounts.snapshot import Inconsistency

if TYPE_CHECKING:
    from taskcounts.net.base import AsyncEngine, Engine

# Pages in a row without a job. A filter that few jobs pass makes some; what goes on so for longer has no end,
# and nobody would hear of it: each page has a deadline of its own.
MAX_EMPTY = 1000


class Listing:
    """The pages of one list of jobs. ``ended`` is true after the last one."""

    def __init__(self, settings: Settings, call: Call, filter_: str | None) -> None:
        self.ended = False
        self._settings = settings
        self._question = call
        self._options: dict[str, Any] = {"select": "id,state"}
        if filter_ is not None:
            self._options["filter_"] = filter_
        self._link: str | None = None
        self._loop_detector = LoopDetector()
        self._empty = 0

    def next_page(self) -> Flow[list[ListedJob]]:
        """Ask for the next page, which may have no jobs without being the last."""
        operation = job_list_operation(
            self._settings.endpoint, link=self._link, loop_detector=self._loop_detector, **self._options
        )
        # What is checked while an answer is read gets all that is known of it into its error.
        page: Page = yield from exchange(
            self._settings,
            operation._replace(build=lambda answer: self._checked(operation, answer)),
            self._question,
        )
        if page.inconsistencies:
            _warn(page.inconsistencies)
        self._empty = 0 if page.items else self._empty + 1
        self._link = page.link
        self.ended = page.link is None
        self._question = self._question._replace(client_request_id=new_guid())
        return [
            ListedJob(job_id=item["id"], state=item["state"].lower(), inconsistencies=page.inconsistencies)
            for item in page.items
        ]

    def _checked(self, operation: Operation[Page], answer: CheckedAnswer) -> Page:
        page = operation.build(answer)
        if not page.items and page.link is not None and self._empty + 1 == MAX_EMPTY:
            text = f"{MAX_EMPTY:,} pages in a row hold no job, and there are more: the list has no end"
            raise Violation("odata.nextLink", text)
        for index, item in enumerate(page.items):
            if not JOB_ID.fullmatch(item["id"]):
                raise Violation(f"value[{index}].id", "it is no job id")
        return page


def _warn(doubts: Iterable[Inconsistency]) -> None:
    import logging  # noqa: PLC0415 - takes 4 ms to load, and few answers are doubtful.

    for doubt in doubts:
        logging.getLogger("taskcounts").warning("the list of jobs: %s", doubt.text)


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
