"""From the alert to the outcome."""

from __future__ import annotations

import numpy as np
import pytest

from noria.catalog.entities import DecisionRecord
from noria.catalog.service import Catalog
from noria.core.events.log import EventLog
from noria.decisions.entities import OWN, Answer, Cause, DecisionSection, DecisionStatus, Policy, Remedy
from noria.decisions.service import Decisions
from noria.monitoring.entities import AlertKind
from noria.monitoring.service import Monitors
from noria.registry.service import Models
from noria.serving.endpoints import Endpoints
from noria.serving.service import Rollouts
from support.decisions import PROJECT, DyingSteps, Incident, Killed, blobs

KNOWN, ALL = [0, 1, 2], [0, 1, 2, 3]


def record_of(incident: Incident) -> DecisionRecord:
    return incident.context.service(Catalog).get(PROJECT, incident.decision().record_id)


def types_of(incident: Incident) -> list[str]:
    log = EventLog(incident.context.database)
    return [e.type for e in log.read(0, limit=1000) if e.type.startswith("decision.")]


def a_new_class(incident: Incident, n: int = 120) -> int:
    """Let a class come up that the model never saw; give the position of the onset."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    return incident.answer(*blobs(n, ALL, seed=2))[0]


def test_a_new_class_is_learned_and_goes_out(incident: Incident) -> None:
    """Labels of an unknown class lead to a retraining that is tried, deployed, measured and written down."""
    alert = incident.alarm(a_new_class(incident))
    incident.on_sleep.append(lambda: None)
    incident.on_sleep.append(lambda: incident.answer(*blobs(40, ALL, seed=3)))
    incident.decide(alert)
    found, record = incident.decision(), record_of(incident)
    versions = incident.context.service(Models)

    assert found.status is DecisionStatus.DONE, found.reason
    assert (found.cause, found.subject, found.remedy) == (Cause.NEW_CLASS, "class 3", Remedy.RETRAIN)
    assert versions.version(PROJECT, "customers", found.target_version or 0).classes == ALL
    assert (record.cause, record.choice) == ("new_class", "retrain")
    assert record.closed_at is not None
    assert record.outcome is not None
    assert record.outcome["score_after"] > 0.95 > record.outcome["score_before"]
    assert record.outcome["n_after"] == 40
    assert incident.context.service(Monitors).alerts(PROJECT, open_only=True).items == []
    assert types_of(incident) == [
        f"decision.{name}"
        for name in ("started", "diagnosed", "trying", "tried", "chosen", "acted", "promoted", "finished")
    ]


def test_what_was_judged_was_not_taught(incident: Incident) -> None:
    """The dataset of the trial lacks the judged rows; that of the version that goes out has them all."""
    from noria.data.client import dataset

    incident.decide(incident.alarm(a_new_class(incident)))
    rows = [
        len(dataset(f"customers-train@{version}", workspace=incident.workspace).arrays()["y"])
        for version in (1, 2, 3)
    ]
    judged = next(c for c in record_of(incident).candidates if c.name == "retrain").figures["score"].n

    assert judged == 60
    assert rows == [400, 400 + 220 - 60, 400 + 220]
    assert "Version 3 was fitted on all labelled rows" in (record_of(incident).action or {})["fit"]


@pytest.mark.parametrize(
    "dies_after",
    [2, 18, 34, 41, *(pytest.param(after, marks=pytest.mark.soak) for after in (0, 5, 11, 23, 29, 38))],
)
def test_a_killed_workflow_repeats_nothing(incident: Incident, dies_after: int) -> None:
    """Dying after any step before that is recorded, and run again on the record, it ends as if nothing had happened."""
    alert = incident.alarm(a_new_class(incident))
    journal: list[object] = []
    with pytest.raises(Killed):
        incident.decide(alert, DyingSteps(incident, journal, dies_after))
    incident.decide(alert, DyingSteps(incident, journal))
    found = incident.decision()

    assert found.status is DecisionStatus.DONE, found.reason
    assert len(incident.context.service(Decisions).list(PROJECT).items) == 1
    assert incident.n_versions("customers") == 3
    assert len(incident.context.service(Rollouts).list(PROJECT).items) == 2
    assert types_of(incident).count("decision.finished") == 1


def test_labels_are_waited_for(incident: Incident) -> None:
    """With too few labels it waits, and goes on when they came."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    onset = incident.answer(*blobs(15, ALL, seed=2))[0]
    incident.on_sleep.extend([lambda: None, lambda: incident.answer(*blobs(100, ALL, seed=3))])
    incident.decide(incident.alarm(onset))
    found = incident.decision()

    assert (found.cause, found.remedy, found.status) == (Cause.NEW_CLASS, Remedy.RETRAIN, DecisionStatus.DONE)
    assert found.round == 2
    assert "decision.waiting" in types_of(incident)


