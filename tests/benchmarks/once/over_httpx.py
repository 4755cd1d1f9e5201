"""One call with httpx, signed by hand."""

import os

import httpx

from benchmarks.clients.signing import Signer

url = os.environ["AZURE_BATCH_ENDPOINT"] + "/jobs/nightly/taskcounts?api-version=2024-07-01.20.0"
signer = Signer(os.environ["AZURE_BATCH_ACCOUNT"], os.environ["AZURE_BATCH_ACCESS_KEY"], url)
with httpx.Client() as client:
    answer = client.get(url, headers=signer.headers()).raise_for_status()
print("completed", answer.json()["taskCounts"]["completed"])
