"""The pages, over real HTTP; what they read from the database, on both kinds."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from noria.access.projects import NewProject, Projects
from noria.catalog.entities import NewRecord, RecordKind
from noria.catalog.service import Catalog
from noria.core.context import Context
from noria.core.events.sealer import Sealer
from noria.core.permissions import Principal, Role
from noria.core.web.assets import assets
from noria.decisions.entities import Trigger
from noria.registry.entities import NewModelVersion, Task
from noria.registry.service import Models
from noria.server.assembly import load_pages
from noria.server.pages import MODELS_PER_PAGE
from noria.tracking.entities import NewRun, RunEnd, RunStatus
from noria.tracking.service import Runs
from support.pages import Form, Reader, forms_in, visible_text
from support.wheel import PROJECT, SIGNATURE, Turn, Words, turn_once

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}%(n)s`<b>`"

CHECKED = {"model", "metric"}
"""Fields whose service takes only harmless characters."""
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)


def sealed(context: Context) -> None:
    """Give events their positions, which on PostgreSQL is the control loop's work."""
    Sealer(context.database, context.clock, context.settings.folder).tick()


def test_an_empty_workspace_tells_the_first_command(reader: Reader) -> None:
    """The overview of a new workspace says what to type."""
    shown = reader.text("/")

    assert "No model has been registered yet" in shown
    assert "noria demo" in shown


@BOTH
def test_the_overview_tells_each_station(reader: Reader, context: Context) -> None:
    """Data, run, version, endpoint, monitor and decision of a model are told in words and figures."""
    turn_once(context)
    shown = reader.text("/")

    for told in (
        "digits-train@1",
        "1,078 rows, 596 KiB",
        "extra trees",
        "digits@2",
        "Accuracy 97.2 %",
        "v2 100 % 40 requests, 1.8 ms",
        "no errors",
        "Quality 96.8 %",
        "3 of 64 columns drifted",
        "retrain",
        "because: a new class appeared",
    ):
        assert told in shown


def test_what_runs_now_is_told(reader: Reader, context: Context) -> None:
    """A run under way stands on the overview with a link to it, until it ends."""
    run = context.service(Runs).create(PROJECT, NewRun(name="night search", experiment="digits"))
    shown = reader.get("/").text
    context.service(Runs).finish(PROJECT, run.id, RunEnd(status=RunStatus.FINISHED))

    assert "Running now" in shown
    assert f'href="/projects/default/runs/{run.id}"' in shown
    assert "night search" in shown
    assert "Running now" not in reader.text("/")


def test_a_theme_and_a_language_are_kept(reader: Reader) -> None:
    """A button sets a cookie and leads back to where the reader was; the browser's own language can come back."""
    path = "/?after=m&lang=es"
    dark = reader.send(form_of(reader, path, theme="dark"))
    shown = reader.get(path).text
    spanish = reader.send(form_of(reader, "/account", language="es"))
    english = reader.send(form_of(reader, "/account?lang=es", language="en"))
    again = reader.send(form_of(reader, "/account", browser="true"), language="es")

    assert (dark.status_code, dark.headers["location"]) == (303, path)
    assert 'data-theme="dark"' in shown
    assert spanish.headers["set-cookie"].startswith("noria_language=es; Path=/; Max-Age=31536000; HttpOnly")
    assert english.headers["location"] == "/account"
    assert "noria_language=;" in again.headers["set-cookie"]
    assert reader.send(form_of(reader, path, theme="dark"), theme="pink").status_code == 422


def form_of(reader: Reader, path: str, **chosen: str) -> Form:
    """Give the button of a page that chooses."""
    forms = [form for form in forms_in(reader.get(path).text) if form.action.startswith("/preferences")]
    return next(form for form in forms if all(form.fields.get(name) == [chosen[name]] for name in chosen))


def test_a_rollout_under_way_and_an_open_alert_are_told(reader: Reader, context: Context) -> None:
    """While a canary waits for its model servers, the station says so, and the open alert is told."""
    turn_once(context, close=False)
    shown = reader.text("/")

    assert "Rollout of version 2: the model servers load it" in shown
    assert "1 open alert" in shown
    assert "Accuracy of version 1 fell" in shown


@BOTH
def test_the_overview_tells_what_happened_lately(reader: Reader, context: Context) -> None:
    """Events are told in words, newest first, and those of a decision lead to its page."""
    record_id = turn_once(context)
    sealed(context)
    answer = reader.get("/").text

    told = visible_text(answer)
    places = [
        told.index(each)
        for each in (
            "Decision on record: “retrain” for digits",
            "digits : alert (quality)",
            "New endpoint: digits",
            "New data: digits-train@1 , 1,078 rows",
        )
    ]
    assert f'href="/decisions/default/{record_id}"' in answer
    assert places == sorted(places)
    assert "The run extra trees ended" in told


