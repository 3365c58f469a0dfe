"""Repairs, ways to retrain, the dry run, and what is remembered."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from noria.catalog.entities import DecisionRecord
from noria.catalog.service import Catalog
from noria.decisions.entities import Answer, Cause, DecisionStatus, Remedy, StartDecision
from noria.decisions.memory import NOT_ASKED
from noria.decisions.rehearsal import Rehearsal, rehearse
from noria.decisions.reproduction import reproduced
from noria.decisions.service import Decisions
from noria.monitoring.entities import AlertKind
from noria.monitoring.service import Monitors
from noria.registry.client import register
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Deployment, Strategy
from support.decisions import PROJECT, Incident, blobs

KNOWN, ALL = [0, 1, 2], [0, 1, 2, 3]
FACTOR = 1000.0


def record_of(incident: Incident) -> DecisionRecord:
    return incident.context.service(Catalog).get(PROJECT, incident.decision().record_id)


def another_unit(incident: Incident, seed: int) -> int:
    """Let one column come in another unit; give the position of the onset."""
    x, y = blobs(120, KNOWN, seed=seed)
    x[:, 1] *= FACTOR
    return incident.answer(x, y)[0]


def exchanged(incident: Incident, n: int, seed: int) -> int:
    """Let two classes change places in what people say; give the position of the onset."""
    x, y = blobs(n, KNOWN, seed=seed)
    return incident.answer(x, np.array([{0: 1, 1: 0}.get(int(label), int(label)) for label in y]))[0]


def rehearsed(incident: Incident, onset: int) -> Rehearsal:
    wish = StartDecision(endpoint=incident.endpoint, onset_position=onset)
    with contextlib.chdir(incident.folder):
        return rehearse(incident.workspace, wish, tell=lambda _: None)


def test_another_unit_is_proposed_to_be_scaled_back(incident: Incident) -> None:
    """The column and its factor are told, with what dividing by it gained on labelled rows; nothing is learned."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    incident.decide(incident.alarm(another_unit(incident, seed=2)))
    found, record = incident.decision(), record_of(incident)
    repair = next(c for c in record.candidates if c.name == Remedy.REPAIR_INPUTS.value)

    assert (found.status, found.remedy) == (DecisionStatus.ASKING, Remedy.REPAIR_INPUTS), found.reason
    assert (found.cause, found.subject) == (Cause.INPUT_FAULT, "column x[1]")
    assert repair.note.startswith("`x[1]` is divided by ")
    assert float(repair.note.split()[4]) == pytest.approx(FACTOR, rel=0.1)
    assert repair.gain is not None
    assert repair.gain.low is not None
    assert repair.gain.low > 0
    assert repair.note in found.reason
    assert incident.n_versions("customers") == 1


def test_another_mix_of_classes_is_told_by_how_far_answers_follow(incident: Incident) -> None:
    """The version answers held-out and live rows anew, since captured answers may be of others."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    onset = incident.answer(*blobs(200, [0], seed=2))[0]

    evidence = {each.stage: each for each in rehearsed(incident, onset).evidence}

    assert evidence["shift"].figures["mix"] > 0.5
    assert evidence["shift"].figures["followed"] == pytest.approx(1.0, abs=0.1)


def test_a_rejected_proposal_is_not_asked_again(incident: Incident) -> None:
    """The same column in the same unit ends by itself, and names the record in which it was rejected."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    incident.decide(incident.alarm(another_unit(incident, seed=2)))
    first = incident.decision()
    service = incident.context.service(Decisions)
    service.reject(PROJECT, first.id, Answer(reason="the sender mends it next week"))
    closed = incident.context.service(Monitors).alert(PROJECT, first.alert_id or "")
    incident.decide(incident.alarm(another_unit(incident, seed=3)))
    second, record = incident.decision(), record_of(incident)

    assert closed.closed_at is not None
    assert "left as it is by" in (closed.closed_why or "")
    assert "the sender mends it next week" in (closed.closed_why or "")
    assert second.id != first.id
    assert second.status is DecisionStatus.DONE, second.reason
    assert record.outcome == {"result": NOT_ASKED, "record": first.record_id}
    assert "the sender mends it next week" in second.reason


