"""The emulated account: checked settings, a clock, seeds, lag and snapshots."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import pytest

from taskcounts_emulator import EmulatedAccount
from taskcounts_emulator.errors import EmulatorError, NoSuchJob
from taskcounts_emulator.model import Counts
from taskcounts_emulator.state.timeline import EPOCH
from taskcounts_emulator.versions import VERSIONS


def scripted(**options: object) -> EmulatedAccount:
    """Return an account with a scripted clock and four slots for every pool."""
    return EmulatedAccount(scripted=True, slots=4, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"account": "https://x"}, "is not the name of a Batch account"),
        ({"account": None}, "account must be a str"),
        ({"key": "s3cret?"}, "the access key is not Base64"),
        ({"admin_hosts": ["a b"]}, "admin_hosts: 'a b' is not a host name"),
        ({"slots": -1}, "^slots: must be from 0 to 2560000, not -1$"),
        ({"slots": 10**9}, "^slots: must be from 0 to 2560000"),
        ({"seed": "7"}, "^seed: must be a whole number, not '7'$"),
        ({"store": "missing/folder/jobs.db"}, "^missing/folder/jobs.db: cannot be used as a store"),
    ],
)
def test_a_wrong_setting_is_an_error_without_the_key(arguments: dict[str, object], message: str) -> None:
    """Settings are checked at once, and errors do not show the key."""
    with pytest.raises(EmulatorError, match=message) as caught:
        EmulatedAccount(**arguments)  # type: ignore[arg-type]
    assert "s3cret" not in str(caught.value)


def test_an_account_that_was_not_made_leaves_its_file_alone(tmp_path: Path) -> None:
    """The file is opened only if all settings are valid."""
    path = tmp_path / "jobs.db"
    with pytest.raises(EmulatorError, match="slots"):
        EmulatedAccount(store=path, slots=-1)
    assert not path.exists()


def test_names_of_hosts_are_kept_in_lower_case() -> None:
    """Host names of the admin API are compared without case."""
    assert EmulatedAccount(admin_hosts=["Batch", "emulator.test"]).admin_hosts == {"batch", "emulator.test"}


def test_every_account_has_a_key_of_its_own() -> None:
    """The default key is 64 random bytes."""
    first, second = EmulatedAccount(), EmulatedAccount()
    assert first.key != second.key
    assert len(base64.b64decode(first.key)) == 64


def test_a_repr_shows_where_the_store_is_and_no_key(tmp_path: Path) -> None:
    """The file of a closed account can be used by another one."""
    path = tmp_path / "jobs.db"
    account = EmulatedAccount(store=path)
    assert repr(account) == f"EmulatedAccount('emulated', key=<hidden>, store={str(path)!r})"
    account.add_job("j", [{}])
    account.close()
    assert EmulatedAccount(store=path).counts("j").tasks.active == 1


@pytest.mark.parametrize("value", [-1, 1.0, True, "1", None, 10**30])
@pytest.mark.parametrize("name", ["start", "succeed", "fail"])
def test_a_step_takes_whole_numbers_alone(name: str, value: object) -> None:
    """Negative numbers and other values are refused by name."""
    account = EmulatedAccount()
    account.add_job("a", [{"count": 2}])
    with pytest.raises(EmulatorError, match=f"^{name}: must be"):
        account.step("a", **{name: value})  # type: ignore[arg-type]


def test_a_step_moves_tasks_of_a_job_that_is_there() -> None:
    """The job must exist."""
    account = EmulatedAccount()
    account.add_job("a", [{"count": 3}])
    account.step("A", start=2, succeed=1, fail=1)
    assert account.counts("a").tasks == Counts(1, 0, 1, 1)
    with pytest.raises(NoSuchJob):
        account.step("b")
    with pytest.raises(EmulatorError, match=r"^job: must be a string, not 5$"):
        account.step(5)  # type: ignore[arg-type]


def test_undescribed_pools_have_the_accounts_slots() -> None:
    """With slots, their tasks run by themselves; without, they wait, as in the service."""
    account, waiting = scripted(), EmulatedAccount(scripted=True)
    for each in (account, waiting):
        each.add_job("j", [{"count": 6, "seconds": 5}], pool="any")
        each.advance(5)
    assert account.counts("j").tasks == Counts(0, 2, 4)
    assert waiting.counts("j").tasks == Counts(6)


def test_a_clock_is_shown_and_advanced() -> None:
    """A scripted clock is advanced by seconds; the machine's is not."""
    account = scripted()
    assert account.clock() == {"kind": "scripted", "now": EPOCH.isoformat()}
    assert account.advance(90.5) == EPOCH + timedelta(seconds=90.5)
    assert account.clock()["now"] == "2024-07-01T00:01:30.500000+00:00"
    for wrong in (-1, "5", None, True, float("nan"), 10**12):
        with pytest.raises(EmulatorError, match=r"^seconds: must be"):
            account.advance(wrong)  # type: ignore[arg-type]
    machine = EmulatedAccount(now=lambda: EPOCH)
    assert machine.clock() == {"kind": "machine", "now": EPOCH.isoformat()}
    with pytest.raises(EmulatorError, match="the machine's"):
        machine.advance(1)


