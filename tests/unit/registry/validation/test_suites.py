"""Every check fails a model that is bad in exactly its way, and passes one that is good."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from noria.registry.entities import Origin, ServableVersion, Signature, Task, TensorSpec
from noria.registry.equality import Equality
from noria.registry.golden import GoldenBatch, ReferenceSample
from noria.registry.validation.bench import Bench
from noria.registry.validation.entities import Limits, Outcome, ValidationSection
from noria.registry.validation.plan import PLAN
from noria.registry.validation.port import OwnAnswer, SubjectGone, SubjectRaised
from noria.registry.validation.run import SuiteText, tried
from noria.registry.validation.words import HUNG

AT = datetime(2026, 1, 1, tzinfo=UTC)
SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="age", datatype="FP64", shape=[-1], nullable=True),
        TensorSpec(name="size", datatype="FP64", shape=[-1]),
        TensorSpec(name="rooms", datatype="INT64", shape=[-1]),
        TensorSpec(name="kind", datatype="BYTES", shape=[-1]),
    ],
    outputs=[TensorSpec(name="predictions", datatype="INT64", shape=[-1])],
)

Predict = Callable[[dict[str, Any]], dict[str, Any]]


def good(rows: dict[str, Any]) -> dict[str, Any]:
    """Answer smoothly, by what each row holds alone; raise where a column is missing or no number."""
    if {np.asarray(value).ndim for value in rows.values()} != {1}:
        raise SubjectRaised("shapes differ")
    try:
        age = np.nan_to_num(np.asarray(rows["age"], dtype=float), nan=40.0)
        size, rooms = (np.asarray(rows[name], dtype=float) for name in ("size", "rooms"))
        kind = np.asarray(rows["kind"]) == "a"
    except (KeyError, ValueError) as error:
        raise SubjectRaised(str(error)) from error
    score = np.clip(0.05 * (age - 40.0) + 0.01 * size + 0.1 * rooms + kind - 0.9, -30, 30)
    sure = 1 / (1 + np.exp(-score))
    return {"predictions": (sure > 0.5).astype(int), "probabilities": np.column_stack([1 - sure, sure])}


def answers(rows: dict[str, Any], sure: Any) -> dict[str, Any]:
    """Answer with these probabilities."""
    sure = np.broadcast_to(np.asarray(sure, dtype=float), rows["age"].shape)
    return {"predictions": (sure > 0.5).astype(int), "probabilities": np.column_stack([1 - sure, sure])}


class Bad:
    """Models that are bad in one way each, by the name of the check that must see it."""

    def __init__(self) -> None:
        self.n_calls = 0

    def golden(self, rows: dict[str, Any]) -> dict[str, Any]:
        return answers(rows, 1 - good(rows)["probabilities"][:, 1])

    def outputs(self, rows: dict[str, Any]) -> dict[str, Any]:
        return {**good(rows), "probabilities": 2 * good(rows)["probabilities"]}

    def wrong_types_model(self, rows: dict[str, Any]) -> dict[str, Any]:
        return {"predictions": np.zeros(len(next(iter(rows.values()))), dtype=int)}

    def extremes(self, rows: dict[str, Any]) -> dict[str, Any]:
        with np.errstate(invalid="ignore"):
            return answers(rows, np.where(rows["size"] > 500, np.nan, good(rows)["probabilities"][:, 1]))

    def missing(self, rows: dict[str, Any]) -> dict[str, Any]:
        return answers(rows, np.where(np.isnan(rows["age"]), np.nan, 0.3))

    def unseen(self, rows: dict[str, Any]) -> dict[str, Any]:
        if not np.isin(rows["kind"], ["a", "b"]).all():
            raise SubjectRaised("ValueError: Found unknown categories")
        return good(rows)

    def scale(self, rows: dict[str, Any]) -> dict[str, Any]:
        if (np.abs(rows["size"]) > 20_000).any():
            raise SubjectRaised("OverflowError: too large")
        return good(rows)

    def scale_answers(self, rows: dict[str, Any]) -> dict[str, Any]:
        return answers(rows, np.where(rows["size"] < 1, 0.9, 0.1))

    def constant(self, rows: dict[str, Any]) -> dict[str, Any]:
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = (rows["size"] - rows["size"].mean()) / rows["size"].std()
        return answers(rows, np.clip(scaled, 0, 1))

    def permuted(self, rows: dict[str, Any]) -> dict[str, Any]:
        return answers(rows, np.linspace(0.1, 0.9, len(rows["age"])))

    duplicated = permuted

    def columns(self, rows: dict[str, Any]) -> dict[str, Any]:
        return answers(rows, 0.9 if next(iter(rows)) == "age" else 0.1)

    def one_row(self, rows: dict[str, Any]) -> dict[str, Any]:
        return answers(rows, 0.9 if len(rows["age"]) == 1 else 0.1)

    def many_rows(self, rows: dict[str, Any]) -> dict[str, Any]:
        return answers(rows, 0.9 if len(rows["age"]) > 5_000 else 0.1)

    def nudges(self, rows: dict[str, Any]) -> dict[str, Any]:
        return answers(rows, np.where((rows["size"] * 1e4).astype(int) % 2 == 0, 0.9, 0.1))

    def slices(self, rows: dict[str, Any]) -> dict[str, Any]:
        right = good(rows)["probabilities"][:, 1]
        return answers(rows, np.where(rows["kind"] == "b", 1 - right, right))

    def determinism(self, rows: dict[str, Any]) -> dict[str, Any]:
        self.n_calls += 1
        return answers(rows, 0.9 if self.n_calls % 2 else 0.1)


class Here:
    """A model in this process, as a subject."""

    engine = "native"

    def __init__(self, predict: Predict, *, slow_s: float = 0.001, grows_mb: float = 0.0) -> None:
        self.call, self.slow_s, self.grows_mb, self.n_restarts = predict, slow_s, grows_mb, 0

    def predict(self, inputs: Any) -> dict[str, Any]:
        return self.call(dict(inputs))

    def features(self, inputs: Any) -> Any:
        return np.column_stack([inputs["age"], inputs["size"]])

    def timed(self, inputs: Any, calls: int) -> list[float]:
        self.call(dict(inputs))
        return [self.slow_s * len(inputs["age"])] * calls

    def growth_mb(self, inputs: Any, calls: int) -> float:
        self.call(dict(inputs))
        return calls * self.grows_mb

    def peak_mb(self) -> float:
        return 100.0 + 300 * self.grows_mb

    def restart(self) -> None:
        self.n_restarts += 1

    def own(self, source: str, name: str, folder: str | None, data: Any, target: Any) -> list[OwnAnswer]:
        assert source
        assert len(target) == len(data["age"])
        return [
            OwnAnswer(name=f"{name}:bounded", title="bounded", value=0.3, at_most=0.2),
            OwnAnswer(name=f"{name}:floor", title="floor", value=0.3, at_least=0.2),
            OwnAnswer(name=f"{name}:true", title="true", holds=True),
            OwnAnswer(name=f"{name}:said", title="said", holds=False, said="100 % of them"),
            OwnAnswer(name=f"{name}:raised", title="raised", raised="KeyError: 'x' (line 3)"),
        ]


def bench(*, settings: ValidationSection | None = None, equality: Equality | None = None) -> Bench:
    """Make a version of two hundred rows, whose golden batch the good model answers."""
    rng = np.random.default_rng(3)
    rows: dict[str, Any] = {
        "age": rng.uniform(20, 80, 200),
        "size": rng.uniform(30, 120, 200),
        "rooms": rng.integers(1, 6, 200),
        "kind": rng.choice(np.array(["a", "b"]), 200),
    }
    version = ServableVersion(
        holdout=None,
        id="v",
        project="p",
        model="m",
        version=1,
        digest="sha256:0",
        format="none",
        task=Task.CLASSIFICATION,
        signature=SIGNATURE,
        classes=[0, 1],
        metrics={},
        origin=Origin(),
        message="",
        author="ann",
        created_at=AT,
        updated_at=AT,
    )
    return Bench(
        version=version,
        settings=settings or ValidationSection(),
        rows=rows,
        reference=rows,
        target=good(rows)["predictions"],
        held_out=None,
        golden=GoldenBatch(inputs=rows, features=np.empty((200, 0)), outputs=good(rows)),
        equality=equality,
        rng=rng,
    )


def only(name: str, **limits: float) -> ValidationSection:
    """Leave out all checks but one, and give limits."""
    skipped = [planned.name for planned in PLAN if planned.name != name]
    return ValidationSection(skip=skipped, limits=msgspec.structs.replace(Limits(), **limits))


def outcome(name: str, subject: Here, **more: Any) -> Outcome:
    report = tried(bench(**{"settings": only(name), **more}), subject)
    return next(check.outcome for check in report.checks if check.name == name)


MODELS = [name for name in vars(Bad) if not name.startswith("_")]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_is_bad_in_one_way_fails_the_check_of_it(name: str) -> None:
    """The check sees the fault, and the good model has none."""
    settings = only(name, scale_answers=0.97)

    assert outcome(name, Here(getattr(Bad(), name)), settings=settings) is Outcome.FAILED
    assert outcome(name, Here(good), settings=settings) is Outcome.PASSED


def test_what_is_not_in_the_answers_fails_too() -> None:
    """Slowness, memory, another answer after a restart, an unequal ONNX form and a loose signature are seen."""
    slow, leaky = Here(good, slow_s=2.0), Here(good, grows_mb=20.0)
    loose = bench(settings=only("wrong_types"))
    spec = TensorSpec(name="size", datatype="BYTES", shape=[-1])
    inputs = [spec if each.name == "size" else each for each in SIGNATURE.inputs]
    version = msgspec.structs.replace(loose.version, signature=Signature(inputs=inputs, outputs=[]))
    rows = {"size": loose.rows["size"].astype(str), **{k: v for k, v in loose.rows.items() if k != "size"}}
    off = Equality(
        equal=True, n_rows=10_000, largest_relative_error=1e-3, n_label_flips=3, label_flip_rate=3e-4
    )
    forgets = Here(good)
    forgets.call = lambda rows: answers(rows, 0.9 if forgets.n_restarts else 0.1)
    loosely = tried(dataclasses.replace(loose, version=version, rows=rows), Here(good))

    assert outcome("latency_one_ms", slow) is outcome("latency_many_ms", slow) is Outcome.FAILED
    assert outcome("latency_one_ms", Here(good)) is outcome("latency_many_ms", Here(good)) is Outcome.PASSED
    assert outcome("memory_growth_mb", leaky) is outcome("memory_mb", leaky) is Outcome.FAILED
    assert outcome("memory_growth_mb", Here(good)) is outcome("memory_mb", Here(good)) is Outcome.PASSED
    assert outcome("restart", forgets) is Outcome.FAILED
    assert outcome("restart", Here(good)) is Outcome.PASSED
    for name in ("onnx_error", "onnx_flips"):
        assert outcome(name, Here(good), equality=off) is Outcome.FAILED
        assert outcome(name, Here(good), equality=Equality(equal=True, n_rows=9)) is Outcome.PASSED
        assert outcome(name, Here(good)) is Outcome.NOT_APPLICABLE
    assert [check.outcome for check in loosely.checks if check.name == "wrong_types"] == [Outcome.FAILED]
    assert outcome("wrong_types", Here(good)) is Outcome.PASSED


def test_slices_are_of_held_out_rows_where_there_are_enough() -> None:
    """A slice that is bad only there is found there; without them, or with too few, the training rows are taken."""
    made = bench(settings=only("slices"))
    rows = {name: array[:100] for name, array in made.rows.items()}
    right = good(rows)["predictions"]
    held = ReferenceSample(inputs=rows, target=np.where(rows["kind"] == "b", 1 - right, right))
    few = ReferenceSample(inputs={name: array[:9] for name, array in rows.items()}, target=right[:9])
    told = {}
    for name, sample in (("held", held), ("few", few), ("none", None)):
        report = tried(dataclasses.replace(made, held_out=sample), Here(good))
        [told[name]] = [check for check in report.checks if check.name == "slices"]

    assert (told["held"].outcome, told["held"].values["slice"]) == (Outcome.FAILED, "kind = b")
    assert "held-out rows" in told["held"].sentence
    assert told["few"].outcome is told["none"].outcome is Outcome.PASSED
    assert "training sample" in told["few"].sentence
    assert "training sample" in told["none"].sentence


def test_every_limit_has_a_check_and_every_check_a_model_that_fails_it() -> None:
    """No check is in the plan that nothing can fail."""
    elsewhere = {
        *("latency_one_ms", "latency_many_ms", "memory_growth_mb", "memory_mb", "restart"),
        *("onnx_error", "onnx_flips", "wrong_types"),
    }
    names = [planned.name for planned in PLAN]

    assert sorted(names) == sorted(Limits.__struct_fields__)
    assert sorted({*MODELS, *elsewhere}) == sorted(names)


def test_own_checks_and_lost_processes_are_told() -> None:
    """Own checks are held to their own bounds; a model that is lost again and again is given up."""

    def hangs(_: Any) -> dict[str, Any]:
        raise SubjectGone(HUNG, seconds="30")

    own = tried(bench(settings=only("outputs")), Here(good), [SuiteText(name="s.py", source="…")])
    lost = tried(bench(), Here(hangs), [SuiteText(name="s.py", source="…")])
    told = {check.name.partition(":")[2]: check for check in own.checks if check.family == "own"}

    assert [told[name].outcome.value for name in ("bounded", "floor", "true", "said", "raised")] == [
        *("failed", "passed", "passed", "failed", "broken")
    ]
    assert told["said"].sentence == "100 % of them"
    assert "KeyError" in told["raised"].sentence
    broken = [check for check in lost.checks if check.outcome is Outcome.BROKEN]
    assert len(broken) == 6
    assert "30 s" in broken[0].sentence
    assert {check.outcome for check in lost.checks[-3:]} == {Outcome.UNMEASURED}
