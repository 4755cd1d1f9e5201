"""The adapter of azure-batch 15.1 with coroutines, over aiohttp."""

from __future__ import annotations

import asyncio

from azure.batch.aio import BatchClient  # type: ignore[import-untyped] # It is in its own environment.
from azure.core.credentials import AccessToken

from interop.clients.azure_batch_15 import AzureBatch15, Credential
from interop.clients.checks import run
from interop.clients.client import Account


class AsyncCredential(Credential):
    """A credential whose tokens have to be awaited."""

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:  # type: ignore[override]
        """Return a token for an hour."""
        await asyncio.sleep(0)
        return super().get_token(*scopes)


class AzureBatch15Async(AzureBatch15):
    client_type = BatchClient
    credential_type = AsyncCredential
    # aiohttp itself asks again where a connection that it kept breaks.
    failures = {"throttled": 1, "cut-off": 0}  # noqa: RUF012 - Nobody changes it.


if __name__ == "__main__":
    run(AzureBatch15Async(Account()))