@BOTH
def test_a_decision_is_told_from_alert_to_outcome(reader: Reader, context: Context) -> None:
    """The story has evidence, causes, candidates, choice, rollout and outcome, each with its figures."""
    shown = reader.text(f"/decisions/default/{turn_once(context)}")

    for told in (
        "Accuracy of digits fell from 97.2 % to 87.1 %",
        "Is there a new class? yes",
        "a new class appeared 96.2 %",
        "930 310 to 1,620 n = 70",
        "not admissible there is no older version",
        "Choice: retrain",
        "From version 1 to version 2",
        "Score after 0.983 0.911 to 0.997 n = 60",
    ):
        assert told in shown


def test_the_story_is_in_the_reader_s_language(reader: Reader, context: Context) -> None:
    """The browser's language is used, `?lang=` wins over it, and links keep what was chosen."""
    record_id = turn_once(context)
    path = f"/decisions/default/{record_id}"
    chosen = reader.get(f"{path}?lang=es")

    assert "apareció una clase nueva 96,2 %" in reader.text(path, language="es-MX")
    assert chosen.headers["content-language"] == "es"
    assert '<html lang="es"' in chosen.text
    assert 'href="/projects/default?lang=es"' in chosen.text
    assert "accept-language" in chosen.headers["vary"]


class Tags(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("close", [True, False])
def test_what_users_write_stays_text(reader: Reader, context: Context, language: str, close: bool) -> None:
    """Markup in any field that a user or a program can write is shown as text, on every page."""
    free = [field.name for field in dataclasses.fields(Words) if field.name not in CHECKED]
    hostile = {name: f"{HOSTILE} {name}" for name in free}
    record_id = turn_once(context, Words(**hostile), close=close)
    sealed(context)
    for path in ("/", f"/decisions/default/{record_id}"):
        answer = reader.get(path, language=language)
        parsed = Tags()
        parsed.feed(answer.text)

        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "&gt;49%" not in answer.text
        assert "b" not in parsed.tags
        assert not {name for name in parsed.attributes if name.startswith("on") or name == "style"}
    shown = reader.text(f"/decisions/default/{record_id}", language=language)

    for field in (
        "problem",
        "finding",
        "note",
        "reason",
        "value",
        "stage",
        "verdict",
        "cause",
        "remedy",
        "fact",
    ):
        assert f"<b> {field}" in shown or f"`<b>` {field}" in shown


def test_a_decision_that_is_not_there_is_a_page(reader: Reader) -> None:
    """An error on the way to a page is a page with the message, in the browser's language."""
    answer = reader.get("/decisions/default/nope", language="es")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "No hay registro de la decisión nope" in visible(answer.text)
    assert "Ir al panorama" in answer.text


def visible(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", "", html).split())


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/nowhere", 404, "There is nothing at /nowhere"),
        ("/?langg=es", 400, "Did you mean lang?"),
        ("/projects/defualt", 404, "Did you mean default?"),
        ("/decisions/default/%3Cscript%3E", 404, "There is no decision record &lt;script&gt;"),
        ("/static/noria.css", 404, "There is no static file"),
    ],
)
def test_bad_addresses_say_the_mend(reader: Reader, path: str, status: int, told: str) -> None:
    """Each wrong address gets a page that names what is wrong."""
    answer = reader.get(path)

    assert answer.status_code == status
    assert told in visible(answer.text)
    assert answer.headers["content-type"].startswith("text/html")


def test_programs_get_errors_as_json(reader: Reader) -> None:
    """Who does not ask for a page gets the one JSON form of errors."""
    answer = reader.client.get(f"{reader.server.url}/nowhere", headers={"accept": "*/*"})

    assert answer.json()["code"] == "route_not_found"


def test_pages_forbid_what_they_do_not_need(reader: Reader) -> None:
    """Pages may load our own styles, scripts and images and nothing else, and are framed by nobody."""
    for path in ("/", "/nowhere"):
        headers = reader.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))

        assert policy["default-src"] == "'none'"
        assert set(policy.values()) <= {"'none'", "'self'"}
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"


def test_static_files_are_kept_for_good(reader: Reader) -> None:
    """Each static file comes with its type, and may be kept, since its address changes with its content."""
    for asset in assets().values():
        answer = reader.client.get(f"{reader.server.url}/static/{asset.file}")

        assert answer.content == asset.body
        assert answer.headers["content-type"] == asset.media_type
        assert "immutable" in answer.headers["cache-control"]


@BOTH
def test_many_models_are_paged(reader: Reader, context: Context) -> None:
    """The overview shows a page of models and leads to the next; together they are all, once each."""
    turn = Turn(context, Words(model="m00"))
    digest = turn.registered().digest
    new = NewModelVersion(
        digest=digest, format="sklearn-skops", task=Task.CLASSIFICATION, signature=SIGNATURE
    )
    for i in range(1, 2 * MODELS_PER_PAGE + 3):
        context.service(Models).register(PROJECT, f"m{i:02}", new)
    seen: list[str] = []
    path: str | None = "/"
    while path is not None:
        page = reader.get(path).text
        seen += re.findall(r"<h2><a [^>]+>(m\d\d)</a></h2>", page)
        found = re.search(r'href="([^"]+)" rel="next">', page)
        path = found[1] if found else None

    assert seen == [f"m{i:02}" for i in range(2 * MODELS_PER_PAGE + 3)]


