"""What the lineage service promises, over each transport and on each database."""

from __future__ import annotations

import pytest

from noria.access.projects import NewProject, Projects
from noria.core.errors import Invalid, NotFound
from noria.tracking.entities import Link, LogBatch, NewRun
from noria.tracking.lineage import MAX_NODES
from noria.tracking.lineage_entities import LineageGraph
from noria.tracking.service import Lineage, Runs
from support.conformance import Services

PROJECT = "default"


def run_that(
    runs: Runs,
    name: str,
    *,
    reads: tuple[str, ...] = (),
    makes: tuple[str, ...] = (),
    parent: str | None = None,
) -> str:
    made = runs.create(PROJECT, NewRun(name=name, parent=parent))
    batch = LogBatch(inputs=[Link(ref=ref) for ref in reads], outputs=[Link(ref=ref) for ref in makes])
    runs.log(PROJECT, made.id, batch)
    return f"run:{made.id}"


def labels(graph: LineageGraph) -> dict[str, int]:
    return {node.label: node.distance for node in graph.nodes}


def edges(graph: LineageGraph) -> set[tuple[str, str, str]]:
    names = {node.ref: node.label for node in graph.nodes}
    return {(names[edge.source], edge.kind, names[edge.target]) for edge in graph.edges}


def test_lineage_is_walked_both_ways(services: Services) -> None:
    """From a model back to the raw data, and from the raw data to all that came of it."""
    runs, lineage = services(Runs), services(Lineage)
    run_that(runs, "clean", reads=("dataset:raw@1",), makes=("dataset:clean@1",))
    run_that(runs, "train", reads=("dataset:clean@1",), makes=("model:digits@1",))
    run_that(runs, "report", reads=("dataset:clean@1",), makes=("object:report",))
    up = lineage.upstream(PROJECT, "model:digits@1")
    down = lineage.downstream(PROJECT, "dataset:raw@1")

    assert labels(up) == {
        "model:digits@1": 0,
        "train": 1,
        "dataset:clean@1": 2,
        "clean": 3,
        "dataset:raw@1": 4,
    }
    assert edges(up) == {
        ("dataset:raw@1", "read", "clean"),
        ("clean", "made", "dataset:clean@1"),
        ("dataset:clean@1", "read", "train"),
        ("train", "made", "model:digits@1"),
    }
    assert labels(down) == {
        "dataset:raw@1": 0,
        "clean": 1,
        "dataset:clean@1": 2,
        "train": 3,
        "report": 3,
        "model:digits@1": 4,
        "object:report": 4,
    }
    assert not up.truncated


def test_a_run_inside_another_stands_on_what_that_one_read(services: Services) -> None:
    """What a child run made comes from what its parent read."""
    runs, lineage = services(Runs), services(Lineage)
    parent = run_that(runs, "search", reads=("dataset:digits@2",))
    run_that(runs, "trial", makes=("model:digits@1",), parent=parent.removeprefix("run:"))

    assert labels(lineage.upstream(PROJECT, "model:digits@1")) == {
        "model:digits@1": 0,
        "trial": 1,
        "search": 2,
        "dataset:digits@2": 3,
    }
    down = lineage.downstream(PROJECT, parent)
    assert labels(down) == {parent: 0, "trial": 1, "model:digits@1": 2}
    assert edges(down) == {(parent, "started", "trial"), ("trial", "made", "model:digits@1")}


def test_a_walk_is_bounded_by_depth(services: Services) -> None:
    """A depth of one shows the runs only; a depth of nought the thing itself."""
    runs, lineage = services(Runs), services(Lineage)
    run_that(runs, "train", reads=("dataset:digits@1",), makes=("model:digits@1",))

    assert set(labels(lineage.upstream(PROJECT, "model:digits@1", depth=1))) == {"model:digits@1", "train"}
    assert set(labels(lineage.upstream(PROJECT, "model:digits@1", depth=0))) == {"model:digits@1"}


def test_a_circle_ends(services: Services) -> None:
    """Runs that read what they made do not keep a walk going."""
    runs, lineage = services(Runs), services(Lineage)
    run_that(runs, "a", reads=("dataset:x@1",), makes=("dataset:y@1",))
    run_that(runs, "b", reads=("dataset:y@1",), makes=("dataset:x@1",))
    graph = lineage.upstream(PROJECT, "dataset:x@1")

    assert set(labels(graph)) == {"dataset:x@1", "dataset:y@1", "a", "b"}
    assert len(graph.edges) == 4


def test_other_projects_are_not_seen(services: Services) -> None:
    """The same reference in another project is another thing."""
    services(Projects).create(NewProject(name="energy"))
    run_that(services(Runs), "train", reads=("dataset:digits@1",), makes=("model:digits@1",))

    assert set(labels(services(Lineage).upstream("energy", "model:digits@1"))) == {"model:digits@1"}


def test_a_wide_walk_says_that_it_stopped(services: Services) -> None:
    """A thing that thousands of runs read gives a thousand nodes and the word that there are more."""
    runs = services(Runs)
    made = runs.create(PROJECT, NewRun())
    for start in (0, 600):
        links = [Link(ref=f"object:part-{i}") for i in range(start, start + 600)]
        runs.log(PROJECT, made.id, LogBatch(outputs=links))
    graph = services(Lineage).downstream(PROJECT, f"run:{made.id}")

    assert len(graph.nodes) == MAX_NODES
    assert graph.truncated


def test_a_wrong_reference_or_project_is_refused(services: Services) -> None:
    """A reference names its kind; a misspelt project is the error."""
    with pytest.raises(Invalid, match="`digits`"):
        services(Lineage).upstream(PROJECT, "digits")
    with pytest.raises(Invalid):
        services(Lineage).downstream(PROJECT)
    with pytest.raises(NotFound, match="`defalt`"):
        services(Lineage).upstream("defalt", "dataset:digits@1")
