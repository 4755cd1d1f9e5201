"""The adapter of azure-batch 9.0, which like all before it knows no task slots: its counts are flat."""

from __future__ import annotations

from typing import Any

from interop.clients.azure_batch_14 import AzureBatch14
from interop.clients.checks import run
from interop.clients.client import Account


class AzureBatch9(AzureBatch14):
    has_slots = False
    slots = 1

    def task_counts(self, counts: Any) -> Any:
        return counts


if __name__ == "__main__":
    run(AzureBatch9(Account()))
