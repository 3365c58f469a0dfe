"""`make rankings`, as a person runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from support.processes import Processes
from support.rankings import ABSENT, REAL

PATIENCE_S = 400.0


@pytest.mark.timeout(600)
@pytest.mark.skipif(not REAL.is_dir(), reason=ABSENT)
def test_the_study_ends_with_champions_that_three_ways_agree_on(processes: Processes, tmp_path: Path) -> None:
    """A reduced sweep, mended and as published; each data set has a champion, and the message is in a file."""
    command = [sys.executable, "-m", "noria.examples.rankings", "--data", str(REAL), "--draws", "2"]
    study = processes.start(
        [*command, "--folder", "study", "--json", "figures.json"], name="rankings", cwd=tmp_path
    )

    assert study.wait(PATIENCE_S) == 0, study.output()
    found = json.loads((tmp_path / "figures.json").read_text())
    assert len(found["verdicts"]) == 47
    assert {one["experiment"] for one in found["mended"]} >= {"cwurData", "Tmr300", "Smr300"}
    assert found["models"]["shanghaiData"]["experiment"] != "Smr300"
    assert [one["agree"] for one in found["served"]] == [True, True, True]
    assert all(one["accuracy"] > 0.85 for one in found["served"])
    assert "Nothing is sent" in found["notice"]
    assert (tmp_path / "study" / "completed.txt").read_text().startswith("Subject: University rankings")


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not REAL.is_dir(), reason=ABSENT)
def test_published_values_lie_inside_what_is_measured(processes: Processes, tmp_path: Path) -> None:
    """With 39 draws of each experiment no more published values lie outside than the intervals allow."""
    command = [sys.executable, "-m", "noria.examples.rankings", "--data", str(REAL), "--no-serve"]
    study = processes.start(
        [*command, "--folder", "study", "--json", "figures.json"], name="rankings", cwd=tmp_path
    )

    assert study.wait(3000) == 0, study.output()
    verdicts = json.loads((tmp_path / "figures.json").read_text())["verdicts"]
    # Values of one draw hang together, so a draw at the edge brings several outside at once.
    assert sum(not one["inside"] for one in verdicts) <= 8
