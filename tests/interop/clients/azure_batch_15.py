"""The adapter of azure-batch 15.1, whose synchronous and asynchronous clients have the same methods."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import Any

from azure.batch import BatchClient, models  # type: ignore[import-untyped] # It is in its own environment.
from azure.core import MatchConditions
from azure.core.credentials import AccessToken, AzureNamedKeyCredential
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from interop.clients.checks import run
from interop.clients.client import NO_POOL, PAUSE, Account, Client
from interop.clients.report import See

SCOPE = "https://batch.core.windows.net//.default"

# The client's own error for each status; it has none for the others.
ERRORS = {
    304: ResourceModifiedError,
    404: ResourceNotFoundError,
    409: ResourceExistsError,
    412: ResourceModifiedError,
}


class Credential:
    """A credential of Microsoft Entra that makes its tokens up."""

    def __init__(self) -> None:
        self.scopes: list[tuple[str, ...]] = []

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        """Return a token for an hour."""
        self.scopes.append(scopes)
        return AccessToken("made-up", int(time.time()) + 3600)


class AzureBatch15(Client):
    """The synchronous client; `done` and `every` await what the asynchronous one gives.

    Attributes:
        client_type: The class of the client.
        credential_type: A class of credentials that suits the client.
        failures: The failed attempts that the client tells of, by job.
    """

    error = HttpResponseError
    collection_error = models.CreateTasksError
    # The client's pollers wait.
    settling = 0.0
    needs_reason = True
    client_type = BatchClient
    credential_type: Any = Credential
    failures = {"throttled": 1, "cut-off": 1}  # noqa: RUF012 - Nobody changes it.

    def __init__(self, account: Account, **options: Any) -> None:
        super().__init__(account, **options)
        self.runner = asyncio.Runner()
        self.credential: Any = (
            self.credential_type() if self.token else AzureNamedKeyCredential(account.name, self.key)
        )
        self.client = self.client_type(
            self.endpoint,
            self.credential,
            raw_request_hook=lambda request: self.requests.append(request.http_request.method),
            **({"connection_verify": account.authority} if self.tls else {}),
        )

    def close(self) -> None:
        self.done(self.client.close())
        self.runner.close()

    def done(self, result: Any) -> Any:
        """Return the result of a call, awaited if need be."""
        return self.runner.run(result) if inspect.iscoroutine(result) else result

    def every(self, listing: Any) -> list[Any]:
        """Return everything in a listing, over all its pages."""

        async def collected() -> list[Any]:
            return [item async for item in listing]

        return self.done(collected()) if hasattr(listing, "__aiter__") else list(listing)

    def pages(self, listing: Any) -> list[list[Any]]:
        """Return a listing page by page."""

        async def collected() -> list[list[Any]]:
            return [[item async for item in page] async for page in listing.by_page()]

        if not hasattr(listing, "__aiter__"):
            return [list(page) for page in listing.by_page()]
        found: list[list[Any]] = self.done(collected())
        return found

    def ended(self, poller: Any) -> Any:
        """Return the result of a long-running operation, None if it has none."""
        return self.done(self.done(poller).result())

    def see_refusal(self, see: See, error: Any, status: int, code: str | None) -> None:
        see("error", type(error).__name__, ERRORS.get(status, HttpResponseError).__name__)
        see("status", error.status_code, status)
        if code is not None:
            see("code", error.error and error.error.code, code)

    def see_refused_task(self, see: See, error: Any, task_id: str, code: str) -> None:
        see("failures", [(each.task_id, each.error.code) for each in error.failure_tasks], [(task_id, code)])
        see("other errors", list(error.errors), [])

    def create_job(self, job_id: str, pool_id: str = NO_POOL, **options: Any) -> Any:
        if "constraints" in options:
            options["constraints"] = models.BatchJobConstraints(**options["constraints"])
        if "metadata" in options:
            options["metadata"] = [models.BatchMetadataItem(**item) for item in options["metadata"]]
        pool = models.BatchPoolInfo(pool_id=pool_id)
        job = models.BatchJobCreateOptions(id=job_id, pool_info=pool, **options)
        return self.done(self.client.create_job(job))

    def get_job(self, job_id: str, *, if_none_match: str | None = None) -> Any:
        return self.done(self.client.get_job(job_id, **conditions(if_none_match, MatchConditions.IfModified)))

    def get_job_patiently(self, see: See, job_id: str) -> Any:
        got, answer = self.done(self.client.get_job(job_id, cls=lambda answer, got, _: (got, answer)))
        see("attempts that failed", len(answer.context.get("history", ())), self.failures[job_id])
        return got

    def list_jobs(self, **options: Any) -> list[Any]:
        return self.every(self.client.list_jobs(**selected(options)))

    def job_pages(self, max_results: int) -> list[list[Any]]:
        return self.pages(self.client.list_jobs(max_results=max_results))

    def update_job(self, job_id: str, *, if_match: str | None = None, **changes: Any) -> Any:
        update = models.BatchJobUpdateOptions(**changes)
        match = conditions(if_match, MatchConditions.IfNotModified)
        return self.done(self.client.update_job(job_id, update, **match))

    def disable_job(self, job_id: str) -> Any:
        requeue = models.BatchJobDisableOptions(disable_tasks=models.DisableBatchJobOption.REQUEUE)
        return self.ended(self.client.begin_disable_job(job_id, requeue, polling_interval=PAUSE))

    def enable_job(self, job_id: str) -> Any:
        return self.ended(self.client.begin_enable_job(job_id, polling_interval=PAUSE))

    def terminate_job(self, job_id: str, reason: str) -> Any:
        # The client doesn't show the name of its class of options, and fails by itself without any.
        options = {"terminateReason": reason}
        return self.ended(self.client.begin_terminate_job(job_id, options, polling_interval=PAUSE))

    def delete_job(self, job_id: str) -> Any:
        return self.ended(self.client.begin_delete_job(job_id, polling_interval=PAUSE))

    def get_job_task_counts(self, job_id: str) -> Any:
        return self.done(self.client.get_job_task_counts(job_id))

    def task(self, task_id: str, **options: Any) -> Any:
        if "depends_on" in options:
            options["depends_on"] = models.BatchTaskDependencies(task_ids=options["depends_on"])
        return models.BatchTaskCreateOptions(id=task_id, command_line="/bin/true", **options)

    def create_task(self, job_id: str, task_id: str, **options: Any) -> Any:
        return self.done(self.client.create_task(job_id, self.task(task_id, **options)))

    def create_tasks(self, job_id: str, names: list[str], **options: Any) -> list[Any]:
        results: list[Any] = self.done(
            self.client.create_tasks(job_id, [self.task(name, **options) for name in names])
        ).result_values
        return results

    def list_tasks(self, job_id: str, **options: Any) -> list[Any]:
        return self.every(self.client.list_tasks(job_id, **selected(options)))

    def task_pages(self, job_id: str, max_results: int) -> list[list[Any]]:
        return self.pages(self.client.list_tasks(job_id, max_results=max_results))

    def get_task(self, job_id: str, task_id: str) -> Any:
        return self.done(self.client.get_task(job_id, task_id))

    def terminate_task(self, job_id: str, task_id: str) -> Any:
        return self.done(self.client.terminate_task(job_id, task_id))

    def reactivate_task(self, job_id: str, task_id: str) -> Any:
        return self.done(self.client.reactivate_task(job_id, task_id))

    def delete_task(self, job_id: str, task_id: str, *, if_match: str | None = None) -> Any:
        match = conditions(if_match, MatchConditions.IfNotModified)
        return self.done(self.client.delete_task(job_id, task_id, **match))

    def see_token(self, see: See) -> None:
        see("scopes", set(self.credential.scopes), {(SCOPE,)})


def conditions(etag: str | None, condition: MatchConditions) -> dict[str, Any]:
    """Return the options of a conditional request, none without an ETag."""
    return {} if etag is None else {"etag": etag, "match_condition": condition}


def selected(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a listing, with the members to select as a list."""
    return options | ({"select": options["select"].split(",")} if "select" in options else {})


if __name__ == "__main__":
    run(AzureBatch15(Account()))
