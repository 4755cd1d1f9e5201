"""Laws of the client, searched for counterexamples."""

import base64
import json
import re
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import httpx
import jsonschema_rs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support import strategies
from support.answers import BUSY, Reply, Script, answer, error, wire
from support.client import ACCESS_KEY, Call
from support.clocks import FakeClock
from support.signing import signature
from taskcounts import ContractViolation, RetryPolicy, ServiceError, Snapshot, TaskCountsError
from taskcounts.credentials import string_to_sign
from taskcounts.protocol.schema import Violation, compile_schema
from taskcounts.retry import RETRYABLE_STATUSES, retry_after_seconds
from taskcounts.text import one_line
from taskcounts_rest import contract
from taskcounts_rest.models import (
    BatchError,
    CloudJob,
    CloudJobListResult,
    CloudTaskListResult,
    TaskCountsResult,
)

MODELS: dict[str, Any] = {
    "Task_List": CloudTaskListResult,
    "Job_Get": CloudJob,
    "Job_List": CloudJobListResult,
}
NOW = datetime(2024, 8, 1, 12, 34, 56, tzinfo=UTC)

policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 8),
    first_pause=st.floats(0, 100),
    max_pause=st.floats(0, 100),
    jitter=st.floats(0, 1),
)
draws = st.floats(0, 1, exclude_max=True)
faults = st.sampled_from(
    [httpx.ReadTimeout(""), httpx.ConnectError("refused"), ConnectionResetError("reset")]
)
waits = st.none() | st.integers(0, 200) | st.floats(0, 200).map(lambda x: round(x, 3))
busy = st.builds(
    lambda status, wait: error(status, "X", **({} if wait is None else {"retry_after": str(wait)})),
    st.sampled_from(sorted(RETRYABLE_STATUSES)),
    waits,
)


def _told(request: httpx.Response | None) -> float | None:
    wish = None if request is None else request.headers.get("retry-after")
    return None if wish is None else float(wish)


@given(
    policy=policies,
    draw=draws,
    deadline=st.floats(0.01, 500),
    outcomes=st.lists(busy | faults, min_size=1, max_size=8),
    takes=st.floats(0, 20),
)
# What is left is longer than the pause, by less than the clock can tell.
@example(
    policy=RetryPolicy(first_pause=1.633866836889382, jitter=0),
    draw=0.0,
    deadline=1.6338668368894,
    outcomes=[BUSY],
    takes=0.0,
)
def test_limits_hold(  # noqa: PLR0917 - Hypothesis gives them by name.
    call: Call, policy: RetryPolicy, draw: float, deadline: float, outcomes: list[Any], takes: float
) -> None:
    """Attempts never exceed the limit, nor pauses the deadline; no pause is shorter than Retry-After."""
    clock = FakeClock(draw)
    script = Script(*outcomes)
    wishes: list[float | None] = []

    def handle(request: httpx.Request) -> httpx.Response:
        clock.pass_by(takes)
        wishes.append(None)
        response = script(request)
        wishes[-1] = _told(response)
        return response

    with pytest.raises(TaskCountsError) as caught:
        call(handle, client={"clock": clock, "retry": policy}, deadline=deadline)
    # Where almost no time is left, an attempt may be over before its request is out.
    assert 1 <= len(script.requests) <= caught.value.attempts <= policy.max_attempts
    assert len(clock.pauses) == caught.value.attempts - 1
    assert sum(clock.pauses) <= deadline
    for pause, wish in zip(clock.pauses, wishes, strict=False):
        assert pause >= (wish or 0)
    # One that is allowed is never left out: the reason to stop is the limit or the deadline.
    assert caught.value.attempts == policy.max_attempts or "gave up" in str(caught.value)


@given(policy=policies, attempt=st.integers(1, 10**6), wish=st.none() | st.floats(0), draw=draws)
def test_pauses(policy: RetryPolicy, attempt: int, wish: float | None, draw: float) -> None:
    """A pause is at least the service's wish, else at most our longest; after the last there is none."""
    pause = policy.pause_after(attempt, wish, draw)
    assert (pause is None) == (attempt >= policy.max_attempts)
    if pause is not None:
        assert pause >= (wish or 0)
        assert pause <= max(wish or 0, policy.max_pause)


