"""The adapter of azure-batch 10.0 to 14.2, the last of the clients that stand on msrest."""

from __future__ import annotations

import datetime
from typing import Any

from azure.batch import BatchServiceClient, models  # type: ignore[import-untyped] # It is in its own environment.
from azure.batch.batch_auth import SharedKeyCredentials  # type: ignore[import-untyped]
from msrest.authentication import BasicTokenAuthentication  # type: ignore[import-not-found]

from interop.clients.checks import run
from interop.clients.client import NO_POOL, Account, Client
from interop.clients.report import See

REQUEST_ID = "0123abcd-0000-4000-8000-0123456789ab"


class AzureBatch14(Client):
    error = models.BatchErrorException
    collection_error = models.CreateTasksErrorException
    renamed = {  # noqa: RUF012 - Nobody changes it.
        "all_tasks_complete_mode": "on_all_tasks_complete",
        "etag": "e_tag",
        "termination_reason": "terminate_reason",
    }

    def __init__(self, account: Account, **options: Any) -> None:
        super().__init__(account, **options)
        credentials = (
            BasicTokenAuthentication({"access_token": "made-up"})
            if self.token
            else SharedKeyCredentials(account.name, self.key)
        )
        self.client = BatchServiceClient(credentials, self.endpoint)
        if self.tls:
            self.client.config.connection.verify = account.authority
        self.client.config.hooks.append(
            lambda response, *_, **__: self.requests.append(response.request.method)
        )
        self.jobs, self.tasks = self.client.job, self.client.task

    def see_refusal(self, see: See, error: Any, status: int, code: str | None) -> None:
        see("status", error.response.status_code, status)
        see("code", error.error.code, code)
        if code is not None:
            see.holds("a message", error.error.message.value)

    def see_refused_task(self, see: See, error: Any, task_id: str, code: str) -> None:
        see("failures", [(each.task_id, each.error.code) for each in error.failure_tasks], [(task_id, code)])
        see("other errors", error.errors, [])

    def create_job(self, job_id: str, pool_id: str = NO_POOL, **options: Any) -> Any:
        if "constraints" in options:
            options["constraints"] = models.JobConstraints(**options["constraints"])
        if "metadata" in options:
            options["metadata"] = [models.MetadataItem(**item) for item in options["metadata"]]
        pool = models.PoolInformation(pool_id=pool_id)
        job = models.JobAddParameter(id=job_id, pool_info=pool, **self.own(options))
        named = models.JobAddOptions(client_request_id=REQUEST_ID, return_client_request_id=True)
        return self.jobs.add(job, named, raw=True)

    def see_created_job(self, see: See, answer: Any) -> None:
        see("status", answer.response.status_code, 201)
        see("client request id", answer.headers["client-request-id"], REQUEST_ID)
        age = datetime.datetime.now(datetime.UTC) - answer.headers["Last-Modified"]
        see.holds("a recent time", abs(age) < datetime.timedelta(minutes=1))
        see.holds("an ETag", answer.headers["ETag"])
        see("the job's ETag", self.get_job("job-1").e_tag, answer.headers["ETag"].strip('"'))

    def get_job(self, job_id: str, *, if_none_match: str | None = None) -> Any:
        return self.jobs.get(job_id, models.JobGetOptions(if_none_match=if_none_match))

    def get_job_patiently(self, see: See, job_id: str) -> Any:
        raw = self.jobs.get(job_id, raw=True)
        see("attempts that failed", len(raw.response.raw.retries.history), 1)
        return raw.output

    def list_jobs(self, **options: Any) -> list[Any]:
        return list(self.jobs.list(models.JobListOptions(**options)))

    def job_pages(self, max_results: int) -> list[list[Any]]:
        return pages(self.jobs.list(models.JobListOptions(max_results=max_results)))

    def update_job(self, job_id: str, *, if_match: str | None = None, **changes: Any) -> Any:
        patch = models.JobPatchParameter(**self.own(changes))
        return self.jobs.patch(job_id, patch, models.JobPatchOptions(if_match=if_match))

    def disable_job(self, job_id: str) -> Any:
        return self.jobs.disable(job_id, models.DisableJobOption.requeue)

    def enable_job(self, job_id: str) -> Any:
        return self.jobs.enable(job_id)

    def terminate_job(self, job_id: str, reason: str | None = None) -> Any:
        # Without a reason the client sends the type of a body, and no body.
        return self.jobs.terminate(job_id, reason)

    def delete_job(self, job_id: str) -> Any:
        return self.jobs.delete(job_id)

    def get_job_task_counts(self, job_id: str) -> Any:
        return self.jobs.get_task_counts(job_id)

    def task(self, task_id: str, **options: Any) -> Any:
        if "depends_on" in options:
            options["depends_on"] = models.TaskDependencies(task_ids=options["depends_on"])
        return models.TaskAddParameter(id=task_id, command_line="/bin/true", **options)

    def create_task(self, job_id: str, task_id: str, **options: Any) -> Any:
        return self.tasks.add(job_id, self.task(task_id, **options), raw=True)

    def see_created_task(self, see: See, answer: Any) -> None:
        see("status", answer.response.status_code, 201)

    def create_tasks(self, job_id: str, names: list[str], **options: Any) -> list[Any]:
        results: list[Any] = self.tasks.add_collection(
            job_id, [self.task(name, **options) for name in names]
        ).value
        return results

    def list_tasks(self, job_id: str, **options: Any) -> list[Any]:
        return list(self.tasks.list(job_id, models.TaskListOptions(**options)))

    def task_pages(self, job_id: str, max_results: int) -> list[list[Any]]:
        return pages(self.tasks.list(job_id, models.TaskListOptions(max_results=max_results)))

    def get_task(self, job_id: str, task_id: str) -> Any:
        return self.tasks.get(job_id, task_id)

    def terminate_task(self, job_id: str, task_id: str) -> Any:
        return self.tasks.terminate(job_id, task_id)

    def reactivate_task(self, job_id: str, task_id: str) -> Any:
        return self.tasks.reactivate(job_id, task_id)

    def delete_task(self, job_id: str, task_id: str, *, if_match: str | None = None) -> Any:
        return self.tasks.delete(job_id, task_id, models.TaskDeleteOptions(if_match=if_match))


def pages(listing: Any) -> list[list[Any]]:
    """Return a listing page by page."""
    found = []
    while listing.next_link is not None:
        found.append(listing.advance_page())
    return found


if __name__ == "__main__":
    run(AzureBatch14(Account()))
