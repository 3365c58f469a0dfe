"""Evaluation data sets: records by their inputs, tags, experiments and searches, over each transport and database."""

from __future__ import annotations

import json

import pytest

from noria.access.projects import NewProject, Projects
from noria.core.errors import Invalid, NotFound
from noria.tracking.evaluation_datasets import EvaluationDatasetNotFound, EvaluationDatasets
from noria.tracking.evaluation_entities import (
    EvaluationDatasetSearch,
    EvaluationExperiments,
    EvaluationTags,
    NewEvaluationDataset,
    NewRecord,
    NewRecords,
    RecordIds,
    RecordSource,
    RecordSourceType,
)
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.service import Experiments
from support.conformance import Services


def make(services: Services, name: str = "qa", **given: object) -> str:
    new = NewEvaluationDataset(name=name, **given)  # type: ignore[arg-type]
    return services(EvaluationDatasets).create("default", new).id


def test_records_of_the_same_inputs_complete_one_another(services: Services) -> None:
    """Expectations and tags are added, outputs replaced; the order of keys in the inputs does not matter."""
    sets = services(EvaluationDatasets)
    made = make(services, tags={"mlflow.user": "ann"})
    before = sets.get("default", made)
    source = RecordSource(source_type=RecordSourceType.TRACE, source_data={"trace_id": "tr-1"})
    first = NewRecord(
        inputs={"a": 1, "b": "ü\x00"},
        expectations={"x": 1},
        tags={"t": "1", "mlflow.user": "bob"},
        source=source,
    )
    other = NewRecord(inputs={"a": 2}, outputs=[1, None])
    again = NewRecord(inputs={"b": "ü\x00", "a": 1}, outputs="new", expectations={"y": 2}, tags={"u": "2"})

    kept = sets.keep_records("default", made, NewRecords(records=[first, other]))
    completed = sets.keep_records("default", made, NewRecords(records=[again]))
    found = sets.records("default", made).items
    after = sets.get("default", made)

    assert (kept.n_inserted, kept.n_updated, completed.n_inserted, completed.n_updated) == (2, 0, 0, 1)
    by_input = {record.inputs["a"]: record for record in found}
    assert by_input[1].inputs == {"a": 1, "b": "ü\x00"}
    assert by_input[1].outputs == "new"
    assert by_input[1].expectations == {"x": 1, "y": 2}
    assert by_input[1].tags == {"t": "1", "u": "2", "mlflow.user": "bob"}
    assert (by_input[1].source, by_input[1].created_by) == (source, "bob")
    assert (by_input[2].outputs, by_input[2].expectations, by_input[2].tags) == ([1, None], None, {})
    assert (before.schema, before.n_records, before.created_by) == (None, 0, "ann")
    assert after.n_records == 2
    assert json.loads(after.schema or "") == {
        "inputs": {"a": "integer", "b": "string"},
        "outputs": "array",
        "expectations": {"x": "integer", "y": "integer"},
        "version": "1.0",
    }


def test_records_come_in_pages_and_go(services: Services) -> None:
    """Each record is on one page; deleting passes over what is not there."""
    sets = services(EvaluationDatasets)
    made = make(services)
    sets.keep_records("default", made, NewRecords(records=[NewRecord(inputs={"n": n}) for n in range(5)]))

    found, after = [], None
    while True:
        page = sets.records("default", made, limit=2, after=after)
        found += page.items
        after = page.next
        if after is None:
            break
    gone = sets.delete_records("default", made, RecordIds(ids=[found[0].id, found[1].id, "dr-0"]))

    assert sorted(record.inputs["n"] for record in found) == [0, 1, 2, 3, 4]
    assert gone.n_records == 2
    assert sets.get("default", made).n_records == 3
    with pytest.raises(Invalid):
        sets.records("default", made, after="nonsense")


def test_tags_and_experiments_change(services: Services) -> None:
    """What is added twice is there once; what is removed need not be there; an unknown experiment is refused."""
    number = services(Experiments).create("default", NewExperiment(name="other")).number
    sets = services(EvaluationDatasets)
    made = make(services, experiments=[0], tags={"a": "1", "b": "2"})

    tagged = sets.set_tags("default", made, EvaluationTags(tags={"a": "3", "b": None, "c": None, "d": "4"}))
    more = sets.set_experiments("default", made, EvaluationExperiments(add=[0, number]))
    fewer = sets.set_experiments("default", made, EvaluationExperiments(remove=[0, 99]))

    assert tagged.tags == {"a": "3", "d": "4"}
    assert (more.experiments, fewer.experiments) == ([0, number], [number])
    with pytest.raises(NotFound):
        sets.set_experiments("default", made, EvaluationExperiments(add=[99]))


def test_sets_are_found_by_filter_order_and_experiment(services: Services) -> None:
    """Names and tags are compared, pages follow one another, and each set is found once."""
    number = services(Experiments).create("default", NewExperiment(name="other")).number
    sets = services(EvaluationDatasets)
    for name, team, numbers in (
        ("b", "ml", [0]),
        ("a", "ml", [0, number]),
        ("c", "data", [number]),
        ("a", "x", []),
    ):
        make(services, name, tags={"team": team}, experiments=numbers)

    def names(text: str = "", **given: object) -> list[str]:
        wanted = EvaluationDatasetSearch(filter=text, order_by=["name"], **given)  # type: ignore[arg-type]
        return [found.name for found in sets.search(wanted).items]

    assert names() == ["a", "a", "b", "c"]
    assert names("tags.team = 'ml'") == ["a", "b"]
    assert names("name IN ('a', 'c') AND tags.team != 'x'") == ["a", "c"]
    assert names("name LIKE '_'", experiments=[number]) == ["a", "c"]
    assert names("name ILIKE 'B'") == ["b"]
    assert names("created_time > 0 AND last_update_time > 0") == ["a", "a", "b", "c"]
    assert names(experiments=[99]) == []
    for bad in ("nonsense = 'x'", "tags.team > 'x'", "name"):
        with pytest.raises(Invalid):
            names(bad)

    found: list[str] = []
    after: str | None = None
    for _ in range(4):
        page = sets.search(EvaluationDatasetSearch(order_by=["name DESC"], limit=1, after=after))
        found += [one.name for one in page.items]
        after = page.next
    assert (found, after) == (["c", "b", "a", "a"], None)
    with pytest.raises(Invalid):
        sets.search(EvaluationDatasetSearch(after="nonsense"))


def test_a_set_belongs_to_one_project(services: Services) -> None:
    """Another project does not have it, and a deleted one is nowhere."""
    services(Projects).create(NewProject(name="bank"))
    sets = services(EvaluationDatasets)
    made = make(services)

    with pytest.raises(EvaluationDatasetNotFound):
        sets.get("bank", made)
    assert sets.locate(made).project == "default"
    sets.delete("default", made)
    with pytest.raises(EvaluationDatasetNotFound):
        sets.locate(made)
    assert sets.search(EvaluationDatasetSearch()).items == []
