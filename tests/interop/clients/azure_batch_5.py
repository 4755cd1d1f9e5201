"""The adapter of azure-batch 5.1, whose error mixes up refused and pending tasks."""

from __future__ import annotations

from typing import Any

from interop.clients.azure_batch_9 import AzureBatch9
from interop.clients.checks import run
from interop.clients.client import Account
from interop.clients.report import See


class AzureBatch5(AzureBatch9):
    def see_refused_task(self, see: See, error: Any, task_id: str, code: str) -> None:
        see("failures", [(each.task_id, each.error.code) for each in error.pending_tasks], [(task_id, code)])
        see("pending tasks and other errors", [*error.failure_tasks, *error.errors], [])


if __name__ == "__main__":
    run(AzureBatch5(Account()))
