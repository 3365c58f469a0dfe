"""The suite of `Catalog`."""

from __future__ import annotations

import pytest

from noria.catalog.client import choose
from noria.catalog.entities import (
    Candidate,
    Evidence,
    Figure,
    NewRecord,
    RecordChange,
    RecordKind,
    RecordOutcome,
)
from noria.catalog.service import Catalog, RecordClosed
from noria.core.errors import Invalid, NotFound
from noria.core.workspace import Workspace
from support.conformance import Services

NEW = NewRecord(kind=RecordKind.REMEDY, subject="endpoint:e", problem="It got worse", key="alert:1")


def test_an_open_record_is_added_to(services: Services) -> None:
    """Evidence gathers stage by stage; a repeated stage takes the place of its older self."""
    catalog = services(Catalog)
    record = catalog.create("default", NEW)
    catalog.update(
        "default", record.id, RecordChange(evidence=[Evidence(stage="a", verdict="unclear", sentence="few")])
    )
    catalog.update(
        "default", record.id, RecordChange(evidence=[Evidence(stage="b", verdict="no", sentence="b")])
    )
    changed = catalog.update(
        "default",
        record.id,
        RecordChange(evidence=[Evidence(stage="a", verdict="yes", sentence="many")], cause="new_class"),
    )

    assert [(e.stage, e.verdict) for e in changed.evidence] == [("a", "yes"), ("b", "no")]
    assert catalog.get("default", record.id) == changed


def test_the_same_key_gives_the_same_record(services: Services) -> None:
    """A workflow that runs its step twice opens one record."""
    catalog = services(Catalog)
    first, second = catalog.create("default", NEW), catalog.create("default", NEW)

    assert second == first
    assert len(catalog.list("default").items) == 1


def test_a_closed_record_never_changes(services: Services) -> None:
    """After its outcome a record is final; closing it with the same outcome again is no error."""
    catalog = services(Catalog)
    record = catalog.create("default", NEW)
    closed = catalog.close("default", record.id, RecordOutcome(outcome={"accuracy": 0.97}))
    again = catalog.close("default", record.id, RecordOutcome(outcome={"accuracy": 0.97}))
    with pytest.raises(RecordClosed):
        catalog.update("default", record.id, RecordChange(choice="other"))
    with pytest.raises(RecordClosed):
        catalog.close("default", record.id, RecordOutcome(outcome={"accuracy": 0.5}))

    assert again == closed
    assert catalog.get("default", record.id).outcome == {"accuracy": 0.97}


def test_records_are_listed_newest_first_by_kind_and_subject(services: Services) -> None:
    """The list filters and pages by key."""
    catalog = services(Catalog)
    made = [
        catalog.create(
            "default", NewRecord(kind=RecordKind.SELECTION, subject=f"model:{i % 2}", problem=str(i))
        )
        for i in range(5)
    ]
    page = catalog.list("default", subject="model:0", limit=2)
    rest = catalog.list("default", subject="model:0", limit=2, before=page.next)

    assert [r.id for r in (*page.items, *rest.items)] == [made[4].id, made[2].id, made[0].id]
    assert rest.next is None
    assert catalog.list("default", kind="remedy").items == []


def test_choose_records_a_selection(workspace: Workspace) -> None:
    """The SDK's call writes candidates, choice and reason, and closes the record."""
    record = choose(
        "digits",
        candidates={
            "a": {"accuracy": 0.9},
            "b": {"accuracy": Figure(value=0.95, low=0.93, high=0.97, n=400)},
        },
        choice="b",
        reason="higher accuracy",
        workspace=workspace,
    )
    found = workspace.service(Catalog).get("default", record.id)

    assert found.closed_at is not None
    assert found.candidates[1] == Candidate(
        name="b", figures={"accuracy": Figure(value=0.95, low=0.93, high=0.97, n=400)}
    )


def test_a_choice_that_is_no_candidate_is_refused(workspace: Workspace) -> None:
    """A misspelt choice is answered with the near candidate."""
    with pytest.raises(Invalid, match="`extra tree`") as raised:
        choose("m", candidates={"extra trees": {}}, choice="extra tree", reason="", workspace=workspace)

    assert "extra trees" in (raised.value.hint or "")


def test_an_unknown_record_is_not_found(services: Services) -> None:
    """The error names the id and where to look."""
    with pytest.raises(NotFound, match="`nope`"):
        services(Catalog).get("default", "nope")
