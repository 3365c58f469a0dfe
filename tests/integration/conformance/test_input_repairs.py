"""Repairs of an endpoint's inputs: begun, seen by plans, ended, and on record."""

from __future__ import annotations

import pytest

from noria.access.audit import Audit
from noria.core.errors import Invalid, NotFound
from noria.core.workspace import Workspace
from noria.registry.entities import Signature, TensorSpec
from noria.serving.entities import Deployment, Strategy
from noria.serving.repairs.entities import (
    Bad,
    ByEstimate,
    ByExchange,
    ByLine,
    ByTable,
    Change,
    ColumnRepair,
    EndRepair,
    NewRepair,
)
from noria.serving.repairs.events import REPAIR_ENDED, REPAIR_STARTED
from noria.serving.repairs.service import check_columns
from noria.serving.rollouts.deployment import RolloutUnderWay
from noria.serving.service import Endpoints, InputRepairs
from support.conformance import Services
from support.serving import register_version, signature

DIVIDED = ColumnRepair(column="x[1]", change=ByLine(slope=1000.0), words="`x[1]` is divided by 1000")
ESTIMATED = ColumnRepair(column="x[2]", change=ByEstimate(bad=Bad.ALL, middle=1.0))


@pytest.fixture
def served(services: Services, workspace: Workspace) -> Services:
    """Give services of a workspace in which version 1 of `digits` answers at `live`."""
    register_version(workspace)
    services(Endpoints).deploy("default", "live", Deployment(model="digits", version=1))
    return services


def planned(services: Services) -> tuple[int, list[ColumnRepair]]:
    (plan,) = services(Endpoints).plans().plans or []
    return plan.revision, plan.repair


def test_a_repair_is_planned_until_it_is_ended(served: Services) -> None:
    """Each change is a revision of the endpoint, seen by the etag, told by an event, and stays on record."""
    repairs, etags = served(InputRepairs), [served(Endpoints).plans().etag]
    begun = repairs.set("default", "live", NewRepair(columns=[DIVIDED, ESTIMATED], reason="the sender"))
    etags.append(served(Endpoints).plans().etag)
    assert planned(served) == (begun.revision, [DIVIDED, ESTIMATED])
    assert repairs.get("default", "live") == begun
    part = repairs.end("default", "live", EndRepair(columns=["x[2]"], reason="mended"))
    etags.append(served(Endpoints).plans().etag)
    assert planned(served) == (begun.revision + 1, [DIVIDED])
    whole = repairs.end("default", "live", EndRepair())
    etags.append(served(Endpoints).plans().etag)

    assert planned(served) == (begun.revision + 2, [])
    assert len(set(etags)) == 4
    assert [repair.number for repair in part.items] == [2, 1]
    assert (part.items[1].ended_why, part.items[1].ended_revision) == ("mended", begun.revision + 1)
    assert [repair.number for repair in whole.items] == [2]
    assert repairs.end("default", "live", EndRepair()).items == []
    assert [repair.ended_at is None for repair in repairs.list("default", "live").items] == [False, False]
    with pytest.raises(NotFound, match="as they are sent"):
        repairs.get("default", "live")
    told = [
        event.type
        for event in served(Audit).events(limit=1000).items
        if event.type in (REPAIR_STARTED, REPAIR_ENDED)
    ]
    assert sorted(told) == sorted([REPAIR_STARTED, REPAIR_ENDED] * 2)


def test_a_repair_takes_the_place_of_the_one_before(served: Services) -> None:
    """One stands at a time; a decision that asks twice gets the one that it began."""
    repairs = served(InputRepairs)
    repairs.set("default", "live", NewRepair(columns=[DIVIDED]))
    second = repairs.set("default", "live", NewRepair(columns=[ESTIMATED], decision_id="d"))
    again = repairs.set("default", "live", NewRepair(columns=[DIVIDED], decision_id="d"))
    listed = repairs.list("default", "live").items

    assert again == second
    assert [(r.number, r.ended_why) for r in listed] == [(2, None), (1, "Another repair takes its place")]
    assert repairs.end("default", "live", EndRepair(id=listed[1].id)).items == []
    assert repairs.get("default", "live").id == second.id


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("x[9]", ByLine(slope=2.0), r"no column `x\[9\]`"),
        ("x", ByLine(slope=2.0), "no column `x`"),
        ("x[0]", ByLine(slope=0.0), "divided by 0"),
        ("x[0]", ByEstimate(bad=Bad.ALL, code="a"), "FP64"),
        ("x[0]", ByExchange(other="x[7]"), r"no column `x\[7\]`"),
        ("x[0]", ByExchange(other="x[0]"), "with itself"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    served: Services, column: str, change: Change, message: str
) -> None:
    """The message names the column; nothing changes."""
    wish = NewRepair(columns=[ColumnRepair(column=column, change=change)])
    with pytest.raises(Invalid, match=message):
        served(InputRepairs).set("default", "live", wish)

    assert planned(served)[1] == []


def test_texts_are_recoded_and_not_divided(services: Services, workspace: Workspace) -> None:
    """A table of codes is what is right for them."""
    register_version(workspace, taking=signature(datatype="BYTES"))
    services(Endpoints).deploy("default", "live", Deployment(model="digits", version=1))
    repairs = services(InputRepairs)
    with pytest.raises(Invalid, match="holds texts"):
        repairs.set("default", "live", NewRepair(columns=[DIVIDED]))
    table = ColumnRepair(column="x[1]", change=ByTable(codes={"a": "b"}))

    assert repairs.set("default", "live", NewRepair(columns=[table])).columns == [table]


def test_two_columns_are_exchanged(served: Services) -> None:
    """Plans carry it; where one holds texts and the other numbers it is refused."""
    swap = ColumnRepair(column="x[0]", change=ByExchange(other="x[3]"))
    served(InputRepairs).set("default", "live", NewRepair(columns=[swap]))

    assert planned(served)[1] == [swap]
    mixed = Signature(
        inputs=[
            TensorSpec(name="city", datatype="BYTES", shape=[-1]),
            TensorSpec(name="rooms", datatype="FP64", shape=[-1]),
        ],
        outputs=[TensorSpec(name="predictions", datatype="FP64", shape=[-1])],
    )
    with pytest.raises(Invalid, match="`city` holds texts and `rooms` does not"):
        check_columns([ColumnRepair(column="rooms", change=ByExchange(other="city"))], mixed)


def test_a_rollout_under_way_is_not_disturbed(served: Services, workspace: Workspace) -> None:
    """What its gates compare would change under it; ending a repair is never refused."""
    repairs = served(InputRepairs)
    repairs.set("default", "live", NewRepair(columns=[DIVIDED]))
    register_version(workspace)
    plan = Deployment(model="digits", version=2, strategy=Strategy.CANARY)
    served(Endpoints).deploy("default", "live", plan)
    with pytest.raises(RolloutUnderWay):
        repairs.set("default", "live", NewRepair(columns=[ESTIMATED]))

    assert len(repairs.end("default", "live", EndRepair()).items) == 1