def test_a_seed_fixes_all_random_choices() -> None:
    """One seed gives one history, set at the start or later; another value is refused."""

    def ended(account: EmulatedAccount) -> list[int | None]:
        account.add_job("j", [{"count": 8}], pool="p")
        account.advance(20)
        return [row.ended for row in account.world.tasks("j", ("1", ()), None, 10)]

    later = scripted()
    later.set_seed(11)
    assert ended(scripted(seed=11)) == ended(later) != ended(scripted(seed=12))
    with pytest.raises(EmulatorError, match=r"^seed: must be a whole number"):
        later.set_seed("11")


def test_lag_is_set_shown_and_cleared() -> None:
    """It is a JSON object, and the switches that are on are returned."""
    account = scripted()
    account.add_job("j", [{"count": 2}])
    assert account.lag() == {}
    account.set_lag({"swapActiveRunning": True, "delay": 0})
    assert account.lag() == {"swapActiveRunning": True}
    assert account.world.reported("j").tasks == Counts(running=2)
    assert account.counts("j").tasks == account.all_counts()["j"].tasks == Counts(active=2)
    with pytest.raises(EmulatorError, match=r"^lag: unknown member 'swap'"):
        account.set_lag({"swap": True})
    account.clear_lag()
    assert account.lag() == {}
    assert account.world.reported("j") == account.counts("j")


def test_snapshots_are_kept_and_restored() -> None:
    """By name, with the clock; names are listed, and snapshots deleted."""
    account = scripted()
    account.add_job("j", [{"seconds": 5}], pool="p")
    account.snapshot("before")
    account.advance(5)
    account.snapshot("after")
    assert account.snapshots() == ["before", "after"]
    account.restore("before")
    assert (account.counts("j").tasks.running, account.clock()["now"]) == (1, EPOCH.isoformat())
    assert account.drop_snapshots() == 2
    for use in (account.restore, account.snapshot):
        with pytest.raises(EmulatorError, match=r"^name: must be a string"):
            use(5)  # type: ignore[arg-type]


def test_a_reset_begins_again() -> None:
    """Jobs, faults, lag and time are removed, and the initial seed and slots are restored."""
    account = scripted(seed=5)
    account.add_job("j", [{}])
    account.set_seed(6)
    account.set_lag({"delay": 5})
    account.fault("busy")
    account.advance(5)
    account.reset()
    assert (account.all_counts(), account.lag(), account.clear_faults()) == ({}, {}, 0)
    assert (account.world.seed, account.clock()["now"]) == (5, EPOCH.isoformat())
    account.add_job("j", [{}], pool="p")
    assert account.counts("j").tasks.running == 1
    plain = EmulatedAccount()
    plain.reset()
    assert plain.world.pools() == []


def test_a_scenario_is_loaded_whole_or_not_at_all() -> None:
    """It returns the ids of its jobs; a job that exists or is being deleted makes it fail."""
    account = scripted()
    assert account.load({"jobs": [{"id": "b"}, {"id": "a"}], "settle": 60}) == ["b", "a"]
    account.world.delete_job("a", lambda _: None)
    for taken in ("B", "A"):
        with pytest.raises(EmulatorError, match=f"^there is a job '{taken}' already$"):
            account.load({"jobs": [{"id": "c"}, {"id": taken}], "seed": 9})
    assert list(account.all_counts()) == ["b", "a"]
    assert account.world.seed == 0


def test_the_fault_of_lag_freezes_the_counts_of_its_moment() -> None:
    """Other faults have no counts."""
    account = scripted()
    account.add_job("J", [{}])
    account.fault("lag")
    account.fault("busy", times=2, retry_after=1)
    assert account.clear_faults() == 2


def test_ids_and_tasks_of_a_job_are_optional() -> None:
    """A job without an id gets a free one, and a number means so many active tasks."""
    account = EmulatedAccount()
    account.add_job("JOB-2")
    assert [account.add_job(tasks=each) for each in (3, 0)] == ["job-1", "job-3"]
    assert account.add_job("named", 2) == "named"
    told = {job_id: counts.tasks.active for job_id, counts in account.all_counts().items()}
    assert told == {"JOB-2": 0, "job-1": 3, "job-3": 0, "named": 2}
    for wrong in (-1, True):
        with pytest.raises(EmulatorError, match=r"^tasks\[0\]\.count: must be"):
            account.add_job("other", wrong)


def test_the_next_calls_can_be_made_to_fail() -> None:
    """Once, or the given number of times."""
    account = EmulatedAccount()
    account.fail_next()
    account.fail_next("throttled", times=3, retry_after=2)
    assert account.clear_faults() == 2


def test_a_scenarios_seed_is_that_of_faults_too() -> None:
    """All random draws come from the seed, including those of faults."""

    def met(seed: int) -> list[bool]:
        account = EmulatedAccount()
        account.load({"seed": seed})
        account.fault("busy", probability=0.5)
        return [
            account.faults.take("Job_Get", "j", VERSIONS["2024-07-01.20.0"]) is not None for _ in range(30)
        ]

    assert met(7) == met(7) != met(8)
