"""Versions that are made without a pipeline: answers mapped anew, and other kinds of models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import SVC

from noria.core.errors import Invalid
from noria.decisions.case import Case, load_case
from noria.decisions.entities import DecisionStatus, Policy, Remedy, Scheme
from noria.decisions.refitting import refitted
from noria.decisions.trials import misfit
from noria.registry.client import register
from noria.registry.entities import ModelVersion
from noria.serving.endpoints import Endpoints
from support.decisions import PROJECT, Incident, blobs

KNOWN = [0, 1, 2]


def mixed(n: int, seed: int, *, share: float = 0.5) -> tuple[Any, Any]:
    """Draw rows of two classes that overlap, the second with a share."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    return rng.normal(size=(n, 3)) + 0.5 * y[:, None], y


def put_live(incident: Incident, fitted: Any, x: Any, y: Any, held_out: tuple[Any, Any]) -> None:
    inputs, target = held_out
    register(fitted, "mixed", x={"x": x}, y=y, holdout=({"x": inputs}, target), workspace=incident.workspace)
    incident.endpoint = "second"
    incident.deploy("mixed")


def case_of(incident: Incident, onset: int) -> Case:
    return load_case(incident.workspace, PROJECT, "second", 1, onset_position=onset, max_rows=5000)


def scores(case: Case, version: ModelVersion, incident: Incident, x: Any, y: Any) -> tuple[float, float]:
    """Give the mean score of the present version and of another on rows that come later."""
    first = incident.answer(x, y)[0]
    later = case_of(incident, first).rows.labelled.since(first)
    return float(case.scores(later).mean()), float(case.scores_with(version, later).mean())


def test_another_mix_of_classes_is_met_by_mapping_the_answers(incident: Incident) -> None:
    """The estimator stays; what it answers moves with the labels, and clients notice no other form."""
    x, y = mixed(600, 0)
    put_live(incident, LogisticRegression().fit(x, y), x, y, mixed(300, 1))
    onset = incident.answer(*mixed(300, 2, share=0.05))[0]
    case = case_of(incident, onset)
    found = refitted(case, Remedy.RECALIBRATE, case.rows.labelled)
    before, after = scores(case, found, incident, *mixed(400, 3, share=0.05))

    assert not misfit(case.version, found)
    assert (found.version, found.classes) == (2, [0, 1])
    assert found.holdout is not None
    assert 30 < found.holdout.n < 90
    assert found.holdout.score > 0.85
    assert after > before + 0.1
    assert "300 labelled rows" in found.message


def test_a_class_that_has_not_come_since_stays_an_answer(incident: Incident) -> None:
    """Live labels of one class teach the map too, and both classes can still be told."""
    x, y = mixed(600, 0)
    put_live(incident, LogisticRegression().fit(x, y), x, y, mixed(300, 1))
    onset = incident.answer(*mixed(60, 2, share=0.0))[0]
    case = case_of(incident, onset)

    assert refitted(case, Remedy.RECALIBRATE, case.rows.labelled).classes == [0, 1]


def test_an_offset_of_numbers_is_taken_off(incident: Incident) -> None:
    """A regression's answers are moved by a line."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(700, 3))
    y = x @ [1.0, 2.0, -1.0] + rng.normal(scale=0.3, size=700)
    put_live(incident, LinearRegression().fit(x[:300], y[:300]), x[:300], y[:300], (x[300:400], y[300:400]))
    onset = incident.answer(x[400:550], y[400:550] + 3.0)[0]
    case = case_of(incident, onset)
    found = refitted(case, Remedy.RECALIBRATE, case.rows.labelled)
    before, after = scores(case, found, incident, x[550:], y[550:] + 3.0)

    assert not misfit(case.version, found)
    assert after > before + 0.3


@pytest.mark.parametrize("remedy", [Remedy.RECALIBRATE, Remedy.NEW_MODEL])
def test_rows_that_no_version_can_be_made_of(incident: Incident, remedy: Remedy) -> None:
    """Without held-out rows, or with labels of classes that nobody knows, nothing is registered, and why is told."""
    x, y = mixed(200, 0)
    register(LogisticRegression().fit(x, y), "mixed", x={"x": x}, y=y, workspace=incident.workspace)
    incident.endpoint = "second"
    incident.deploy("mixed")
    onset = incident.answer(*mixed(60, 2))[0]
    case = case_of(incident, onset)
    if remedy is Remedy.RECALIBRATE:
        with pytest.raises(Invalid, match="without held-out rows"):
            refitted(case, remedy, case.rows.labelled)
        assert incident.n_versions("mixed") == 1
    else:
        assert refitted(case, remedy, case.rows.labelled).version == 2


def test_another_kind_of_model_learns_what_the_present_one_cannot(incident: Incident) -> None:
    """Classes inside and outside of a ball: the message names the kinds that were tried and their scores."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 3))
    y = ((x**2).sum(axis=1) > 2.4).astype(int)
    put_live(incident, LogisticRegression().fit(x[:400], y[:400]), x[:400], y[:400], (x[400:500], y[400:500]))
    onset = incident.answer(x[500:700], y[500:700])[0]
    case = case_of(incident, onset)
    found = refitted(case, Remedy.NEW_MODEL, case.rows.labelled)
    before, after = scores(case, found, incident, x[700:], y[700:])

    assert not misfit(case.version, found)
    assert after > before + 0.2
    assert all(kind in found.message for kind in ("boosting", "forest", "linear"))
    assert found.holdout is not None


