"""Shared keys: the strings that they sign, and their secrecy."""

import base64
import copy
import hashlib
import hmac
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.answers import answer
from support.client import ACCESS_KEY, KEY, Call
from support.servers import Server, always, header
from support.signing import signature
from taskcounts import SharedKey
from taskcounts.credentials import string_to_sign
from taskcounts_rest.contract import VERSIONS

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "sharedkey_vectors.json").read_text())["vectors"]


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    """String and signature are those of Microsoft's clients and of the published rules."""
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    target = _target(vector["url"])
    as_sent = vector["name"].endswith("-as-sent")
    text = string_to_sign(vector["method"], target, headers, vector["account"], lowercase_names=not as_sent)
    assert text == vector["string_to_sign"]
    key = SharedKey(vector["account"], vector["key"])
    assert key.sign(text) == vector["authorization"]
    # The client itself signs the documented spelling.
    ours = key.authorization(vector["method"], target, headers)
    assert ours == key.sign(text.replace("\ntimeOut:", "\ntimeout:"))
    assert (ours == vector["authorization"]) != as_sent


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("job_id", ["job-1", "nightly:job-7"])
@pytest.mark.parametrize("service_timeout", [None, 20])
def test_what_is_sent_is_what_was_signed(
    call: Call, serve: Callable[..., Server], version: str, job_id: str, service_timeout: int | None
) -> None:
    """The signature on the wire is that of the bytes on the wire, computed anew from the rules."""
    server = serve(always(answer()))
    call(server.url, job_id, service_timeout=service_timeout, client={"api_version": version})
    (head,) = server.requests
    method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
    path, _, query = target.partition("?")
    date = header(head, "ocp-date")
    lines = ["GET", *[""] * 11, f"ocp-date:{date}", f"/myaccount{path}"]
    lines += [part.replace("=", ":").lower() for part in sorted(query.split("&"))]
    mac = hmac.digest(base64.b64decode(ACCESS_KEY), "\n".join(lines).encode(), hashlib.sha256)
    assert method == "GET"
    assert header(head, "authorization") == f"SharedKey myaccount:{base64.b64encode(mac).decode()}"
    # Any of these would have to be in the string as well.
    names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:] if line}
    assert names == {
        b"host", b"accept", b"accept-encoding", b"user-agent", b"client-request-id",
        b"return-client-request-id", b"ocp-date", b"authorization",
    }  # fmt: skip
    assert path == f"/jobs/{job_id.replace(':', '%3A')}/taskcounts"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date or "")


def test_date_variants() -> None:
    """Beside an ocp-date the line of the date is empty, unless ``sign_date`` is set."""
    both = {"date": "Thu, 01 Aug 2024 12:34:56 GMT", "ocp-date": "Thu, 01 Aug 2024 12:34:57 GMT"}
    assert string_to_sign("GET", "/jobs", both, "a").split("\n")[6] == ""
    assert string_to_sign("GET", "/jobs", both, "a", sign_date=True).split("\n")[6] == both["date"]
    alone = {"date": both["date"]}
    assert string_to_sign("GET", "/jobs", alone, "a").split("\n")[6] == both["date"]


def test_name_variants() -> None:
    """Names of query parameters are signed in lower case, or as sent if asked; both sort alike."""
    target = "/jobs?timeOut=20&api-version=1"
    assert string_to_sign("GET", target, {}, "a").endswith("\napi-version:1\ntimeout:20")
    assert string_to_sign("GET", target, {}, "a", lowercase_names=False).endswith(
        "\napi-version:1\ntimeOut:20"
    )
    assert string_to_sign("GET", "/jobs?B=1&a=2", {}, "a").endswith("\na:2\nb:1")


def test_signed_headers_have_their_lines() -> None:
    """Each signed header has its line, in the documented order; then come all that begin with ocp-."""
    names = [
        "content-encoding",
        "content-language",
        "content-length",
        "content-md5",
        "content-type",
        "date",
        "if-modified-since",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "range",
    ]
    headers = {name: f"<{name}>" for name in names} | {"ocp-b": "2", "ocp-a": "1", "accept": "no"}
    lines = string_to_sign("PUT", "/x?", headers, "a").split("\n")
    assert lines == ["PUT", *(f"<{name}>" for name in names), "ocp-a:1", "ocp-b:2", "/a/x"]


