"""Calls of azure-batch 15.1, synchronous or not: what has to be awaited is, the rest is taken as it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from interop.clients.report import See

__all__ = [
    "CHANGED", "JOB_NOT_FOUND", "TASK_NOT_FOUND", "conflict", "done", "ended", "every", "pages", "refused",
]  # fmt: skip

Refusal = tuple[type[Exception], int, str]

# What each of the service's refusals is for this client.
JOB_NOT_FOUND: Refusal = (ResourceNotFoundError, 404, "JobNotFound")
TASK_NOT_FOUND: Refusal = (ResourceNotFoundError, 404, "TaskNotFound")
CHANGED: Refusal = (ResourceModifiedError, 412, "ConditionNotMet")


async def done(result: Any) -> Any:
    """Return what a call gives, or what it gives in the end."""
    return await result if inspect.isawaitable(result) else result


async def ended(poller: Any) -> None:
    """Wait for a long-running operation."""
    await done((await done(poller)).result())


async def every(listing: Any) -> list[Any]:
    """Return everything in a listing, over all its pages."""
    return [item async for item in listing] if hasattr(listing, "__aiter__") else list(listing)


async def pages(listing: Any) -> list[list[Any]]:
    """Return a listing page by page."""
    return [await every(page) for page in await every(listing.by_page())]


def conflict(code: str) -> Refusal:
    """Return a refusal for the state of things."""
    return ResourceExistsError, 409, code


async def refused(see: See, refusal: Refusal, call: Callable[..., Any], *given: Any, **options: Any) -> None:
    """Make a call that has to be refused, and see the client's own error for it."""
    kind, status, code = refusal
    try:
        result = call(*given, **options)
        # A listing asks for nothing before its first page is wanted.
        await (every(result) if hasattr(result, "by_page") else done(result))
    except HttpResponseError as error:
        see("error", type(error).__name__, kind.__name__)
        see("status", error.status_code, status)
        see("code", error.error and error.error.code, code)
    else:
        raise AssertionError("it was not refused")
