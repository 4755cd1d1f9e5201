"""azure-batch 15.1 with coroutines, over aiohttp: the operations of ``azure_batch_15``."""

from __future__ import annotations

import asyncio

from azure.batch.aio import BatchClient  # type: ignore[import-untyped] # It is in its own environment.
from azure.core.credentials import AccessToken

from interop.clients import azure_batch_15
from interop.clients.report import Account


class Credential:
    """A credential of Microsoft Entra that makes its tokens up, in its own time."""

    def __init__(self) -> None:
        self.scopes: list[tuple[str, ...]] = []

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        """Return a token for an hour."""
        await asyncio.sleep(0)
        token = azure_batch_15.Credential()
        self.scopes.append(scopes)
        return token.get_token(*scopes)


if __name__ == "__main__":
    # aiohttp asks again by itself where a connection that it kept breaks.
    asyncio.run(azure_batch_15.Program(Account(), BatchClient, Credential, resets_seen=0).run())
