"""The arguments that callers may pass: all others are refused before anything is sent."""

import asyncio
import contextlib
import math
import pickle
import uuid
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from support.answers import GUID, Script, answer
from support.client import ACCESS_KEY, ENDPOINT, KEY, TOKEN, Call
from taskcounts import BearerToken, SharedKey
from taskcounts.net.route import RouteOptions, find_route
from taskcounts_rest.contract import API_VERSION

VARIABLES = {
    "AZURE_BATCH_ACCOUNT": "myaccount",
    "AZURE_BATCH_ENDPOINT": "myaccount.westeurope.batch.azure.com",
    "AZURE_BATCH_ACCESS_KEY": ACCESS_KEY,
}


@pytest.mark.parametrize(
    "job_id", ["a", "nightly-render", "A_b-9", "-", "_", "x" * 64, "s:job-1", "x" * 64 + ":job-1234567890"]
)
def test_job_ids(call: Call, job_id: str) -> None:
    """Documented ids and those of a schedule's jobs are one segment of the path."""
    script = Script(answer())
    assert call(script, job_id).job_id == job_id
    path = script.requests[0].url.raw_path.decode().partition("?")[0]
    assert path == f"/jobs/{job_id.replace(':', '%3A')}/taskcounts"
    assert unquote(path.split("/")[2]) == job_id


@pytest.mark.parametrize(
    "job_id",
    [
        "", ".", "..", "a/b", "a\\b", "../x", "a%2Fb", "%2e%2e", "a\n", "\n", "a b", " a", "a\0", "a.b",
        "a?b", "a#b", "a;b", "٣", "ａ", "ünï", "a\u202eb", "😀", "\ud800",
        "x" * 65, "x:job-", "x:job-1:job-2", "x:job-12345678901",
        ":job-1", "x:Job-1", "x:job-٣", "x" * 65 + ":job-1", "x:y", "x" * 100_000,
    ],
    ids=lambda job_id: ascii(job_id)[:30],
)  # fmt: skip
def test_job_ids_that_are_none(call: Call, job_id: str) -> None:
    """An invalid job id is refused, in a line that does a terminal no harm; nothing is sent."""
    script = Script(answer())
    with pytest.raises(ValueError, match="is not a job id: 1 to 64 letters") as caught:
        call(script, job_id)
    assert script.requests == []
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("job_id", [None, 5, b"job-1", ["a"], True], ids=repr)
def test_job_ids_of_a_wrong_type(call: Call, job_id: Any) -> None:
    """A job id is a string."""
    with pytest.raises(TypeError, match="job_id must be a str, not"):
        call(Script(answer()), job_id)


def test_query(call: Call) -> None:
    """The query holds the version, and the service's timeout if one is given."""
    script = Script(answer())
    call(script)
    call(script, service_timeout=30)
    call(script, service_timeout=1)
    assert [request.url.query.decode() for request in script.requests] == [
        "api-version=2024-07-01.20.0",
        "api-version=2024-07-01.20.0&timeout=30",
        "api-version=2024-07-01.20.0&timeout=1",
    ]


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"service_timeout": 31}, ValueError, "service_timeout is 31; the service would use 30 instead"),
        ({"service_timeout": 0}, ValueError, "service_timeout is 0; the service would refuse it"),
        ({"service_timeout": -5}, ValueError, "service_timeout is -5"),
        ({"service_timeout": True}, TypeError, "service_timeout must be an int, not bool"),
        ({"service_timeout": 5.0}, TypeError, "service_timeout must be an int, not float"),
        ({"timeout": 0}, ValueError, "timeout is 0; give seconds above 0, or math.inf"),
        ({"timeout": "5"}, TypeError, "timeout must be a number of seconds, not str"),
        ({"deadline": 0.0}, ValueError, "deadline is 0.0"),
        ({"deadline": -1}, ValueError, "deadline is -1"),
        ({"deadline": math.nan}, ValueError, "deadline is nan"),
        ({"deadline": -math.inf}, ValueError, "deadline is -inf"),
        ({"deadline": True}, TypeError, "deadline must be a number of seconds, not bool"),
        ({"client_request_id": "x"}, ValueError, "client_request_id 'x' is not a plain GUID"),
        ({"client_request_id": ""}, ValueError, "is not a plain GUID"),
        ({"client_request_id": f"{{{GUID}}}"}, ValueError, "is not a plain GUID"),
        ({"client_request_id": GUID.replace("-", "")}, ValueError, "is not a plain GUID"),
        ({"client_request_id": f"urn:uuid:{GUID}"}, ValueError, "is not a plain GUID"),
        ({"client_request_id": GUID + "\n"}, ValueError, "is not a plain GUID"),
        ({"client_request_id": "x" * 1000}, ValueError, "… is not a plain GUID"),
        ({"client_request_id": 5}, TypeError, "client_request_id must be a str or a UUID, not int"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)  # fmt: skip
