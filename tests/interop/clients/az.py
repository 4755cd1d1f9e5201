"""The az CLI against a Batch account: each operation is a command, as somebody would type it.

It authenticates with the account's key. With tokens it would have to log in first, and that can't be had
offline.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from interop.clients.report import Account, Report, See, group, tally, values

PAUSE = 0.2
WRONG_KEY = "d3Jvbmc="
# What az makes of an answer: 3 is for what isn't there.
MISSING, FAILED = 3, 1


class Az:
    """Runs commands in a home of their own.

    Args:
        account: Where to.
        home: A folder for az's settings, and for files that commands read.
    """

    def __init__(self, account: Account, home: Path) -> None:
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AZURE_CONFIG_DIR": str(home),
            "AZURE_CORE_COLLECT_TELEMETRY": "false",
            "AZURE_CORE_NO_COLOR": "true",
            "AZURE_BATCH_ENDPOINT": account.endpoint,
            "AZURE_BATCH_ACCOUNT": account.name,
            "AZURE_BATCH_ACCESS_KEY": account.key,
        }
        # Where az doesn't know its own version from an earlier day, it asks the internet for the newest.
        known = {"core": {"local": importlib.metadata.version("azure-cli-core")}}
        (home / "versionCheck.json").write_text(json.dumps({"versions": known}), encoding="utf-8")

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``az batch`` with these words, whatever comes of it."""
        return subprocess.run(  # noqa: S603 - Words of our own.
            [sys.executable, "-m", "azure.cli", "batch", *words],
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def __call__(self, *words: str, **environment: str) -> Any:
        """Return what a command shows, None for nothing.

        Raises:
            AssertionError: It failed.
        """
        ran = self.run(*words, **environment)
        if ran.returncode != 0:
            raise AssertionError(f"az batch {' '.join(words)}: {ran.stderr.strip()}")
        return json.loads(ran.stdout) if ran.stdout else None

    def refused(self, see: See, exit_code: int, says: str, *words: str, **environment: str) -> None:
        """Run a command that has to fail, and see what az says then."""
        ran = self.run(*words, **environment)
        see("exit code", ran.returncode, exit_code)
        first = ran.stderr.partition("\n")[0]
        if says not in first:
            raise AssertionError(f"{says} isn't in {first!r}")
        see.holds(first, ran.stdout == "")

    def file(self, content: object) -> str:
        """Return the path of a JSON file, for ``--json-file``."""
        path = self.home / "content.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    def wait(self, job_id: str, state: str) -> Any:
        """Return a job as soon as it is in a state."""
        until = time.monotonic() + 30
        while (got := self("job", "show", "--job-id", job_id))["state"] != state:
            if time.monotonic() > until:
                raise AssertionError(f"still {got['state']}")
            time.sleep(PAUSE)
        return got


def task(task_id: str, **options: object) -> dict[str, object]:
    """Return a task to be added, as JSON has it."""
    return {"id": task_id, "commandLine": "/bin/true", **options}


def fate(listed: dict[str, Any]) -> tuple[object, object, int]:
    """Return what decides where a task is counted."""
    return listed["state"], listed["executionInfo"].get("result"), listed["requiredSlots"]


class Program:
    """The operations, in the order of the report."""

    def __init__(self, account: Account, home: Path) -> None:
        self.account = account
        self.az = Az(account, home)
        self.report = Report()
        self.operation = self.report.operation

    def run(self) -> None:
        """Go through all operations."""
        self.jobs()
        self.conditions()
        self.adding()
        self.listing()
        self.counting()
        self.tasks()
        self.states()
        self.to_the_end()
        self.patience()
        self.authentication()

    def jobs(self) -> None:
        az, pool = self.az, ("--pool-id", "no-such-pool")
        with self.operation("Job_Add") as see:
            limits = ("--job-max-wall-clock-time", "P1D", "--job-max-task-retry-count", "2")
            shown = az(
                "job", "create", "--id", "job-1", *pool, "--priority", "5", *limits, "--metadata", "a=b"
            )
            see("answer", shown, None)
        with self.operation("Job_Add of an id that exists") as see:
            az.refused(see, FAILED, "(JobExists)", "job", "create", "--id", "JOB-1", *pool)
        with self.operation("Job_Get") as see:
            got = az("job", "show", "--job-id", "job-1")
            see("id", got["id"], "job-1")
            see("state", got["state"], "active")
            see("priority", got["priority"], 5)
            see("pool", got["poolInfo"], {"poolId": "no-such-pool"})
            see("limits", got["constraints"], {"maxTaskRetryCount": 2, "maxWallClockTime": "P1D"})
            see("metadata", got["metadata"], [{"name": "a", "value": "b"}])
            see("at the end", got["onAllTasksComplete"], "noaction")
        with self.operation("Job_Get of a missing job") as see:
            az.refused(see, MISSING, "(JobNotFound)", "job", "show", "--job-id", "none")
        with self.operation("Job_Get unless it is unchanged") as see:
            show = ("job", "show", "--job-id", "job-1", "--if-none-match")
            az.refused(see, FAILED, "'Not Modified'", *show, got["eTag"])
            see("with another ETag", az(*show, "0x1")["id"], "job-1")
        with self.operation("Job_List with filter and select") as see:
            for number in range(2, 6):
                az("job", "create", "--id", f"job-{number}", *pool)
            question = "state eq 'active' and startswith(id, 'job-')"
            found = az("job", "list", "--filter", question, "--select", "id,state")
            see("jobs", values(each["id"] for each in found), [f"job-{number}" for number in range(1, 6)])
            see("members", {tuple(sorted(each)) for each in found}, {("id", "state")})

    def conditions(self) -> None:
        az, change = self.az, ("job", "set", "--job-id", "job-1", "--priority")
        with self.operation("Job_Patch") as see:
            see("answer", az(*change, "7"), None)
            got = az("job", "show", "--job-id", "job-1")
            see("priority", got["priority"], 7)
            see("retries, as they were", got["constraints"]["maxTaskRetryCount"], 2)
        with self.operation("Job_Patch if it is unchanged") as see:
            az.refused(see, FAILED, "(ConditionNotMet)", *change, "1", "--if-match", "0x1")
            az(*change, "2", "--if-match", got["eTag"])
            see("priority", az("job", "show", "--job-id", "job-1")["priority"], 2)
            az.refused(see, FAILED, "(ConditionNotMet)", *change, "3", "--if-match", got["eTag"])

    def adding(self) -> None:
        az, add = (
            self.az,
            ("task", "create", "--command-line", "/bin/true", "--task-id", "single", "--job-id"),
        )
        collect = ("task", "create", "--job-id", "job-1", "--json-file")
        with self.operation("Task_Add") as see:
            shown = az(*add, "job-1")
            see("id", shown["id"], "single")
            see("state", shown["state"], "active")
            see("slots", shown["requiredSlots"], 1)
        with self.operation("Task_Add of an id that exists") as see:
            az.refused(see, FAILED, "(TaskExists)", *add, "job-1")
        with self.operation("Task_Add to a missing job") as see:
            az.refused(see, MISSING, "(JobNotFound)", *add, "none")
        with self.operation("Task_Add with dependencies that the job doesn't use") as see:
            waits = az.file(task("waits", dependsOn={"taskIds": ["single"]}))
            az.refused(see, FAILED, "(UnsupportedProperty)", *collect, waits)
        with self.operation("Task_AddCollection") as see:
            many = [task(f"many-{number:03}", requiredSlots=2) for number in range(250)]
            results = az(*collect, az.file(many))
            see("added", group(result["status"] for result in results), {"success": 250})
            see("ids", values(result["taskId"] for result in results), [each["id"] for each in many])
        with self.operation("Task_AddCollection with an id that exists") as see:
            results = az(*collect, az.file([task("single"), task("another")]))
            told = {each["taskId"]: (each["status"], each.get("error", {}).get("code")) for each in results}
            see("results", told, {"single": ("clienterror", "TaskExists"), "another": ("success", None)})
        with self.operation("Task_AddCollection with a wrong task") as see:
            ran = az.run(*collect, az.file([task("no good!"), task("good")]))
            see("exit code", ran.returncode, FAILED)
            # It breaks over its own error for this, and shows where.
            see.holds(
                "the error somewhere",
                "no good!` failed due to client error - InvalidPropertyValue" in ran.stderr,
            )
            see("the other one", az("task", "show", "--job-id", "job-1", "--task-id", "good")["id"], "good")

    def listing(self) -> None:
        az, of_job = self.az, ("task", "list", "--job-id", "job-1")
        with self.operation("Task_List over pages") as see:
            # More than the thousand tasks of the longest page: az has no option for shorter ones.
            names = [each["id"] for each in az("task", "list", "--job-id", "large")]
            see("tasks", len(names), 1200)
            see("no task twice", len(set(names)), 1200)
        with self.operation("Task_List with a filter") as see:
            az("task", "stop", "--job-id", "job-1", "--task-id", "many-007")
            see("active", len(az(*of_job, "--filter", "state eq 'active'")), 252)
            found = az(*of_job, "--filter", "state eq 'completed'")
            see("completed", [each["id"] for each in found], ["many-007"])
        with self.operation("Task_List with select") as see:
            found = az(*of_job, "--select", "id,state")
            see("tasks", len(found), 253)
            see("members", {tuple(sorted(each)) for each in found}, {("id", "state")})
        with self.operation("Task_List with a wrong filter") as see:
            wrong = ("--filter", "state eq")
            az.refused(see, FAILED, "(InvalidQueryParameterValue)", *of_job, *wrong)
        with self.operation("Task_List of a missing job") as see:
            az.refused(see, MISSING, "(JobNotFound)", "task", "list", "--job-id", "none")
        with self.operation("Task_List by result") as see:
            found = az("task", "list", "--job-id", "seeded", "--filter", "executionInfo/result eq 'failure'")
            see("failed", values(each["id"] for each in found), ["failed-1", "failed-2"])
            see("result", {each["executionInfo"]["result"] for each in found}, {"failure"})
        with self.operation("Task_Get") as see:
            got = az("task", "show", "--job-id", "job-1", "--task-id", "many-001")
            see("id", got["id"], "many-001")
            see("state", got["state"], "active")
            see("slots", got["requiredSlots"], 2)
            see("command", got["commandLine"], "/bin/true")
        with self.operation("Task_Get of a missing task") as see:
            missing = ("task", "show", "--job-id", "job-1", "--task-id", "none")
            az.refused(see, MISSING, "(TaskNotFound)", *missing)

    def counting(self) -> None:
        az, show = self.az, ("job", "task-counts", "show", "--job-id")
        with self.operation("Job_GetTaskCounts") as see:
            for job_id in ("job-1", "seeded"):
                counts = az(*show, job_id)
                listed = [fate(each) for each in az("task", "list", "--job-id", job_id)]
                see(job_id, counts["taskCounts"], tally(listed, slots=False))
                see("slots", counts["taskSlotCounts"], tally(listed, slots=True))
        with self.operation("Job_GetTaskCounts of a missing job") as see:
            az.refused(see, MISSING, "(JobNotFound)", *show, "none")

    def tasks(self) -> None:
        az, single = self.az, ("--job-id", "job-1", "--task-id", "single")
        with self.operation("Task_Terminate") as see:
            see("answer", az("task", "stop", *single), None)
            got = az("task", "show", *single)
            see("state", got["state"], "completed")
            see("result", got["executionInfo"]["result"], "failure")
        with self.operation("Task_Terminate of a completed task") as see:
            az.refused(see, FAILED, "(TaskCompleted)", "task", "stop", *single)
        with self.operation("Task_Reactivate") as see:
            see("answer", az("task", "reactivate", *single), None)
            see("state", az("task", "show", *single)["state"], "active")
        with self.operation("Task_Reactivate of an active task") as see:
            az.refused(see, FAILED, "(TaskNotCompleted)", "task", "reactivate", *single)
        with self.operation("Task_Reactivate of a task that succeeded") as see:
            succeeded = ("--job-id", "seeded", "--task-id", "succeeded-1")
            az.refused(see, FAILED, "(TaskSucceeded)", "task", "reactivate", *succeeded)
        with self.operation("Task_Delete if it is unchanged") as see:
            good = ("--job-id", "job-1", "--task-id", "good")
            delete = ("task", "delete", *good, "--yes", "--if-match")
            az.refused(see, FAILED, "(ConditionNotMet)", *delete, "0x1")
            see("answer", az(*delete, az("task", "show", *good)["eTag"]), None)
            az.refused(see, MISSING, "(TaskNotFound)", "task", "show", *good)
        with self.operation("Task_Delete") as see:
            another = ("task", "delete", "--job-id", "job-1", "--task-id", "another", "--yes")
            see("answer", az(*another), None)
            az.refused(see, MISSING, "(TaskNotFound)", *another)
            see("left", len(az("task", "list", "--job-id", "job-1", "--select", "id")), 251)

    def states(self) -> None:
        az, first = self.az, ("--job-id", "job-1")
        with self.operation("Job_Disable") as see:
            see("answer", az("job", "disable", *first, "--disable-tasks", "requeue"), None)
            see("state", az.wait("job-1", "disabled")["state"], "disabled")
        with self.operation("Job_Enable") as see:
            see("answer", az("job", "enable", *first), None)
            see("state", az.wait("job-1", "active")["state"], "active")
        with self.operation("Job_Terminate") as see:
            see("without a reason", az("job", "stop", "--job-id", "job-2"), None)
            see("state", az.wait("job-2", "completed")["state"], "completed")
            see("with one", az("job", "stop", *first, "--terminate-reason", "enough"), None)
            got = az.wait("job-1", "completed")
            see("reason", got["executionInfo"]["terminateReason"], "enough")
            az.refused(see, FAILED, "(JobCompleted)", "job", "stop", *first)
        with self.operation("Task_Add to a completed job") as see:
            late = ("--task-id", "late", "--command-line", "/bin/true")
            az.refused(see, FAILED, "(JobCompleted)", "task", "create", *first, *late)
        with self.operation("Job_Delete") as see:
            see("answer", az("job", "delete", *first, "--yes"), None)
            until = time.monotonic() + 30
            while az.run("job", "show", *first).returncode == 0 and time.monotonic() < until:
                time.sleep(PAUSE)
            az.refused(see, MISSING, "(JobNotFound)", "job", "show", *first)
            left = az("job", "list", "--filter", "startswith(id, 'job-')")
            see("left", values(each["id"] for each in left), [f"job-{number}" for number in range(2, 6)])

    def to_the_end(self) -> None:
        az, whole = self.az, ("--job-id", "whole")
        with self.operation("a job that runs to its end") as see:
            az("job", "create", "--id", "whole", "--pool-id", "quick", "--on-all-tasks-complete", "noaction")
            twelve = az.file([task(f"task-{number}") for number in range(12)])
            az("task", "create", *whole, "--json-file", twelve)
            az("job", "set", *whole, "--on-all-tasks-complete", "terminatejob")
            got = az.wait("whole", "completed")
            see("reason", got["executionInfo"]["terminateReason"], "AllTasksComplete")
            see("succeeded", az("job", "task-counts", "show", *whole)["taskCounts"]["succeeded"], 12)

    def patience(self) -> None:
        for trouble, job_id, pause in (("throttled", "throttled", 1.0), ("cut off", "cut-off", 0.0)):
            with self.operation(f"Job_Get, {trouble} at first") as see:
                began = time.monotonic()
                see("id", self.az("job", "show", "--job-id", job_id)["id"], job_id)
                see.holds("the pause that was asked for", time.monotonic() - began >= pause)

    def authentication(self) -> None:
        az, show = self.az, ("job", "show", "--job-id", "seeded")
        with self.operation("a wrong key") as see:
            az.refused(see, FAILED, "(AuthenticationFailed)", *show, AZURE_BATCH_ACCESS_KEY=WRONG_KEY)
        with self.operation("a key over TLS") as see:
            tls, trust = self.account.tls_endpoint, self.account.authority
            got = az(*show, AZURE_BATCH_ENDPOINT=tls, REQUESTS_CA_BUNDLE=trust)
            see("id", got["id"], "seeded")
            see("over", tls.partition("://")[0], "https")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        program = Program(Account(), Path(folder))
        program.run()
    program.report.end()
