"""Where a watch goes but to a screen: lines and JSON objects on stdout."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from taskcounts.text import one_line
from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.output.progress import Lines
from taskcounts_cli.output.records import record
from taskcounts_cli.output.verdicts import written


class PlainLines(Lines):
    """A viewer that writes lines to stdout: off a terminal, they are what a watch is for."""

    def _tell(self, text: str, at: datetime) -> None:
        self._said = self._clock.monotonic()
        click.echo(f"{at:%H:%M:%SZ} {one_line(text, 2000)}")


class Objects:
    """A viewer that writes each observation and each verdict as a JSON object to stdout."""

    def begin(self, jobs: Sequence[str]) -> None:
        """Do nothing."""

    def observe(self, observation: Observation) -> None:
        """Write an observation."""
        click.echo(written(record(observation)))

    def judge(self, verdict: Verdict) -> None:
        """Write a verdict."""
        click.echo(written(record(verdict)))

    def tick(self) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing: all is written."""
