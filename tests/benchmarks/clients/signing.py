"""A shared key's signature, for clients that have none of their own: what doesn't change is prepared."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from email.utils import formatdate

__all__ = ["Signer"]


class Signer:
    """Makes the headers of one attempt after another at the same GET.

    Args:
        account: The account's name.
        key: Its access key.
        url: What is asked for; its query has its parameters in the order of their names, nothing encoded.
    """

    def __init__(self, account: str, key: str, url: str) -> None:
        self._key = base64.b64decode(key)
        path, _, query = url.partition("://")[2].partition("/")[2].partition("?")
        # The verb and eleven headers that it doesn't have, then the date, then what is asked for.
        self._before = "GET" + "\n" * 12 + "ocp-date:"
        self._after = "\n".join(
            ["", f"/{account}/{path}", *(part.replace("=", ":", 1) for part in query.split("&"))]
        )
        self._prefix = f"SharedKey {account}:"
        self._second, self._date = 0, ""

    def __repr__(self) -> str:
        return "Signer()"

    def headers(self) -> dict[str, str]:
        """Return the headers of a new request."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        text = self._before + self._date + self._after
        signature = base64.b64encode(hmac.digest(self._key, text.encode(), hashlib.sha256)).decode()
        return {
            "accept": "application/json",
            "client-request-id": str(uuid.uuid4()),
            "return-client-request-id": "true",
            "ocp-date": self._date,
            "authorization": self._prefix + signature,
        }
