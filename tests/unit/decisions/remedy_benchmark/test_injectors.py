"""Each injector of both parts has the property that its label claims, on real rows of numbers and of classes."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np
import polars as pl
import pytest
from episodes import Injector, Scene, Source

N_WINDOWS, ONSET = 8, 4
PARTS = ("tuning", "test")


@functools.cache
def rows(task: str) -> Source:
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

    if task == "regression":
        found = load_diabetes(scaled=False)
        frame = pl.DataFrame(found.data, schema=list(found.feature_names)).with_columns(
            y=pl.Series(found.target)
        )
    elif task == "classes":
        digits = load_digits()
        frame = pl.DataFrame(digits.data[:, 18:22], schema=list("abcd")).with_columns(
            y=pl.Series(digits.target)
        )
    else:
        cancer = load_breast_cancer()
        frame = pl.DataFrame(cancer.data[:, :6], schema=list("abcdef")).with_columns(
            y=pl.Series(cancer.target)
        )
    kind = "regression" if task == "regression" else "classification"
    return Source(
        name="rows", task=kind, metric="mae", target="y", frame=frame.sample(fraction=1, seed=3, shuffle=True)
    )


@functools.cache
def pipeline(part: str, task: str) -> str:
    source = rows(task)
    families = importlib.import_module(f"models_{part}").PIPELINES
    text: str = next(iter(families.values()))(source.frame[:150], "y", source.task)
    return text


def scene(part: str, task: str, *, level: int = 2, frame: pl.DataFrame | None = None) -> Scene:
    source = rows(task)
    frame = source.frame if frame is None else frame
    stream = frame[150 : 150 + (frame.height - 150) // N_WINDOWS * N_WINDOWS]
    return Scene(
        source=source,
        reference=frame[:150],
        stream=stream.with_row_index("row"),
        clean=stream.with_row_index("row"),
        windows=np.repeat(np.arange(N_WINDOWS), stream.height // N_WINDOWS),
        onset=ONSET,
        weights=[name for name in frame.columns if name != "y"],
        pipeline=pipeline(part, task),
        rng=np.random.default_rng(5),
        level=level,
    )


def cases(*causes: str, tasks: tuple[str, ...] = ("regression", "two", "classes")) -> pytest.MarkDecorator:
    listed = []
    for part in PARTS:
        injectors = importlib.import_module(f"injectors_{part}").INJECTORS
        for cause in causes:
            for injector in injectors[cause]:
                listed += [
                    pytest.param(part, injector, task, id=f"{part}-{injector.__name__}-{task}")
                    for task in tasks
                ]
    return pytest.mark.parametrize(("part", "injector", "task"), listed)


def module(text: str) -> dict[str, Any]:
    space: dict[str, Any] = {}
    exec(text, space)  # noqa: S102 - the benchmark's own text
    return space


@pytest.mark.parametrize("part", PARTS)
def test_each_cause_has_three_injectors_at_least(part: str) -> None:
    injectors = importlib.import_module(f"injectors_{part}").INJECTORS
    assert set(injectors) == {
        *("input_fault", "input_change", "pipeline_fault", "model_regression"),
        *("covariate_drift", "label_drift", "concept_drift", "new_class"),
    }
    assert min(len(found) for found in injectors.values()) >= 3


@cases("covariate_drift")
def test_covariate_drift_chooses_rows_by_their_inputs_alone(part: str, injector: Injector, task: str) -> None:
    """The same rows are left whatever their targets are, so that targets given inputs stay."""
    one = scene(part, task)
    injector(one)
    frame = rows(task).frame
    other = scene(part, task, frame=frame.with_columns(pl.col("y").shuffle(11)))
    injector(other)

    assert one.stream["row"].to_list() == other.stream["row"].to_list()
    assert_rows_are_whole(one, task)
    before, after = (one.stream.filter(pl.Series(part)) for part in (~one.hit, one.hit))
    assert before.height == np.sum(scene(part, task).windows < ONSET)
    assert after.height < before.height


@cases("label_drift")
def test_label_drift_chooses_rows_by_their_target_alone(part: str, injector: Injector, task: str) -> None:
    """The same rows are left whatever their inputs are, so that inputs given the target stay."""
    one = scene(part, task)
    injector(one)
    frame = rows(task).frame
    inputs = [pl.col(name).shuffle(11) for name in frame.columns if name != "y"]
    other = scene(part, task, frame=frame.with_columns(inputs))
    injector(other)

    assert one.stream["row"].to_list() == other.stream["row"].to_list()
    assert_rows_are_whole(one, task)
    assert np.sum(one.hit) < np.sum(scene(part, task).hit)


def assert_rows_are_whole(found: Scene, task: str) -> None:
    before = scene("tuning", task).stream
    assert found.stream.equals(before[found.stream["row"].to_list()])
    assert found.clean.equals(found.stream)


@cases("concept_drift")
def test_concept_drift_changes_targets_by_inputs_and_leaves_inputs(
    part: str, injector: Injector, task: str
) -> None:
    found, before = scene(part, task), scene(part, task)
    injector(found)

    assert found.stream.drop("y").equals(before.stream.drop("y"))
    changed = (found.stream["y"] != before.stream["y"]).to_numpy()
    assert not changed[~found.hit].any()
    assert 0.1 < changed[found.hit].mean() < 0.9
    assert found.clean["y"].equals(found.stream["y"])  # no repair of inputs brings the old world back


@cases("input_fault", "input_change")
def test_inputs_change_in_one_column_since_the_onset(part: str, injector: Injector, task: str) -> None:
    found, before = scene(part, task), scene(part, task)
    injector(found)

    [column] = found.subjects
    assert found.stream.drop(column).equals(before.stream.drop(column))
    changed = found.stream[column].ne_missing(before.stream[column]).to_numpy()
    assert not changed[~found.hit].any()
    assert changed[found.hit].mean() > 0.3
    assert found.clean.equals(before.stream)
    # A repair can only give back what an exact map of the column tells.
    lost = found.lost.get(column, np.zeros(len(changed), dtype=bool))
    assert not lost[~found.hit].any()


@cases("input_fault")
def test_faults_are_announced_nowhere(part: str, injector: Injector, task: str) -> None:
    found = scene(part, task)
    injector(found)
    assert found.events == []


@cases("input_change")
def test_changes_by_design_are_announced_for_their_column(part: str, injector: Injector, task: str) -> None:
    found = scene(part, task)
    injector(found)
    [event] = found.events
    assert event["subject"] == found.subjects[0]
    assert event["window"] in (ONSET - 1, ONSET)
    assert not found.lost


@cases("pipeline_fault")
def test_faulty_code_computes_other_features_of_the_same_rows(
    part: str, injector: Injector, task: str
) -> None:
    found, before = scene(part, task), scene(part, task)
    injector(found)

    assert found.stream.equals(before.stream)
    [file] = found.live
    assert file == f"{ONSET:03d}.py"
    raw = found.stream.drop("y", "row")
    good, bad = (module(text)["features"](raw) for text in (found.pipeline, found.live[file]))
    differ = [name for name in good.columns if not good[name].equals(bad[name])]
    assert good.columns == bad.columns
    assert differ
    assert {*differ, f"live/{file}"} == set(found.subjects)


@cases("model_regression", tasks=("regression", "two"))
def test_a_worse_version_is_worse_on_rows_that_it_did_not_see(
    part: str, injector: Injector, task: str
) -> None:
    found = scene(part, task)
    injector(found)

    assert found.stream.equals(scene(part, task).stream)
    [file] = found.live
    assert file == f"{ONSET:03d}.fit.py"
    raw, target = found.reference.drop("y"), found.reference["y"]
    held, actual = found.stream.drop("y", "row"), found.stream["y"].to_numpy()
    losses = []
    for text in (found.pipeline, found.live[file]):
        space = module(text)
        model = space["fit"](space["features"](raw), target)
        features = space["features"](held)
        asked = features if hasattr(model, "feature_names_in_") else features.to_numpy()
        answers = np.asarray(model.predict(asked))
        losses.append(np.mean(answers != actual) if task == "two" else np.mean(np.abs(answers - actual)))
    assert losses[1] > losses[0]


@cases("new_class", tasks=("classes",))
def test_new_classes_are_unknown_to_training_and_come_with_the_onset(
    part: str, injector: Injector, task: str
) -> None:
    found = scene(part, task)
    injector(found)

    known = set(found.reference["y"])
    new = ~found.stream["y"].is_in(list(known)).to_numpy()
    assert len(known) < 10
    assert not new[~found.hit].any()
    assert new[found.hit].any()
    assert found.clean.equals(found.stream)


@cases(
    "input_fault", "input_change", "concept_drift", "covariate_drift", "label_drift", tasks=("regression",)
)
def test_graver_is_no_less(part: str, injector: Injector, task: str) -> None:
    """The grave level changes or takes at least as many rows, or values by at least as much, as the mild one."""

    def size(level: int) -> tuple[float, float]:
        found, before = scene(part, task, level=level), scene(part, task)
        injector(found)
        if found.stream.height < before.stream.height:
            return (before.stream.height - found.stream.height, 0.0)
        gaps = [
            (found.stream[c].cast(pl.Float64) - before.stream[c].cast(pl.Float64)).abs()
            for c in found.stream.columns
        ]
        changed = sum(int((gap.fill_null(1.0) > 0).sum()) for gap in gaps)
        return (changed, sum(float(gap.fill_null(0.0).sum()) for gap in gaps))

    mild, grave = size(0), size(2)
    assert max(grave[0] - mild[0], grave[1] - mild[1]) >= 0


def test_a_second_incident_takes_another_column() -> None:
    found = scene("tuning", "regression")
    injectors = importlib.import_module("injectors_tuning").INJECTORS
    injectors["pipeline_fault"][0](found)
    injectors["input_fault"][0](found)
    columns = [name for name in found.subjects if not name.startswith("live/")]
    assert len(columns) == len(set(columns)) == 2
