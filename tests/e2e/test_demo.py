"""The main job: `noria demo`, as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.processes import Processes
from support.waiting import wait_until

PATIENCE_S = 300.0


def run_demo(processes: Processes, noria_command: tuple[str, ...], folder: Path, *options: str) -> Any:
    command = [
        *noria_command,
        "demo",
        "--folder",
        str(folder),
        "--json",
        str(folder.parent / "f.json"),
        *options,
    ]
    return processes.start(command, name="demo", cwd=folder.parent)


def figures(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder.parent / "f.json").read_text())
    return found


def event_types(folder: Path) -> list[str]:
    """Read the log from the side, so that looking does not depend on the server under test."""
    path = folder / ".noria" / "noria.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            return [kind for (kind,) in connection.execute("select type from events order by position")]
        except sqlite3.OperationalError:
            return []  # before the first migration


def child_pid(folder: Path, name: str) -> int:
    state = json.loads((folder / ".noria" / "up.json").read_text())
    return int(state["children"][name]["pid"])


def assert_closed(found: dict[str, Any]) -> None:
    assert found["closed"] is True
    assert found["cause"] == "new_class"
    assert found["remedy"] == "retrain"
    assert found["zeros_accuracy_before"] == 0.0
    assert found["zeros_accuracy_after"] >= 0.95
    assert found["overall_accuracy_after"] >= 0.96
    assert found["decision_id"] in found["url"]


@pytest.mark.smoke
def test_the_loop_closes_without_a_hand(
    processes: Processes, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """A new digit appears; the drop is seen, the cause named, the retrained version promoted, no request lost."""
    demo = run_demo(processes, noria_command, tmp_path / "demo", "--seed", "1")

    assert demo.wait(PATIENCE_S) == 0, demo.output()
    found = figures(tmp_path / "demo")
    assert_closed(found)
    assert found["requests_failed"] == 0
    assert 0 < found["onset_to_detection_s"] < found["onset_to_recovery_s"]


def test_without_an_incident_nothing_is_done(
    processes: Processes, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """The same traffic without zeros: no decision, the first version stays, exit code 0."""
    demo = run_demo(processes, noria_command, tmp_path / "demo", "--incident", "none")

    assert demo.wait(PATIENCE_S) == 0, demo.output()
    found = figures(tmp_path / "demo")
    assert found["closed"] is False
    assert found["decision_id"] is None
    assert found["requests_failed"] == 0
    told = event_types(tmp_path / "demo")
    assert [kind for kind in told if kind.startswith("decision.")] == []
    assert told.count("rollout.promoted") == 1  # the first version, when its endpoint was made


def test_the_server_is_killed_in_the_middle_of_the_canary(
    processes: Processes, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """`kill -9` of the server during the canary: it is started again, the rollout goes on and ends."""
    folder = tmp_path / "demo"
    demo = run_demo(processes, noria_command, folder, "--seed", "2")
    wait_until(lambda: "rollout.advanced" in event_types(folder), PATIENCE_S, "a canary began")
    os.kill(child_pid(folder, "server"), signal.SIGKILL)

    assert demo.wait(PATIENCE_S) == 0, demo.output()
    found = figures(folder)
    assert_closed(found)
    assert found["requests_failed"] == 0
    assert event_types(folder).count("decision.started") == 1


def test_the_model_server_is_killed_under_traffic(
    processes: Processes, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """`kill -9` of the model server: traffic resumes, and what it had acknowledged is in the store."""
    folder = tmp_path / "demo"
    demo = run_demo(processes, noria_command, folder, "--seed", "3")
    wait_until(lambda: "alert.opened" in event_types(folder), PATIENCE_S, "the drop was seen")
    os.kill(child_pid(folder, "serve"), signal.SIGKILL)

    assert demo.wait(PATIENCE_S) == 0, demo.output()
    found = figures(folder)
    assert_closed(found)
    with closing(sqlite3.connect(folder / ".noria" / "noria.db")) as connection:
        ((n_captured,),) = connection.execute("select coalesce(sum(n_rows), 0) from capture_chunks")
        ((n_labelled,),) = connection.execute("select count(*) from labels")
    assert n_captured >= found["requests_sent"] - found["requests_failed"]
    assert n_labelled == found["labels_sent"]


EXPECTED = {
    "unit-change": ({"input_fault"}, {"repair_inputs"}, "column column_5"),
    "broken-join": ({"input_fault"}, {"repair_inputs"}, "column column_5"),
    "bad-release": ({"model_regression"}, {"roll_back_model"}, "version 1"),
    "concept": ({"concept_drift"}, {"retrain"}, None),
    "label-shift": ({"label_drift"}, {"retrain", "ask"}, None),
}
"""Incident → causes and remedies that are right, and the subject that has to be named."""


@pytest.mark.parametrize("incident", list(EXPECTED))
def test_each_incident_ends_with_its_cause_and_remedy(
    processes: Processes, noria_command: tuple[str, ...], tmp_path: Path, incident: str
) -> None:
    """Real processes and live traffic, without a hand: the cause is named, and what is right for it is done."""
    folder = tmp_path / "demo"
    demo = run_demo(processes, noria_command, folder, "--incident", incident)

    assert demo.wait(PATIENCE_S) == 0, demo.output()
    found = figures(folder)
    causes, remedies, subject = EXPECTED[incident]
    assert found["cause"] in causes, found
    assert found["remedy"] in remedies, found
    assert subject is None or found["subject"] == subject
    assert found["requests_failed"] == 0
    if found["remedy"] == "ask":
        assert found["version_after"] == found["version_before"]
        assert "labels" in found["reason"]
    elif "repair_inputs" in remedies:
        # Nothing learned from broken inputs, and nothing was touched: a person is asked.
        assert (found["version_before"], found["version_after"]) == (1, 1)
        assert (
            event_types(folder).count("rollout.promoted") == 1
        )  # the first version, when its endpoint was made
    else:
        assert found["closed"] is True
        assert 0 < found["onset_to_detection_s"] < found["onset_to_recovery_s"]
        assert found["overall_accuracy_after"] > found["overall_accuracy_before"]
