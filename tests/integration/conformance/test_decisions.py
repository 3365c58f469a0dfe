"""The suite of `Decisions`."""

from __future__ import annotations

import pytest

from noria.catalog.service import Catalog
from noria.core.context import Context
from noria.core.errors import NotFound
from noria.core.workspace import Workspace
from noria.decisions.entities import Answer, Cause, Decision, DecisionStatus, Remedy, StartDecision, Trigger
from noria.decisions.ledger import (
    DecisionMoved,
    DecisionUnderWay,
    NewDecision,
    move,
    open_decision,
    supersede,
)
from noria.decisions.service import Decisions, NothingToApprove
from noria.monitoring.entities import AlertKind
from noria.monitoring.service import Monitors
from noria.registry.client import register
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Deployment
from support.conformance import Services
from support.decisions import PROJECT, Incident, blobs


def opened(context: Context, endpoint: str = "shop", alert: str | None = "a1") -> Decision:
    new = NewDecision(
        project=PROJECT,
        endpoint=endpoint,
        model="customers",
        version=1,
        trigger=Trigger.QUALITY,
        alert_id=alert,
        onset_position=7,
        sentence="Accuracy fell",
    )
    return open_decision(context, new)


def asking(context: Context, target: int | None) -> Decision:
    made = opened(context)
    return move(
        context,
        PROJECT,
        made.id,
        DecisionStatus.ASKING,
        text="Retraining is proposed",
        remedy=Remedy.RETRAIN,
        target_version=target,
        cause=Cause.NEW_CLASS,
    )


def test_a_decision_is_found_with_its_record(services: Services, context: Context) -> None:
    """What was opened is listed, read by its id, and has an open record about the endpoint."""
    made = opened(context)
    found = services(Decisions).get(PROJECT, made.id)
    record = services(Catalog).get(PROJECT, found.record_id)

    assert found == made
    assert services(Decisions).list(PROJECT, endpoint="shop").items == [made]
    assert (record.subject, record.problem, record.closed_at) == ("endpoint:shop", "Accuracy fell", None)


def test_pages_continue_where_they_ended(services: Services, context: Context) -> None:
    """`next` gives the rest, newest first."""
    made = [opened(context, f"shop-{number}", f"a{number}") for number in range(3)]
    first = services(Decisions).list(PROJECT, limit=2)
    second = services(Decisions).list(PROJECT, limit=2, before=first.next)

    assert [*first.items, *second.items] == made[::-1]
    assert second.next is None


def test_one_decision_is_open_per_endpoint(services: Services, context: Context) -> None:
    """The same alert gives the one there is; another is refused until it ends."""
    made = opened(context)
    assert opened(context) == made
    with pytest.raises(DecisionUnderWay, match=made.id):
        opened(context, alert="a2")
    move(context, PROJECT, made.id, DecisionStatus.WAITING, text="waits")
    supersede(context, PROJECT, made.id, "quality")
    again = opened(context, alert="a2")

    assert again.id != made.id
    assert services(Decisions).list(PROJECT, status="done").items[0].id == made.id


def test_a_move_may_be_repeated_and_an_impossible_one_is_refused(
    context: Context, services: Services
) -> None:
    """A step that runs twice moves once; from the end there is no way back."""
    made = opened(context)
    once = move(context, PROJECT, made.id, DecisionStatus.TRYING, text="tries")
    assert move(context, PROJECT, made.id, DecisionStatus.TRYING, text="tries") == once
    move(context, PROJECT, made.id, DecisionStatus.DONE, text="done")
    with pytest.raises(DecisionMoved):
        move(context, PROJECT, made.id, DecisionStatus.ACTING, text="acts")

    assert services(Decisions).get(PROJECT, made.id).ended_at is not None


def test_an_approval_lets_a_proposal_be_carried_out(services: Services, context: Context) -> None:
    """Only a decision that asks can be approved, and only once."""
    made = asking(context, target=2)
    found = services(Decisions).approve(PROJECT, made.id, Answer(reason="looks right"))

    assert found.status is DecisionStatus.ACTING
    assert found.timeline[-1].text.endswith("approved retrain: looks right")
    with pytest.raises(DecisionMoved):
        services(Decisions).approve(PROJECT, made.id, Answer())