def test_labels_that_never_come_are_asked_for(incident: Incident) -> None:
    """When patience is over a person is asked; nothing was changed."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    onset = incident.answer(blobs(80, ALL, seed=2)[0])[0]
    incident.decide(incident.alarm(onset, kind=AlertKind.DRIFT))
    found = incident.decision()

    assert (found.status, found.remedy) == (DecisionStatus.ASKING, Remedy.ASK)
    assert incident.n_versions("customers") == 1


def test_a_drift_that_waits_gives_way_to_a_drop(incident: Incident) -> None:
    """The more urgent alert opens a decision of its own; the other way round it does not."""
    onset = a_new_class(incident)
    incident.answer(blobs(80, ALL, seed=4)[0])
    drift = incident.alarm(onset + 120, kind=AlertKind.DRIFT)
    incident.decide(drift)
    waiting = incident.decision()
    incident.decide(incident.alarm(onset))
    newer = incident.decision()
    older = incident.context.service(Decisions).get(PROJECT, waiting.id)

    assert (older.status, newer.status) == (DecisionStatus.DONE, DecisionStatus.DONE)
    assert newer.remedy is Remedy.RETRAIN
    assert "decision.superseded" in types_of(incident)


def test_broken_inputs_are_never_learned_from(incident: Incident) -> None:
    """A column in another unit drops the score; the proposal is to mend it, whatever a retraining would gain."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    x, y = blobs(120, KNOWN, seed=2)
    x[:, 1] *= 1000.0
    incident.decide(incident.alarm(incident.answer(x, y)[0]))
    found, record = incident.decision(), record_of(incident)

    assert found.status is DecisionStatus.ASKING
    assert found.cause in (Cause.INPUT_FAULT, Cause.INPUT_CHANGE)
    assert found.subject == "column x[1]"
    assert found.remedy in (Remedy.REPAIR_INPUTS, Remedy.FIX_PIPELINE)
    assert incident.n_versions("customers") == 1
    assert not next(c for c in record.candidates if c.name == "retrain").admissible


def test_a_bad_release_is_rolled_back(incident: Incident) -> None:
    """When the version before does better on the same rows, it goes live again, and labels that come then judge it."""
    from sklearn.linear_model import LogisticRegression

    from noria.registry.client import register

    x, y = blobs(400, KNOWN, seed=0)
    spoiled = np.random.default_rng(0).permutation(y[:200])
    register(
        LogisticRegression().fit(x[:200], np.where(y[:200] == 0, 0, spoiled)),
        "customers",
        x={"x": x[:200]},
        y=y[:200],
        holdout=({"x": x[200:]}, LogisticRegression().fit(x, y).predict(x[200:])),
        workspace=incident.workspace,
    )
    incident.answer(*blobs(100, KNOWN, seed=1))
    incident.deploy("customers", 2)
    onset = incident.answer(*blobs(120, KNOWN, seed=2))[0]
    incident.on_sleep.extend([lambda: None, lambda: incident.answer(*blobs(40, KNOWN, seed=3))])
    incident.decide(incident.alarm(onset, version=2))
    found, record = incident.decision(), record_of(incident)

    assert (found.cause, found.remedy) == (Cause.MODEL_REGRESSION, Remedy.ROLL_BACK_MODEL), found.reason
    assert record.outcome is not None
    assert record.outcome["n_after"] == 40
    assert record.outcome["score_after"] > 0.95 > record.outcome["score_before"]
    assert incident.context.service(Endpoints).get(PROJECT, "shop").version == 1


def test_a_rollout_that_fails_its_gates_ends_the_decision(incident: Incident) -> None:
    """The record says that it was rolled back, and the alert stays open."""
    incident.passes = False
    incident.decide(incident.alarm(a_new_class(incident)))
    record = record_of(incident)

    assert incident.decision().status is DecisionStatus.DONE
    assert record.outcome == {"result": "rolled_back", "reason": "a gate failed"}
    assert len(incident.context.service(Monitors).alerts(PROJECT, open_only=True).items) == 1


