"""The order in which results are written."""

from __future__ import annotations

from taskcounts_cli.output.records import Result
from taskcounts_cli.output.writers import ResultOrder, Writer


def test_early_results_wait_for_their_turn() -> None:
    """Results are passed on in their order; at the end also those that wait for missing ones."""
    written: list[str] = []

    class Notes(Writer):
        """A writer that records its calls."""

        def add(self, job_id: str, _: Result) -> None:
            """Note a job."""
            written.append(job_id)

        def end(self) -> None:
            """Note the end."""
            written.append("end")

    sink = ResultOrder(Notes())
    for number in (1, 0, 4, 3):
        sink.add(number, str(number), ValueError())
    assert written == ["0", "1"]
    sink.end()
    assert written == ["0", "1", "3", "4", "end"]
