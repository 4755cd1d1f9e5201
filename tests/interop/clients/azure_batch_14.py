"""azure-batch 14.2, the last of the clients that stand on msrest, against a Batch account."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any

from azure.batch import BatchServiceClient, models  # type: ignore[import-untyped] # It is in its own environment.
from azure.batch.batch_auth import SharedKeyCredentials  # type: ignore[import-untyped]
from msrest.authentication import BasicTokenAuthentication  # type: ignore[import-not-found]

from interop.clients.report import HARD_FILTER, Account, Report, See, group, now, tally, values

PAUSE = 0.05
WRONG_KEY = "d3Jvbmc="


def refused(see: See, status: int, code: str | None, call: Callable[..., Any], *given: Any) -> None:
    """Make a call that has to be refused, and see the client's own error for it."""
    try:
        result = call(*given)
        # A listing asks for nothing before its first page is wanted.
        if hasattr(result, "advance_page"):
            result.advance_page()
    except models.BatchErrorException as error:
        see("status", error.response.status_code, status)
        see("code", error.error.code, code)
        if code is not None:
            see.holds("a message", error.error.message.value)
    else:
        raise AssertionError("it was not refused")


def pages(listing: Any) -> list[list[Any]]:
    """Return a listing page by page."""
    found = []
    while listing.next_link is not None:
        found.append(listing.advance_page())
    return found


def task(task_id: str, **options: Any) -> Any:
    """Return a task to be added."""
    return models.TaskAddParameter(id=task_id, command_line="/bin/true", **options)


def job(job_id: str, pool_id: str = "no-such-pool", **options: Any) -> Any:
    """Return a job to be added; its tasks wait, where nobody knows its pool."""
    return models.JobAddParameter(id=job_id, pool_info=models.PoolInformation(pool_id=pool_id), **options)


def fate(listed: Any) -> tuple[object, object, int]:
    """Return what decides where a task is counted."""
    return listed.state, listed.execution_info.result, listed.required_slots


