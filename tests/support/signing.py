"""Signatures of shared keys, computed apart from the client's."""

import base64
import hashlib
import hmac


def signature(key: bytes, text: str) -> str:
    """Return the Base64 of the HMAC-SHA256 of a text under a decoded key."""
    return base64.b64encode(hmac.digest(key, text.encode(), hashlib.sha256)).decode()