def test_a_selection_of_a_model_is_told(reader: Reader, context: Context) -> None:
    """A record without a decision, a cause or a rollout has a page all the same."""
    record = context.service(Catalog).create(
        PROJECT,
        NewRecord(
            kind=RecordKind.SELECTION, subject="model:digits", problem="Which one?", choice="svm", closed=True
        ),
    )
    shown = reader.text(f"/decisions/default/{record.id}")

    assert "Choice of a model" in shown
    assert "Choice: svm" in shown


def test_a_decision_s_own_id_leads_to_its_story(reader: Reader, context: Context) -> None:
    """The id that commands print works as well as the record's, and the course is told."""
    from noria.decisions.ledger import NewDecision, open_decision

    turn = Turn(context)
    turn.registered()
    turn.deployed()
    decision = open_decision(
        context,
        NewDecision(
            project=PROJECT,
            endpoint="digits",
            model="digits",
            version=1,
            trigger=Trigger.MANUAL,
            alert_id=None,
            onset_position=1,
            sentence="Somebody asked about `digits`",
        ),
    )
    by_decision = reader.text(f"/decisions/default/{decision.id}")
    by_record = reader.text(f"/decisions/default/{decision.record_id}")

    assert "looking for the cause" in by_decision
    assert (
        by_decision.count("Somebody asked about digits")
        == by_record.count("Somebody asked about digits")
        == 2 + 1
    )


VIEWER = Principal(name="ana", project_roles={"default": Role.VIEWER}, holds_key=True)


def test_a_viewer_sees_the_wheel_but_not_the_log(reader: Reader, context: Context) -> None:
    """A role in one project shows that project only, and the event log stays with admins."""
    context.service(Projects).create(NewProject(name="secret"))
    turn_once(context)
    sealed(context)
    reader.server.is_open = False
    reader.server.tokens["t"] = VIEWER
    own, other = reader.get("/", token="t"), reader.get("/projects/secret", token="t")

    assert own.status_code == 200
    assert "digits@2" in own.text
    assert "Lately" not in own.text
    assert "secret" not in own.text
    assert other.status_code == 403
    assert other.headers["content-type"].startswith("text/html")


def test_a_narrow_token_opens_no_page(reader: Reader, context: Context) -> None:
    """A token for one permission does not show what others would be needed for."""
    reader.server.tokens["t"] = Principal(
        name="job", role=Role.ADMIN, holds_key=True, only=frozenset({"projects.list", "projects.read"})
    )
    answer = reader.get("/", token="t")

    assert answer.status_code == 403
    assert "data" in visible(answer.text)


def test_a_stranger_is_told_to_sign_in(reader: Reader) -> None:
    """Where users exist, nobody without a credential sees a page; the page to sign in and its stylesheet are public."""
    reader.server.is_open = False
    for path, to in (
        ("/", "/sign-in"),
        ("/decisions/default/x?lang=es", "/sign-in?to=%2Fdecisions%2Fdefault%2Fx%3Flang%3Des&lang=es"),
        ("/nowhere", "/sign-in?to=%2Fnowhere"),
    ):
        sent_on = reader.get(path)

        assert (sent_on.status_code, sent_on.headers["location"]) == (303, to)
    answer = reader.get("/sign-in")
    assert answer.status_code == 200
    refused = reader.get("/", token="nobody-s")
    assert refused.status_code == 401
    # Browsers send no such header by themselves: this is a program.
    assert refused.headers["content-type"] == "application/json"
    assert refused.headers["www-authenticate"] == 'Bearer, Basic realm="Noria", charset="UTF-8"'
    style = re.search(r'href="(/static/[^"]+css)"', answer.text)
    assert style is not None
    assert reader.get(style[1]).status_code == 200


def test_every_page_declares_its_permission() -> None:
    """No page is open by oversight: each but the sign-in asks for a permission that not everybody has."""
    pages = load_pages()

    assert {page.path for page in pages} >= {"/", "/projects/{project}", "/decisions/{project}/{record_id}"}
    assert [page.path for page in pages if page.needs.public] == ["/sign-in"]


def test_pages_need_no_numerical_library() -> None:
    """The server's process stays small: pages import no NumPy, SciPy, Polars or scikit-learn."""
    script = (
        "import sys; from noria.server.assembly import load_pages; import noria.server.page_routes; load_pages();"
        "print([m for m in ('numpy', 'scipy', 'polars', 'sklearn', 'skops') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