class Program:
    """The operations, in the order of the report."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.report = Report()
        self.operation = self.report.operation
        self.client = self.connect(account.key)
        self.requests: list[str] = []
        self.client.config.hooks.append(
            lambda response, *_, **__: self.requests.append(response.request.method)
        )

    def connect(self, key: str) -> Any:
        """Return a client with a shared key."""
        credentials = SharedKeyCredentials(self.account.name, key)
        return BatchServiceClient(credentials, batch_url=self.account.endpoint)

    def over_tls(self, credentials: Any) -> Any:
        """Return a client that trusts the authority of the tests."""
        client = BatchServiceClient(credentials, batch_url=self.account.tls_endpoint)
        client.config.connection.verify = self.account.authority
        return client

    def counted(self, job_id: str) -> dict[str, int]:
        """Return the counts of a job's tasks that aren't 0."""
        counts = self.client.job.get_task_counts(job_id).task_counts
        return {name: count for name, count in counts.as_dict().items() if count}

    def wait(self, job_id: str, state: Any) -> Any:
        """Return a job as soon as it is in a state."""
        until = time.monotonic() + 20
        while (got := self.client.job.get(job_id)).state != state:
            if time.monotonic() > until:
                raise AssertionError(f"still {got.state.value}")
            time.sleep(PAUSE)
        return got

    def run(self) -> None:
        """Go through all operations, then leave the program."""
        self.jobs()
        self.conditions()
        self.adding()
        self.collections()
        self.listing()
        self.getting()
        self.tasks()
        self.states()
        self.to_the_end()
        self.patience()
        self.authentication()
        self.report.end()

    def jobs(self) -> None:
        jobs = self.client.job
        limits = models.JobConstraints(
            max_wall_clock_time=datetime.timedelta(days=1, seconds=1.5), max_task_retry_count=2
        )
        with self.operation("Job_Add") as see:
            extra = [models.MetadataItem(name="a", value="b")]
            name = "0123abcd-0000-4000-8000-0123456789ab"
            options = models.JobAddOptions(client_request_id=name, return_client_request_id=True)
            new = job("job-1", priority=5, constraints=limits, metadata=extra)
            raw = jobs.add(new, options, raw=True)
            see("status", raw.response.status_code, 201)
            see("client request id", raw.headers["client-request-id"], name)
            see.holds("an ETag", raw.headers["ETag"])
            see.holds(
                "a recent time", abs(now() - raw.headers["Last-Modified"]) < datetime.timedelta(minutes=1)
            )
        with self.operation("Job_Add of an id that exists") as see:
            # Ids that differ in case alone are one.
            refused(see, 409, "JobExists", jobs.add, job("JOB-1"))
        with self.operation("Job_Get") as see:
            got = jobs.get("job-1")
            see("id", got.id, "job-1")
            see("state", got.state, models.JobState.active)
            see("priority", got.priority, 5)
            see("pool", got.pool_info.pool_id, "no-such-pool")
            see("limit", got.constraints.max_wall_clock_time, limits.max_wall_clock_time)
            see("retries", got.constraints.max_task_retry_count, 2)
            see("metadata", [(item.name, item.value) for item in got.metadata], [("a", "b")])
            see("at the end", got.on_all_tasks_complete, models.OnAllTasksComplete.no_action)
            see.holds("a recent time", abs(now() - got.creation_time) < datetime.timedelta(minutes=1))
            see("ETag", got.e_tag, raw.headers["ETag"].strip('"'))
            see.holds("a URL", got.url.endswith("/jobs/job-1"))
        with self.operation("Job_Get of a missing job") as see:
            refused(see, 404, "JobNotFound", jobs.get, "none")
        with self.operation("Job_Get unless it is unchanged") as see:
            same = models.JobGetOptions(if_none_match=jobs.get("job-1").e_tag)
            refused(see, 304, None, jobs.get, "job-1", same)
            other = models.JobGetOptions(if_none_match="0x1")
            see("with another ETag", jobs.get("job-1", other).id, "job-1")
        with self.operation("Job_List over pages") as see:
            for number in range(2, 6):
                jobs.add(job(f"job-{number}"))
            listed = pages(jobs.list(models.JobListOptions(max_results=2)))
            names = [each.id for page in listed for each in page]
            ours = [name for name in names if name.startswith("job-")]
            see("jobs", ours, [f"job-{number}" for number in range(1, 6)])
            see("no job twice", len(set(names)), len(names))
            see("longest page", max(map(len, listed)), 2)
            see.holds("several pages", len(listed) >= 3)
        with self.operation("Job_List with filter and select") as see:
            question = "state eq 'active' and startswith(id, 'job-')"
            found = list(jobs.list(models.JobListOptions(filter=question, select="id,state")))
            see("jobs", values(each.id for each in found), [f"job-{number}" for number in range(1, 6)])
            see("states", group(each.state for each in found), {"active": 5})
            see("what was not asked for", {each.creation_time for each in found}, {None})

    def conditions(self) -> None:
        jobs, patch, options = self.client.job, models.JobPatchParameter, models.JobPatchOptions
        with self.operation("Job_Patch") as see:
            jobs.patch("job-1", patch(priority=-7))
            got = jobs.get("job-1")
            see("priority", got.priority, -7)
            see("retries, as they were", got.constraints.max_task_retry_count, 2)
        with self.operation("Job_Patch if it is unchanged") as see:
            wrong = options(if_match="0x1")
            refused(see, 412, "ConditionNotMet", jobs.patch, "job-1", patch(priority=1), wrong)
            first = jobs.get("job-1")
            see("priority, as it was", first.priority, -7)
            right = options(if_match=first.e_tag)
            jobs.patch("job-1", patch(priority=2), right)
            see("priority", jobs.get("job-1").priority, 2)
            refused(see, 412, "ConditionNotMet", jobs.patch, "job-1", patch(priority=3), right)

    def adding(self) -> None:
        tasks = self.client.task
        with self.operation("Task_Add") as see:
            raw = tasks.add("job-1", task("single", required_slots=3), raw=True)
            see("status", raw.response.status_code, 201)
        with self.operation("Task_Add of an id that exists") as see:
            refused(see, 409, "TaskExists", tasks.add, "job-1", task("single"))
        with self.operation("Task_Add to a missing job") as see:
            refused(see, 404, "JobNotFound", tasks.add, "none", task("single"))
        with self.operation("Task_Add with dependencies that the job doesn't use") as see:
            waits = task("waits", depends_on=models.TaskDependencies(task_ids=["single"]))
            refused(see, 400, "UnsupportedProperty", tasks.add, "job-1", waits)

    def collections(self) -> None:
        tasks = self.client.task
        with self.operation("Task_AddCollection") as see:
            self.requests.clear()
            many = [task(f"many-{number:03}") for number in range(250)]
            results = tasks.add_collection("job-1", many).value
            see("added", group(result.status for result in results), {"success": 250})
            see("requests", self.requests, ["POST"] * 3)
            see("ids", values(result.task_id for result in results), [each.id for each in many])
            see.holds("an ETag each", all(result.e_tag for result in results))
        with self.operation("Task_AddCollection with an id that exists") as see:
            results = tasks.add_collection("job-1", [task("single"), task("another")]).value
            told = {each.task_id: (each.status.value, each.error and each.error.code) for each in results}
            # The client takes a task that exists for one that it has added, and shows the error beside it.
            see("results", told, {"single": ("clienterror", "TaskExists"), "another": ("success", None)})
        with self.operation("Task_AddCollection with a wrong task") as see:
            try:
                tasks.add_collection("job-1", [task("no good!"), task("good")])
            except models.CreateTasksErrorException as error:
                failures = [(each.task_id, each.error.code) for each in error.failure_tasks]
                see("failures", failures, [("no good!", "InvalidPropertyValue")])
                see("other errors", error.errors, [])
            else:
                raise AssertionError("it was not refused")
            see("the other one", tasks.get("job-1", "good").id, "good")

    def listing(self) -> None:
        tasks, options = self.client.task, models.TaskListOptions
        names = sorted(["single", "another", "good", *(f"many-{number:03}" for number in range(250))])
        with self.operation("Task_List over pages") as see:
            self.requests.clear()
            listed = pages(tasks.list("job-1", options(max_results=60)))
            see("tasks", [each.id for page in listed for each in page], names)
            see("pages", [len(page) for page in listed], [60, 60, 60, 60, 13])
            see("requests", len(self.requests), 5)
        with self.operation("Task_List with a filter") as see:
            tasks.terminate("job-1", "many-007")
            active = list(tasks.list("job-1", options(filter="state eq 'active'", max_results=100)))
            see("active", len(active), 252)
            found = list(tasks.list("job-1", options(filter="state eq 'completed'")))
            see("completed", [each.id for each in found], ["many-007"])
            found = list(tasks.list("job-1", options(filter=HARD_FILTER, max_results=3)))
            see("by name, over pages", len(found), 10)
        with self.operation("Task_List with select") as see:
            found = list(tasks.list("job-1", options(select="id,state", max_results=200)))
            see("tasks", len(found), 253)
            see("members", {tuple(sorted(each.as_dict())) for each in found}, {("id", "state")})
        with self.operation("Task_List with a wrong filter") as see:
            wrong = options(filter="state eq")
            refused(see, 400, "InvalidQueryParameterValue", tasks.list, "job-1", wrong)
        with self.operation("Task_List of a missing job") as see:
            refused(see, 404, "JobNotFound", tasks.list, "none")
        with self.operation("Task_List by result") as see:
            found = list(tasks.list("seeded", options(filter="executionInfo/result eq 'failure'")))
            see("failed", values(each.id for each in found), ["failed-1", "failed-2"])
            info = found[0].execution_info
            see("result", info.result, models.TaskExecutionResult.failure)
            see.holds("an exit code", info.exit_code not in (None, 0))
            see("failure", info.failure_info.category, models.ErrorCategory.user_error)
            see.holds("an end", info.end_time >= info.start_time)

    def getting(self) -> None:
        tasks = self.client.task
        with self.operation("Task_Get") as see:
            got = tasks.get("job-1", "single")
            see("id", got.id, "single")
            see("state", got.state, models.TaskState.active)
            see("slots", got.required_slots, 3)
            see("command", got.command_line, "/bin/true")
            see("retries", got.execution_info.retry_count, 0)
            see.holds("a recent time", abs(now() - got.creation_time) < datetime.timedelta(minutes=1))
        with self.operation("Task_Get of a missing task") as see:
            refused(see, 404, "TaskNotFound", tasks.get, "job-1", "none")
            refused(see, 404, "JobNotFound", tasks.get, "none", "none")
        with self.operation("Job_GetTaskCounts") as see:
            for job_id in ("job-1", "seeded"):
                counts = self.client.job.get_task_counts(job_id)
                listed = [fate(each) for each in tasks.list(job_id)]
                see(job_id, counts.task_counts.as_dict(), tally(listed, slots=False))
                see("slots", counts.task_slot_counts.as_dict(), tally(listed, slots=True))
        with self.operation("Job_GetTaskCounts of a missing job") as see:
            refused(see, 404, "JobNotFound", self.client.job.get_task_counts, "none")

    def tasks(self) -> None:
        tasks = self.client.task
        with self.operation("Task_Terminate") as see:
            tasks.terminate("job-1", "single")
            got = tasks.get("job-1", "single")
            see("state", got.state, models.TaskState.completed)
            see("result", got.execution_info.result, models.TaskExecutionResult.failure)
            see("before", got.previous_state, models.TaskState.active)
        with self.operation("Task_Terminate of a completed task") as see:
            refused(see, 409, "TaskCompleted", tasks.terminate, "job-1", "single")
        with self.operation("Task_Reactivate") as see:
            before = self.counted("job-1")
            tasks.reactivate("job-1", "single")
            got = tasks.get("job-1", "single")
            see("state", got.state, models.TaskState.active)
            see("before", got.previous_state, models.TaskState.completed)
            see("result", got.execution_info.result, None)
            after = self.counted("job-1")
            see("active", after["active"] - before["active"], 1)
            see("failed", after["failed"] - before["failed"], -1)
        with self.operation("Task_Reactivate of an active task") as see:
            refused(see, 409, "TaskNotCompleted", tasks.reactivate, "job-1", "single")
        with self.operation("Task_Reactivate of a task that succeeded") as see:
            refused(see, 409, "TaskSucceeded", tasks.reactivate, "seeded", "succeeded-1")
        with self.operation("Task_Delete if it is unchanged") as see:
            options = models.TaskDeleteOptions
            refused(see, 412, "ConditionNotMet", tasks.delete, "job-1", "good", options(if_match="0x1"))
            tasks.delete("job-1", "good", options(if_match=tasks.get("job-1", "good").e_tag))
            refused(see, 404, "TaskNotFound", tasks.get, "job-1", "good")
        with self.operation("Task_Delete") as see:
            tasks.delete("job-1", "another")
            refused(see, 404, "TaskNotFound", tasks.delete, "job-1", "another")
            see("tasks", self.counted("job-1"), {"active": 250, "completed": 1, "failed": 1})

    def states(self) -> None:
        jobs = self.client.job
        with self.operation("Job_Disable") as see:
            jobs.add(job("slow", "slow"))
            self.client.task.add_collection("slow", [task(f"task-{number}") for number in range(6)])
            see("tasks", self.counted("slow"), {"active": 2, "running": 4})
            jobs.disable("slow", models.DisableJobOption.requeue)
            see("state", self.wait("slow", models.JobState.disabled).state, "disabled")
            see("then", self.counted("slow"), {"active": 6})
        with self.operation("Job_Enable") as see:
            jobs.enable("slow")
            got = self.wait("slow", models.JobState.active)
            see("state", got.state, "active")
            see.holds("a state before", got.previous_state)
            see("tasks", self.counted("slow"), {"active": 2, "running": 4})
        with self.operation("Job_Terminate") as see:
            # Without a reason it sends the type of a body, and no body.
            jobs.terminate("job-2")
            see("state", self.wait("job-2", models.JobState.completed).state, "completed")
            jobs.terminate("slow", "enough")
            got = self.wait("slow", models.JobState.completed)
            see("reason", got.execution_info.terminate_reason, "enough")
            # Tasks that run are stopped; those that wait remain, and are never started.
            see("tasks", self.counted("slow"), {"active": 2, "completed": 4, "failed": 4})
            refused(see, 409, "JobCompleted", jobs.terminate, "slow", "again")
        with self.operation("Task_Add to a completed job") as see:
            refused(see, 409, "JobCompleted", self.client.task.add, "slow", task("late"))
        with self.operation("Job_Delete") as see:
            jobs.delete("job-1")
            until = time.monotonic() + 20
            question = models.JobListOptions(filter="startswith(id, 'job-')")
            while "job-1" in (left := [each.id for each in jobs.list(question)]) and time.monotonic() < until:
                time.sleep(PAUSE)
            see("left", left, [f"job-{number}" for number in range(2, 6)])
            refused(see, 404, "JobNotFound", jobs.get, "job-1")

    def to_the_end(self) -> None:
        jobs, mode = self.client.job, models.OnAllTasksComplete
        with self.operation("a job that runs to its end") as see:
            jobs.add(job("whole", "quick", on_all_tasks_complete=mode.no_action))
            self.client.task.add_collection("whole", [task(f"task-{number}") for number in range(12)])
            jobs.patch("whole", models.JobPatchParameter(on_all_tasks_complete=mode.terminate_job))
            got = self.wait("whole", models.JobState.completed)
            see("reason", got.execution_info.terminate_reason, "AllTasksComplete")
            see.holds("an end", got.execution_info.end_time >= got.execution_info.start_time)
            listed = list(self.client.task.list("whole"))
            see("exit codes", {each.execution_info.exit_code for each in listed}, {0})
            see("tasks", self.counted("whole"), {"completed": 12, "succeeded": 12})

    def patience(self) -> None:
        for trouble, job_id, pause in (("throttled", "throttled", 1.0), ("cut off", "cut-off", 0.0)):
            with self.operation(f"Job_Get, {trouble} at first") as see:
                began = time.monotonic()
                raw = self.client.job.get(job_id, raw=True)
                see("id", raw.output.id, job_id)
                see("attempts that failed", len(raw.response.raw.retries.history), 1)
                see.holds("the pause that was asked for", time.monotonic() - began >= pause)

    def authentication(self) -> None:
        with self.operation("a wrong key") as see:
            refused(see, 403, "AuthenticationFailed", self.connect(WRONG_KEY).job.get, "seeded")
        with self.operation("a key over TLS") as see:
            signing = self.over_tls(SharedKeyCredentials(self.account.name, self.account.key))
            see("id", signing.job.get("seeded").id, "seeded")
            see("over", self.account.tls_endpoint.partition("://")[0], "https")
        with self.operation("a token over TLS") as see:
            bearer = self.over_tls(BasicTokenAuthentication({"access_token": "made-up"}))
            bearer.job.add(job("by-token"))
            see("id", bearer.job.get("by-token").id, "by-token")


if __name__ == "__main__":
    Program(Account()).run()
