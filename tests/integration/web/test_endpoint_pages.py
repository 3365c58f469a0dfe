"""The pages of endpoints and rolling back, over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.names import MAX_NAME_LENGTH
from noria.core.permissions import Principal, Role
from noria.monitoring.alerts.service import Alerts
from noria.registry.entities import NewName
from noria.registry.service import Models
from noria.serving.entities import Deployment, Reason
from noria.serving.repairs.entities import ByLine, ColumnRepair, EndRepair, NewRepair
from noria.serving.rollouts.deployment import rename_model
from noria.serving.service import Endpoints, InputRepairs, Rollouts
from support.hostile import HOSTILE, assert_harmless
from support.pages import Reader, form_in, visible_text
from support.sights import see_windows
from support.wheel import PROJECT, Turn, Words, turn_once

ENDPOINTS = "/projects/default/endpoints"
DIGITS = f"{ENDPOINTS}/digits"
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
REPAIR = ColumnRepair(
    column="pixels[20]", change=ByLine(slope=1000.0), words="`pixels[20]` is divided by 1000"
)
VIEWER = Principal(name="ana", project_roles={"default": Role.VIEWER}, holds_key=True)


@pytest.fixture
def endpoints(context: Context) -> Endpoints:
    """Give the service."""
    return context.service(Endpoints)


def test_an_empty_project_says_how_an_endpoint_comes_about(reader: Reader) -> None:
    """The list of a new workspace tells the command, and a page past its end leads back."""
    assert "noria deploy MODEL@1 --to NAME" in reader.text(ENDPOINTS)
    assert "There are no more endpoints" in reader.text(f"{ENDPOINTS}?after=zzz")


@BOTH
def test_the_list_tells_where_each_endpoint_stands(reader: Reader, context: Context) -> None:
    """State, model, shares, the rollout under way, model servers and open alerts are told."""
    turn_once(context, close=False)
    shown = reader.text(ENDPOINTS)

    assert "digits ✕ open alert digits v1 100 % v2 0 % v2 is being loaded 1 1" in shown


@BOTH
def test_an_endpoint_tells_what_answers_and_how_it_came_there(reader: Reader, context: Context) -> None:
    """Versions with figures, quality, alerts, decisions, servers and rollouts are told."""
    turn_once(context)
    page = reader.get(DIGITS)
    shown = visible_text(page.text)

    for told in (
        "digits ✓ answers digits classification",
        "Roll back to v1",
        "v2 100 % 40",
        "v1 kept warm 300",
        "Quality over the newest labels",
        "96.8 %",
        "fell to 87.1 %",
        "retrain",
        "because: a new class appeared",
        "server-digits",
        "v1 → v2 ✓ promoted in steps local decision",
        "v1 ✓ promoted at once local",
    ):
        assert told in shown, (told, shown)
    assert "data-figure" in page.text


def test_many_rollouts_are_paged(reader: Reader, context: Context, endpoints: Endpoints) -> None:
    """Each page begins after the last rollout of the one before."""
    turn_once(context)
    for i in range(11):
        wish = Deployment(model="digits", version=1 + i % 2, reason=f"turn {i:02}")
        endpoints.deploy(PROJECT, "digits", wish)
    first = reader.get(DIGITS).text
    following = form_link(first)
    second = visible_text(reader.get(following).text)

    assert "turn 10" in first
    assert "turn 00" not in visible_text(first)
    assert "turn 00" in second
    assert "First page" in second


def form_link(html: str) -> str:
    """Give the address of the next page."""
    return html.split('rel="next" href="')[1].partition('"')[0]


@BOTH
def test_rolling_back_shows_from_and_to_and_can_be_undone(
    reader: Reader, context: Context, endpoints: Endpoints
) -> None:
    """The question names both versions; afterwards the notice takes it back without asking."""
    turn_once(context)
    form = reader.form(DIGITS, f"{DIGITS}/rollback", name="rollback")
    asked = visible_text(reader.send(form, reason="worse on zeros").text)
    assert "Roll digits back: version 2 → version 1?" in asked
    assert "This can be undone by deploying version 2 again" in asked
    done = reader.send(form, reason="worse on zeros", confirmed="yes")
    cookie = done.headers["set-cookie"].partition(";")[0]
    assert (done.status_code, done.headers["location"]) == (303, DIGITS)
    assert endpoints.get(PROJECT, "digits").version == 1
    assert endpoints.history(PROJECT, "digits").items[0].reason == "worse on zeros"

    headers = {"accept": "text/html", "cookie": cookie, "accept-language": "en"}
    page = reader.client.get(reader.server.url + DIGITS, headers=headers).text
    undone = reader.send(form_in(page, f"{DIGITS}/rollback", name="undo"))

    assert "digits went back from version 2 to version 1" in visible_text(page)
    assert undone.status_code == 303
    assert endpoints.get(PROJECT, "digits").version == 2


def test_rolling_back_in_a_canary_ends_it(reader: Reader, context: Context, endpoints: Endpoints) -> None:
    """While a rollout is under way, going back is to end it."""
    turn_once(context, close=False)
    form = reader.form(DIGITS, f"{DIGITS}/rollback", name="rollback")
    asked = visible_text(reader.send(form).text)
    done = reader.send(form, confirmed="yes")

    assert "The rollout of version 2 ends here" in asked
    assert done.status_code == 303
    assert context.service(Rollouts).list(PROJECT).items[0].status == "rolled_back"
    assert endpoints.get(PROJECT, "digits").version == 1


def test_why_a_rollout_ended_is_told_in_the_readers_language(reader: Reader, context: Context) -> None:
    """Among the rollouts of the endpoint."""
    turn_once(context, close=False)
    rollouts = context.service(Rollouts)
    rollouts.abort(PROJECT, rollouts.list(PROJECT).items[0].id, Reason())

    assert "Aborted by hand" in reader.text(DIGITS)
    assert "Terminado a mano" in visible_text(reader.get(DIGITS, language="es").text)


def test_a_way_back_that_changed_meanwhile_is_told(
    reader: Reader, context: Context, endpoints: Endpoints
) -> None:
    """Two people roll back: the second one is shown what there is now, and nothing happens."""
    turn_once(context)
    form = reader.form(DIGITS, f"{DIGITS}/rollback", name="rollback")
    endpoints.rollback(PROJECT, "digits", Reason())
    answer = reader.send(form, confirmed="yes")

    assert answer.status_code == 409
    assert "v1 → v2" in visible_text(answer.text)
    assert endpoints.get(PROJECT, "digits").version == 1


def test_a_repair_is_ended_by_a_button_and_begun_again_by_the_notice(
    reader: Reader, context: Context, endpoints: Endpoints
) -> None:
    """The one that was seen, and no other; whoever may not is shown the command instead."""
    turn_once(context)
    repairs, to = context.service(InputRepairs), f"{DIGITS}/end-repair"
    repairs.set(PROJECT, "digits", NewRepair(columns=[REPAIR]))
    form = reader.form(DIGITS, to, name="end-repair")
    asked = visible_text(reader.send(form).text)
    reader.server.tokens["t"] = VIEWER
    seen = reader.get(DIGITS, token="t")
    repairs.set(PROJECT, "digits", NewRepair(columns=[REPAIR], reason="another"))
    late = reader.send(form, confirmed="yes")
    done = reader.send(reader.form(DIGITS, to, name="end-repair"), confirmed="yes")
    cookie = done.headers["set-cookie"].partition(";")[0]
    headers = {"accept": "text/html", "cookie": cookie, "accept-language": "en"}
    page = reader.client.get(reader.server.url + DIGITS, headers=headers).text
    undo = form_in(page, f"{DIGITS}/repair", name="undo")
    again = [reader.send(undo).status_code for _ in range(2)]
    repairs.end(PROJECT, "digits", EndRepair())
    nothing = reader.send(form, confirmed="yes", language="es")

    assert "End repair 1 of the inputs of digits" in asked
    assert "This can be undone right afterwards" in asked
    assert f'action="{to}"' not in seen.text
    assert "noria endpoints repair digits --off" in visible_text(seen.text)
    assert (late.status_code, done.status_code, again) == (409, 303, [303, 409])
    assert "Repair 2 is ended" in visible_text(page)
    assert [(each.number, each.reason) for each in repairs.list(PROJECT, "digits").items] == [
        (3, "another"),
        (2, "another"),
        (1, ""),
    ]
    assert nothing.status_code == 404
    assert "Las entradas de digits se toman como se envían" in visible_text(nothing.text)


def test_a_first_version_has_no_way_back(reader: Reader, context: Context) -> None:
    """Where nothing was served before, there is no button."""
    turn = Turn(context)
    turn.registered()
    turn.deployed()

    assert f'action="{DIGITS}/rollback"' not in reader.get(DIGITS).text


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_users_write_stays_text(
    reader: Reader, context: Context, endpoints: Endpoints, language: str
) -> None:
    """Markup in sentences, causes and reasons is shown as text."""
    hostile = Words(sentence=HOSTILE, problem=HOSTILE, cause=HOSTILE, remedy=HOSTILE, value=HOSTILE)
    turn_once(context, hostile)
    assert_harmless(reader.get(DIGITS, language=language))


def test_long_names_are_shown(reader: Reader, context: Context, endpoints: Endpoints) -> None:
    """The longest names that endpoints and models may have fit on each page."""
    Turn(context).registered()
    name, model = "n" * MAX_NAME_LENGTH, "m" * 500
    endpoints.deploy(PROJECT, name, Deployment(model="digits", version=1))
    context.service(Models).rename(PROJECT, "digits", NewName(name=model))
    rename_model(context, PROJECT, "digits", model)

    for path in (ENDPOINTS, f"{ENDPOINTS}/{name}"):
        page = reader.get(path).text
        assert name in page
        assert model in page


def test_a_viewer_reads_and_changes_nothing(reader: Reader, context: Context, endpoints: Endpoints) -> None:
    """A viewer sees no form that others use, is refused what it would do, and sees no other project."""
    context.service(Projects).create(NewProject(name="secret"))
    turn_once(context)
    reader.server.is_open = False
    reader.server.tokens["t"] = VIEWER
    for path in (ENDPOINTS, DIGITS):
        page = reader.get(path, token="t")
        assert page.status_code == 200
        assert f'action="{DIGITS}' not in page.text
    headers: Any = {"authorization": "Bearer t", "origin": reader.server.url}
    sent = reader.client.post(f"{reader.server.url}{DIGITS}/rollback", data={"csrf": "x"}, headers=headers)

    assert sent.status_code == 403
    assert reader.get("/projects/secret/endpoints", token="t").status_code == 403
    assert endpoints.get(PROJECT, "digits").version == 2


def test_a_narrow_token_sees_only_its_part(reader: Reader, context: Context) -> None:
    """Who may read endpoints alone gets the page without alerts, figures and decisions."""
    turn_once(context)
    only = frozenset({"endpoints.read"})
    reader.server.tokens["t"] = Principal(name="n", role=Role.ADMIN, holds_key=True, only=only)
    shown = visible_text(reader.get(DIGITS, token="t").text)

    assert "v2 100 %" in shown
    assert "fell to 87.1 %" not in shown
    assert "retrain" not in shown
    assert "What the monitor sees" not in shown


def test_an_unknown_endpoint_is_told(reader: Reader, context: Context) -> None:
    """A wrong name leads to the near one."""
    turn_once(context)
    answer = reader.get(f"{ENDPOINTS}/digit")

    assert answer.status_code == 404
    assert "digits" in visible_text(answer.text)


def test_alerts_are_silenced_for_a_time_and_told_again(reader: Reader, context: Context) -> None:
    """Who did, until when and why is shown; the alerts themselves stay; a viewer sees it and has no button."""
    turn_once(context, close=False)
    form = reader.form(DIGITS, f"{DIGITS}/silence", name="silence")
    sent = reader.send(form, for_s="14400", why="we know <b>of it</b>")
    silent = reader.get(DIGITS).text
    shown = visible_text(silent)
    (made,) = context.service(Alerts).silences(PROJECT).items
    reader.server.tokens["t"] = VIEWER
    seen = reader.get(DIGITS, token="t").text
    reader.send(reader.form(DIGITS, f"{DIGITS}/unsilence", name="unsilence-1"))

    assert sent.status_code == 303
    assert (made.endpoint, made.why, (made.ends_at - made.created_at).total_seconds()) == (
        "digits",
        "we know <b>of it</b>",
        14_400,
    )
    assert "silenced until" in shown
    assert "we know &lt;b&gt;of it" in silent
    assert "open" in shown
    assert "silenced" in visible_text(seen)
    assert "/unsilence" not in seen
    assert context.service(Alerts).silences(PROJECT).items == []
    assert "silenced until" not in reader.text(DIGITS)


@BOTH
def test_an_endpoint_shows_its_versions_and_segments(reader: Reader, context: Context) -> None:
    """Side by side in a chart with its table, predictions too, and what the newest window lacks; in both languages."""
    turn_once(context)
    see_windows(context)
    page = reader.get(DIGITS)
    english, spanish = visible_text(page.text), visible_text(reader.get(f"{DIGITS}", language="es").text)

    assert "Largest shift of an input, by version and segment" in english
    assert "v1 pen = <b>blue</b>" in english
    assert "<b>blue</b>" not in page.text
    assert "predictions" in english
    assert (
        "What it lacks in the newest window: What version 1 is compared with changed within this window"
        in english
    )
    assert "Mayor desplazamiento de una entrada, por versión y segmento" in spanish