@given(
    status=st.integers(100, 999).filter(lambda status: status not in RETRYABLE_STATUSES | {200}),
    body=st.binary(),
)
def test_nothing_else_is_retried(call: Call, status: int, body: bytes) -> None:
    """A status other than the six, such as any other 4xx, is not retried."""
    clock, script = FakeClock(), Script(answer(body, status, retry_after="1"))
    with pytest.raises(ServiceError) as caught:
        call(script, client={"clock": clock})
    assert (len(script.requests), caught.value.attempts, clock.pauses) == (1, 1, [])


@given(failures=st.lists(busy, max_size=3), first=st.floats(1, 5))
def test_every_attempt_is_signed_afresh(call: Call, failures: list[Reply], first: float) -> None:
    """Each attempt carries its own date and the signature that belongs to it."""
    clock, script = FakeClock(), Script(*failures, answer())
    retry = RetryPolicy(first_pause=first, jitter=0)
    call(script, client={"clock": clock, "retry": retry, "deadline": 10_000})
    dates = [request.headers["ocp-date"] for request in script.requests]
    assert len(set(dates)) == len(dates) == len(failures) + 1
    for request in script.requests:
        target = request.url.raw_path.decode("ascii")
        text = string_to_sign("GET", target, dict(request.headers), "myaccount")
        expected = signature(base64.b64decode(ACCESS_KEY), text)
        assert request.headers["authorization"] == f"SharedKey myaccount:{expected}"


class Fetches:
    """A credential whose tokens have given lives, with a record of them."""

    def __init__(self, clock: FakeClock, lives: list[tuple[int | None, int | None]]) -> None:
        self.clock = clock
        self.lives = lives
        # Of each token: when it was fetched, and until when it is used.
        self.given: dict[str, tuple[float, float]] = {}

    def get_token(self, *_: str, **__: Any) -> Any:
        now = self.clock.now().timestamp()
        expires, refresh = self.lives[len(self.given) % len(self.lives)]
        token = SimpleNamespace(token=f"token-{len(self.given)}")
        until = now
        if expires is not None:
            token.expires_on = int(now) + expires
            until = token.expires_on - 300
            if refresh is not None:
                token.refresh_on = int(now) + refresh
                until = min(token.refresh_on, token.expires_on)
        self.given[token.token] = (now, until)
        return token


spans = st.none() | st.integers(-10, 5000)


@given(
    lives=st.lists(st.tuples(spans, spans), min_size=1, max_size=4),
    steps=st.lists(st.tuples(st.integers(0, 4000), st.none() | busy), min_size=1, max_size=12),
)
def test_a_token_is_fetched_once_while_it_lives(call: Call, lives: Any, steps: Any) -> None:
    """No token is fetched while another one lives, and none that does not is sent but at once."""
    clock = FakeClock()
    credential = Fetches(clock, lives)
    outcomes = iter(steps)

    def handle(request: httpx.Request) -> httpx.Response:
        now = clock.now().timestamp()
        fetched, until = credential.given[request.headers["authorization"].removeprefix("Bearer ")]
        assert now < until or now == fetched
        seconds, reply = next(outcomes, (0, None))
        clock.pass_by(seconds)
        return Script(reply or answer())(request)

    call.times(
        3,
        handle,
        credential=credential,
        client={"clock": clock, "retry": RetryPolicy(max_attempts=20)},
        deadline=1e6,
    )
    times = list(credential.given.values())
    assert all(next_one >= until for (_, until), (next_one, _) in pairwise(times))


hostile = (
    st.text()
    | st.text("./%2FfEe\\:;?#&=\0\r\n ab-_job1", max_size=12)
    | st.from_regex(contract.PARAMETERS["jobId"]["pattern"])
)


@given(job_id=hostile)
@example("..")
@example("a%2F..")
@example("x:job-1\n")
def test_hostile_job_ids(call: Call, job_id: str) -> None:
    """A job id never changes the path's shape: it is refused, or one segment that reads back as the id."""
    script = Script(answer())
    try:
        call(script, job_id)
    except ValueError:
        assert script.requests == []
        return
    (request,) = script.requests
    path, _, query = request.url.raw_path.decode("ascii").partition("?")
    empty, jobs, segment, last = path.split("/")
    assert (empty, jobs, unquote(segment), last) == ("", "jobs", job_id, "taskcounts")
    assert segment not in (".", "..", "")
    assert query == f"api-version={contract.API_VERSION}"


statuses = st.integers(100, 999) | st.sampled_from([200, 200, 302, 404, 429, 503])
bodies = st.binary() | st.one_of(
    strategies.json_values, strategies.errors, strategies.near_misses(strategies.results)
).map(wire)


