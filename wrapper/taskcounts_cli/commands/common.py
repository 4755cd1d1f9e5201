"""The common part of the commands ``wait`` and ``watch``."""

from __future__ import annotations

from collections.abc import Sequence

from taskcounts_cli.exits import Exit
from taskcounts_cli.input.options import Account, log_attempts
from taskcounts_cli.input.wait_options import WaitOptions
from taskcounts_cli.notify import Notifier, Target
from taskcounts_cli.output.verdicts import report
from taskcounts_cli.session import run_session
from taskcounts_cli.viewer import Broadcast, Viewer


def wait_and_report(
    account: Account,
    jobs: Sequence[str],
    options: WaitOptions,
    viewers: Sequence[Viewer],
    targets: Sequence[Target],
    *,
    output: str,
    verbose: bool,
) -> Exit:
    """Wait for jobs, write the outcome, and return the exit code.

    Args:
        account: The account of the jobs.
        jobs: The job ids, each once.
        options: The goal and the limits of the wait.
        viewers: The viewers that display or record the wait.
        targets: The recipients of the verdicts.
        output: The format of the outcome, see `report`.
        verbose: Whether each attempt is logged on stderr.
    """
    if verbose:
        log_attempts(verbose=True)
    # The verdict is written before the notifications are waited for.
    with Notifier(targets) as notifier:
        result = run_session(account, jobs, options, Broadcast(*viewers, notifier))
        notifier.interrupted = result.interrupted is not None
        return report(result, output)
