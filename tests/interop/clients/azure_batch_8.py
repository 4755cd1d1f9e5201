"""The adapter of azure-batch 8.0, which fails to word its own error for refused tasks."""

from __future__ import annotations

from typing import Any

from interop.clients.azure_batch_9 import AzureBatch9
from interop.clients.checks import run
from interop.clients.client import Account
from interop.clients.report import See


class AzureBatch8(AzureBatch9):
    collection_error = TypeError

    def see_refused_task(self, see: See, error: Any, _task_id: str, _code: str) -> None:
        see("error", str(error), "not enough arguments for format string")


if __name__ == "__main__":
    run(AzureBatch8(Account()))
