"""What the page of a version does to others: deploying it, and moving it between stages."""

from __future__ import annotations

import pytest

from noria.core.context import Context
from noria.core.permissions import Principal, Role
from noria.registry.entities import Stage, StageMove
from noria.registry.service import Models
from noria.registry.versions import ModelVersions
from noria.serving.entities import Deployment, RolloutStatus, Strategy
from noria.serving.service import Endpoints, Rollouts
from support.pages import Reader, form_in, forms_in, visible_text
from support.wheel import PROJECT, Turn

MODEL = "/projects/default/models/digits"
V1, V2 = f"{MODEL}/versions/1", f"{MODEL}/versions/2"
ENDPOINT = "/projects/default/endpoints/digits"
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)


@pytest.fixture
def versions(context: Context) -> None:
    """Register two versions."""
    for _ in range(2):
        Turn(context).registered()


def answering(context: Context, endpoint: str = "digits") -> dict[int, float]:
    found = context.service(Endpoints).get(PROJECT, endpoint)
    return {share.version: share.weight for share in found.shares}


@BOTH
@pytest.mark.usefixtures("versions")
def test_a_version_is_deployed_and_the_deployment_taken_back(reader: Reader, context: Context) -> None:
    """The first version makes the endpoint; another takes its place after a question, and Undo rolls back."""
    first = reader.form(V1, f"{V1}/deploy", name="deploy")
    assert (first.shown("endpoint"), first.shown("strategy")) == ("digits", "replace")
    asked = reader.send(first)
    assert "There is no such endpoint yet" in visible_text(asked.text)
    assert answering_nothing(context)
    assert "digits@1 answers every request of digits" in reader.follow(reader.send(first, confirmed="yes"))

    second = reader.form(V2, f"{V2}/deploy", name="deploy")
    assert second.shown("strategy") == "canary"
    asked = reader.send(second, strategy="replace", reason="better on zeros")
    told = visible_text(asked.text)
    assert "Deploy digits@2 to digits ?" in told
    assert "Version 1 answers there now" in told
    assert "without gates" in told
    confirm = form_in(asked.text, f"{V2}/deploy")
    done = reader.send(confirm)
    assert done.headers["location"] == ENDPOINT
    notice = reader.get(ENDPOINT).text
    assert answering(context) == {2: 1.0}
    reader.send(form_in(notice, f"{ENDPOINT}/rollback", name="undo"))
    assert answering(context) == {1: 1.0}


def answering_nothing(context: Context) -> bool:
    return context.service(Endpoints).list(PROJECT).items == []


@BOTH
@pytest.mark.usefixtures("versions")
def test_a_canary_leads_to_its_rollout(reader: Reader, context: Context) -> None:
    """In steps is what is proposed where another version answers; the reader goes on to the rollout's page."""
    context.service(Endpoints).deploy(PROJECT, "digits", Deployment(model="digits", version=1))
    done = reader.send(reader.form(V2, f"{V2}/deploy", name="deploy"), confirmed="yes")

    assert "The rollout of digits@2 to digits has begun" in reader.follow(done)
    rollout = context.service(Rollouts).list(PROJECT).items[0]
    assert done.headers["location"].endswith(f"/rollouts/{rollout.id}")
    assert (rollout.strategy, rollout.status) == (Strategy.CANARY, RolloutStatus.RUNNING)
    refused = reader.send(reader.form(V2, f"{V2}/deploy", name="deploy"), strategy="replace", confirmed="yes")
    assert refused.status_code in (303, 409)