def test_empty_parts_of_a_query_are_left_out() -> None:
    """A query's values are decoded and its empty parts are no parameters."""
    assert string_to_sign("GET", "/x?&b=%2F&&%61=1", {}, "a").endswith("/a/x\na:1\nb:/")


def test_signature_of_a_known_text() -> None:
    """A signature is the Base64 of the HMAC-SHA256 (RFC 4231, test case 2)."""
    expected = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    assert base64.b64decode(signature(b"Jefe", "what do ya want for nothing?")) == expected


@pytest.mark.parametrize(
    "key",
    ["", " ", "not Base64!", ACCESS_KEY[:-1], "Bearer " + ACCESS_KEY, "ключ", None, 5, ["a"], b"\xff"],
    ids=ascii,
)
def test_keys_that_are_none(key: Any) -> None:
    """A key that isn't Base64 is refused, and not shown."""
    with pytest.raises(ValueError, match="the access key is not Base64") as caught:
        SharedKey("myaccount", key)
    assert not key or str(key).strip() == "" or str(key) not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    "account", ["", "ab", "a" * 25, "my-account", "https://myaccount.x", "ünïcode", "a\n"]
)
def test_accounts_that_are_none(account: str) -> None:
    """An invalid account name is refused, and shown: it is no secret."""
    with pytest.raises(ValueError, match="is not the name of a Batch account") as caught:
        SharedKey(account, ACCESS_KEY)
    assert repr(account) in str(caught.value)


def test_account_of_a_wrong_type() -> None:
    """An account that isn't a string is a TypeError."""
    with pytest.raises(TypeError, match="account must be a str, not int"):
        SharedKey(5, ACCESS_KEY)  # type: ignore[arg-type]


def test_account_is_lower_case_and_key_is_trimmed() -> None:
    """An account is spelled in lower case, and white space around a pasted key does no harm."""
    assert SharedKey("MyAccount", f" {ACCESS_KEY}\n") == KEY
    assert SharedKey("MyAccount", ACCESS_KEY).account == "myaccount"


def test_equality() -> None:
    """Keys are equal if account and key are, and then they hash alike."""
    other = base64.b64encode(b"another").decode()
    assert SharedKey("myaccount", ACCESS_KEY) == KEY
    assert hash(SharedKey("myaccount", ACCESS_KEY)) == hash(KEY)
    assert SharedKey("myaccount", other) != KEY
    assert SharedKey("youraccount", ACCESS_KEY) != KEY
    assert KEY != ACCESS_KEY


def test_immutable_and_never_pickled() -> None:
    """A key can't be changed or pickled, a copy of it is itself, and its repr doesn't show it."""
    for name in ("account", "new"):
        with pytest.raises(AttributeError, match="SharedKey is immutable"):
            setattr(KEY, name, "x")
    with pytest.raises(AttributeError, match="SharedKey is immutable"):
        del KEY.account
    assert copy.copy(KEY) is copy.deepcopy(KEY) is KEY
    with pytest.raises(TypeError, match="holds a secret and can't be pickled"):
        pickle.dumps(KEY)
    assert repr(KEY) == str(KEY) == "SharedKey('myaccount', key=<hidden>)"


def test_a_plus_sign_is_signed_as_a_blank() -> None:
    """As azure-batch 14.2.0 signs a link that holds some: this signature is that of its SharedKeyAuth."""
    target = "/jobs/job-1/tasks?$filter=state+eq+'active'&$skiptoken=a+b&api-version=2024-07-01.20.0"
    signed = KEY.authorization("GET", target, {"ocp-date": "Thu, 01 Aug 2024 12:34:56 GMT"})
    assert signed == "SharedKey myaccount:Fbko4aB6c6C7uG9fV7ouW02+G/OblkJ7/795crlF22U="
    assert string_to_sign("GET", "/jobs?a+b=c+d&e=%2B", {}, "x").endswith("\na b:c d\ne:+")
