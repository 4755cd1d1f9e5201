"""One call with azure-batch 15.1, as somebody would write it."""

import os

from azure.batch import BatchClient  # type: ignore[import-untyped] # It is in its own environment.
from azure.core.credentials import AzureNamedKeyCredential

credential = AzureNamedKeyCredential(os.environ["AZURE_BATCH_ACCOUNT"], os.environ["AZURE_BATCH_ACCESS_KEY"])
with BatchClient(os.environ["AZURE_BATCH_ENDPOINT"], credential) as client:
    counts = client.get_job_task_counts("nightly").task_counts
print("completed", counts.completed)
