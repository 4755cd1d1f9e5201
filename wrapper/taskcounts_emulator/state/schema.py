"""The tables of a store, and the triggers that maintain its tallies.

Counts are maintained rather than computed: each job has a tally of tasks and slots for each state. Triggers
update the tallies in the same transaction as the tasks, so no code can forget to. Tests compare the tallies
with a scan.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "LAYOUT", "STATEMENTS", "TABLES"]

# The identification of the file format and its version, in the header of an SQLite file.
APPLICATION_ID = 0x7461736B
LAYOUT = 2

# SQLite's NOCASE folds the ASCII letters, and ids have no others. Times are microseconds since 1970.
_TABLES = (
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # `used` is the number of slots of preparing and running tasks.
    """
    CREATE TABLE pools (
        id TEXT PRIMARY KEY COLLATE NOCASE,
        slots INTEGER NOT NULL,
        behaviour TEXT NOT NULL,
        used INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
    # A number is never reused, since tasks of a deleted job can remain for a while.
    """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL COLLATE NOCASE UNIQUE,
        state TEXT NOT NULL,
        pool TEXT COLLATE NOCASE,
        created INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        previous TEXT,
        previous_changed INTEGER,
        started INTEGER,
        ended INTEGER,
        terminate_reason TEXT,
        priority INTEGER NOT NULL,
        max_parallel INTEGER NOT NULL,
        max_retries INTEGER NOT NULL,
        max_seconds REAL,
        uses_dependencies INTEGER NOT NULL,
        terminates_when_done INTEGER NOT NULL,
        acts_on_failure INTEGER NOT NULL,
        manager TEXT COLLATE NOCASE,
        manager_ends_job INTEGER NOT NULL,
        kept TEXT NOT NULL,
        waiting INTEGER NOT NULL DEFAULT 0,
        due INTEGER,
        expires INTEGER
    )
    """,
    # Nor is a task's number, since random draws depend on it.
    """
    CREATE TABLE tasks (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        job INTEGER NOT NULL,
        id TEXT NOT NULL COLLATE NOCASE,
        state INTEGER NOT NULL,
        slots INTEGER NOT NULL,
        created INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        previous INTEGER,
        previous_changed INTEGER,
        started INTEGER,
        ended INTEGER,
        exit_code INTEGER,
        failure TEXT,
        retries INTEGER NOT NULL DEFAULT 0,
        last_retry INTEGER,
        requeues INTEGER NOT NULL DEFAULT 0,
        last_requeue INTEGER,
        kept TEXT NOT NULL,
        runs INTEGER NOT NULL DEFAULT 0,
        due INTEGER,
        blockers INTEGER NOT NULL DEFAULT 0,
        satisfies INTEGER NOT NULL DEFAULT 0,
        numeral INTEGER,
        max_retries INTEGER,
        max_seconds REAL,
        seconds REAL,
        exit_codes TEXT,
        exit_conditions TEXT,
        UNIQUE (job, id)
    )
    """,
    """
    CREATE TABLE tallies (
        job INTEGER NOT NULL,
        state INTEGER NOT NULL,
        tasks INTEGER NOT NULL,
        slots INTEGER NOT NULL,
        PRIMARY KEY (job, state)
    ) WITHOUT ROWID
    """,
    # The numbers of deleted jobs whose tasks are still to be removed.
    "CREATE TABLE graves (job INTEGER PRIMARY KEY)",
    # The ids, and the ranges of numbers, that tasks wait for.
    """
    CREATE TABLE waits (
        job INTEGER NOT NULL, on_id TEXT NOT NULL COLLATE NOCASE, task INTEGER NOT NULL,
        PRIMARY KEY (job, on_id, task)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE wait_ranges (
        job INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL, task INTEGER NOT NULL
    )
    """,
    # The reports of the lag model, and their differences from the tallies.
    """
    CREATE TABLE reports (
        job INTEGER NOT NULL,
        at INTEGER NOT NULL,
        numbers TEXT NOT NULL,
        PRIMARY KEY (job, at)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE unseen (task INTEGER PRIMARY KEY, job INTEGER NOT NULL, state INTEGER NOT NULL)",
    """
    CREATE TABLE adjustments (
        job INTEGER NOT NULL,
        state INTEGER NOT NULL,
        tasks INTEGER NOT NULL,
        slots INTEGER NOT NULL,
        PRIMARY KEY (job, state)
    ) WITHOUT ROWID
    """,
)

_INDEXES = (
    # The next event.
    "CREATE INDEX tasks_due ON tasks (due) WHERE due IS NOT NULL",
    "CREATE INDEX jobs_due ON jobs (due) WHERE due IS NOT NULL",
    "CREATE INDEX jobs_expire ON jobs (expires) WHERE expires IS NOT NULL",
    # The next tasks to start.
    "CREATE INDEX tasks_ready ON tasks (job, number) WHERE state = 0 AND blockers = 0",
    "CREATE INDEX jobs_ready ON jobs (pool, -priority, number) WHERE state = 'active' AND waiting",
    # Usual lists near the end of a large job: unfinished tasks, and failed ones.
    "CREATE INDEX tasks_unfinished ON tasks (job, id) WHERE state < 3",
    "CREATE INDEX tasks_failed ON tasks (job, id) WHERE state = 4",
    "CREATE INDEX tasks_numeral ON tasks (job, numeral) WHERE numeral IS NOT NULL",
    "CREATE INDEX waits_by_task ON waits (task)",
    "CREATE INDEX wait_ranges_by_job ON wait_ranges (job, low)",
    "CREATE INDEX wait_ranges_by_task ON wait_ranges (task)",
    "CREATE INDEX unseen_by_job ON unseen (job)",
)

_POOL_OF = "(SELECT pool FROM jobs WHERE number = {}.job)"

_TRIGGERS = (
    """
    CREATE TRIGGER job_added AFTER INSERT ON jobs BEGIN
        INSERT INTO tallies VALUES
            (new.number, 0, 0, 0), (new.number, 1, 0, 0), (new.number, 2, 0, 0),
            (new.number, 3, 0, 0), (new.number, 4, 0, 0);
    END
    """,
    # Its tasks are removed later in batches; no query finds them any more.
    """
    CREATE TRIGGER job_deleted BEFORE DELETE ON jobs BEGIN
        UPDATE pools SET used = used - (
            SELECT SUM(slots) FROM tallies WHERE job = old.number AND state IN (1, 2)
        ) WHERE id = old.pool;
        INSERT INTO graves VALUES (old.number);
        DELETE FROM tallies WHERE job = old.number;
        DELETE FROM waits WHERE job = old.number;
        DELETE FROM wait_ranges WHERE job = old.number;
        DELETE FROM reports WHERE job = old.number;
        DELETE FROM unseen WHERE job = old.number;
        DELETE FROM adjustments WHERE job = old.number;
    END
    """,
    """
    CREATE TRIGGER task_added AFTER INSERT ON tasks BEGIN
        UPDATE tallies SET tasks = tasks + 1, slots = slots + new.slots
            WHERE job = new.job AND state = new.state;
    END
    """,
    f"""
    CREATE TRIGGER task_added_busy AFTER INSERT ON tasks WHEN new.state IN (1, 2) BEGIN
        UPDATE pools SET used = used + new.slots WHERE id = {_POOL_OF.format("new")};
    END
    """,
    """
    CREATE TRIGGER task_moved AFTER UPDATE OF state ON tasks WHEN new.state <> old.state BEGIN
        UPDATE tallies SET tasks = tasks - 1, slots = slots - old.slots
            WHERE job = old.job AND state = old.state;
        UPDATE tallies SET tasks = tasks + 1, slots = slots + new.slots
            WHERE job = new.job AND state = new.state;
    END
    """,
    f"""
    CREATE TRIGGER task_moved_busy AFTER UPDATE OF state ON tasks
    WHEN (new.state IN (1, 2)) <> (old.state IN (1, 2)) BEGIN
        UPDATE pools SET used = used + CASE WHEN new.state IN (1, 2) THEN new.slots ELSE -old.slots END
            WHERE id = {_POOL_OF.format("new")};
    END
    """,
    # A job is waiting while it has active tasks.
    """
    CREATE TRIGGER tally_crossed AFTER UPDATE OF tasks ON tallies
    WHEN new.state = 0 AND (new.tasks > 0) <> (old.tasks > 0) BEGIN
        UPDATE jobs SET waiting = new.tasks > 0 WHERE number = new.job;
    END
    """,
    """
    CREATE TRIGGER task_deleted AFTER DELETE ON tasks BEGIN
        UPDATE tallies SET tasks = tasks - 1, slots = slots - old.slots
            WHERE job = old.job AND state = old.state;
    END
    """,
    f"""
    CREATE TRIGGER task_deleted_busy AFTER DELETE ON tasks WHEN old.state IN (1, 2) BEGIN
        UPDATE pools SET used = used - old.slots WHERE id = {_POOL_OF.format("old")};
    END
    """,
)

TABLES = (
    "jobs", "tasks", "tallies", "pools", "settings", "graves", "waits", "wait_ranges", "reports", "unseen",
    "adjustments", "sqlite_sequence",
)  # fmt: skip
STATEMENTS = (*_TABLES, *_INDEXES, *_TRIGGERS)
