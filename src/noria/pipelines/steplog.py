"""Tell on stderr what the steps of a run do, a line each, for logs."""

from __future__ import annotations

import sys

from noria.pipelines.entities import StepReport, StepStatus


class LoggedProgress:
    """Writes a line when a step begins and when it ends."""

    def started(self, name: str, position: int) -> None:
        """Say that a step runs."""
        _say(f"step {position} {name}: runs")

    def ended(self, report: StepReport) -> None:
        """Say how a step ended, and why it ran or did not."""
        if report.status is StepStatus.FAILED and report.error is not None:
            _say(f"step {report.position} {report.name}: failed, {report.error.message}")
        else:
            _say(
                f"step {report.position} {report.name}: {report.status} in {report.duration_s:.3f} s ({report.reason})"
            )


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
