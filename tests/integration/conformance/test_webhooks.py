"""What webhooks promise, over each transport and on each database; receivers are real servers on this machine."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa

from noria.access.entities import NewToken, NewUser, RoleChange
from noria.access.permissions import MANAGE_USERS
from noria.access.projects import NewProject, Projects
from noria.access.tokens import Tokens
from noria.access.users import Users
from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.control.testing import InlineSteps
from noria.core.control.workflows import event_arguments
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.events.log import EventLog
from noria.core.events.sealer import assign_positions
from noria.core.key import KEY_FILE
from noria.core.outbound.entities import OutboundSection
from noria.core.permissions import LOCAL_OWNER, LOCAL_VISITOR, Principal, Role
from noria.delivery.control import is_listened_to, notify
from noria.delivery.entities import (
    MAX_WEBHOOKS,
    DeliveryStatus,
    NewWebhook,
    Webhook,
    WebhookChange,
    WebhookEvent,
    WebhookStatus,
    WebhookTest,
    all_events,
    parse_event,
)
from noria.delivery.ledger import PAUSES_S
from noria.delivery.payloads import TELLERS
from noria.delivery.service import Webhooks
from noria.delivery.tables import webhook_deliveries, webhooks
from noria.registry.entities import AliasTarget, NewModel, NewName, SourceVersion, TagChanges
from noria.registry.service import Models
from noria.registry.versions import ModelVersions
from support.conformance import Services
from support.other_side import OtherSide, other_side, say

URL = "https://hooks.example/x"
CREATED = [parse_event("registered_model.created")]
EVERYTHING = all_events()
PROMPT = {"mlflow.prompt.is_prompt": "true", "_mlflow_prompt_type": "text"}


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that the tests move."""
    return ManualClock(datetime(2030, 1, 1, tzinfo=UTC))


@pytest.fixture
def context(context: Context) -> Context:
    """Let the workspace call receivers on this machine."""
    sections = {"outbound": OutboundSection(allow=("127.0.0.1",))}
    return dataclasses.replace(context, settings=dataclasses.replace(context.settings, sections=sections))


@pytest.fixture
def receiver() -> Iterator[OtherSide]:
    with other_side(say(200, b"thanks")) as server:
        yield server


def url_of(receiver: OtherSide) -> str:
    return f"http://127.0.0.1:{receiver.port}/hook"


def new(url: str = URL, events: Sequence[WebhookEvent] = CREATED, **more: Any) -> NewWebhook:
    return NewWebhook(name="hook", url=url, events=list(events), **more)


def told_by(receiver: OtherSide) -> list[dict[str, Any]]:
    return [json.loads(body) for _, _, _, body in receiver.requests]


def tell_everybody(context: Context, clock: ManualClock) -> list[Any]:
    """Do what the control loop does with every event that nobody was told of yet."""
    assign_positions(context.database)
    log = EventLog(context.database)
    answers = []
    for event in log.read(log.cursor("test"), limit=1000):
        if event.type in TELLERS and is_listened_to(context, event):
            answers.append(notify.fn(InlineSteps(clock), context, event_arguments(event)))
        log.advance("test", event.position)
    return answers


