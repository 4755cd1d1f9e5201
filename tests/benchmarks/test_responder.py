"""The benchmark from end to end, small: the responder is built, answers, and a row is run over it."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks import environments
from benchmarks.clients import micro, ours, over_generated, over_httpx, over_httpx2, signing
from benchmarks.clients.measure import Setting
from benchmarks.rows import BLOCKS, ROWS, Row
from benchmarks.run import ACCOUNT, KEY, Failed, Runner
from benchmarks.server import Responder, build
from taskcounts import JobNotFound, SharedKey, TaskCountsClient
from taskcounts_emulator import Emulator

BY_NAME = {block.name: block for block in BLOCKS}
BY_KEY = {row.key: row for row in ROWS}

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler called 'cc'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def responder(folder: Path) -> Iterator[Responder]:
    compiled, tls = build(folder)
    with Responder(compiled, folder, BLOCKS, tls=tls) as started:
        yield started


def small(key: str, **options: object) -> Row:
    """Return a row that takes no time."""
    from dataclasses import replace

    return replace(BY_KEY[key], calls=5, warm_up=2, **options)  # type: ignore[arg-type]


@needs_compiler
def test_a_row_is_measured(responder: Responder, folder: Path) -> None:
    """A process of its own calls the responder, and tells what that cost."""
    told: list[str] = []
    runner = Runner(responder, folder, python=lambda _: Path(sys.executable))
    taken = runner.rounds([small("sync/ours")], 1, told.append)
    assert taken.failures == {}
    sample = taken.samples["sync/ours"][0]
    assert set(sample) == {"cpu", "wall", "memory", "server", "busy", "connections"}
    assert 0 < sample["cpu"] < 1e6
    assert sample["memory"] > 1 << 20
    assert sample["connections"] == 0
    assert told[-1].startswith("round 1 of 1, ")
    assert 0 <= taken.disturbance < 1


@needs_compiler
def test_a_row_that_fails_says_why(responder: Responder, folder: Path) -> None:
    """The last line of what its process says, and the other rows go on."""
    runner = Runner(responder, folder, python=lambda _: Path(sys.executable))
    taken = runner.rounds([small("sync/ours", program="none")], 2, lambda _: None)
    assert taken.samples == {}
    assert taken.failures["sync/ours"].endswith("No module named benchmarks.clients.none")
    with pytest.raises(Failed, match="0 requests"):
        runner.sample(small("start/httpx", program="python", words=("-c", "print(12)")))


@needs_compiler
def test_a_row_that_asks_too_often_fails(responder: Responder, folder: Path) -> None:
    """Calls of which some were asked twice cost more than calls do; and it isn't run again."""
    ran, client = folder / "ran", folder / "client"
    server = {"cpu": 0.1, "requests": 6, "connections": 1}
    told = json.dumps({"calls": 5, "cpu": 0.1, "wall": 0.2, "memory": 1, "server": server})
    client.write_text(f"#!/bin/sh\necho ran >> {ran}\necho '{told}'\n", encoding="utf-8")
    client.chmod(0o700)
    taken = Runner(responder, folder, python=lambda _: client).rounds([small("sync/ours")], 2, lambda _: None)
    assert taken.samples == {}
    assert taken.failures == {"sync/ours": "5 calls, but 6 requests"}
    assert ran.read_text(encoding="utf-8") == "ran\n"


@needs_compiler
def test_a_thread_that_fails_ends_its_program(responder: Responder, folder: Path) -> None:
    """The report has the first error, not the timeouts of those who waited for it."""
    row = small("threads/ours")
    runner = Runner(responder, folder, python=lambda _: Path(sys.executable))
    assert runner.sample(row)["cpu"] > 0
    missing = Setting("http://127.0.0.1:9", ACCOUNT, KEY, 2, 2, 2, job="none")
    with pytest.raises(JobNotFound):
        ours.main(missing._replace(endpoint=responder.endpoint(BY_NAME["sync"])))


@needs_compiler
def test_the_responder_answers_like_the_service(responder: Responder) -> None:
    """Counts for a job, 404 for another, 403 for who doesn't sign; chunked or not; fresh ids."""
    with TaskCountsClient(
        responder.endpoint(BY_NAME["sync"]), SharedKey(ACCOUNT, KEY), strict=True
    ) as client:
        snapshots = [client.get_job_task_counts("nightly") for _ in range(2)]
        assert snapshots[0].task_counts.completed == 12
        assert snapshots[0].request_id != snapshots[1].request_id
        with pytest.raises(JobNotFound):
            client.get_job_task_counts("none")
    for name in ("sync", "sync-length"):
        connection = http.client.HTTPConnection(responder.endpoint(BY_NAME[name]).removeprefix("http://"))
        connection.request("GET", "/jobs/nightly/taskcounts")
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)["code"]) == (403, "AuthenticationFailed")
        framing = {"sync": "transfer-encoding", "sync-length": "content-length"}
        assert framing[name] in {header.lower() for header in answer.headers}
        connection.close()


