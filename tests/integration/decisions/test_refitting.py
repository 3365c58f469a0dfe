"""Versions that are made without a pipeline: answers mapped anew, and other kinds of models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier

from noria.catalog.service import Catalog
from noria.core.errors import Invalid
from noria.decisions import jobs
from noria.decisions.case import Case, load_case
from noria.decisions.entities import DecisionStatus, Policy, Remedy, Scheme
from noria.decisions.refitting import refitted, warmed
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


@pytest.mark.parametrize("named", [False, True], ids=["numbers", "names"])
@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "sklearn"])
def test_a_version_is_trained_on(incident: Incident, library: str, named: bool) -> None:
    """What labelled rows since the onset teach the present version beside what it knows; clients see the same form."""
    if library == "xgboost" and named:
        pytest.skip("XGBoost knows classes by number alone")
    names = np.array(["no", "yes"] if named else [0, 1])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 3))
    x[600:, 0] += 4
    y = names[(x[:, 1] > np.where(x[:, 0] > 2, 1.0, 0.0)).astype(int)]
    kinds: dict[str, Any] = {
        "lightgbm": lambda: LGBMClassifier(n_estimators=40, learning_rate=0.2, verbosity=-1),
        "xgboost": lambda: XGBClassifier(n_estimators=40),
        "sklearn": lambda: make_pipeline(StandardScaler(), GradientBoostingClassifier(random_state=0)),
    }
    fitted = kinds[library]().fit(x[:400], y[:400])
    put_live(incident, fitted, x[:400], y[:400], (x[400:600], y[400:600]))
    onset = incident.answer(x[600:900], y[600:900])[0]
    case = case_of(incident, onset)
    found = warmed(case, case.rows.labelled)
    before, after = scores(case, found, incident, x[900:], y[900:])

    assert not misfit(case.version, found)
    assert (found.version, found.classes) == (2, names.tolist())
    assert after > before + 0.03, (before, after)
    assert found.holdout is not None
    assert found.message == "Version 1 trained on by 300 labelled rows of the endpoint second"


def test_a_version_that_cannot_be_trained_on_leaves_nothing(incident: Incident) -> None:
    """A model that ends where a fit on new rows would is none to train on, and nothing is registered."""
    x, y = mixed(300, 0)
    put_live(incident, LogisticRegression().fit(x, y), x, y, mixed(200, 1))
    onset = incident.answer(*mixed(100, 2))[0]
    case = case_of(incident, onset)
    with pytest.raises(Invalid, match="A `LogisticRegression` cannot be trained on"):
        warmed(case, case.rows.labelled)

    assert incident.n_versions("mixed") == 1


@pytest.mark.parametrize(
    "settings", [dict.fromkeys((Remedy.RECALIBRATE, Remedy.NEW_MODEL), Policy.FORBID)], indirect=True
)
def test_a_warm_retraining_goes_out_where_no_pipeline_can(incident: Incident) -> None:
    """From the alert to the outcome: registered by hand, the version is trained on, once more on all, and goes live."""
    x, y = mixed(600, 0)
    fitted = make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)).fit(x, y)
    put_live(incident, fitted, x, y, mixed(600, 1))
    incident.answer(*mixed(200, 4))
    rows, labels = mixed(400, 2)
    alert = incident.alarm(incident.answer(rows, 1 - labels)[0])
    later, truth = mixed(80, 5)
    incident.on_sleep.append(lambda: incident.answer(later, 1 - truth))
    incident.decide(alert)
    found = incident.decision()
    record = incident.context.service(Catalog).get(PROJECT, found.record_id)
    retrain = next(each for each in record.candidates if each.name == "retrain")

    assert (found.remedy, found.way, found.status) == (Remedy.RETRAIN, "warm", DecisionStatus.DONE), (
        found.reason
    )
    assert "registered by a pipeline" in retrain.note
    assert retrain.ways.keys() == {"warm"}
    assert record.outcome is not None
    assert record.outcome["score_after"] > record.outcome["score_before"] + 0.2
    assert incident.n_versions("mixed") == 3, (
        "the one that was tried, and the one that learned from every label"
    )
    assert record.outcome["version"] == 3


def test_a_version_made_without_a_pipeline_is_retrained_by_the_one_before(incident: Incident) -> None:
    """What was mapped anew once can be retrained still: by the pipeline that made the version it came of."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    onset = incident.answer(*blobs(150, KNOWN, seed=2))[0]
    before = load_case(incident.workspace, PROJECT, "shop", 1, onset_position=onset, max_rows=5000)
    mapped = refitted(before, Remedy.RECALIBRATE, before.rows.labelled)
    incident.deploy("customers", mapped.version)
    onset = incident.answer(*blobs(150, KNOWN, seed=3))[0]
    arguments: dict[str, Any] = {
        "project": PROJECT,
        "endpoint": "shop",
        "version": mapped.version,
        "onset_position": onset,
        "until_label": None,
        "settings": {},
    }
    taught = jobs.teach(incident.workspace, **arguments, everything=True)

    assert mapped.origin.pipeline is None
    assert taught["why_not"] == ""
    assert taught["run"]["pipeline"].endswith(":train")


@pytest.mark.parametrize(
    "settings", [dict.fromkeys((Remedy.RETRAIN, Remedy.RECALIBRATE), Policy.FORBID)], indirect=True
)
def test_a_search_begins_with_what_won_before(incident: Incident) -> None:
    """A decision keeps what each kind scored and what its data is like; the next search tries those that lost last."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    x, y = blobs(300, KNOWN, seed=2)
    exchanged = np.array([{0: 1, 1: 0}.get(int(label), int(label)) for label in y])
    incident.decide(incident.alarm(incident.answer(x, exchanged)[0]))
    record = incident.context.service(Catalog).get(PROJECT, incident.decision().record_id)
    first = next(each for each in record.candidates if each.name == "new_model").ways
    case = load_case(incident.workspace, PROJECT, "shop", 1, onset_position=1, max_rows=5000)
    found = refitted(case, Remedy.NEW_MODEL, case.rows.labelled)
    second = {name.removeprefix("searched_") for name in found.metrics if name.startswith("searched_")}
    winner = max(first, key=lambda kind: first[kind])

    assert first.keys() == {"boosting", "forest", "linear"}
    assert record.data_fingerprint == case.fingerprint
    assert record.task == "classification"
    assert second == {winner, "network", "neighbours"}
    assert "1 records of similar problems" in found.message