@given(status=statuses, headers=strategies.headers, body=bodies)
@example(status=302, headers={"location": "https://["}, body=b"")
@example(status=302, headers={"location": "https://a℀b"}, body=b"")
@example(status=403, headers={"date": "Fri, 31 Dec 9999 23:59:59 -2359"}, body=b"")
@example(status=401, headers={"date": "Mon, 01 Jan 0100 00:00:00 +2359"}, body=b"")
def test_any_answer_at_all(call: Call, status: int, headers: dict[str, str], body: bytes) -> None:
    """Any status, bytes and headers give a snapshot or one of our errors, in one line, and nothing else."""
    raw: Any = {name: value.encode() for name, value in headers.items()}
    try:
        snapshot = call(Script(Reply(status, raw, body)), client={"clock": FakeClock()})
    except TaskCountsError as fault:
        told = str(fault)
    else:
        assert status == 200
        assert isinstance(snapshot, Snapshot)
        told = snapshot.job_id
    assert told.isprintable()
    assert len(told) <= 2000


@given(body=strategies.violating)
def test_violating_bodies_never_give_counts(call: Call, body: Any) -> None:
    """A 200 that breaks the fragment never gives counts."""
    with pytest.raises(ContractViolation):
        call(Script(answer(body if isinstance(body, bytes) else wire(body))))


@given(body=strategies.conforming)
def test_conforming_bodies_always_give_counts(call: Call, body: dict[str, Any]) -> None:
    """A 200 that keeps to the fragment gives exactly its counts and its other members."""
    snapshot = call(Script(answer(body)))
    assert snapshot.task_counts.to_dict() == body["taskCounts"]
    assert snapshot.task_slot_counts.to_dict() == body["taskSlotCounts"]
    assert snapshot.additional_properties.to_dict() == {
        name: value for name, value in body.items() if name not in ("taskCounts", "taskSlotCounts")
    }
    assert snapshot.percent is None or 0 <= snapshot.percent <= 100
    sums = [body[name]["succeeded"] + body[name]["failed"] for name in ("taskCounts", "taskSlotCounts")]
    wholes = [body[name]["completed"] for name in ("taskCounts", "taskSlotCounts")]
    assert len(snapshot.inconsistencies) == sum(a != b for a, b in zip(sums, wholes, strict=True))


@given(body=strategies.results)
def test_results_read_and_write_back(body: dict[str, Any]) -> None:
    """Reading a result and writing it are inverse."""
    assert TaskCountsResult.from_dict(body).to_dict() == body
    assert TaskCountsResult.from_dict(
        TaskCountsResult.from_dict(body).to_dict()
    ) == TaskCountsResult.from_dict(body)


@given(body=strategies.errors)
def test_errors_read_and_write_back(body: dict[str, Any]) -> None:
    """So are reading and writing an error."""
    assert BatchError.from_dict(body).to_dict() == body


def _allowed(schema: dict[str, Any], value: Any) -> bool:
    try:
        compile_schema(schema)(value)
    except Violation:
        return False
    return True


ORACLES = {
    name: jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    for name, schema in [
        ("RESULT", strategies.RESULT),
        ("ERROR", strategies.ERROR),
        *strategies.RESULTS.items(),
    ]
}


@given(
    value=st.one_of(
        strategies.json_values,
        strategies.results,
        strategies.near_misses(strategies.results),
        strategies.errors,
        strategies.near_misses(strategies.errors),
    )
)
def test_checks_agree_with_a_validator(value: Any) -> None:
    """Our checks of results and errors give the verdicts of a JSON Schema validator."""
    result = contract.OPERATIONS["Job_GetTaskCounts"].result
    assert _allowed(result, value) == ORACLES["RESULT"].is_valid(value)
    assert _allowed(contract.ERROR, value) == ORACLES["ERROR"].is_valid(value)


@pytest.mark.parametrize("name", ["Task_List", "Job_Get", "Job_List"])
@given(data=st.data())
def test_checks_of_lists_agree_with_a_validator(name: str, data: st.DataObject) -> None:
    """The same goes for jobs and lists, right ones and spoilt ones; models take what passes."""
    schema, oracle = contract.OPERATIONS[name].result, ORACLES[name]
    right = data.draw(strategies.answers[name])
    value = data.draw(st.just(right) | strategies.near_misses(st.just(right)))
    assert _allowed(schema, value) == oracle.is_valid(value)
    if _allowed(schema, value):
        MODELS[name].from_dict(value)


