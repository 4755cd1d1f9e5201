"""A client library for accessing Azure Batch task counts"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import AuthenticatedClient, Client
else:

    def __getattr__(name: str) -> type:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import client  # noqa: PLC0415

        return getattr(client, name)


__all__ = (
    "AuthenticatedClient",
    "Client",
)
