"""Many clients at once: all are served, and nothing breaks."""

from __future__ import annotations

import json
import re
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from support.batch_api import Api
from taskcounts_emulator import Emulator

pytestmark = pytest.mark.slow  # It opens thousands of connections.


@pytest.fixture
def limit() -> Iterator[int]:
    """Raise the limit of open files of this process for a test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = min(hard, 12_000) if hard != resource.RLIM_INFINITY else 12_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, highest), hard))
    yield max(soft, highest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_connections(limit: int) -> None:
    """All are accepted, the emulator responds meanwhile, and it stops quickly and quietly."""
    with (
        subprocess.Popen(
            [sys.executable, "-m", "taskcounts", "emulate"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        ExitStack() as stack,
    ):
        assert process.stdout is not None
        exports = "".join(process.stdout.readline() for _ in range(3))
        (endpoint,) = re.findall(r"ENDPOINT=(\S+)", exports)
        address = (urlsplit(endpoint).hostname, urlsplit(endpoint).port)
        for _ in range(min(10_000, limit - 500)):
            stack.enter_context(socket.create_connection(address, timeout=10))
        assert httpx.get(f"{endpoint}/_emulator/health", trust_env=False).json()["status"] == "ok"
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert (process.returncode, len(err.splitlines())) == (0, 2), err


def test_counts_and_lists_agree_under_many_hands(api: Api) -> None:
    """Threads that add, move, delete and count never see a wrong number of tasks."""
    api.add_job()
    seen: list[str] = []

    def add(hand: int) -> None:
        for number in range(15):
            ids = [f"t-{hand}-{number}-{each}" for each in range(10)]
            tasks = {"value": [{"id": task, "commandLine": "x"} for task in ids]}
            answer = api("POST", "/jobs/job/addtaskcollection", tasks)
            seen.extend(told["taskId"] for told in answer.json()["value"] if told["status"] == "success")

    def move() -> None:
        for _ in range(60):
            active = api.emulator.counts("job").tasks.active
            if active:
                api.emulator.step("job", start=1, succeed=1)
            counted = api("GET", "/jobs/job/taskcounts").json()["taskCounts"]
            assert counted["completed"] == counted["succeeded"] + counted["failed"]

    hands = [threading.Thread(target=add, args=(hand,)) for hand in range(6)]
    hands.append(threading.Thread(target=move))
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert len(set(seen)) == len(seen) == 6 * 150
    listed = json.loads(api("GET", "/jobs/job/tasks").content)["value"]
    assert sorted(task["id"] for task in listed) == sorted(seen)
    counts = api.emulator.counts("job").tasks
    assert counts.active + counts.running + counts.completed == len(seen)
    assert counts.succeeded == sum(task["state"] == "completed" for task in listed)


def test_emulators_keep_apart() -> None:
    """Twenty emulators in one process have separate jobs."""
    with ExitStack() as stack:
        emulators = [stack.enter_context(Emulator()) for _ in range(20)]
        for number, emulator in enumerate(emulators):
            emulator.add_job("same", tasks=number)
        for number, emulator in enumerate(emulators):
            told = httpx.get(f"{emulator.endpoint}/_emulator/jobs", trust_env=False).json()["jobs"]
            assert [(job["id"], job["taskCounts"]["active"]) for job in told] == [("same", number)]
        assert len({emulator.endpoint for emulator in emulators}) == 20