class TestWebhooks:
    """Making, reading, changing and removing."""

    def test_a_made_webhook_is_read_back(self, services: Services, clock: ManualClock) -> None:
        """All that was said of it is there, in the order in which it was said, except the secret."""
        made = services(Webhooks).create(
            new(events=[EVERYTHING[3], EVERYTHING[0], EVERYTHING[3]], description="why", secret="s3cret")
        )

        assert services(Webhooks).get(made.id) == made
        assert made.events == [EVERYTHING[3], EVERYTHING[0]]
        assert (made.name, made.url, made.description, made.has_secret) == ("hook", URL, "why", True)
        assert (made.status, made.owner, made.projects) == (WebhookStatus.ACTIVE, "local", None)
        assert made.created_at == made.updated_at == clock.now()

    def test_the_secret_is_nowhere_in_the_clear(self, services: Services, context: Context) -> None:
        """Neither answers nor the database nor the event log hold it, or the address in the log."""
        made = services(Webhooks).create(new(url="https://hooks.example/T0/KEY", secret="very-s3cret"))
        services(Webhooks).update(made.id, WebhookChange(secret="other-s3cret"))

        with context.database.read() as connection:
            rows = str(connection.execute(sa.select(webhooks)).fetchall())
        log = str(EventLog(context.database).latest())
        shown = str(services(Webhooks).list())
        assert "s3cret" not in rows + log + shown
        assert "T0/KEY" not in log

    @pytest.mark.parametrize("name", ["", "-x", "x-", "a b", "é", "x" * 64, "a/b", "x\n", ".x"])
    @pytest.mark.alike
    def test_a_wrong_name_is_refused(self, services: Services, name: str) -> None:
        """Names are letters, digits, dots, underscores and hyphens."""
        with pytest.raises(Invalid, match="cannot be the name of a webhook"):
            services(Webhooks).create(NewWebhook(name=name, url=URL, events=list(CREATED)))
        assert services(Webhooks).list().items == []

    @pytest.mark.parametrize(
        "url",
        ["", "   ", "hooks.example", "ftp://hooks.example/", "http://[half", "https://u:p@hooks.example/"],
    )
    def test_a_wrong_address_is_refused(self, services: Services, url: str) -> None:
        """What can never be called is refused at once; what may be refused later is not."""
        made = services(Webhooks).create(new(url="http://10.0.0.1/never-called"))
        with pytest.raises(Invalid):
            services(Webhooks).create(new(url=url))
        with pytest.raises(Invalid):
            services(Webhooks).update(made.id, WebhookChange(url=url))
        assert [each.url for each in services(Webhooks).list().items] == [made.url]

    @pytest.mark.parametrize("events", [[], [("registered_model", "set")], [("model_version", "exceeded")]])
    def test_events_that_do_not_happen_are_refused(
        self, services: Services, events: list[tuple[str, str]]
    ) -> None:
        """A webhook needs at least one event, and only such that can happen."""
        wrong = [WebhookEvent(entity=cast("Any", e), action=cast("Any", a)) for e, a in events]
        with pytest.raises(Invalid):
            services(Webhooks).create(new(events=wrong))
        with pytest.raises(Invalid, match=r"no event .* can be called for"):
            parse_event("model.exploded")

    def test_what_is_changed_changes_and_nothing_else(self, services: Services) -> None:
        """Each part can be changed alone; the time of change moves, however soon it follows."""
        made = services(Webhooks).create(new(description="before", secret="x"))
        renamed = services(Webhooks).update(made.id, WebhookChange(name="other"))
        all_changed = services(Webhooks).update(
            made.id,
            WebhookChange(
                url="http://other.example/",
                events=EVERYTHING[:2],
                description="",
                secret="",
                status=WebhookStatus.DISABLED,
            ),
        )

        assert (renamed.name, renamed.description, renamed.has_secret) == ("other", "before", True)
        assert (all_changed.name, all_changed.url) == ("other", "http://other.example/")
        assert (all_changed.events, all_changed.description) == (EVERYTHING[:2], None)
        assert (all_changed.has_secret, all_changed.status) == (False, WebhookStatus.DISABLED)
        assert made.updated_at < renamed.updated_at < all_changed.updated_at
        assert all_changed.created_at == made.created_at

    def test_pages_hold_each_webhook_once(self, services: Services) -> None:
        """Lists are newest first, and pages meet without a gap."""
        made = [services(Webhooks).create(new()).id for _ in range(5)]
        found: list[str] = []
        after = ""
        while True:
            page = services(Webhooks).list(limit=2, after=after)
            found += [each.id for each in page.items]
            if page.next is None:
                break
            after = page.next

        assert found == made[::-1]

    def test_a_removed_webhook_is_gone(self, services: Services) -> None:
        """Every operation says so, as for one that never was."""
        made = services(Webhooks).create(new())
        services(Webhooks).delete(made.id)

        for webhook_id in (made.id, "nonexistent"):
            for call in (
                lambda wid: services(Webhooks).get(wid),
                lambda wid: services(Webhooks).update(wid, WebhookChange(name="x")),
                lambda wid: services(Webhooks).delete(wid),
                lambda wid: services(Webhooks).test(wid, WebhookTest()),
                lambda wid: services(Webhooks).deliveries(wid),
            ):
                with pytest.raises(NotFound, match=webhook_id):
                    call(webhook_id)
        assert services(Webhooks).list().items == []

    def test_changes_are_events(self, services: Services, context: Context) -> None:
        """The log tells who made, changed and removed a webhook."""
        made = services(Webhooks).create(new())
        services(Webhooks).update(made.id, WebhookChange(name="x", secret="y"))
        services(Webhooks).delete(made.id)
        assign_positions(context.database)

        log = EventLog(context.database).read(0, subject=f"webhook:{made.id}")
        assert [(event.type, event.payload) for event in log] == [
            ("webhook.created", {"name": "hook", "events": ["registered_model.created"]}),
            ("webhook.updated", {"changed": ["name", "secret"]}),
            ("webhook.deleted", {"name": "x"}),
        ]


