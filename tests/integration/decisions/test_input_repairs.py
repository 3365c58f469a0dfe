"""Inputs that a sender broke are put right: by policy or after a person's word, measured, and ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from noria.catalog.service import Catalog
from noria.decisions.announcements import Announcements
from noria.decisions.client import announce
from noria.decisions.control import look_after_repairs
from noria.decisions.entities import OWN, Answer, Cause, Decision, DecisionStatus, Policy, Remedy
from noria.decisions.mended import BACK_AS_IT_WAS
from noria.decisions.service import Decisions
from noria.registry.client import register
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Deployment, Strategy
from noria.serving.repairs.entities import InputRepair
from noria.serving.service import InputRepairs
from support.decisions import PROJECT, Incident, blobs

KNOWN = [0, 1, 2]
FACTOR = 1000.0
FORBIDDEN = dict.fromkeys(OWN, Policy.FORBID)
AUTOMATIC = pytest.mark.parametrize(
    "settings", [{**FORBIDDEN, Remedy.REPAIR_INPUTS: Policy.AUTOMATIC}], indirect=True, ids=["automatic"]
)


def rows(seed: int, n: int = 120, *, factor: float = 1.0) -> tuple[Any, Any]:
    """Draw rows whose second column comes in a unit of which `factor` make one."""
    x, y = blobs(n, KNOWN, seed=seed)
    x[:, 1] *= factor
    return x, y


def broken(incident: Incident) -> Decision:
    """Let a column come in another unit, and have that decided."""
    incident.answer(*rows(1, 100))
    onset = incident.answer(*rows(2, factor=FACTOR))[0]
    incident.on_sleep.append(lambda: incident.answer(*rows(3, 60, factor=FACTOR)))
    incident.decide(incident.alarm(onset))
    return incident.decision()


def repairs(incident: Incident) -> list[InputRepair]:
    return incident.context.service(InputRepairs).list(PROJECT, incident.endpoint).items


def looked_after(incident: Incident) -> None:
    look_after_repairs(incident.context)
    incident.work()


@AUTOMATIC
def test_a_unit_is_taken_back_by_itself_and_its_outcome_is_measured(incident: Incident) -> None:
    """Where the policy says so, nobody is asked; the record tells the action and what it gained."""
    found = broken(incident)
    record = incident.context.service(Catalog).get(PROJECT, found.record_id)

    assert (found.cause, found.remedy) == (Cause.INPUT_FAULT, Remedy.REPAIR_INPUTS), found.reason
    assert found.status is DecisionStatus.DONE, found.reason
    (repair,) = repairs(incident)
    assert (repair.id, repair.decision_id, repair.ended_at) == (found.repair_id, found.id, None)
    assert [column.column for column in repair.columns] == ["x[1]"]
    assert record.action is not None
    assert record.action["repair"] == repair.id
    assert record.outcome is not None
    assert record.outcome["result"] == "repaired"
    assert record.outcome["score_after"] > 0.9
    assert record.outcome["score_before"] < 0.7
    assert incident.context.service(Endpoints).get(PROJECT, incident.endpoint).version == 1
    assert incident.n_versions("customers") == 1


@AUTOMATIC
def test_a_repair_ends_when_the_sender_is_right_again(incident: Incident) -> None:
    """Broken rows keep it; rows as in training end it by themselves, and are answered rightly meanwhile."""
    broken(incident)
    incident.answer(*rows(4, 80, factor=FACTOR))
    looked_after(incident)
    assert repairs(incident)[0].ended_at is None
    incident.answer(*rows(5, 320))
    looked_after(incident)
    (repair,) = repairs(incident)
    x, y = rows(6, 5)
    first = incident.answer(x, y)[0]
    captured = incident.context.service(Captures).read(PROJECT, incident.endpoint, after=first - 1)

    assert repair.ended_why == BACK_AS_IT_WAS
    assert repair.ended_at is not None
    assert [row.prediction.inputs["x"] for row in captured.items] == x.tolist()


def test_an_approved_proposal_is_applied(incident: Incident) -> None:
    """By default a person is asked; their word alone puts inputs right."""
    asked = broken(incident)
    assert (asked.status, asked.remedy) == (DecisionStatus.ASKING, Remedy.REPAIR_INPUTS), asked.reason
    assert repairs(incident) == []
    incident.context.service(Decisions).approve(PROJECT, asked.id, Answer(reason="until they mend it"))
    incident.on_sleep.append(lambda: incident.answer(*rows(6, 60, factor=FACTOR)))
    incident.carry_out(asked)
    found = incident.decision()
    (repair,) = repairs(incident)

    assert found.status is DecisionStatus.DONE, found.reason
    assert repair.decision_id == asked.id
    assert "answers score" in found.reason


@AUTOMATIC
def test_a_repair_that_does_harm_is_taken_back(incident: Incident) -> None:
    """When answers are surely worse since, inputs are taken as they are sent, and the record says so."""
    incident.answer(*rows(1, 100))
    x, y = rows(2, factor=FACTOR)
    onset = incident.answer(x, y)[0]

    def turned() -> None:
        """The sender now sends another column broken too, in which no repair was."""
        others, truth = rows(3, 80, factor=FACTOR)
        others[:, [0, 2, 3, 4]] = -others[:, [0, 2, 3, 4]]
        incident.answer(others, (np.asarray(truth) + 1) % 3)

    incident.on_sleep.append(turned)
    incident.decide(incident.alarm(onset))
    found = incident.decision()
    record = incident.context.service(Catalog).get(PROJECT, found.record_id)
    assert record.outcome is not None
    worse = record.outcome["score_after_high"] < record.outcome["score_before_low"]

    assert worse == (record.outcome["result"] == "rolled_back"), record.outcome
    assert (repairs(incident)[0].ended_at is not None) == worse


@AUTOMATIC
@pytest.mark.parametrize("passes", [True, False])
def test_a_repair_waits_for_the_end_of_a_rollout(incident: Incident, passes: bool) -> None:
    """When the version in trouble was replaced meanwhile, its inputs are left; else they are put right afterwards."""
    from sklearn.linear_model import LogisticRegression

    incident.answer(*rows(1, 100))
    onset = incident.answer(*rows(2, factor=FACTOR))[0]
    x, y = rows(9, 200)
    fitted = LogisticRegression(max_iter=2000).fit(x, y)
    register(fitted, "customers", x={"x": x}, y=y, workspace=incident.workspace)
    plan = Deployment(model="customers", version=2, strategy=Strategy.CANARY)
    incident.context.service(Endpoints).deploy(PROJECT, incident.endpoint, plan)
    incident.passes = passes
    incident.decide(incident.alarm(onset))
    found = incident.decision()
    record = incident.context.service(Catalog).get(PROJECT, found.record_id)

    assert record.outcome is not None, (found.reason, found.cause, record.cause_probability)
    assert record.outcome["result"] == ("overtaken" if passes else "repaired"), record.outcome
    assert len(repairs(incident)) == (0 if passes else 1)


@AUTOMATIC
def test_a_unit_that_was_announced_is_no_fault(incident: Incident) -> None:
    """The same figures lead to another cause when somebody says that it is meant: features are to be adapted."""
    announce("shop", "amounts come in cents", columns=["x[1]"], workspace=incident.workspace)
    found = broken(incident)
    record = incident.context.service(Catalog).get(PROJECT, found.record_id)
    said = next(evidence for evidence in record.evidence if evidence.stage == "events")

    assert said.verdict == "announced"
    assert "amounts come in cents" in said.sentence
    assert (found.cause, found.subject) == (Cause.INPUT_CHANGE, "column x[1]"), record.cause_probability
    assert (found.status, found.remedy) == (DecisionStatus.ASKING, Remedy.FIX_PIPELINE), found.reason
    assert repairs(incident) == []


@AUTOMATIC
@pytest.mark.parametrize("other", ["another column", "withdrawn", "long ago"])
def test_what_was_announced_of_something_else_explains_nothing(incident: Incident, other: str) -> None:
    """Another column, a word that was taken back, and a change of last month leave a fault a fault."""
    column = "x[3]" if other == "another column" else "x[1]"
    at = incident.context.clock.now() - timedelta(days=30) if other == "long ago" else None
    made = announce("shop", "it changes", columns=[column], at=at, workspace=incident.workspace)
    if other == "withdrawn":
        incident.context.service(Announcements).withdraw(PROJECT, "shop", made.id)

    assert broken(incident).remedy is Remedy.REPAIR_INPUTS
