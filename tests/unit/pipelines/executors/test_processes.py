"""Processes in which attempts run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from noria.pipelines.executors.processes import ProcessHands
from noria.pipelines.executors.work import Outcome, Setup
from noria.tracking.entities import Run, RunStatus


class Nobody:
    """Listens to nothing."""

    def begun(self, number: int) -> None:
        """Do not expect it."""
        raise AssertionError(number)

    def ended(self, number: int, outcome: Outcome) -> None:
        """Do not expect it."""
        raise AssertionError((number, outcome))


def test_no_process_is_started_before_an_attempt_comes(tmp_path: Path) -> None:
    """Where nothing is to run, no process is started: none could be in a folder that does not exist."""
    run = Run(
        id="0" * 32,
        project="default",
        experiment="none",
        name="none",
        status=RunStatus.RUNNING,
        started_at=datetime.now(UTC),
    )
    setup = Setup(
        workspace=str(tmp_path),
        project="default",
        token=None,
        database_url="",
        objects_url="",
        direct=True,
        root="",
        snapshot=None,
        search_path=[],
        arguments=[],
        main=None,
        modules=[],
        run=run,
        origin=None,
        shares_files=True,
        seal="",
    )
    hands = ProcessHands(4, folder=str(tmp_path / "nowhere"))
    hands.begin(setup, Nobody())
    assert hands.drop_waiting() == []
    hands.close()