def as_user(context: Context, name: str, role: Role | None = None, **project_roles: Role) -> Context:
    """Make a user and act as them."""
    context.service(Users).create(NewUser(name=name, password="a long password", role=role))
    for project, local in project_roles.items():
        context.service(Users).set_role(name, RoleChange(role=local, project=project))
    caller = Principal(name=name, role=role, project_roles=project_roles, holds_key=True)
    assert caller.may(MANAGE_USERS, None) == (role is Role.ADMIN)
    return context.acting_as(caller)


class TestWhose:
    """Who sees which webhook, and what it is told."""

    def test_people_see_their_own_and_admins_see_all(self, context: Context) -> None:
        """Another's webhook is as if it were not there."""
        ana, bea = as_user(context, "ana", Role.VIEWER), as_user(context, "bea", Role.VIEWER)
        mine = ana.service(Webhooks).create(new())

        assert [each.id for each in ana.service(Webhooks).list().items] == [mine.id]
        assert bea.service(Webhooks).list().items == []
        with pytest.raises(NotFound):
            bea.service(Webhooks).update(mine.id, WebhookChange(url="http://mine.example/"))
        assert [each.id for each in context.service(Webhooks).list().items] == [mine.id]

    def test_an_owner_is_told_of_what_they_may_read_now(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """Roles are looked at when something happens: what was taken away is not told, what was given is."""
        for project in ("bank", "shop"):
            context.service(Projects).create(NewProject(name=project))
        ana = as_user(context, "ana", bank=Role.VIEWER)
        ana.service(Webhooks).create(new(url_of(receiver)))
        for project in ("bank", "shop", "default"):
            context.service(Models).create(project, NewModel(name="first"))
        tell_everybody(context, clock)
        context.service(Users).set_role("ana", RoleChange(role=None, project="bank"))
        context.service(Models).create("bank", NewModel(name="second"))
        tell_everybody(context, clock)

        # She can read one project only, so its models have their plain names for her.
        assert [body["data"]["name"] for body in told_by(receiver)] == ["first"]

    def test_models_of_other_projects_are_named_as_mlflow_clients_see_them(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """Whoever reads many projects is told which one a model belongs to."""
        context.service(Projects).create(NewProject(name="bank"))
        context.service(Webhooks).create(new(url_of(receiver)))
        for project in ("default", "bank"):
            context.service(Models).create(project, NewModel(name="churn"))
        tell_everybody(context, clock)

        assert [body["data"]["name"] for body in told_by(receiver)] == ["churn", "bank.churn"]

    def test_a_webhook_reaches_no_further_than_the_token_that_made_it(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """A token for one project makes webhooks for that project, whatever its user may read."""
        context.service(Projects).create(NewProject(name="bank"))
        as_user(context, "ana", Role.ADMIN)
        narrowed = Principal(name="ana", role=None, project_roles={"bank": Role.VIEWER}, holds_key=True)
        made = context.acting_as(narrowed).service(Webhooks).create(new(url_of(receiver)))
        for project in ("default", "bank"):
            context.service(Models).create(project, NewModel(name="m"))
        tell_everybody(context, clock)

        assert made.projects == ["bank"]
        assert len(receiver.requests) == 1

    def test_nobody_is_told_in_the_name_of_who_is_gone(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """Webhooks of removed users and ended tokens are silent."""
        ana = as_user(context, "ana", Role.ADMIN)
        ana.service(Webhooks).create(new(url_of(receiver)))
        issued = context.service(Tokens).create(NewToken(name="ci", ttl_s=3600))
        robot = Principal(name="token:ci", role=Role.ADMIN, holds_key=True)
        context.acting_as(robot).service(Webhooks).create(new(url_of(receiver)))
        context.service(Models).create("default", NewModel(name="first"))
        tell_everybody(context, clock)
        context.service(Users).delete("ana")
        context.service(Tokens).revoke(issued.token.id)
        context.service(Models).create("default", NewModel(name="second"))
        tell_everybody(context, clock)

        assert [body["data"]["name"] for body in told_by(receiver)] == ["first", "first"]

    def test_what_a_visitor_made_is_silent_once_people_have_to_sign_in(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """An open server lets anybody on the computer make webhooks; these do not outlive its openness."""
        context.acting_as(LOCAL_VISITOR).service(Webhooks).create(new(url_of(receiver) + "/visitor"))
        context.acting_as(LOCAL_OWNER).service(Webhooks).create(new(url_of(receiver) + "/owner"))
        context.service(Models).create("default", NewModel(name="first"))
        tell_everybody(context, clock)
        as_user(context, "ana", Role.ADMIN)
        context.service(Models).create("default", NewModel(name="second"))
        tell_everybody(context, clock)

        assert sorted(path for _, path, _, _ in receiver.requests) == [
            "/hook/owner",
            "/hook/owner",
            "/hook/visitor",
        ]

    def test_nobody_fills_the_house_with_webhooks(self, context: Context) -> None:
        """An owner has a bounded number, since each event looks at all of them."""
        made = context.service(Webhooks).create(new())
        with context.database.write() as connection:
            row = dict(
                connection.execute(sa.select(webhooks).where(webhooks.c.id == made.id)).mappings().one()
            )
            del row["pk"]
            rows = [{**row, "id": f"{n:032x}"} for n in range(MAX_WEBHOOKS - 1)]
            connection.execute(sa.insert(webhooks), rows)

        with pytest.raises(Conflict, match=f"{MAX_WEBHOOKS} webhooks"):
            context.service(Webhooks).create(new())


class TestTelling:
    """What receivers are told."""

    def test_every_change_of_a_model_is_told(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """Each event arrives once, in order, in the form of MLflow's payloads."""
        context.service(Webhooks).create(new(url_of(receiver), EVERYTHING))
        models, versions = context.service(Models), context.service(ModelVersions)
        source = SourceVersion(source="s3://b/m", run_id="abc", description="vd", tags={"a": "b"})
        changes: list[Callable[[], object]] = [
            lambda: models.create("default", NewModel(name="m", description="d", tags={"k": "v"})),
            lambda: versions.register("default", "m", source),
            lambda: versions.tag("default", "m", 1, TagChanges(tags={"set": "1"})),
            lambda: models.tag("default", "m", TagChanges(tags={"not": "told of models"})),
            lambda: models.set_alias("default", "m", "champion", AliasTarget(version=1)),
            lambda: versions.tag("default", "m", 1, TagChanges(tags={"set": None})),
            lambda: models.delete_alias("default", "m", "champion"),
        ]
        for change in changes:
            change()
            tell_everybody(context, clock)

        now = clock.now().isoformat()
        assert told_by(receiver) == [
            {"entity": entity, "action": action, "timestamp": now, "data": {"name": "m", **data}}
            for entity, action, data in (
                ("registered_model", "created", {"tags": {"k": "v"}, "description": "d"}),
                (
                    "model_version",
                    "created",
                    {
                        "version": "1",
                        "source": "s3://b/m",
                        "run_id": "abc",
                        "tags": {"a": "b"},
                        "description": "vd",
                    },
                ),
                ("model_version_tag", "set", {"version": "1", "key": "set", "value": "1"}),
                ("model_version_alias", "created", {"alias": "champion", "version": "1"}),
                ("model_version_tag", "deleted", {"version": "1", "key": "set"}),
                ("model_version_alias", "deleted", {"alias": "champion"}),
            )
        ]

    def test_prompts_are_told_as_prompts(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """What is kept as a model with a mark is a prompt to receivers, without the marks."""
        context.service(Webhooks).create(new(url_of(receiver), EVERYTHING))
        models, versions = context.service(Models), context.service(ModelVersions)
        models.create("default", NewModel(name="p", tags={**PROMPT, "k": "v"}))
        text = {**PROMPT, "mlflow.prompt.text": "Hello {{name}}", "a": "b"}
        versions.register("default", "p", SourceVersion(source="prompt-template", tags=text))
        models.tag("default", "p", TagChanges(tags={"set": "1"}))
        versions.tag("default", "p", 1, TagChanges(tags={"set": "2"}))
        models.set_alias("default", "p", "live", AliasTarget(version=1))
        tell_everybody(context, clock)

        told = {f"{body['entity']}.{body['action']}": body["data"] for body in told_by(receiver)}
        assert told == {
            "prompt.created": {"name": "p", "tags": {"k": "v", "set": "1"}, "description": ""},
            "prompt_version.created": {
                "name": "p",
                "version": "1",
                "template": "Hello {{name}}",
                "tags": {"a": "b", "set": "2"},
                "description": None,
            },
            "prompt_tag.set": {"name": "p", "key": "set", "value": "1"},
            "prompt_version_tag.set": {"name": "p", "version": "1", "key": "set", "value": "2"},
            "prompt_alias.created": {"name": "p", "alias": "live", "version": "1"},
        }

    def test_only_what_was_asked_for_is_told(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """Other events, and webhooks that are disabled, start nothing."""
        context.service(Webhooks).create(new(url_of(receiver), [parse_event("prompt.created")]))
        context.service(Webhooks).create(new(url_of(receiver), status=WebhookStatus.DISABLED))
        context.service(Models).create("default", NewModel(name="m"))

        assert tell_everybody(context, clock) == [{"n_webhooks": 0}]
        assert receiver.requests == []

    def test_a_model_is_told_by_its_present_name(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """What was renamed meanwhile is found under its new name; what is gone is not told of."""
        context.service(Webhooks).create(new(url_of(receiver)))
        models = context.service(Models)
        for name in ("renamed", "gone"):
            models.create("default", NewModel(name=name))
        models.rename("default", "renamed", NewName(name="now"))
        models.delete("default", "gone")
        tell_everybody(context, clock)

        assert [body["data"]["name"] for body in told_by(receiver)] == ["now"]

    def test_a_signature_can_be_checked(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """The receiver computes the same from the headers, the body and the secret; without a secret there is none."""
        context.service(Webhooks).create(new(url_of(receiver), secret="s3cret"))
        context.service(Webhooks).create(new(url_of(receiver)))
        context.service(Models).create("default", NewModel(name="m"))
        tell_everybody(context, clock)

        signed, unsigned = sorted(
            receiver.requests, key=lambda request: "x-mlflow-signature" not in request[2]
        )
        headers = signed[2]
        content = f"{headers['x-mlflow-delivery-id']}.{headers['x-mlflow-timestamp']}.".encode() + signed[3]
        digest = hmac.new(b"s3cret", content, hashlib.sha256).digest()
        assert headers["x-mlflow-signature"] == "v1," + base64.b64encode(digest).decode()
        assert headers["x-mlflow-timestamp"] == str(int(clock.now().timestamp()))
        assert headers["content-type"] == "application/json"
        assert "x-mlflow-signature" not in unsigned[2]

    def test_telling_again_tells_nothing_twice(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """A workflow that is run again after it ended finds its deliveries ended."""
        context.service(Webhooks).create(new(url_of(receiver)))
        context.service(Models).create("default", NewModel(name="m"))
        assign_positions(context.database)
        [event] = EventLog(context.database).read(0, types=["model.created"])

        for _ in range(3):
            notify.fn(InlineSteps(clock), context, event_arguments(event))

        assert len(receiver.requests) == 1


def statuses(*codes: int, headers: dict[str, str] | None = None) -> Any:
    """Answer with each status in turn, and with the last one from then on."""
    left = list(codes)

    def script(handler: BaseHTTPRequestHandler) -> None:
        say(left.pop(0) if len(left) > 1 else left[0], b"", **(headers or {}))(handler)

    return script


def only_delivery(context: Context, webhook: Webhook) -> Any:
    [delivery] = context.service(Webhooks).deliveries(webhook.id).items
    return delivery


class TestTrying:
    """What happens when a receiver does not take it at once."""

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_what_may_pass_is_tried_again(self, context: Context, clock: ManualClock, status: int) -> None:
        """A receiver that is busy or broken gets the same delivery again, after growing pauses."""
        with other_side(statuses(status, status, 200)) as receiver:
            webhook = context.service(Webhooks).create(new(url_of(receiver)))
            context.service(Models).create("default", NewModel(name="m"))
            began = clock.now()
            tell_everybody(context, clock)

        assert clock.now() - began == timedelta(seconds=PAUSES_S[0] + PAUSES_S[1])
        identities = {headers["x-mlflow-delivery-id"] for _, _, headers, _ in receiver.requests}
        assert (len(receiver.requests), len(identities)) == (3, 1)
        delivery = only_delivery(context, webhook)
        assert (delivery.status, delivery.n_attempts, delivery.response_status) == (
            DeliveryStatus.DELIVERED,
            3,
            200,
        )
        assert {delivery.id} == identities

    @pytest.mark.parametrize("status", [302, 400, 401, 404, 410, 422])
    def test_what_is_refused_is_not_tried_again(
        self, context: Context, clock: ManualClock, status: int
    ) -> None:
        """A receiver that says no is not asked twice; a redirect that changes the request is no receiver."""
        with other_side(statuses(status, headers={"Location": "/elsewhere"})) as receiver:
            webhook = context.service(Webhooks).create(new(url_of(receiver)))
            context.service(Models).create("default", NewModel(name="m"))
            tell_everybody(context, clock)

        assert len(receiver.requests) == 1
        delivery = only_delivery(context, webhook)
        expected = DeliveryStatus.DELIVERED if status < 400 else DeliveryStatus.FAILED
        assert (delivery.status, delivery.response_status) == (expected, status)

    def test_a_receiver_says_when_to_come_back(self, context: Context, clock: ManualClock) -> None:
        """`Retry-After` is waited for, up to an hour."""
        with other_side(statuses(429, 200, headers={"Retry-After": "40"})) as receiver:
            context.service(Webhooks).create(new(url_of(receiver)))
            context.service(Models).create("default", NewModel(name="m"))
            began = clock.now()
            tell_everybody(context, clock)

        assert (len(receiver.requests), (clock.now() - began).total_seconds()) == (2, 40)

    def test_it_is_not_tried_for_ever(self, context: Context, clock: ManualClock) -> None:
        """After the last pause the delivery has failed, with the last answer on record."""
        with other_side(statuses(500)) as receiver:
            webhook = context.service(Webhooks).create(new(url_of(receiver)))
            context.service(Models).create("default", NewModel(name="m"))
            began = clock.now()
            tell_everybody(context, clock)

        assert len(receiver.requests) == len(PAUSES_S) + 1
        assert (clock.now() - began).total_seconds() == sum(PAUSES_S)
        delivery = only_delivery(context, webhook)
        assert (delivery.status, delivery.response_status) == (DeliveryStatus.FAILED, 500)
        assert delivery.ended_at == clock.now()

    def test_one_receiver_does_not_wait_for_another(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """A webhook that is away costs the others nothing."""
        with other_side(say()) as away:
            pass
        failing = context.service(Webhooks).create(new(url_of(away)))
        working = context.service(Webhooks).create(new(url_of(receiver)))
        context.service(Models).create("default", NewModel(name="m"))
        tell_everybody(context, clock)

        good, bad = only_delivery(context, working), only_delivery(context, failing)
        assert (good.status, good.n_attempts, good.ended_at) == (DeliveryStatus.DELIVERED, 1, good.created_at)
        assert (bad.status, bad.response_status) == (DeliveryStatus.FAILED, None)
        assert "cannot be reached" in bad.error

    def test_inner_addresses_are_never_called(self, context: Context, clock: ManualClock) -> None:
        """An address that may not be called fails the delivery at once, without telling where it leads."""
        webhook = context.service(Webhooks).create(new("http://169.254.169.254/latest"))
        context.service(Models).create("default", NewModel(name="m"))
        tell_everybody(context, clock)

        delivery = only_delivery(context, webhook)
        assert (delivery.status, delivery.n_attempts) == (DeliveryStatus.FAILED, 1)
        assert "link-local" in delivery.error

    def test_a_secret_that_cannot_be_read_sends_nothing(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """With another workspace key the call is not made unsigned instead; setting the secret again mends it."""
        webhook = context.service(Webhooks).create(new(url_of(receiver), secret="x"))
        (Path(context.settings.folder) / KEY_FILE).unlink()
        context.service(Models).create("default", NewModel(name="first"))
        tell_everybody(context, clock)
        failed = only_delivery(context, webhook)
        context.service(Webhooks).update(webhook.id, WebhookChange(secret="y"))
        context.service(Models).create("default", NewModel(name="second"))
        tell_everybody(context, clock)

        assert (failed.status, failed.n_attempts) == (DeliveryStatus.FAILED, 1)
        assert "cannot be read with the key" in failed.error
        assert [body["data"]["name"] for body in told_by(receiver)] == ["second"]

    def test_a_secret_moved_to_another_webhook_cannot_be_read(self, context: Context) -> None:
        """Who can write to the database cannot have calls of their own signed with another's secret."""
        theirs, mine = (context.service(Webhooks).create(new(secret=secret)) for secret in ("x", "y"))
        sealed = sa.select(webhooks.c.sealed_secret).where(webhooks.c.id == theirs.id)
        with context.database.write() as connection:
            stolen = connection.execute(sealed).scalar_one()
            connection.execute(
                sa.update(webhooks).where(webhooks.c.id == mine.id).values(sealed_secret=stolen)
            )

        result = context.service(Webhooks).test(mine.id, WebhookTest())
        assert not result.success
        assert "cannot be read" in str(result.error)

    @pytest.mark.parametrize("how", ["disabled", "removed"])
    def test_a_webhook_that_is_ended_meanwhile_is_not_tried_again(
        self, context: Context, clock: ManualClock, how: str
    ) -> None:
        """Disabling or removing a webhook stops what is on its way."""
        service = context.service(Webhooks)

        def end(handler: BaseHTTPRequestHandler) -> None:
            if how == "disabled":
                service.update(webhook.id, WebhookChange(status=WebhookStatus.DISABLED))
            else:
                service.delete(webhook.id)
            say(500)(handler)

        with other_side(end) as receiver:
            webhook = service.create(new(url_of(receiver)))
            context.service(Models).create("default", NewModel(name="m"))
            tell_everybody(context, clock)

        assert len(receiver.requests) == 1
        if how == "disabled":
            assert only_delivery(context, webhook).status is DeliveryStatus.DROPPED

    def test_records_of_deliveries_go_after_a_month(
        self, context: Context, clock: ManualClock, receiver: OtherSide
    ) -> None:
        """The record does not grow for ever; pages of it meet without a gap."""
        webhook = context.service(Webhooks).create(new(url_of(receiver)))
        for name in ("a", "b", "c"):
            context.service(Models).create("default", NewModel(name=name))
        tell_everybody(context, clock)
        first = context.service(Webhooks).deliveries(webhook.id, limit=2)
        second = context.service(Webhooks).deliveries(webhook.id, limit=2, before=first.next or 0)
        clock.advance(31 * 86_400)
        context.service(Models).create("default", NewModel(name="d"))
        tell_everybody(context, clock)

        subjects = [each.subject for each in (*first.items, *second.items)]
        assert (subjects, second.next) == (["model:c", "model:b", "model:a"], None)
        assert only_delivery(context, webhook).subject == "model:d"
        with context.database.read() as connection:
            count = sa.select(sa.func.count()).select_from(webhook_deliveries)
            assert connection.execute(count).scalar_one() == 1


class TestTests:
    """Trying a webhook out."""

    def test_the_answer_is_shown(self, services: Services, receiver: OtherSide) -> None:
        """A test sends made-up data of the first event, or of another one, and shows status and body."""
        webhook = services(Webhooks).create(new(url_of(receiver), EVERYTHING[1:3], secret="x"))
        first = services(Webhooks).test(webhook.id, WebhookTest())
        other = services(Webhooks).test(webhook.id, WebhookTest(event=parse_event("prompt_tag.set")))

        assert first == other
        assert (first.success, first.response_status, first.response_body, first.error) == (
            True,
            200,
            "thanks",
            None,
        )
        assert [(body["entity"], body["data"]["name"]) for body in told_by(receiver)] == [
            ("model_version", "example_model"),
            ("prompt_tag", "example_prompt"),
        ]
        assert all("x-mlflow-signature" in headers for _, _, headers, _ in receiver.requests)

    def test_a_refusal_is_a_failure(self, services: Services) -> None:
        """What the receiver says is shown, and tried once only."""
        with other_side(say(500, b"broken")) as receiver:
            webhook = services(Webhooks).create(new(url_of(receiver)))
            result = services(Webhooks).test(webhook.id, WebhookTest())

        assert (result.success, result.response_status, result.response_body) == (False, 500, "broken")
        assert len(receiver.requests) == 1

    def test_no_answer_is_an_error(self, services: Services) -> None:
        """An address that cannot or may not be called is told as such."""
        for url, said in [("http://10.0.0.1/", "private"), ("http://127.0.0.1:1/", "cannot be reached")]:
            webhook = services(Webhooks).create(new(url))
            result = services(Webhooks).test(webhook.id, WebhookTest())

            assert (result.success, result.response_status) == (False, None)
            assert said in str(result.error)

    @pytest.mark.parametrize("event", EVERYTHING, ids=str)
    @pytest.mark.alike
    def test_every_event_has_made_up_data(
        self, context: Context, receiver: OtherSide, event: WebhookEvent
    ) -> None:
        """There is something to send for each event that can be listened to."""
        webhook = context.service(Webhooks).create(new(url_of(receiver), [event]))

        assert context.service(Webhooks).test(webhook.id, WebhookTest()).success
        assert told_by(receiver)[0]["data"]
