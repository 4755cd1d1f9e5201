"""Authentication: shared keys are verified in full, bearer tokens by their claims."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from support.signing import signature
from taskcounts.credentials import SharedKey, string_to_sign
from taskcounts_emulator.api.auth import RawRequest, authenticate, parse_date
from taskcounts_emulator.refusals import Refusal

KEY = bytes(range(64))
ACCOUNT = SharedKey("myaccount", base64.b64encode(KEY).decode())
NOW = datetime(2024, 8, 1, 12, 34, 56, 654321, tzinfo=UTC)
DATE = "Thu, 01 Aug 2024 12:34:56 GMT"
PATH = "/jobs/nightly%3Ajob-1/taskcounts"


def check(call: RawRequest) -> None:
    """Authenticate a request."""
    authenticate(call, ACCOUNT, NOW)


def refusal(call: RawRequest) -> Refusal:
    """Return the refusal of a request."""
    with pytest.raises(Refusal) as caught:
        check(call)
    return caught.value


def signed(
    headers: dict[str, str],
    query: str = "api-version=1&timeOut=%3330",
    account: str = "myaccount",
    **options: bool,
) -> RawRequest:
    """Return a request with a shared key's signature."""
    text = string_to_sign("GET", f"{PATH}?{query}" if query else PATH, headers, account, **options)
    authorization = f"SharedKey {account}:{signature(KEY, text)}"
    return RawRequest("GET", PATH, query, {**headers, "authorization": authorization})


def bearer(claims: object) -> RawRequest:
    """Return a request with an unsigned JSON Web Token."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return RawRequest("GET", PATH, "", {"authorization": f"Bearer e30.{payload}.c2ln"})


@pytest.mark.parametrize("lowercase_names", [True, False])
@pytest.mark.parametrize("sign_date", [True, False])
@pytest.mark.parametrize("account", ["myaccount", "MyAccount"])
def test_all_forms_that_official_clients_sign_are_taken(
    lowercase_names: bool, sign_date: bool, account: str
) -> None:
    """Query names in any case, Date signed beside ocp-date or not, the account in any case."""
    headers = {"ocp-date": DATE, "date": "Thu, 01 Aug 2024 12:00:00 GMT", "content-type": "application/json"}
    check(signed(headers, account=account, lowercase_names=lowercase_names, sign_date=sign_date))


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("sent", [{}, {"content-length": "0"}])
@pytest.mark.parametrize("counted", [{}, {"content-length": "0"}])
def test_no_body_may_be_signed_as_nothing_or_as_zero(
    method: str, sent: dict[str, str], counted: dict[str, str]
) -> None:
    """An empty body may be signed with length 0 or none: azure-batch 15.1 signs 0 before it is sent."""
    text = string_to_sign(method, PATH, {"ocp-date": DATE, **counted}, "myaccount")
    authorization = f"SharedKey myaccount:{signature(KEY, text)}"
    check(RawRequest(method, PATH, "", {"ocp-date": DATE, **sent, "authorization": authorization}))


def test_the_length_of_a_body_is_signed() -> None:
    """A body's length must be the signed one."""
    text = string_to_sign("POST", PATH, {"ocp-date": DATE, "content-length": "0"}, "myaccount")
    authorization = f"SharedKey myaccount:{signature(KEY, text)}"
    headers = {"ocp-date": DATE, "content-length": "2", "authorization": authorization}
    assert refusal(RawRequest("POST", PATH, "", headers)).status == 403


@pytest.mark.parametrize("meant", ["+", "%20", "%2B"])
def test_a_plus_may_be_signed_as_itself_or_as_a_blank(meant: str) -> None:
    """Microsoft's clients decode a query as a form, and sign a space where they send a plus."""
    text = string_to_sign("GET", f"{PATH}?$filter=a{meant}b", {"ocp-date": DATE}, "myaccount")
    authorization = f"SharedKey myaccount:{signature(KEY, text)}"
    check(RawRequest("GET", PATH, "$filter=a+b", {"ocp-date": DATE, "authorization": authorization}))