def test_options_that_are_refused(
    call: Call, options: dict[str, Any], kind: type[Exception], text: str
) -> None:
    """An option out of range is a ValueError, one of the wrong type a TypeError; nothing is sent."""
    script = Script(answer())
    with pytest.raises(kind, match=text):
        call(script, **options)
    assert script.requests == []
    if not {"service_timeout", "client_request_id"} & options.keys():
        with pytest.raises(kind, match=text):
            call(script, client=options)


@pytest.mark.parametrize("name", ["timeout", "deadline"])
def test_seconds_beyond_any_float(call: Call, name: str) -> None:
    """A number of seconds that no float can hold is refused as a value, or means no limit."""
    with contextlib.suppress(ValueError):
        call(Script(answer()), **{name: 10**400})


def test_typos_are_refused(call: Call) -> None:
    """Options are named, and a name that isn't one is a TypeError."""
    with pytest.raises(TypeError, match="dead_line"):
        call(Script(answer()), dead_line=5)
    with pytest.raises(TypeError, match="retries"):
        call(Script(answer()), client={"retries": 5})


@pytest.mark.parametrize("guid", [GUID, GUID.upper(), uuid.UUID(GUID)], ids=repr)
def test_client_request_ids(call: Call, guid: str | uuid.UUID) -> None:
    """A GUID goes out in lower case, however it was given."""
    script = Script(answer())
    call(script, client_request_id=guid)
    assert script.requests[0].headers["client-request-id"] == GUID


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        (ENDPOINT, ENDPOINT),
        (ENDPOINT + "/", ENDPOINT),
        (f"  {ENDPOINT}\n", ENDPOINT),
        ("myaccount.westeurope.batch.azure.com", ENDPOINT),
        ("HTTPS://MyAccount.WestEurope.batch.azure.com", ENDPOINT),
        ("https://a.example:8443/", "https://a.example:8443"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("localhost:5000", "https://localhost:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://a_b.example", "https://a_b.example"),
        ("https://a.example:", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("https://a.example:80", "https://a.example:80"),
        ("https://a.example:00444", "https://a.example:444"),
        ("https://A.Example.", "https://a.example"),
        ("https://a.example.:8443", "https://a.example:8443"),
        ("https://a。example", "https://a.example"),
        ("https://BÜCHER．example｡", "https://xn--bcher-kva.example"),
        ("https://a_b.XN--BCHER-KVA.example", "https://a_b.xn--bcher-kva.example"),
        ("https://[2001:0DB8:0::0001]:443", "https://[2001:db8::1]"),
        ("https://127.0.0.1.", "https://127.0.0.1"),
        (f"https://{'a' * 63}.example", f"https://{'a' * 63}.example"),
        (f"https://{'a.' * 126}b.", f"https://{'a.' * 126}b"),
    ],
)
def test_endpoints(call: Call, endpoint: str, url: str) -> None:
    """An endpoint is a URL without a path; without a scheme it is https. Its host has one form everywhere."""
    script = Script(answer())
    call(script, endpoint=endpoint)
    assert str(script.requests[0].url).startswith(f"{url}/jobs/job-1/taskcounts?")
    assert script.requests[0].headers["host"] == url.partition("://")[2]
    text = endpoint.strip()
    found = find_route(text if "://" in text else f"https://{text}", RouteOptions(None, None, False))
    assert f"{found.scheme}://{found.netloc}" == url


@pytest.mark.parametrize(
    "endpoint",
    [
        "", " ", "https://", "https:///", "ftp://a.example", "file:///etc/passwd", "://a", "https://a b", "https://a.example:99999",
        "https://a.example:x", "https://a.example:-1", "https://[::1", "https://[zz]", "https://[fe80::1%25eth0]",
        "https://a.example:0", "https://a.example:65536", "https://a.example:000443", "https://a.example:٣",
        "https://[::1]b.example", "https://b[::1]", "https://[v1.a]", "https://[a.example]", "https://[127.0.0.1]",
        "https://a.ex\tample", "https://a.ex\nample", "https://a\0.example",
        "https://a\\b", "https://a%2eb", "https://a.example/path", "https://a.example/?x=1", "https://a.example#f",
        "https://a.example//", "https://secretuser@a.example", "https://u:secretword@a.example",
        "secretuser:secretword@a.example",
        "https://@a.example", "https://secretuser:secretword@", "https://a.example?sig=secretword", "https://a\u2100b.example",
    ],
)  # fmt: skip
def test_endpoints_that_are_none(call: Call, endpoint: str) -> None:
    """A text that is no URL of an account is refused, and not shown: it may hold a password."""
    with pytest.raises(ValueError, match="the endpoint") as caught:
        call.client_type(endpoint, KEY)
    assert "secret" not in str(caught.value)


def test_endpoint_of_a_wrong_type(call: Call) -> None:
    """An endpoint is a string."""
    with pytest.raises(TypeError, match="endpoint must be a str, not NoneType"):
        call.client_type(None, KEY)


