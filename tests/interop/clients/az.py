"""The adapter of the az CLI: each call is a command, as a user would type it.

It authenticates with the account's key. For a token it would have to log in, which is impossible offline.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from interop.clients.checks import run
from interop.clients.client import NO_POOL, Account, Client
from interop.clients.report import See

# The exit codes of az: 3 stands for a missing resource.
FAILED, MISSING = 1, 3

TIMES = {"creationTime", "startTime", "endTime"}


class AzError(Exception):
    """A command failed.

    Args:
        ran: The command.
    """

    def __init__(self, ran: subprocess.CompletedProcess[str]) -> None:
        super().__init__(f"{' '.join(ran.args[2:])}: {ran.stderr.strip()}")
        self.ran = ran


class Az(Client):
    error = collection_error = AzError
    renamed = {  # noqa: RUF012 - Nobody changes it.
        "all_tasks_complete_mode": "onAllTasksComplete",
        "etag": "eTag",
        "termination_reason": "terminateReason",
    }
    limit = "P1D"
    # az has an option for the id of a task, and none for its slots.
    slots = 1
    settling = 30.0
    shows_requests = False
    has_page_length = False

    def __init__(self, account: Account, **options: Any) -> None:
        super().__init__(account, **options)
        # A home of its own, for its settings and for files that commands read.
        self.folder = tempfile.TemporaryDirectory()
        self.home = Path(self.folder.name)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "AZURE_CONFIG_DIR": str(self.home),
            "AZURE_CORE_COLLECT_TELEMETRY": "false",
            "AZURE_CORE_NO_COLOR": "true",
            "AZURE_BATCH_ENDPOINT": self.endpoint,
            "AZURE_BATCH_ACCOUNT": account.name,
            "AZURE_BATCH_ACCESS_KEY": self.key,
            **({"REQUESTS_CA_BUNDLE": account.authority} if self.tls else {}),
        }
        # Without this file az asks the internet for the newest version.
        known = {"core": {"local": importlib.metadata.version("azure-cli-core")}}
        (self.home / "versionCheck.json").write_text(json.dumps({"versions": known}), encoding="utf-8")

    def close(self) -> None:
        self.folder.cleanup()

    def az(self, *words: str, **options: object) -> Any:
        """Return what ``az batch`` shows for these words, None for nothing.

        Args:
            *words: The command.
            **options: Its options; those that are None are left out.

        Raises:
            AzError: The command failed.
        """
        for name, value in options.items():
            words += () if value is None else (f"--{name.replace('_', '-')}", str(value))
        ran = subprocess.run(  # noqa: S603 - Words of our own.
            [sys.executable, "-m", "azure.cli", "batch", *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise AzError(ran)
        return json.loads(ran.stdout) if ran.stdout else None

    def file(self, content: object) -> str:
        """Return the path of a JSON file with this content."""
        path = self.home / "content.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    def read(self, thing: Any, path: str) -> Any:
        *parents, last = [self.renamed.get(name, camel_case(name)) for name in path.split(".")]
        for parent in parents:
            thing = thing[parent]
        # az leaves out members that are null.
        value = thing.get(last)
        return datetime.datetime.fromisoformat(value) if value and last in TIMES else value

    def members(self, thing: Any) -> dict[str, Any]:
        return dict(thing)

    def see_refusal(self, see: See, error: AzError, status: int, code: str | None) -> None:
        see("exit code", error.ran.returncode, MISSING if status == 404 else FAILED)
        says = f"({code})" if code else "'Not Modified'"
        first = error.ran.stderr.partition("\n")[0]
        if says not in first:
            raise AssertionError(f"{says} isn't in {first!r}")
        see.holds(first, error.ran.stdout == "")

    def see_refused_task(self, see: See, error: AzError, task_id: str, code: str) -> None:
        see("exit code", error.ran.returncode, FAILED)
        # az crashes over its own error here, and prints a traceback with the service's error in it.
        says = f"{task_id}` failed due to client error - {code}"
        see.holds("the error somewhere", says in error.ran.stderr)

    def create_job(self, job_id: str, pool_id: str = NO_POOL, **options: Any) -> Any:
        limits = options.get("constraints", {})
        metadata = [f"{item['name']}={item['value']}" for item in options.get("metadata", ())]
        return self.az(
            "job",
            "create",
            *(["--metadata", *metadata] if metadata else []),
            id=job_id,
            pool_id=pool_id,
            priority=options.get("priority"),
            job_max_wall_clock_time=limits.get("max_wall_clock_time"),
            job_max_task_retry_count=limits.get("max_task_retry_count"),
            on_all_tasks_complete=options.get("all_tasks_complete_mode"),
        )

    def get_job(self, job_id: str, *, if_none_match: str | None = None) -> Any:
        return self.az("job", "show", job_id=job_id, if_none_match=if_none_match)

    def get_job_patiently(self, _: See, job_id: str) -> Any:
        return self.get_job(job_id)

    def list_jobs(self, **options: Any) -> Any:
        return self.az("job", "list", **options)

    def update_job(self, job_id: str, *, if_match: str | None = None, **changes: Any) -> Any:
        return self.az(
            "job",
            "set",
            job_id=job_id,
            if_match=if_match,
            priority=changes.get("priority"),
            on_all_tasks_complete=changes.get("all_tasks_complete_mode"),
        )

    def disable_job(self, job_id: str) -> Any:
        return self.az("job", "disable", job_id=job_id, disable_tasks="requeue")

    def enable_job(self, job_id: str) -> Any:
        return self.az("job", "enable", job_id=job_id)

    def terminate_job(self, job_id: str, reason: str | None = None) -> Any:
        return self.az("job", "stop", job_id=job_id, terminate_reason=reason)

    def delete_job(self, job_id: str) -> Any:
        return self.az("job", "delete", "--yes", job_id=job_id)

    def get_job_task_counts(self, job_id: str) -> Any:
        return self.az("job", "task-counts", "show", job_id=job_id)

    def task(self, task_id: str, **options: Any) -> dict[str, object]:
        if "depends_on" in options:
            options["depends_on"] = {"taskIds": options["depends_on"]}
        written = {camel_case(name): value for name, value in options.items()}
        return {"id": task_id, "commandLine": "/bin/true", **written}

    def create_task(self, job_id: str, task_id: str, **options: Any) -> Any:
        if options:
            return self.az(
                "task", "create", job_id=job_id, json_file=self.file(self.task(task_id, **options))
            )
        return self.az("task", "create", job_id=job_id, task_id=task_id, command_line="/bin/true")

    def see_created_task(self, see: See, answer: Any) -> None:
        see("id", answer["id"], "single")
        see("state", answer["state"], "active")
        see("slots", answer["requiredSlots"], 1)

    def create_tasks(self, job_id: str, names: list[str], **options: Any) -> Any:
        return self.az(
            "task",
            "create",
            job_id=job_id,
            json_file=self.file([self.task(name, **options) for name in names]),
        )

    def list_tasks(self, job_id: str, **options: Any) -> Any:
        # az has no option for the length of a page.
        options.pop("max_results", None)
        return self.az("task", "list", job_id=job_id, **options)

    def get_task(self, job_id: str, task_id: str) -> Any:
        return self.az("task", "show", job_id=job_id, task_id=task_id)

    def terminate_task(self, job_id: str, task_id: str) -> Any:
        return self.az("task", "stop", job_id=job_id, task_id=task_id)

    def reactivate_task(self, job_id: str, task_id: str) -> Any:
        return self.az("task", "reactivate", job_id=job_id, task_id=task_id)

    def delete_task(self, job_id: str, task_id: str, *, if_match: str | None = None) -> Any:
        return self.az("task", "delete", "--yes", job_id=job_id, task_id=task_id, if_match=if_match)


def camel_case(name: str) -> str:
    """Return a member's name as the service writes it."""
    return re.sub("_(.)", lambda match: match[1].upper(), name)


if __name__ == "__main__":
    run(Az(Account()))