def test_a_date_header_will_do() -> None:
    """Without an ocp-date, Date is signed and checked; a query is optional."""
    check(signed({"date": DATE}, query=""))


@pytest.mark.parametrize("minutes", [-15, 15])
def test_a_date_may_be_a_quarter_of_an_hour_off(minutes: int) -> None:
    """Up to 15 minutes of difference are accepted; one second more is refused."""
    edge = NOW.replace(microsecond=0) + timedelta(minutes=minutes)
    beyond = edge + timedelta(seconds=1 if minutes > 0 else -1)
    authenticate(
        signed({"ocp-date": format_datetime(edge, usegmt=True)}), ACCOUNT, NOW.replace(microsecond=0)
    )
    refused = refusal(signed({"ocp-date": format_datetime(beyond, usegmt=True)}))
    assert refused.status == 403
    assert "15 minutes" in refused.details[0][1]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (signed({}), "no ocp-date and no Date"),
        (signed({"ocp-date": "today"}), "RFC 1123"),
        (signed({"ocp-date": DATE}, account="other"), "'other' does not match 'myaccount'"),
    ],
)
def test_a_wrong_date_or_account_is_forbidden_with_the_string_to_sign(call: RawRequest, reason: str) -> None:
    """A wrong date or account is 403 AuthenticationFailed, with the reason and the string to sign."""
    refused = refusal(call)
    assert (refused.status, refused.code, refused.headers) == (403, "AuthenticationFailed", ())
    ((name, detail),) = refused.details
    assert name == "AuthenticationErrorDetail"
    assert reason in detail
    assert "following string to sign: 'GET\n\n" in detail


def test_a_wrong_signature_is_forbidden_without_showing_the_right_one() -> None:
    """The refusal contains the string to sign, but neither signature."""
    right = signed({"ocp-date": DATE})
    _, _, given = right.headers["authorization"].partition(":")
    wrong = RawRequest("GET", PATH, "api-version=2", right.headers)
    refused = refusal(wrong)
    detail = refused.details[0][1]
    assert detail.endswith(f"'GET\n\n\n\n\n\n\n\n\n\n\n\nocp-date:{DATE}\n/myaccount{PATH}\napi-version:2'.")
    expected = signature(KEY, string_to_sign("GET", wrong.target, wrong.headers, "myaccount"))
    assert given not in detail
    assert expected not in detail


@pytest.mark.parametrize("length", [None, "0"])
def test_the_string_to_sign_is_the_documented_one(length: str | None) -> None:
    """The refusal of a request without a body shows the string without a length, not a client's variant."""
    sized = {} if length is None else {"content-length": length}
    headers = {**signed({"ocp-date": DATE}).headers, **sized}
    detail = refusal(RawRequest("DELETE", "/jobs/other", "api-version=2", headers)).details[0][1]
    assert "'DELETE\n\n\n\n\n\n\n\n\n\n\n\nocp-date:" in detail


def test_a_request_without_authorization_is_challenged() -> None:
    """Without Authorization the response is 401 with a challenge."""
    refused = refusal(RawRequest("GET", PATH, "", {}))
    assert (refused.status, refused.code) == (401, "AuthenticationFailed")
    assert dict(refused.headers)["www-authenticate"].startswith("Bearer authorization_uri=")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "SharedKey",
        "SharedKey myaccount",
        "SharedKey myaccount:",
        "SharedKey :c2ln",
        "SharedKey my account:c2ln",
        "SharedKey myaccount:c2ln=c2ln",
        "SharedKey myaccount:é",
        "SharedKeyLite myaccount:c2ln",
        "Basic dXNlcg==",
        "Bearer",
        "Bearer ",
        "Bearer two words",
        "Bearer é",
        "Bearer =",
    ],
)
def test_an_authorization_that_cannot_be_read_is_invalid(value: str) -> None:
    """Another scheme or form is 400 InvalidAuthenticationInfo, and is not shown."""
    refused = refusal(RawRequest("GET", PATH, "", {"authorization": value, "ocp-date": DATE}))
    assert (refused.status, refused.code, refused.details) == (400, "InvalidAuthenticationInfo", ())