@needs_compiler
def test_the_responder_takes_its_time(responder: Responder) -> None:
    """An answer comes 30 ms after its request, however many there are, and they are counted."""
    before = responder.status()
    endpoint = responder.endpoint(BY_NAME["latency"])
    with TaskCountsClient(endpoint, SharedKey(ACCOUNT, KEY), strict=True) as client:
        started = time.monotonic()
        results = list(client.get_many(["nightly"] * 64, concurrency=64))
        took = time.monotonic() - started
    assert all(result.snapshot is not None for result in results)
    assert took >= 0.03
    after = responder.status()
    assert after["requests"] - before["requests"] == 64
    # Had they waited for each other, it would have been 1.9 s, and fewer connections.
    assert after["connections"] - before["connections"] > 16


@needs_compiler
@pytest.mark.parametrize("how", ["", "async"])
def test_calls_are_in_flight_at_once(
    responder: Responder, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those who wait for an answer don't keep the others from asking."""
    endpoint = responder.endpoint(BY_NAME["latency"])
    ours.main(Setting(endpoint, ACCOUNT, KEY, 12, 6, 0, how, status=responder.port))
    told = json.loads(capsys.readouterr().out)
    assert told["server"]["requests"] == 12
    # One of them asked for this, and one after another there would be one more.
    assert told["server"]["connections"] > 2


@needs_compiler
def test_the_responder_speaks_tls(responder: Responder) -> None:
    """The authority stands in a file of its own, and in one with all other authorities."""
    if not responder.authority.exists():
        pytest.skip("OpenSSL's headers are missing")
    for trusted in (responder.authority, responder.bundle):
        endpoint = responder.endpoint(BY_NAME["sync-tls"])
        with TaskCountsClient(endpoint, SharedKey(ACCOUNT, KEY), verify=str(trusted), strict=True) as client:
            assert client.get_job_task_counts("nightly").task_counts.running == 3


def test_a_missing_compiler_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever has none is told what to do."""
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(RuntimeError, match=r"^there is no C compiler called 'no-such-compiler'; install gcc"):
        build(tmp_path)
    monkeypatch.setenv("CC", "false")
    with pytest.raises(RuntimeError, match=r"^the responder can't be compiled: no word$"):
        build(tmp_path)


@needs_compiler
def test_without_headers_of_openssl_there_is_no_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The rest can be measured all the same."""
    compiler = tmp_path / "compiler"
    lacking = 'case "$*" in *-lssl*) echo "error: no openssl/ssl.h" >&2; exit 1;; esac'
    compiler.write_text(f'#!/bin/sh\n{lacking}\nexec cc "$@"\n', encoding="utf-8")
    compiler.chmod(0o700)
    monkeypatch.setenv("CC", str(compiler))
    compiled, tls = build(tmp_path)
    assert not tls
    with Responder(compiled, tmp_path, BLOCKS, tls=tls) as responder:
        assert responder.status()["requests"] == 0


def test_wrong_usage_is_one_line() -> None:
    """The exit code is that of wrong usage."""
    ran = CliRunner().invoke(program.main, ["nothing"])
    assert ran.exit_code == 2
    assert ran.stderr.startswith("bench: no row is called 'nothing'; the blocks are ")
    assert ran.stderr.count("\n") == 1


def test_a_missing_environment_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is told before anything is measured."""
    monkeypatch.setattr(environments, "HOME", tmp_path)
    ran = CliRunner().invoke(program.main, ["sync/socket"])
    assert ran.exit_code == 1
    assert ran.stderr.endswith("is missing: 'make bench' sets it up\n")


def test_the_peers_sign_as_ours_does() -> None:
    """A prepared signature equals the signature of the whole request."""
    setting = Setting("https://account.eastus.batch.azure.com", ACCOUNT, KEY)
    headers = signing.Signer(ACCOUNT, KEY, setting.url).headers()
    target = setting.url.removeprefix(setting.endpoint)
    expected = SharedKey(ACCOUNT, KEY).authorization("GET", target, headers)
    assert headers["authorization"] == expected
    assert KEY not in repr(setting)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as started:
        started.load({"jobs": [{"id": "nightly", "tasks": [{"count": 3}]}]})
        yield started


@pytest.mark.parametrize(
    ("client", "how"),
    [
        *(
            (client, how)
            for client in (ours, over_generated, over_httpx, over_httpx2)
            for how in ("", "async")
        ),
        (ours, "many"),
        (ours, "many-async"),
    ],
)
def test_a_program_asks_what_a_service_takes(
    client: object, how: str, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The emulator verifies signatures, and answers a program only if it asks as it should."""
    emulator.journal.clear()
    setting = Setting(emulator.endpoint, emulator.account, emulator.key, 3, 2, 1, how)
    client.main(setting)  # type: ignore[attr-defined]
    assert [entry.status for entry in emulator.journal.entries()] == [200] * 4
    assert json.loads(capsys.readouterr().out)["calls"] == 3


def test_the_parts_of_ours_do_what_they_do_in_a_call() -> None:
    """An answer of 1 KB becomes a snapshot, and a text its signature."""
    assert len(micro.answer()) == micro.SIZE
    parts = micro.parts(Setting("http://127.0.0.1:1", ACCOUNT, KEY))
    assert parts["ours-answer"]().task_counts.completed == 6789  # type: ignore[attr-defined]
    assert str(parts["ours-signature"]()).startswith(f"SharedKey {ACCOUNT}:")
    import base64

    mac = parts["hmac"]()
    assert isinstance(mac, bytes)
    assert str(parts["ours-signature"]()).endswith(base64.b64encode(mac).decode())
    assert parts["json"]()["taskCounts"]["running"] == 45  # type: ignore[index]
