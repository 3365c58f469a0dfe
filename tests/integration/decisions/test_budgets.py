"""What a project lets decisions spend, and how much they may do without a person."""

from __future__ import annotations

import pytest

from noria.catalog.service import Catalog
from noria.decisions.entities import OWN, DecisionSection, DecisionStatus, Policy, Remedy
from noria.decisions.reproduction import reproduced
from noria.serving.endpoints import Endpoints
from support.decisions import PROJECT, Incident, blobs

KNOWN, ALL = [0, 1, 2], [0, 1, 2, 3]
PLAIN = DecisionSection(
    policy=dict.fromkeys(OWN, Policy.FORBID),
    outcome_labels=20,
    outcome_patience_s=60.0,
    label_patience_s=600.0,
    max_rounds=1,
)


def allowed(**more: float) -> DecisionSection:
    """Give the settings of the other tests, with a budget."""
    return DecisionSection(**{name: getattr(PLAIN, name) for name in PLAIN.__struct_fields__} | more)


def exchanged(incident: Incident, n: int, seed: int) -> int:
    """Let rows come whose classes 0 and 1 have each other's names."""
    x, y = blobs(n, KNOWN, seed=seed)
    return incident.answer(x, [{0: 1, 1: 0}.get(int(label), int(label)) for label in y])[0]


def a_new_class(incident: Incident) -> int:
    incident.answer(*blobs(100, KNOWN, seed=1))
    return incident.answer(*blobs(120, ALL, seed=2))[0]


@pytest.mark.parametrize("settings", [allowed(trial_budget_s=0.0)], ids=["nothing"])
def test_what_the_budget_does_not_pay_for_is_not_tried(incident: Incident) -> None:
    """No pipeline runs, no version is made, and the record says which key would let it."""
    incident.decide(incident.alarm(a_new_class(incident)))
    found = incident.decision()
    record = incident.context.service(Catalog).get(PROJECT, found.record_id)
    retrain = next(candidate for candidate in record.candidates if candidate.name == "retrain")

    assert incident.n_versions("customers") == 1
    assert found.remedy is not Remedy.RETRAIN
    assert retrain.gain is None
    assert "`trial_budget_s` (0 s)" in retrain.note


@pytest.mark.parametrize("settings", [allowed(automatic_per_day=1)], ids=["one"])
def test_more_than_a_project_lets_it_do_is_proposed(incident: Incident) -> None:
    """The first remedy goes out by itself and the next waits for a person, though its trial was as good."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    alert = incident.alarm(exchanged(incident, 160, seed=2))
    incident.on_sleep.append(lambda: exchanged(incident, 40, seed=3))
    incident.decide(alert)
    first = incident.decision()
    live = incident.context.service(Endpoints).get(PROJECT, "shop").version

    incident.decide(incident.alarm(incident.answer(*blobs(160, KNOWN, seed=4))[0], version=live))
    second = incident.decision()
    record = incident.context.service(Catalog).get(PROJECT, second.record_id)

    assert first.status is DecisionStatus.DONE, first.reason
    assert (second.status, second.remedy) == (DecisionStatus.ASKING, Remedy.ROLL_BACK_MODEL), second.reason
    assert "carried out here within a day without a person: 1; " in second.reason
    assert "`automatic_per_day` allows 1" in second.reason
    assert second.basis is not None
    assert reproduced(record, second.basis).choice.reason == second.reason
