"""What is told of where a thing came from and what came of it, over each transport and on each database."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from noria.core.config import Settings
from noria.core.errors import Invalid, NotFound
from noria.core.objects.trees import put_tree
from noria.core.workspace import Workspace
from noria.data.client import dataset
from noria.pipelines.runner import PipelineResult, run_pipeline
from noria.registry.entities import AliasTarget, NewModelVersion, NewName, Origin, Task
from noria.registry.provenance import Provenances
from noria.registry.provenance_entities import Provenance
from noria.registry.service import Models
from noria.serving.entities import Deployment
from noria.serving.service import Endpoints
from noria.tracking.entities import Link, LogBatch
from noria.tracking.service import Runs
from support.project import user_project
from support.serving import signature

PROJECT = "default"
FLOW = """
    import noria
    import numpy as np
    from noria import pipeline, step


    @step
    def load(name: str) -> np.ndarray:
        return noria.dataset(name).numpy()


    @step
    def split(x: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
        n = int(len(x) * share)
        return x[:n], x[n:]


    @step
    def mean(x: np.ndarray) -> float:
        return float(x.mean())


    @pipeline
    def study(name: str = "points", share: float = 0.5) -> dict[str, float]:
        left, right = split(load(name), share)
        return {"left": mean(left), "right": mean(right)}
"""


def edges(found: Provenance) -> set[tuple[str, str, str]]:
    """Give the edges of both directions by labels, a run's being its pipeline."""
    graphs = (found.upstream, found.downstream)
    names = {node.ref: node.label for graph in graphs for node in graph.nodes}
    names |= {ref: str(run.pipeline) for ref, run in found.runs.items()}
    return {(names[edge.source], edge.kind, names[edge.target]) for graph in graphs for edge in graph.edges}


def study(workspace: Workspace, folder: Path) -> PipelineResult:
    """Run the pipeline of the project on a data set that stands."""
    settings = workspace.settings
    moved = Settings(
        workspace=settings.workspace,
        database_url=settings.database_url,
        objects_url=settings.objects_url,
        project_root=folder.resolve(),
    )
    with user_project(folder) as project:
        project.write("flow.py", FLOW)
        return run_pipeline(
            Workspace(moved, workspace.backend, workspace.clock), project.load("flow").study, {}
        )


def register(workspace: Workspace, folder: Path, run_id: str) -> None:
    """Register a version that the run made, under a name that the model then loses."""
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_bytes(b"weights")
    tree = put_tree(workspace.objects(), folder / "model")
    new = NewModelVersion(
        digest=tree.digest,
        format="none",
        task=Task.REGRESSION,
        signature=signature(),
        origin=Origin(run_id=run_id),
    )
    models = workspace.service(Models)
    models.register(PROJECT, "old", new)
    workspace.service(Runs).log(PROJECT, run_id, LogBatch(outputs=[Link(ref="model:old@1")]))
    models.rename(PROJECT, "old", NewName(name="points"))
    models.set_alias(PROJECT, "points", "champion", AliasTarget(version=1))


def test_a_thing_is_followed_back_to_what_made_it_and_on_to_what_uses_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Endpoint, version, run, step, output, code and data lead to each other; a run tells what it was made with."""
    dataset("points", workspace=workspace).add(np.array([1.0, 2.0, 3.0, 5.0]))
    result = study(workspace, tmp_path / "project")
    register(workspace, tmp_path, result.run_id)
    workspace.service(Endpoints).deploy(PROJECT, "live", Deployment(model="points", version=1))
    provenances = workspace.service(Provenances)
    left = result.outputs["left"].digest

    version = provenances.of(PROJECT, "model:points@champion")
    assert version.root == "model:points@1"
    assert edges(version) == {
        ("flow:study", "made", "model:points@1"),
        ("dataset:points@1", "read", "flow:study"),
        ("model:points@1", "served", "endpoint:live"),
    }
    facts = version.runs[f"run:{result.run_id}"]
    assert facts.params == {"name": "points", "share": "0.5"}
    assert facts.snapshot == result.snapshot
    assert facts.environment is not None
    assert ("model:points@1", "served", "endpoint:live") in edges(provenances.of(PROJECT, "endpoint:live"))
    assert len(provenances.of(PROJECT, "endpoint:live").upstream.nodes) == 4

    output = provenances.of(PROJECT, left)
    digests = {step.name: [output.digest for output in step.outputs] for step in result.steps[:2]}
    assert {
        ("mean", "made", f"object:{left}"),
        (f"object:{digests['split'][0]}", "read", "mean"),
        ("split", "made", f"object:{digests['split'][0]}"),
        (f"object:{digests['load'][0]}", "read", "split"),
        ("load", "made", f"object:{digests['load'][0]}"),
        ("dataset:points@1", "read", "load"),
        ("flow:study", "started", "load"),
    } <= edges(output)
    assert digests["split"][1] not in str(output.upstream)

    step = provenances.of(PROJECT, f"step:{result.run_id}/0")
    assert {node.label for node in step.downstream.nodes if node.ref.startswith("step:")} == {
        "load",
        "split",
        "mean",
    }
    assert f"object:{left}" in {node.ref for node in step.downstream.nodes}
    code = provenances.of(PROJECT, str(result.snapshot))
    assert (f"object:{result.snapshot}", "read", "flow:study") in edges(code)
    kept = workspace.objects().put_bytes(b"a plot").digest
    workspace.service(Runs).log(PROJECT, result.run_id, LogBatch(artifacts={"plot.png": kept}))
    assert edges(provenances.of(PROJECT, kept)) >= {("flow:study", "made", f"object:{kept}")}
    data = provenances.of(PROJECT, "dataset:points")
    assert data.root == "dataset:points@1"
    assert {("flow:study", "made", "model:points@1"), ("model:points@1", "served", "endpoint:live")} <= edges(
        data
    )


def test_what_is_not_there_is_said(workspace: Workspace) -> None:
    """A kind is needed; a model, data set, run or step that does not exist is an error, not an empty tree."""
    provenances = workspace.service(Provenances)
    for ref in ("model:nothing", "dataset:nothing@3", "run:nothing", "step:nothing/0", "0" * 32):
        with pytest.raises(NotFound):
            provenances.of(PROJECT, ref)
    for ref in ("nothing", "", "step:nothing"):
        with pytest.raises(Invalid):
            provenances.of(PROJECT, ref)
