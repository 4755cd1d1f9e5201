"""One call with azure-batch 14.2, as somebody would write it."""

import os

from azure.batch import BatchServiceClient  # type: ignore[import-untyped] # It is in its own environment.
from azure.batch.batch_auth import SharedKeyCredentials  # type: ignore[import-untyped]

credentials = SharedKeyCredentials(os.environ["AZURE_BATCH_ACCOUNT"], os.environ["AZURE_BATCH_ACCESS_KEY"])
client = BatchServiceClient(credentials, batch_url=os.environ["AZURE_BATCH_ENDPOINT"])
counts = client.job.get_task_counts("nightly").task_counts
print("completed", counts.completed)
