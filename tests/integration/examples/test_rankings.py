"""The rankings study in a workspace: on tiny rankings, and on the real ones where they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import noria
from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.data.client import dataset
from noria.pipelines.runner import PipelineResult, run_pipeline
from noria.tracking.replicates import compare_replicates
from noria.tracking.search.entities import RunSearch
from noria.tracking.service import Runs
from support.rankings import ABSENT, REAL, study_project, write_tiny

MENDED = {"unseeded_model": False, "encode_all_rows": False, "fill_across_rows": False}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """Give the project's pipeline module."""
    with study_project(tmp_path_factory.mktemp("study") / "project") as project:
        yield project.load("rankings_pipeline")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, study: ModuleType) -> Iterator[Workspace]:
    """Open a workspace with tiny rankings in it."""
    folder = tmp_path_factory.mktemp("rankings")
    root = Path(study.__file__ or "").parent
    with (
        open_workspace(load_settings(workspace=str(folder / "workspace"), folder=root)) as opened,
        noria.use_workspace(opened),
    ):
        dataset("tiny").add(write_tiny(folder / "tiny"))
        yield opened


@pytest.fixture(scope="module")
def mended(study: ModuleType, workspace: Workspace) -> PipelineResult:
    """Run the mended study on two experiments, and register."""
    return run(study, workspace, register=True, **MENDED)


def run(study: ModuleType, workspace: Workspace, **params: Any) -> PipelineResult:
    chosen = {"data": "tiny@1", "draws": 2, "only": ["Snest64", "Smr300"], **params}
    return run_pipeline(workspace, study.study, chosen)


def test_the_degenerate_experiment_is_not_registered(mended: PipelineResult, workspace: Workspace) -> None:
    """Its measures are all 1, and the gate says why it is refused; the other one gets the alias."""
    scores, models = mended.outputs["scores"].value, mended.outputs["models"].value

    assert {draw["accuracy"] for draw in scores["Smr300"]} == {1.0}
    assert models["shanghaiData"]["experiment"] == "Snest64"
    assert (
        "Smr300 refused: one class in training and one class in validation"
        in models["shanghaiData"]["reason"]
    )
    version = noria.model("RFClass-shanghaiData@candidate").version
    assert version.ref == models["shanghaiData"]["ref"]


def test_seeded_draws_are_never_drawn_twice(
    mended: PipelineResult, study: ModuleType, workspace: Workspace
) -> None:
    """A second turn finds every draw; the study's own unseeded draws are drawn again."""
    again = run(study, workspace, **MENDED)
    unseeded = [run(study, workspace, only=["Snest64"], draws=1) for _ in range(2)]

    assert {step.status.value for step in again.steps if step.name == "seeded_draw"} == {"reused"}
    assert again.outputs["scores"].value == mended.outputs["scores"].value
    assert {s.status.value for each in unseeded for s in each.steps if s.name == "unseeded_draw"} == {
        "finished"
    }


def test_draws_are_runs_that_can_be_compared(mended: PipelineResult, workspace: Workspace) -> None:
    """Each draw is a run with the study's measures and its confusion matrix; draws of one setting are one group."""
    page = workspace.service(Runs).search(
        "default", RunSearch(filter="params.random_state LIKE '%'", experiments=["RF shanghaiData"])
    )
    found = compare_replicates(page.items, "accuracy", seed_params=["draw", "random_state"])

    assert [len(group.values) for group in found.groups] == [2, 2]
    assert {run.parent for run in page.items} == {mended.run_id}
    kept = workspace.service(Runs).artifacts("default", page.items[0].id)
    assert [artifact.path for artifact in kept.items] == ["confusion.svg"]


@pytest.mark.skipif(not REAL.is_dir(), reason=ABSENT)
def test_real_rankings_give_what_was_published(study: ModuleType, workspace: Workspace) -> None:
    """Rows and positives are those of the published matrices, and a reduced sweep comes near the published scores."""
    dataset("rankings").add(REAL)
    expected = {"Cmr300": (500, 300, 149), "Tmr300": (1001, 200, 152), "Sf3": (1002, 100, 49)}
    from_study = {"Cmr300": 0.95, "Tmr300": 0.845, "Sf3": 0.96}

    found = (
        run(study, workspace, data="rankings@1", draws=1, only=list(expected), unseeded_model=False)
        .outputs["scores"]
        .value
    )

    for name, (n, n_valid, positives) in expected.items():
        parts = study.prepare(
            data="rankings@1", experiment=study.EXPERIMENTS[name], fill_across_rows=True, encode_all_rows=True
        )
        assert (len(parts.y), len(parts.y_valid), int(parts.y_valid.sum())) == (n, n_valid, positives)
        assert all(abs(draw["accuracy"] - from_study[name]) <= 0.04 for draw in found[name])