def test_what_a_person_has_to_do_cannot_be_approved(services: Services, context: Context) -> None:
    """A proposal without a version to put live is refused with the way to close it."""
    made = asking(context, target=None)
    with pytest.raises(NothingToApprove) as raised:
        services(Decisions).approve(PROJECT, made.id, Answer())

    assert f"noria decisions reject {made.id}" in (raised.value.hint or "")


def test_a_rejection_ends_decision_and_record(services: Services, context: Context) -> None:
    """The reason stands in both; what runs cannot be rejected."""
    made = asking(context, target=2)
    found = services(Decisions).reject(PROJECT, made.id, Answer(reason="the labels are wrong"))
    record = services(Catalog).get(PROJECT, made.record_id)

    assert found.status is DecisionStatus.DONE
    assert "the labels are wrong" in found.reason
    assert record.outcome is not None
    assert record.outcome["result"] == "rejected"
    running = opened(context, alert="a2")
    with pytest.raises(DecisionMoved):
        services(Decisions).reject(PROJECT, running.id, Answer())


def test_a_rejection_closes_its_alerts(services: Services, workspace: Workspace, context: Context) -> None:
    """They say who left things as they are; what goes on raises a new alert with a decision of its own."""
    from sklearn.linear_model import LogisticRegression

    x, y = blobs(60, [0, 1], seed=0)
    register(LogisticRegression().fit(x, y), "customers", x={"x": x}, y=y, workspace=workspace)
    incident = Incident(context)
    incident.deploy("customers")
    incident.answer(x, y)
    drift = incident.alarm(1, kind=AlertKind.DRIFT)
    alert = incident.alarm(1)
    made = opened(context, alert=alert.id)
    move(context, PROJECT, made.id, DecisionStatus.WAITING, text="waits")
    ended = services(Decisions).reject(PROJECT, made.id, Answer(reason="a sale until Sunday"))
    closed = [services(Monitors).alert(PROJECT, one.id) for one in (drift, alert)]
    again = incident.alarm(1)

    assert [one.closed_at is not None for one in closed] == [True, True]
    assert closed[1].closed_why == (
        f"Decision {made.id}: left as it is by {ended.reason.removeprefix('Rejected by ')}"
    )
    assert (closed[1].closed_why or "").endswith(": a sale until Sunday")
    assert again.id != alert.id
    assert opened(context, alert=again.id).id != made.id


def test_a_person_can_ask_for_a_decision(services: Services, workspace: Workspace) -> None:
    """It is about the version that answers, and a second one waits for the first; its outlook opens none."""
    from sklearn.linear_model import LogisticRegression

    x, y = blobs(60, [0, 1], seed=0)
    register(LogisticRegression().fit(x, y), "customers", x={"x": x}, y=y, workspace=workspace)
    services(Endpoints).deploy(PROJECT, "shop", Deployment(model="customers", version=1))
    outlook = services(Decisions).outlook(PROJECT, "shop", onset_position=7)
    assert (outlook.model, outlook.version, outlook.onset_position) == ("customers", 1, 7)
    assert outlook.open_decision is None
    assert services(Decisions).list(PROJECT).items == []
    made = services(Decisions).start(PROJECT, StartDecision(endpoint="shop", reason="complaints"))
    assert services(Decisions).outlook(PROJECT, "shop").open_decision == made.id

    assert (made.trigger, made.version, made.model) == (Trigger.MANUAL, 1, "customers")
    with pytest.raises(DecisionUnderWay):
        services(Decisions).start(PROJECT, StartDecision(endpoint="shop"))


def test_what_does_not_exist_is_not_found(services: Services) -> None:
    """Neither a decision nor an endpoint that nobody made."""
    with pytest.raises(NotFound, match="decision `nothing`"):
        services(Decisions).get(PROJECT, "nothing")
    with pytest.raises(NotFound):
        services(Decisions).start(PROJECT, StartDecision(endpoint="nothing"))
