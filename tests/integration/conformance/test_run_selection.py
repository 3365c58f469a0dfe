"""`noria runs compare` and `noria runs export` on each database and transport: the runs that a filter chooses."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from noria.core.errors import Invalid, NotFound
from noria.core.workspace import Workspace
from noria.tracking.entities import LogBatch, NewRun, RunEnd
from noria.tracking.export import write_runs
from noria.tracking.point_entities import MetricPoint
from noria.tracking.replicates import compare_replicates
from noria.tracking.selecting_commands import chosen
from noria.tracking.service import Runs


@pytest.fixture
def filled(workspace: Workspace) -> list[str]:
    """Log two settings under three seeds each."""
    runs = workspace.service(Runs)
    made = []
    for lr, level in (("0.1", 0.8), ("0.2", 0.9)):
        for seed in range(3):
            params = {"lr": lr, "seed": str(seed)}
            run = runs.create(workspace.project, NewRun(experiment="grid", params=params))
            point = MetricPoint(key="acc", value=level + seed / 100, at=workspace.clock.now())
            runs.log(workspace.project, run.id, LogBatch(metrics=[point]))
            runs.finish(workspace.project, run.id, RunEnd())
            made.append(run.id)
    return made


def test_a_filter_chooses_runs(workspace: Workspace, filled: list[str]) -> None:
    """Ids, an experiment and a filter each choose; both ways at once, or too many, are refused."""
    by_filter = [run.id for page in chosen(workspace, None, "grid", "params.lr = '0.2'") for run in page]
    by_id = [run.id for page in chosen(workspace, filled[:2], None, None) for run in page]

    assert sorted(by_filter) == sorted(filled[3:])
    assert by_id == filled[:2]
    with pytest.raises(Invalid, match="by id and by filter"):
        list(chosen(workspace, filled, "grid", None))
    with pytest.raises(Invalid, match="More than 5 runs"):
        list(chosen(workspace, None, None, None, at_most=5))
    with pytest.raises(NotFound, match="`gird`"):
        list(chosen(workspace, None, "gird", None))


def test_chosen_runs_are_compared_and_exported(
    workspace: Workspace, filled: list[str], tmp_path: Path
) -> None:
    """Settings are compared by seed, and every run is a row."""
    runs = [run for page in chosen(workspace, None, "grid", None) for run in page]
    found = compare_replicates(runs, "acc")
    written = write_runs(chosen(workspace, None, "grid", None), tmp_path / "runs.parquet")

    assert [group.label for group in found.groups] == ["lr=0.2", "lr=0.1"]
    assert found.pairs[0].method == "paired t"
    assert found.pairs[0].difference == pytest.approx(0.1)
    assert written == len(filled)
    assert sorted(pl.read_parquet(tmp_path / "runs.parquet")["run_id"]) == sorted(filled)