def test_clients_that_know_no_probabilities_get_none(incident: Incident) -> None:
    """Another kind of model hides its own, and a recalibration, which has them by nature, is not made."""
    x, y = mixed(400, 0)
    put_live(incident, SVC().fit(x, y), x, y, mixed(200, 1))
    onset = incident.answer(*mixed(200, 2))[0]
    case = case_of(incident, onset)
    found = refitted(case, Remedy.NEW_MODEL, case.rows.labelled)

    assert not misfit(case.version, found)
    with pytest.raises(Invalid, match="no probabilities"):
        refitted(case, Remedy.RECALIBRATE, case.rows.labelled)
    assert incident.n_versions("mixed") == found.version == 2


@pytest.mark.parametrize("settings", [{}], indirect=True)
def test_a_recalibration_that_pays_goes_out_by_itself(incident: Incident) -> None:
    """From the alert to the outcome: the mix of classes moved, and the version with mapped answers takes over."""
    x, y = mixed(600, 0)
    put_live(incident, LogisticRegression().fit(x, y), x, y, mixed(600, 1))
    incident.answer(*mixed(200, 4))
    alert = incident.alarm(incident.answer(*mixed(400, 2, share=0.03))[0])
    incident.on_sleep.append(lambda: incident.answer(*mixed(60, 5, share=0.03)))
    incident.decide(alert)
    found = incident.decision()

    assert (found.remedy, found.status) == (Remedy.RECALIBRATE, DecisionStatus.DONE), found.reason
    assert incident.context.service(Endpoints).get(PROJECT, "second").version == found.target_version


@pytest.mark.parametrize(
    "settings", [dict.fromkeys((Remedy.RETRAIN, Remedy.RECALIBRATE), Policy.FORBID)], indirect=True
)
def test_a_new_model_is_proposed_and_waits_for_a_person(incident: Incident) -> None:
    """Its version is registered and named; the present one goes on answering until somebody approves."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    x, y = blobs(300, KNOWN, seed=2)
    exchanged = np.array([{0: 1, 1: 0}.get(int(label), int(label)) for label in y])
    incident.decide(incident.alarm(incident.answer(x, exchanged)[0]))
    found = incident.decision()

    assert (found.remedy, found.status) == (Remedy.NEW_MODEL, DecisionStatus.ASKING), found.reason
    assert found.target_version == incident.n_versions("customers")
    assert incident.context.service(Endpoints).get(PROJECT, incident.endpoint).version == 1


def test_a_new_model_learns_from_the_kept_sample_when_the_data_set_is_gone(incident: Incident) -> None:
    """What a version holds of its training rows stays when these are removed."""
    x, y = mixed(600, 0)
    fitted = LogisticRegression().fit(x, y)
    held = mixed(300, 1)
    register(
        fitted,
        "mixed",
        x={"x": x},
        y=y,
        holdout=({"x": held[0]}, held[1]),
        dataset="removed@3",
        workspace=incident.workspace,
    )
    incident.endpoint = "second"
    incident.deploy("mixed")
    onset = incident.answer(*mixed(200, 2))[0]
    case = case_of(incident, onset)
    found = refitted(case, Remedy.NEW_MODEL, case.rows.labelled, schemes=[Scheme.ALL])

    assert found.version == 2
    assert found.holdout is not None
    assert found.holdout.n > 100  # a fifth of 600 old rows and 200 new ones