@pytest.mark.parametrize(
    "credential",
    [None, "a key", ACCESS_KEY, 5, object(), ("myaccount", "key")],
    ids=lambda credential: type(credential).__name__,
)
def test_credentials_that_are_none(call: Call, credential: Any) -> None:
    """An object that is no credential is refused, and not shown; a string gets a hint."""
    with pytest.raises(TypeError, match="credential must be a SharedKey, a BearerToken or") as caught:
        call.client_type(ENDPOINT, credential)
    assert ACCESS_KEY not in str(caught.value)
    assert ("wrap a token in BearerToken" in str(caught.value)) == isinstance(credential, str)


def test_from_environment(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three variables of the az CLI make a client; options are passed on."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    client = call.client_type.from_environment(strict=True)
    assert client.endpoint == ENDPOINT
    assert client._settings.credential == KEY
    assert client._settings.strict is True
    with pytest.raises(TypeError, match="stric"):
        call.client_type.from_environment(stric=True)


def test_from_environment_with_a_credential(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a credential only the endpoint is read."""
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", ENDPOINT)
    client = call.client_type.from_environment(credential=BearerToken(TOKEN))
    assert client._settings.credential == BearerToken(TOKEN)
    monkeypatch.delenv("AZURE_BATCH_ENDPOINT")
    with pytest.raises(ValueError, match=r"^AZURE_BATCH_ENDPOINT is not set in the environment$"):
        call.client_type.from_environment(credential=BearerToken(TOKEN))


def test_from_an_empty_environment(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable that is missing or empty is named."""
    with pytest.raises(
        ValueError,
        match=r"^AZURE_BATCH_ACCOUNT, AZURE_BATCH_ENDPOINT and AZURE_BATCH_ACCESS_KEY are not set",
    ):
        call.client_type.from_environment()
    monkeypatch.setenv("AZURE_BATCH_ACCOUNT", "myaccount")
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", ENDPOINT)
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", "")
    with pytest.raises(ValueError, match=r"^AZURE_BATCH_ACCESS_KEY is not set in the environment$"):
        call.client_type.from_environment()


@pytest.mark.parametrize("name", VARIABLES)
def test_from_an_environment_of_nonsense(call: Call, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A variable that can't be used is named, too."""
    for each, value in VARIABLES.items():
        monkeypatch.setenv(each, "not: usable!" if each == name else value)
    with pytest.raises(ValueError, match=name):
        call.client_type.from_environment()


def test_closed_client(call: Call) -> None:
    """A closed client says so; closing it once more does nothing."""
    client = call.client_type(ENDPOINT, KEY, transport=httpx.MockTransport(Script(answer())))

    async def close_and_ask() -> None:
        for _ in range(2):
            closing = client.close()
            if call.awaits:
                await closing
        asking = client.get_job_task_counts("job-1")
        if call.awaits:
            await asking

    with pytest.raises(RuntimeError, match="the client is closed; make a new one"):
        asyncio.run(close_and_ask())


def test_repr(call: Call) -> None:
    """A client's repr shows the endpoint, the account and the api-version, and no secret."""
    begin = f"{call.client_type.__name__}('{ENDPOINT}', "
    end = f", api_version='{API_VERSION}')"
    assert repr(call.client_type(ENDPOINT, KEY)) == f"{begin}SharedKey('myaccount', key=<hidden>){end}"
    assert repr(call.client_type(ENDPOINT, BearerToken(TOKEN))) == f"{begin}BearerToken(<hidden>){end}"


def test_client_is_not_pickled(call: Call) -> None:
    """A client holds connections; pickling it is refused in words."""
    with pytest.raises(TypeError, match="holds connections and can't be pickled"):
        pickle.dumps(call.client_type(ENDPOINT, KEY))


def test_endpoint_is_read_only(call: Call) -> None:
    """The target of requests can't be changed under a signature."""
    with pytest.raises(AttributeError):
        call.client_type(ENDPOINT, SharedKey("other", ACCESS_KEY)).endpoint = "https://b.example"


@pytest.mark.parametrize(
    "host",
    [
        "999.1.1.1", "1.2.3", "127.1", "2130706433", "0x7f.1", "0x7f000001", "127.0.0.0x1", "a.example.1",
        "0x", "01.2.3.4", "1.2.3.4.5", "１27.0.0.1",
        ".", "..", "a..example", ".a.example", "a.example..", "a。。example",
        "-a.example", "a-.example", "a.example-", "a" * 64, "a." * 127 + "a",
        "a b", "a%2eb", "a*b", "a\ud800.example",
        "xn--zz.example", "xn--", "xn--a.example", "xn--ab-.example", "aé-.example", "ü" * 64,
        "ａ.example", "\u202ea.example",
        "[fe80::1%eth0]", "[fe80::1%25eth0]", "[::1%]", "[:::1]", "[1:2]",
    ],
    ids=ascii,
)  # fmt: skip
def test_hosts_that_are_none(call: Call, host: str) -> None:
    """A host that can't be one is refused at once, not at the first call."""
    with pytest.raises(ValueError, match="neither a name nor an address"):
        call.client_type(f"https://{host}", KEY)