def test_an_authorization_that_stands_twice_is_invalid() -> None:
    """Two Authorization headers are refused, even if both are valid."""
    call = signed({"ocp-date": DATE})
    twice = RawRequest("GET", PATH, call.query, call.headers, frozenset({"authorization"}))
    assert refusal(twice).code == "InvalidAuthenticationInfo"


@pytest.mark.parametrize("scheme", ["sharedkey", "SHAREDKEY"])
def test_the_scheme_may_be_in_any_case(scheme: str) -> None:
    """The case of the scheme is ignored (RFC 9110, 11.1)."""
    call = signed({"ocp-date": DATE})
    value = call.headers["authorization"].replace("SharedKey", scheme)
    check(RawRequest("GET", PATH, call.query, {**call.headers, "authorization": value}))


@pytest.mark.parametrize("token", ["x", "opaque~token==", "a.b", "a.b.c", "a._.c", "a.W10.c", "e30.e30.c2ln"])
def test_a_token_that_states_nothing_is_taken(token: str) -> None:
    """A token that is not a JSON Web Token, or has no claims, is accepted by its form."""
    check(RawRequest("GET", PATH, "", {"authorization": f"bearer  {token}"}))


def test_a_token_too_deep_to_be_read_is_taken() -> None:
    """A payload that is nested too deeply is treated as one that is not JSON."""
    payload = base64.urlsafe_b64encode(b"[" * 100_000).decode().rstrip("=")
    check(RawRequest("GET", PATH, "", {"authorization": f"Bearer a.{payload}.c"}))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://batch.core.windows.net/", "exp": NOW.timestamp() + 1},
        {"aud": ["x", "https://batch.chinacloudapi.cn/"]},
        {"aud": "https://batch.core.usgovcloudapi.net/", "exp": "later"},
    ],
)
def test_a_token_for_the_service_is_taken(claims: object) -> None:
    """The three audiences of the service are accepted until the token expires."""
    check(bearer(claims))


@pytest.mark.parametrize(
    "audience", ["https://batch.core.windows.net", "https://management.azure.com/", None, []]
)
def test_a_token_for_another_audience_is_refused(audience: object) -> None:
    """The audience must be the service's with its slash, or it is 401 with the recorded detail."""
    refused = refusal(bearer({"aud": audience}))
    assert (refused.status, refused.code) == (401, "AuthenticationFailed")
    ((_, detail),) = refused.details
    assert "wrong audience or resource" in detail
    assert "'https://batch.core.windows.net/'" in detail
    assert dict(refused.headers)["www-authenticate"]


def test_a_token_that_expired_is_refused() -> None:
    """A token is valid until the second before its expiry."""
    refused = refusal(bearer({"exp": NOW.timestamp()}))
    assert refused.status == 401
    assert refused.details[0][1] == "The access token has expired."


@pytest.mark.parametrize(
    "text",
    [
        "Thu, 1 Aug 2024 12:34:56 GMT",
        "thu, 01 Aug 2024 12:34:56 GMT",
        "Thu, 32 Aug 2024 12:34:56 GMT",
        "Thu, 01 Aug 0000 12:34:56 GMT",
        "Thu, 01 Aug 2024 12:34:60 GMT",
        "Wed, 01 Aug 2024 12:34:56 GMT",
        "Thu, 01 Aug 2024 12:34:56 +0000",
        "Thu, 01 Aug 2024 12:34:56 GMT\n",
        "Thursday, 01-Aug-24 12:34:56 GMT",
    ],
)
def test_only_one_form_of_a_date_is_read(text: str) -> None:
    """Only the preferred form of RFC 9110 with the right weekday is a date."""
    assert parse_date(text) is None
    assert parse_date(DATE) == NOW.replace(microsecond=0)


def test_a_call_shows_no_headers() -> None:
    """The repr of a request leaves out its headers, which contain the Authorization."""
    assert "SharedKey" not in repr(signed({"ocp-date": DATE}))