@pytest.mark.usefixtures("versions")
def test_who_deploys_over_another_is_told(reader: Reader, context: Context) -> None:
    """A form that was made when another version answered comes back with the version that answers now."""
    endpoints = context.service(Endpoints)
    endpoints.deploy(PROJECT, "digits", Deployment(model="digits", version=1))
    Turn(context).registered()
    form = reader.form(V2, f"{V2}/deploy", name="deploy")
    asked = reader.send(form, strategy="replace", reason="mine")
    endpoints.deploy(PROJECT, "digits", Deployment(model="digits", version=3))
    stale = reader.send(form_in(asked.text, f"{V2}/deploy"))

    assert stale.status_code == 409
    assert "Stands there now: digits v3" in visible_text(stale.text)
    assert form_in(stale.text, f"{V2}/deploy", name="deploy").shown("reason") == "mine"
    assert answering(context) == {3: 1.0}


@pytest.mark.usefixtures("versions")
def test_what_cannot_be_deployed_is_told_with_the_form_kept(reader: Reader, context: Context) -> None:
    """A name that no endpoint can have, and an endpoint of another model, come back with what was typed."""
    Turn(context).registered()
    form = reader.form(V1, f"{V1}/deploy", name="deploy")
    wrong = reader.send(form, endpoint="no name!")

    assert wrong.status_code == 422
    assert "cannot be the name of a endpoint" in visible_text(wrong.text)
    assert form_in(wrong.text, f"{V1}/deploy", name="deploy").shown("endpoint") == "no name!"
    assert answering_nothing(context)


@BOTH
@pytest.mark.usefixtures("versions")
def test_a_version_moves_between_stages(reader: Reader, context: Context) -> None:
    """A move is taken back by the notice; what others stood there goes to the archive after a question."""
    moved = reader.send(reader.form(V1, f"{V1}/stage", name="stage"), stage="Production")
    notice = reader.get(moved.headers["location"]).text
    assert "digits@1 stands in another stage now" in visible_text(notice)
    assert stages(context) == {1: "Production", 2: "None"}
    reader.send(form_in(notice, f"{V1}/stage", name="undo"))
    assert stages(context) == {1: "None", 2: "None"}

    context.service(ModelVersions).move(PROJECT, "digits", 1, StageMove(stage="Production"))
    form = reader.form(V2, f"{V2}/stage", name="stage")
    asked = reader.send(form, stage="Production", archive="true")
    assert "The newest that goes to the archive: digits@1" in visible_text(asked.text)
    reader.send(form_in(asked.text, f"{V2}/stage"))
    assert stages(context) == {1: "Archived", 2: "Production"}
    assert not [each for each in forms_in(reader.get(V2).text) if each.fields.get("form") == ["undo"]]


def stages(context: Context) -> dict[int, str]:
    found = context.service(Models).versions(PROJECT, "digits").items
    return {each.version: each.stage.value for each in found}


@pytest.mark.usefixtures("versions")
def test_a_stage_that_another_set_is_told(reader: Reader, context: Context) -> None:
    """Nothing is moved from a stage that the form did not show."""
    form = reader.form(V1, f"{V1}/stage", name="stage")
    context.service(ModelVersions).move(PROJECT, "digits", 1, StageMove(stage="Staging"))
    stale = reader.send(form, stage="Production")

    assert stale.status_code == 409
    assert "Stands there now: Staging" in visible_text(stale.text)
    assert context.service(Models).version(PROJECT, "digits", 1).stage is Stage.STAGING


@pytest.mark.usefixtures("versions")
def test_a_scientist_neither_deploys_nor_moves(reader: Reader) -> None:
    """The forms are for engineers, and their addresses refuse others."""
    reader.server.is_open = False
    sam = Principal(name="sam", project_roles={"default": Role.SCIENTIST}, holds_key=True)
    reader.server.tokens["t"] = sam
    page = reader.get(V1, token="t").text

    assert f"{V1}/deploy" not in page
    assert f"{V1}/stage" not in page
    assert f"{V1}/describe" in page
    headers = {"authorization": "Bearer t", "origin": reader.server.url}
    for part in ("deploy", "stage"):
        sent = reader.client.post(f"{reader.server.url}{V1}/{part}", data={"csrf": "x"}, headers=headers)
        assert sent.status_code == 403
