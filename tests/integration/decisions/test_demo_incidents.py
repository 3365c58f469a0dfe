"""Each incident of the demo on its own data and pipeline, without its processes: the cause, the subject, the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noria.catalog.service import Catalog
from noria.core.context import Context
from noria.core.ids import new_id
from noria.core.workspace import InProcess, Workspace, use_workspace
from noria.data.client import dataset
from noria.decisions.entities import Cause, Decision, DecisionSection, DecisionStatus, Remedy
from noria.examples.digits.incidents import SCENES, Scene, damaged
from noria.examples.digits.kinds import Incident as Kind
from noria.examples.digits.roles import Part
from noria.examples.digits.traffic import Request, changed, endless, labelled, mixed
from noria.pipelines.runner import run_pipeline
from noria.registry.client import model
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.predictions import CaptureBatch, LabelBatch, NewLabel, Prediction
from support.decisions import PROJECT, Incident
from support.project import user_project

N_LIVE = 480


@dataclass(slots=True)
class Town(Incident):
    """The demo's endpoint, and the pipeline that makes its versions."""

    train: Any = None


@pytest.fixture
def settings() -> DecisionSection:
    """Give what the demo's project file says."""
    return DecisionSection(min_labels=220, outcome_labels=30, outcome_patience_s=6.0, label_patience_s=60.0)


@pytest.fixture
def town(context: Context, tmp_path: Path) -> Iterator[Town]:
    """Give a project with the demo's own pipeline."""
    code = resources.files("noria.examples.digits") / "project" / "digits_pipeline.py"
    with user_project(tmp_path / "project") as project:
        project.write("noria.toml", "")
        project.write("digits_pipeline.py", code.read_text(encoding="utf-8"))
        found = Town(context, endpoint="digits", folder=project.root)
        with use_workspace(Workspace(context.settings, InProcess(context), context.clock)):
            found.train = project.load("digits_pipeline").train
            yield found


def fit(town: Town, scene: Scene, part: Part) -> None:
    added = dataset("digits-train").add({**scene.inputs(part.x), "y": part.y})
    run_pipeline(town.workspace, town.train, {"dataset": added.ref, "only": scene.only})


def send(town: Town, requests: Iterable[Request]) -> int:
    """Let the live version answer, and label what is labelled; give the position of the first."""
    sent = list(requests)
    place = town.context.service(Endpoints).get(PROJECT, town.endpoint)
    inputs = {name: np.concatenate([r.inputs[name] for r in sent]) for name in sent[0].inputs}
    predicted = model(f"{place.model}@{place.version}").predict(inputs).tolist()
    now = town.context.clock.now()
    made = [
        Prediction(
            id=new_id(),
            version=place.version,
            at=now + timedelta(milliseconds=index),
            inputs={name: values[0].tolist() for name, values in request.inputs.items()},
            outputs={"predictions": value},
            revision=place.revision,
        )
        for index, (request, value) in enumerate(zip(sent, predicted, strict=True))
    ]
    captures = town.context.service(Captures)
    before = captures.head(PROJECT, town.endpoint).position
    captures.append(PROJECT, town.endpoint, CaptureBatch(predictions=made))
    told = [
        NewLabel(prediction_id=p.id, value=request.digit)
        for p, request in zip(made, sent, strict=True)
        if request.digit is not None
    ]
    captures.label(PROJECT, town.endpoint, LabelBatch(labels=told))
    return before + 1


def live(scene: Scene, seed: int) -> Iterator[Request]:
    roles = scene.roles(seed)
    told = labelled(roles.labelled, scene.inputs, scene.relabel)
    found = mixed(told, endless(roles.unlabelled, scene.inputs), share=scene.labelled_share)
    return found if scene.change is None else changed(found, scene.change)


def decided(town: Town, kind: Kind, seed: int) -> Decision:
    """Play an incident to the end of its decision."""
    scene = SCENES[kind]
    roles = scene.roles(seed)
    fit(town, scene, roles.training)
    if scene.releases:
        fit(town, scene, damaged(roles.training))
    town.deploy("digits", version=1)
    send(town, labelled(roles.quiet, scene.inputs))
    if scene.releases:
        town.deploy("digits", version=2)
    town.context.clock.sleep(120.0)
    requests = live(scene, seed)
    onset = send(town, islice(requests, N_LIVE))
    version = town.context.service(Endpoints).get(PROJECT, town.endpoint).version
    town.decide(town.alarm(onset, version=version))
    return town.decision()


EXPECTED: dict[Kind, tuple[Cause, set[Remedy], str | None]] = {
    Kind.NEW_DIGIT: (Cause.NEW_CLASS, {Remedy.RETRAIN}, "class 0"),
    Kind.UNIT_CHANGE: (Cause.INPUT_FAULT, {Remedy.REPAIR_INPUTS}, "column column_5"),
    Kind.BROKEN_JOIN: (Cause.INPUT_FAULT, {Remedy.REPAIR_INPUTS}, "column column_5"),
    Kind.BAD_RELEASE: (Cause.MODEL_REGRESSION, {Remedy.ROLL_BACK_MODEL}, "version 1"),
    # The trial decides; on as few labels as there are images it may not be able to, and asks for more.
    Kind.LABEL_SHIFT: (Cause.LABEL_DRIFT, {Remedy.RECALIBRATE, Remedy.RETRAIN, Remedy.ASK}, None),
    Kind.CONCEPT: (Cause.CONCEPT_DRIFT, {Remedy.RETRAIN}, None),
}


@pytest.mark.parametrize(
    "kind",
    # `make test` plays the first one whole, as the demo.
    [pytest.param(kind, marks=pytest.mark.soak if kind is Kind.NEW_DIGIT else ()) for kind in EXPECTED],
)
def test_the_cause_is_named_and_the_remedy_is_right(town: Town, kind: Kind) -> None:
    """What only a person can mend is asked with its figures; everything else goes out by itself."""
    found = decided(town, kind, seed=0)
    record: Any = town.context.service(Catalog).get(PROJECT, found.record_id)
    told = [(e.stage, e.verdict, e.sentence) for e in record.evidence]
    cause, remedies, subject = EXPECTED[kind]

    assert found.cause is cause, (record.cause_probability, told)
    assert found.remedy in remedies, (found.reason, record.candidates)
    assert subject is None or found.subject == subject
    if found.remedy is Remedy.ASK:
        assert found.status is DecisionStatus.ASKING
        assert "labels" in found.reason  # which of them are missing depends on how fast they came
    elif Remedy.REPAIR_INPUTS in remedies:
        assert found.status is DecisionStatus.ASKING
        assert not next(c for c in record.candidates if c.name == Remedy.RETRAIN.value).admissible
    else:
        assert found.status is DecisionStatus.DONE, found.reason
        assert record.outcome["result"] == "promoted"
