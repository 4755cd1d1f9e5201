"""The account's jobs, page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable
from typing import TYPE_CHECKING, Any

from taskcounts.arguments import JOB_ID, new_guid
from taskcounts.clock import AnyClock
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

# Pages in a row without a job after which a list counts as endless. A filter that few jobs pass makes some
# empty pages. Each page has a deadline of its own, so no deadline would end such a list.
MAX_EMPTY = 1000


class Listing:
    """One list of jobs, read page by page. ``ended`` is true after the last page."""

    def __init__(self, settings: Settings, call: Call, filter_: str | None) -> None:
        self.ended = False
        self._settings = settings
        self._call = call
        self._options: dict[str, Any] = {"select": "id,state"}
        if filter_ is not None:
            self._options["filter_"] = filter_
        self._link: str | None = None
        self._loop_detector = LoopDetector()
        self._empty = 0

    def next_page(self) -> Flow[list[ListedJob]]:
        """Return the jobs of the next page, which may be empty without being the last."""
        operation = job_list_operation(
            self._settings.endpoint, link=self._link, loop_detector=self._loop_detector, **self._options
        )
        # Checked while the answer is read: so an error has all details of the answer.
        page: Page = yield from exchange(
            self._settings,
            operation._replace(build=lambda answer: self._checked(operation, answer)),
            self._call,
        )
        if page.inconsistencies:
            _warn(page.inconsistencies)
        self._empty = 0 if page.items else self._empty + 1
        self._link = page.link
        self.ended = page.link is None
        self._call = self._call._replace(client_request_id=new_guid())
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


def list_jobs(listing: Listing, engine: Engine, clock: AnyClock) -> Generator[ListedJob, None, None]:
    """Yield the jobs of all pages; the next page is asked for once the jobs before are used up."""
    while not listing.ended:
        yield from run(listing.next_page(), engine, clock)


async def list_jobs_async(
    listing: Listing, engine: AsyncEngine, clock: AnyClock
) -> AsyncGenerator[ListedJob, None]:
    """Yield the jobs of all pages; the next page is asked for once the jobs before are used up."""
    while not listing.ended:
        for job in await run_async(listing.next_page(), engine, clock):
            yield job


def check_filter(text: str | None) -> str | None:
    """Return a filter; raise ValueError or TypeError for an unfit one."""
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
