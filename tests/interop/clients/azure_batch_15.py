"""azure-batch 15.1 against a Batch account.

Written once for the synchronous client and the asynchronous one, which have the same methods.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from collections.abc import Callable
from typing import Any

from azure.batch import BatchClient, models  # type: ignore[import-untyped] # It is in its own environment.
from azure.core import MatchConditions
from azure.core.credentials import AccessToken, AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError, ResourceModifiedError

from interop.clients.azure_batch_15_calls import (
    CHANGED,
    JOB_NOT_FOUND,
    TASK_NOT_FOUND,
    conflict,
    done,
    ended,
    every,
    pages,
    refused,
)
from interop.clients.report import HARD_FILTER, Account, Report, group, now, tally, values

SCOPE = "https://batch.core.windows.net//.default"
# Between two looks at a job that is about to change; the client's default is five seconds.
PAUSE = 0.05
WRONG_KEY = "d3Jvbmc="


class Credential:
    """A credential of Microsoft Entra that makes its tokens up."""

    def __init__(self) -> None:
        self.scopes: list[tuple[str, ...]] = []

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        """Return a token for an hour."""
        self.scopes.append(scopes)
        return AccessToken("made-up", int(time.time()) + 3600)


def task(task_id: str, **options: Any) -> Any:
    """Return a task to be added."""
    return models.BatchTaskCreateOptions(id=task_id, command_line="/bin/true", **options)


def job(job_id: str, pool_id: str = "no-such-pool", **options: Any) -> Any:
    """Return a job to be added; its tasks wait, where nobody knows its pool."""
    return models.BatchJobCreateOptions(id=job_id, pool_info=models.BatchPoolInfo(pool_id=pool_id), **options)


def fate(listed: Any) -> tuple[object, object, int]:
    """Return what decides where a task is counted."""
    return listed.state, listed.execution_info.result, listed.required_slots


class Program:
    """The operations, in the order of the report.

    Args:
        account: Where to.
        client_type: The client.
        credential_type: A credential that suits it.
        resets_seen: How many broken connections it sees, where one breaks.
    """

    def __init__(
        self,
        account: Account,
        client_type: Callable[..., Any],
        credential_type: Callable[[], Any],
        resets_seen: int = 1,
    ) -> None:
        self.account = account
        self.client_type = client_type
        self.credential_type = credential_type
        self.resets_seen = resets_seen
        self.report = Report()
        self.operation = self.report.operation
        self.requests: list[str] = []
        self.client: Any = None

    def connect(self, key: str) -> Any:
        """Return a client with a shared key."""
        return self.client_type(self.account.endpoint, AzureNamedKeyCredential(self.account.name, key))

    def count(self, request: Any) -> None:
        """Note a request that the client is about to send."""
        self.requests.append(request.http_request.method)

    async def run(self) -> None:
        """Go through all operations, then leave the program."""
        async with contextlib.AsyncExitStack() as stack:
            self.client = self.connect(self.account.key)
            await self.enter(stack, self.client)
            await self.jobs()
            await self.conditions()
            await self.adding()
            await self.collections()
            await self.listing()
            await self.counting()
            await self.tasks()
            await self.states()
            await self.to_the_end()
            await self.patience()
            await self.authentication(stack)
        self.report.end()

    async def enter(self, stack: contextlib.AsyncExitStack, client: Any) -> None:
        """See that a client is closed in the end."""
        if hasattr(client, "__aenter__"):
            await stack.enter_async_context(client)
        else:
            stack.enter_context(client)

    async def counted(self, job_id: str) -> dict[str, int]:
        """Return the counts of a job's tasks that aren't 0."""
        counts = (await done(self.client.get_job_task_counts(job_id))).task_counts
        return {name: count for name, count in counts.as_dict().items() if count}

    async def jobs(self) -> None:
        client = self.client
        limits = models.BatchJobConstraints(
            max_wall_clock_time=datetime.timedelta(days=1, seconds=1.5), max_task_retry_count=2
        )
        with self.operation("Job_Add") as see:
            added = await done(
                client.create_job(
                    job(
                        "job-1",
                        priority=5,
                        constraints=limits,
                        metadata=[models.BatchMetadataItem(name="a", value="b")],
                    )
                )
            )
            see("answer", added, None)
        with self.operation("Job_Add of an id that exists") as see:
            # Ids that differ in case alone are one.
            await refused(see, conflict("JobExists"), client.create_job, job("JOB-1"))
        with self.operation("Job_Get") as see:
            got = await done(client.get_job("job-1"))
            see("id", got.id, "job-1")
            see("state", got.state, models.BatchJobState.ACTIVE)
            see("priority", got.priority, 5)
            see("pool", got.pool_info.pool_id, "no-such-pool")
            see("limit", got.constraints.max_wall_clock_time, limits.max_wall_clock_time)
            see("retries", got.constraints.max_task_retry_count, 2)
            see("metadata", [(item.name, item.value) for item in got.metadata], [("a", "b")])
            see("at the end", got.all_tasks_complete_mode, models.BatchAllTasksCompleteMode.NO_ACTION)
            see.holds("a recent time", abs(now() - got.creation_time) < datetime.timedelta(minutes=1))
            see.holds("an ETag", got.etag)
            see.holds("a URL", got.url.endswith("/jobs/job-1"))
        with self.operation("Job_Get of a missing job") as see:
            await refused(see, JOB_NOT_FOUND, client.get_job, "none")
        with self.operation("Job_Get unless it is unchanged") as see:
            same = (await done(client.get_job("job-1"))).etag
            try:
                await done(client.get_job("job-1", etag=same, match_condition=MatchConditions.IfModified))
            except HttpResponseError as error:
                see("error", type(error).__name__, ResourceModifiedError.__name__)
                see("status", error.status_code, 304)
            else:
                raise AssertionError("it was sent again")
            other = await done(
                client.get_job("job-1", etag="0x1", match_condition=MatchConditions.IfModified)
            )
            see("with another ETag", other.id, "job-1")
        with self.operation("Job_List over pages") as see:
            for number in range(2, 6):
                await done(client.create_job(job(f"job-{number}")))
            listed = await pages(client.list_jobs(max_results=2))
            names = [each.id for page in listed for each in page]
            ours = [name for name in names if name.startswith("job-")]
            see("jobs", ours, [f"job-{number}" for number in range(1, 6)])
            see("no job twice", len(set(names)), len(names))
            see("longest page", max(map(len, listed)), 2)
            see.holds("several pages", len(listed) >= 3)
        with self.operation("Job_List with filter and select") as see:
            found = await every(
                client.list_jobs(
                    filter="state eq 'active' and startswith(id, 'job-')", select=["id", "state"]
                )
            )
            see("jobs", values(each.id for each in found), [f"job-{number}" for number in range(1, 6)])
            see("states", group(each.state for each in found), {"active": 5})
            see("what was not asked for", {each.creation_time for each in found}, {None})

    async def conditions(self) -> None:
        client, update = self.client, models.BatchJobUpdateOptions
        with self.operation("Job_Patch") as see:
            await done(client.update_job("job-1", update(priority=-7)))
            got = await done(client.get_job("job-1"))
            see("priority", got.priority, -7)
            see("retries, as they were", got.constraints.max_task_retry_count, 2)
        with self.operation("Job_Patch if it is unchanged") as see:
            match = {"match_condition": MatchConditions.IfNotModified}
            await refused(see, CHANGED, client.update_job, "job-1", update(priority=1), etag="0x1", **match)
            first = await done(client.get_job("job-1"))
            see("priority, as it was", first.priority, -7)
            await done(client.update_job("job-1", update(priority=2), etag=first.etag, **match))
            second = await done(client.get_job("job-1"))
            see("priority", second.priority, 2)
            see.holds("another ETag", second.etag != first.etag)
            late = update(priority=3)
            await refused(see, CHANGED, client.update_job, "job-1", late, etag=first.etag, **match)

    async def adding(self) -> None:
        client = self.client
        with self.operation("Task_Add") as see:
            added = await done(client.create_task("job-1", task("single", required_slots=3)))
            see("answer", added, None)
        with self.operation("Task_Add of an id that exists") as see:
            await refused(see, conflict("TaskExists"), client.create_task, "job-1", task("single"))
        with self.operation("Task_Add to a missing job") as see:
            await refused(see, JOB_NOT_FOUND, client.create_task, "none", task("single"))
        with self.operation("Task_Add with dependencies that the job doesn't use") as see:
            waits = models.BatchTaskDependencies(task_ids=["single"])
            refusal = (HttpResponseError, 400, "UnsupportedProperty")
            await refused(see, refusal, client.create_task, "job-1", task("waits", depends_on=waits))

    async def collections(self) -> None:
        client = self.client
        with self.operation("Task_AddCollection") as see:
            self.requests.clear()
            many = [task(f"many-{number:03}") for number in range(250)]
            added = await done(client.create_tasks("job-1", many, raw_request_hook=self.count))
            results = added.result_values
            see("added", group(result.status for result in results), {"success": 250})
            see("requests", self.requests, ["POST"] * 3)
            see("ids", values(result.task_id for result in results), [each.id for each in many])
            see.holds("an ETag each", all(result.etag for result in results))
        with self.operation("Task_AddCollection with an id that exists") as see:
            both = [task("single"), task("another")]
            results = (await done(client.create_tasks("job-1", both))).result_values
            told = {each.task_id: (each.status.value, each.error and each.error.code) for each in results}
            # The client takes a task that exists for one that it has added, and shows the error beside it.
            see("results", told, {"single": ("clienterror", "TaskExists"), "another": ("success", None)})
        with self.operation("Task_AddCollection with a wrong task") as see:
            try:
                await done(client.create_tasks("job-1", [task("no good!"), task("good")]))
            except models.CreateTasksError as error:
                failures = [(each.task_id, each.error.code) for each in error.failure_tasks]
                see("failures", failures, [("no good!", "InvalidPropertyValue")])
                see("other errors", list(error.errors), [])
            else:
                raise AssertionError("it was not refused")
            see("the other one", (await done(client.get_task("job-1", "good"))).id, "good")

    async def listing(self) -> None:
        client = self.client
        names = sorted(["single", "another", "good", *(f"many-{number:03}" for number in range(250))])
        with self.operation("Task_List over pages") as see:
            self.requests.clear()
            listed = await pages(client.list_tasks("job-1", max_results=60, raw_request_hook=self.count))
            see("tasks", [each.id for page in listed for each in page], names)
            see("pages", [len(page) for page in listed], [60, 60, 60, 60, 13])
            see("requests", len(self.requests), 5)
        with self.operation("Task_List with a filter") as see:
            await done(client.terminate_task("job-1", "many-007"))
            active = await every(client.list_tasks("job-1", filter="state eq 'active'", max_results=100))
            see("active", len(active), 252)
            found = await every(client.list_tasks("job-1", filter="state eq 'completed'"))
            see("completed", [each.id for each in found], ["many-007"])
            found = await every(client.list_tasks("job-1", filter=HARD_FILTER, max_results=3))
            see("by name, over pages", len(found), 10)
        with self.operation("Task_List with select") as see:
            found = await every(client.list_tasks("job-1", select=["id", "state"], max_results=200))
            see("tasks", len(found), 253)
            see("members", {tuple(sorted(each.as_dict())) for each in found}, {("id", "state")})
        with self.operation("Task_List with a wrong filter") as see:
            refusal = (HttpResponseError, 400, "InvalidQueryParameterValue")
            await refused(see, refusal, client.list_tasks, "job-1", filter="state eq")
        with self.operation("Task_List of a missing job") as see:
            await refused(see, JOB_NOT_FOUND, client.list_tasks, "none")
        with self.operation("Task_List by result") as see:
            found = await every(client.list_tasks("seeded", filter="executionInfo/result eq 'failure'"))
            see("failed", values(each.id for each in found), ["failed-1", "failed-2"])
            info = found[0].execution_info
            see("result", info.result, models.BatchTaskExecutionResult.FAILURE)
            see.holds("an exit code", info.exit_code not in (None, 0))
            see("failure", info.failure_info.category, models.BatchErrorSourceCategory.USER_ERROR)
            see.holds("an end", info.end_time >= info.start_time)
        with self.operation("Task_Get") as see:
            got = await done(client.get_task("job-1", "single"))
            see("id", got.id, "single")
            see("state", got.state, models.BatchTaskState.ACTIVE)
            see("slots", got.required_slots, 3)
            see("command", got.command_line, "/bin/true")
            see("retries", got.execution_info.retry_count, 0)
            see.holds("a recent time", abs(now() - got.creation_time) < datetime.timedelta(minutes=1))
        with self.operation("Task_Get of a missing task") as see:
            await refused(see, TASK_NOT_FOUND, client.get_task, "job-1", "none")
            await refused(see, JOB_NOT_FOUND, client.get_task, "none", "none")

    async def counting(self) -> None:
        client = self.client
        with self.operation("Job_GetTaskCounts") as see:
            for job_id in ("job-1", "seeded"):
                counts = await done(client.get_job_task_counts(job_id))
                listed = [fate(each) for each in await every(client.list_tasks(job_id))]
                see(job_id, counts.task_counts.as_dict(), tally(listed, slots=False))
                see("slots", counts.task_slot_counts.as_dict(), tally(listed, slots=True))
        with self.operation("Job_GetTaskCounts of a missing job") as see:
            await refused(see, JOB_NOT_FOUND, client.get_job_task_counts, "none")

    async def tasks(self) -> None:
        client = self.client
        with self.operation("Task_Terminate") as see:
            await done(client.terminate_task("job-1", "single"))
            got = await done(client.get_task("job-1", "single"))
            see("state", got.state, models.BatchTaskState.COMPLETED)
            see("result", got.execution_info.result, models.BatchTaskExecutionResult.FAILURE)
            see("before", got.previous_state, models.BatchTaskState.ACTIVE)
        with self.operation("Task_Terminate of a completed task") as see:
            await refused(see, conflict("TaskCompleted"), client.terminate_task, "job-1", "single")
        with self.operation("Task_Reactivate") as see:
            before = await self.counted("job-1")
            await done(client.reactivate_task("job-1", "single"))
            got = await done(client.get_task("job-1", "single"))
            see("state", got.state, models.BatchTaskState.ACTIVE)
            see("before", got.previous_state, models.BatchTaskState.COMPLETED)
            see("result", got.execution_info.result, None)
            after = await self.counted("job-1")
            see("active", after["active"] - before["active"], 1)
            see("failed", after["failed"] - before["failed"], -1)
        with self.operation("Task_Reactivate of an active task") as see:
            await refused(see, conflict("TaskNotCompleted"), client.reactivate_task, "job-1", "single")
        with self.operation("Task_Reactivate of a task that succeeded") as see:
            await refused(see, conflict("TaskSucceeded"), client.reactivate_task, "seeded", "succeeded-1")
        with self.operation("Task_Delete if it is unchanged") as see:
            match = {"match_condition": MatchConditions.IfNotModified}
            await refused(see, CHANGED, client.delete_task, "job-1", "good", etag="0x1", **match)
            etag = (await done(client.get_task("job-1", "good"))).etag
            await done(client.delete_task("job-1", "good", etag=etag, **match))
            await refused(see, TASK_NOT_FOUND, client.get_task, "job-1", "good")
        with self.operation("Task_Delete") as see:
            await done(client.delete_task("job-1", "another"))
            await refused(see, TASK_NOT_FOUND, client.delete_task, "job-1", "another")
            see("tasks", await self.counted("job-1"), {"active": 250, "completed": 1, "failed": 1})

    async def states(self) -> None:
        client, quickly = self.client, {"polling_interval": PAUSE}
        with self.operation("Job_Disable") as see:
            await done(client.create_job(job("slow", "slow")))
            await done(client.create_tasks("slow", [task(f"task-{number}") for number in range(6)]))
            see("tasks", await self.counted("slow"), {"active": 2, "running": 4})
            option = models.BatchJobDisableOptions(disable_tasks=models.DisableBatchJobOption.REQUEUE)
            await ended(client.begin_disable_job("slow", option, **quickly))
            see("state", (await done(client.get_job("slow"))).state, models.BatchJobState.DISABLED)
            see("then", await self.counted("slow"), {"active": 6})
        with self.operation("Job_Enable") as see:
            await ended(client.begin_enable_job("slow", **quickly))
            got = await done(client.get_job("slow"))
            see("state", got.state, models.BatchJobState.ACTIVE)
            see.holds("a state before", got.previous_state)
            see("tasks", await self.counted("slow"), {"active": 2, "running": 4})
        with self.operation("Job_Terminate") as see:
            # The client doesn't show the name of its class of options, and fails by itself without any.
            await ended(client.begin_terminate_job("slow", {"terminateReason": "enough"}, **quickly))
            got = await done(client.get_job("slow"))
            see("state", got.state, models.BatchJobState.COMPLETED)
            see("reason", got.execution_info.termination_reason, "enough")
            # Tasks that run are stopped; those that wait remain, and are never started.
            see("tasks", await self.counted("slow"), {"active": 2, "completed": 4, "failed": 4})
            again = {"terminateReason": "again"}
            await refused(see, conflict("JobCompleted"), client.begin_terminate_job, "slow", again)
        with self.operation("Task_Add to a completed job") as see:
            await refused(see, conflict("JobCompleted"), client.create_task, "slow", task("late"))
        with self.operation("Job_Delete") as see:
            await ended(client.begin_delete_job("job-1", **quickly))
            await refused(see, JOB_NOT_FOUND, client.get_job, "job-1")
            left = await every(client.list_jobs(filter="startswith(id, 'job-')"))
            see("left", values(each.id for each in left), [f"job-{number}" for number in range(2, 6)])

    async def to_the_end(self) -> None:
        client = self.client
        with self.operation("a job that runs to its end") as see:
            mode = models.BatchAllTasksCompleteMode
            await done(client.create_job(job("whole", "quick", all_tasks_complete_mode=mode.NO_ACTION)))
            await done(client.create_tasks("whole", [task(f"task-{number}") for number in range(12)]))
            update = models.BatchJobUpdateOptions(all_tasks_complete_mode=mode.TERMINATE_JOB)
            await done(client.update_job("whole", update))
            until = time.monotonic() + 20
            while (got := await done(client.get_job("whole"))).state != models.BatchJobState.COMPLETED:
                if time.monotonic() > until:
                    raise AssertionError(f"still {got.state.value}")
                await asyncio.sleep(PAUSE)
            see("reason", got.execution_info.termination_reason, "AllTasksComplete")
            see.holds("an end", got.execution_info.end_time >= got.execution_info.start_time)
            listed = await every(client.list_tasks("whole"))
            see("exit codes", {each.execution_info.exit_code for each in listed}, {0})
            see("tasks", await self.counted("whole"), {"completed": 12, "succeeded": 12})

    async def patience(self) -> None:
        client = self.client
        for trouble, job_id, failures, pause in (
            ("throttled", "throttled", 1, 1.0),
            ("cut off", "cut-off", self.resets_seen, 0.0),
        ):
            with self.operation(f"Job_Get, {trouble} at first") as see:
                began = time.monotonic()
                got, answer = await done(client.get_job(job_id, cls=lambda answer, got, _: (got, answer)))
                see("id", got.id, job_id)
                see("attempts that failed", len(answer.context.get("history", ())), failures)
                see.holds("the pause that was asked for", time.monotonic() - began >= pause)

    async def authentication(self, stack: contextlib.AsyncExitStack) -> None:
        with self.operation("a wrong key") as see:
            stranger = self.connect(WRONG_KEY)
            await self.enter(stack, stranger)
            await refused(see, (HttpResponseError, 403, "AuthenticationFailed"), stranger.get_job, "seeded")
        endpoint, trust = self.account.tls_endpoint, {"connection_verify": self.account.authority}
        with self.operation("a key over TLS") as see:
            known = AzureNamedKeyCredential(self.account.name, self.account.key)
            signing = self.client_type(endpoint, known, **trust)
            await self.enter(stack, signing)
            see("id", (await done(signing.get_job("seeded"))).id, "seeded")
            see("over", endpoint.partition("://")[0], "https")
        with self.operation("a token over TLS") as see:
            credential = self.credential_type()
            bearer = self.client_type(endpoint, credential, **trust)
            await self.enter(stack, bearer)
            await done(bearer.create_job(job("by-token")))
            see("id", (await done(bearer.get_job("by-token"))).id, "by-token")
            see("scopes", set(credential.scopes), {(SCOPE,)})


if __name__ == "__main__":
    asyncio.run(Program(Account(), BatchClient, Credential).run())