times = st.from_regex(
    re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,9})?(Z|[+-][0-9:]{4,5}|)"
    ),
    fullmatch=True,
) | st.datetimes().map(lambda moment: moment.isoformat() + "Z")


@given(value=times | strategies.json_values)
@example(value="2016-11-21T22:43:31.4733476Z")
@example(value="2024-08-01T12:34:56")
@example(value="2024-02-30T12:34:56Z")
@example(value="2024-08-01T12:34:56+24:00")
@example(value="٢٠٢٤-08-01T12:34:56Z")
def test_times_are_of_rfc_3339(value: Any) -> None:
    """A text that passes for a time is one to a validator as well, and has a zone."""
    schema = {"type": "string", "format": "date-time"}
    if _allowed(schema, value):
        assert jsonschema_rs.is_valid(schema, value, validate_formats=True)
        assert datetime.fromisoformat(value).tzinfo is not None


@given(value=st.integers(), floor=st.none() | st.integers(-(2**40), 2**40), bits=st.sampled_from([31, 63]))
@example(value=2**31, floor=None, bits=31)
@example(value=-(2**63), floor=None, bits=63)
def test_ranges_of_integers(value: int, floor: int | None, bits: int) -> None:
    """An integer is within its format's range and not below its minimum."""
    schema = {"type": "integer", "format": f"int{bits + 1}"} | ({} if floor is None else {"minimum": floor})
    assert _allowed(schema, value) == (
        max(-(2**bits), floor if floor is not None else value) <= value < 2**bits
    )


@given(wish=strategies.retry_afters, more=strategies.retry_afters, date=st.none() | strategies.retry_afters)
@example(wish="9" * 5000, more="", date=None)
@example(wish="Fri, 31 Dec 9999 23:59:59 -2359", more="", date="Mon, 01 Jan 0001 00:00:00 +2359")
def test_retry_after_is_a_number_of_seconds(wish: str, more: str, date: str | None) -> None:
    """Whatever the headers hold, a wish is None or a number of seconds that isn't negative."""
    since = {} if date is None else {"date": date}
    headers = {"retry-after": wish, "retry-after-ms": more} | since
    seconds = retry_after_seconds(headers, NOW)
    assert seconds is None or seconds >= 0
    # Given twice, in whichever order, two wishes are as long as the longer one.
    one, other, *both = (
        retry_after_seconds({"retry-after": each} | since, NOW)
        for each in (wish, more, f"{wish}, {more}", f"{more}, {wish}")
    )
    assert both == [max((each for each in (one, other) if each is not None), default=None)] * 2


@given(text=st.text(), limit=st.integers(1, 500))
@example(text="a\u2028b\x85c\x1b[31m\u202e\ud800", limit=300)
@example(text="\x1b[1;31mred\x1b[0m \x1b]8;;https://a\x07link\x1b]8;;\x1b\\ \x1b(B\x9b2J\x1b", limit=300)
def test_one_line(text: str, limit: int) -> None:
    """Any text becomes one printable line of bounded length that keeps what it can."""
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line == "" or line.isprintable()
    assert len(line.splitlines()) <= 1
    assert one_line(line, limit) == line


names = st.from_regex(re.compile(r"[a-z][a-z-]{0,8}", re.ASCII), fullmatch=True)


@given(
    headers=st.dictionaries(names | names.map("ocp-".__add__), st.text("ab: 1", max_size=5)),
    query=st.dictionaries(names, st.text("ab%1/", max_size=5).filter(lambda text: "%" not in text)),
    data=st.data(),
)
def test_order_does_not_matter(headers: dict[str, str], query: dict[str, str], data: st.DataObject) -> None:
    """The string to sign doesn't depend on the order of headers or of query parameters."""

    def text(headers: list[tuple[str, str]], query: list[tuple[str, str]]) -> str:
        target = "/jobs?" + "&".join(f"{name}={value}" for name, value in query)
        return string_to_sign("GET", target, dict(headers), "myaccount")

    mixed = data.draw(st.permutations(list(headers.items()))), data.draw(st.permutations(list(query.items())))
    assert text(*mixed) == text(list(headers.items()), list(query.items()))


def test_violating_bodies_are_violating() -> None:
    """The laws on violating bodies can fail: a conforming one passes the same oracle."""
    assert ORACLES["RESULT"].is_valid(json.loads(answer().body))
    assert not ORACLES["RESULT"].is_valid({"taskCounts": {}, "taskSlotCounts": {}})
    assert not isinstance(BUSY, Exception)