def test_no_drop_changes_nothing(incident: Incident) -> None:
    """A false alarm is named so, and after waiting in vain nothing was done."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    onset = incident.answer(*blobs(150, KNOWN, seed=2))[0]
    incident.decide(incident.alarm(onset))
    found = incident.decision()

    assert found.cause is Cause.NONE
    assert found.remedy in (None, Remedy.ASK)
    assert incident.n_versions("customers") == 1


@pytest.mark.parametrize("most_classes", [3])
def test_a_pipeline_that_fails_is_no_remedy(incident: Incident) -> None:
    """When the project's own code raises on the new rows, the record says so and nothing goes out."""
    incident.decide(incident.alarm(a_new_class(incident)))
    retrain = next(c for c in record_of(incident).candidates if c.name == "retrain")

    assert incident.decision().target_version is None
    assert retrain.gain is None
    assert "more classes than this code knows" in retrain.note


@pytest.mark.parametrize("most_probable", [600])
def test_a_last_fit_that_clients_would_notice_stays_back(incident: Incident) -> None:
    """When all labels lead the pipeline to a model with other outputs, the version that was tried goes out."""
    incident.decide(incident.alarm(a_new_class(incident)))
    found = incident.decision()

    assert (found.status, found.remedy) == (DecisionStatus.DONE, Remedy.RETRAIN), found.reason
    assert found.target_version == 2
    assert incident.context.service(Endpoints).get(PROJECT, "shop").version == 2
    assert "does not fit the endpoint's clients" in (record_of(incident).action or {})["fit"]
    assert "`probabilities`" in (record_of(incident).action or {})["fit"]


@pytest.mark.parametrize("most_probable", [500])
def test_a_version_that_clients_would_notice_is_no_remedy(incident: Incident) -> None:
    """A retraining with other outputs is not judged; the record says why, and nothing goes out."""
    incident.decide(incident.alarm(a_new_class(incident)))
    retrain = next(c for c in record_of(incident).candidates if c.name == "retrain")

    assert incident.decision().target_version is None
    assert incident.context.service(Endpoints).get(PROJECT, "shop").version == 1
    assert retrain.gain is None
    assert "version 2 does not fit the endpoint's clients" in retrain.note


class TestAsking:
    @pytest.fixture
    def settings(self) -> DecisionSection:
        """Let a person decide about retrainings."""
        return DecisionSection(
            policy={**dict.fromkeys(OWN, Policy.FORBID), Remedy.RETRAIN: Policy.ASK},
            outcome_patience_s=60.0,
            label_patience_s=60.0,
        )

    def test_a_person_approves_what_was_tried(self, incident: Incident) -> None:
        """The proposal has its figures; approved, it goes out."""
        incident.decide(incident.alarm(a_new_class(incident)))
        asked = incident.decision()
        served_before = incident.context.service(Endpoints).get(PROJECT, "shop").version
        incident.context.service(Decisions).approve(PROJECT, asked.id, Answer())
        incident.carry_out(asked)

        assert (asked.status, asked.remedy, asked.target_version) == (
            DecisionStatus.ASKING,
            Remedy.RETRAIN,
            2,
        )
        assert served_before == 1
        assert incident.decision().status is DecisionStatus.DONE
        assert incident.context.service(Endpoints).get(PROJECT, "shop").version == 3


def test_an_undecided_trial_is_judged_again_on_newer_labels(incident: Incident) -> None:
    """What the pipeline gave is kept; later labels decide about it without another run."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    rare = np.concatenate(
        [blobs(70, KNOWN, seed=2)[0], blobs(5, [3], seed=3)[0], blobs(25, KNOWN, seed=4)[0]]
    )
    truth = np.concatenate(
        [blobs(70, KNOWN, seed=2)[1], blobs(5, [3], seed=3)[1], blobs(25, KNOWN, seed=4)[1]]
    )
    early = np.r_[0:30, 70:75, 30:70, 75:100]
    onset = incident.answer(rare[early], truth[early])[0]
    incident.on_sleep.extend([lambda: None, lambda: incident.answer(*blobs(150, ALL, seed=5))])
    incident.decide(incident.alarm(onset))
    found = incident.decision()
    retrain = next(c for c in record_of(incident).candidates if c.name == "retrain")

    assert (found.remedy, found.status) == (Remedy.RETRAIN, DecisionStatus.DONE), found.reason
    assert found.round == 2
    assert retrain.figures["score"].n == 50 + 150
    assert incident.n_versions("customers") == 3