def test_changed_meanings_are_learned_from_recent_rows(incident: Incident) -> None:
    """Old rows that teach what is no longer so are left out, in the trial and in the fit that goes out."""
    from noria.data.client import dataset

    incident.answer(*blobs(100, KNOWN, seed=1))
    alert = incident.alarm(exchanged(incident, 160, seed=2))
    incident.on_sleep.append(lambda: exchanged(incident, 40, seed=3))
    incident.decide(alert)
    found, record = incident.decision(), record_of(incident)
    arrays = dataset("customers-train", workspace=incident.workspace).arrays()

    assert (found.cause, found.remedy, found.way) == (Cause.CONCEPT_DRIFT, Remedy.RETRAIN, "recent")
    assert found.status is DecisionStatus.DONE, found.reason
    assert record.outcome is not None
    assert record.outcome["score_after"] > 0.9 > record.outcome["score_before"]
    assert len(arrays["y"]) < 300


def test_a_decision_can_be_come_to_again(incident: Incident) -> None:
    """The stored evidence gives the stored posterior, and the stored candidates the stored choice."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    incident.decide(incident.alarm(exchanged(incident, 160, seed=2)))
    found, record = incident.decision(), record_of(incident)
    assert found.basis is not None
    again = reproduced(record, found.basis)

    assert {cause.value: p for cause, p in again.diagnosis.causes.items()} == pytest.approx(
        record.cause_probability
    )
    assert again.diagnosis.cause is found.cause
    assert (again.choice.remedy, again.choice.reason) == (found.remedy, record.reason)


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(incident: Incident) -> None:
    """It diagnoses, tries and chooses as the decision does, and opens none; the live version stays."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    onset = incident.answer(*blobs(120, ALL, seed=2))[0]
    found = rehearsed(incident, onset)
    place = incident.context.service(Endpoints).get(PROJECT, incident.endpoint)

    assert (found.cause, found.remedy, found.n_labels) == (Cause.NEW_CLASS, Remedy.RETRAIN, 0)
    assert [weight.stage for weight in found.weights] == ["prior", *(e.stage for e in found.evidence)]
    assert next(c for c in found.candidates if c.name == "repair_inputs").note
    assert incident.context.service(Decisions).list(PROJECT).items == []
    assert incident.context.service(Catalog).list(PROJECT, kind="remedy").items == []
    assert place.version == 1


def test_a_dry_run_without_labels_says_how_many_are_missing(incident: Incident) -> None:
    """It tries nothing, and fits nothing."""
    onset = incident.answer(blobs(80, KNOWN, seed=1)[0])[0]
    found = rehearsed(incident, onset)

    assert (found.remedy, found.n_labels, found.candidates) == (Remedy.WAIT, 40, [])
    assert incident.n_versions("customers") == 1


def test_labels_of_one_class_only_do_no_harm(incident: Incident) -> None:
    """When all labels are alike, what cannot be fitted on them is no remedy, and the live version stays."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    x, _ = blobs(120, KNOWN, seed=2)
    incident.decide(incident.alarm(incident.answer(x, [0] * len(x))[0]))
    found = incident.decision()
    place = incident.context.service(Endpoints).get(PROJECT, incident.endpoint)

    assert found.status in (DecisionStatus.DONE, DecisionStatus.ASKING), found.reason
    assert place.version == (found.target_version or 1)


def test_a_fault_without_labels_is_not_taken_for_another_class(incident: Incident) -> None:
    """Rows of an unseen class, never labelled, lead to a question, and nothing is called broken for sure."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    onset = incident.answer(blobs(120, ALL, seed=5)[0])[0]
    incident.decide(incident.alarm(onset, kind=AlertKind.DRIFT))

    assert (incident.decision().status, incident.decision().remedy) == (DecisionStatus.ASKING, Remedy.ASK)


@pytest.mark.parametrize("passes", [True, False])
def test_an_incident_during_a_rollout_waits_for_its_end(incident: Incident, passes: bool) -> None:
    """When the rollout replaced the version in trouble nothing more goes out; when it was undone the remedy does."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    onset = incident.answer(*blobs(120, ALL, seed=2))[0]
    endpoints = incident.context.service(Endpoints)
    x, y = blobs(200, KNOWN, seed=9)
    fitted = LogisticRegression(max_iter=2000).fit(x, y)
    register(fitted, "customers", x={"x": x}, y=y, workspace=incident.workspace)
    plan = Deployment(model="customers", version=2, strategy=Strategy.CANARY)
    endpoints.deploy(PROJECT, incident.endpoint, plan)
    incident.passes = passes
    incident.decide(incident.alarm(onset))
    found, record = incident.decision(), record_of(incident)

    assert found.status is DecisionStatus.DONE, found.reason
    assert record.outcome is not None
    if passes:
        assert record.outcome["result"] == "overtaken"
        assert endpoints.get(PROJECT, incident.endpoint).version == 2
    else:
        assert found.rollout_id is not None
        assert record.outcome["result"] == "rolled_back"
