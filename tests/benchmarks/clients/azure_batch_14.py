"""azure-batch 14.2, the last of the clients that stand on msrest."""

from __future__ import annotations

from azure.batch import BatchServiceClient  # type: ignore[import-untyped] # It is in its own environment.
from azure.batch.batch_auth import SharedKeyCredentials  # type: ignore[import-untyped]

from benchmarks.clients.measure import Setting, in_threads, setting


def main(given: Setting) -> None:
    """Measure what is wanted."""
    client = BatchServiceClient(SharedKeyCredentials(given.account, given.key), batch_url=given.endpoint)
    in_threads(given, lambda: client.job.get_task_counts(given.job))


if __name__ == "__main__":
    main(setting())
