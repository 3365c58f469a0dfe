"""The search over everything, over real HTTP."""

from __future__ import annotations

from urllib.parse import quote

import pytest
import sqlalchemy as sa

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.ids import new_id
from noria.core.permissions import Principal, Role
from noria.registry.entities import NewModel, TagChanges
from noria.registry.service import Models
from noria.registry.versions import ModelVersions
from noria.tracking.entities import LogBatch, NewRun
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.service import Experiments, Runs
from noria.tracking.tables import experiments
from support.hostile import HOSTILE, assert_harmless
from support.pages import Reader
from support.wheel import PROJECT, turn_once

BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)


def search(text: str) -> str:
    """Give the address of a search."""
    return f"/search?q={quote(text, safe='')}"


def found(reader: Reader, text: str) -> str:
    """Give what the page says between its form and its foot."""
    shown = reader.text(search(text))
    below = shown.partition("or by id or its beginning.")[2].partition("Noria 0.")[0].strip()
    return below.removeprefix("Search Search").strip()


@BOTH
def test_everything_is_found_by_name(reader: Reader, context: Context) -> None:
    """One word finds experiment, model, version, data set, endpoint, incident and decision, each with its page."""
    turn_once(context)
    page = reader.get(search("digits")).text

    for address in (
        "experiments/train_digits",
        "models/digits",
        "datasets/digits-train",
        "endpoints/digits",
        "incidents/",
    ):
        assert f'href="/projects/default/{address}' in page
    assert 'href="/decisions/default/' in page
    assert "Incidents digits Accuracy of version 1 fell" in found(reader, "87.1 %")
    assert "endpoint:digits remedio" in reader.text(search("digits"), language="es")


@BOTH
def test_runs_are_found_by_any_part_of_their_name(reader: Reader, context: Context) -> None:
    """Beginning and middle find a run, in any case; two characters find what begins with them."""
    turn_once(context)

    for text in ("extra tr", "TREES", "a tre", "ex"):
        assert "Runs extra trees train_digits default" in found(reader, text), text
    assert "Nothing found" in found(reader, "tr3es")
    assert "Nothing found" in found(reader, "xt")


@BOTH
def test_the_run_that_is_called_so_comes_first(reader: Reader, context: Context) -> None:
    """Newer runs whose names only hold the text do not hide the one whose name it is."""
    runs = context.service(Runs)
    for name in ("forest", *(f"forest {i}" for i in range(12))):
        runs.create(PROJECT, NewRun(name=name, experiment="e"))

    assert found(reader, "forest").startswith("Runs the best 8 forest e default")


@BOTH
def test_runs_of_the_oldest_of_many_experiments_are_found(reader: Reader, context: Context) -> None:
    """However many experiments were made since, a run is found by name and tag."""
    run = context.service(Runs).create(
        PROJECT, NewRun(name="once upon", experiment="first", tags={"era": "old"})
    )
    with context.database.write() as connection:
        row = dict(connection.execute(sa.select(experiments).limit(1)).mappings().one())
        del row["pk"]
        made = [
            {**row, "id": new_id(), "name": f"e{i}", "number": 1_000 + i, "created_at": context.clock.now()}
            for i in range(400)
        ]
        connection.execute(sa.insert(experiments), made)

    assert run.name in found(reader, "ce up")
    assert run.name in found(reader, "era=ol")
    assert run.name in found(reader, "era=")


@BOTH
def test_tags_find_what_has_them(reader: Reader, context: Context) -> None:
    """`key=value` finds runs, models and versions by their tags, and the value may be only begun."""
    turn_once(context)
    context.service(Models).tag(PROJECT, "digits", TagChanges(tags={"team": "vision"}))
    context.service(ModelVersions).tag(PROJECT, "digits", 2, TagChanges(tags={"team": "visual"}))
    run = context.service(Runs).create(PROJECT, NewRun(name="night", experiment="e"))
    context.service(Runs).log(PROJECT, run.id, LogBatch(tags={"team": "vis"}))

    every, one = found(reader, "team=vis"), found(reader, "team = vision")
    assert all(told in every for told in ("Runs night", "Models digits", "Versions of models digits@2"))
    assert one.startswith("Models digits")
    assert "Versions" not in one
    assert "Nothing found" in found(reader, "team=other")


@BOTH
def test_an_id_leads_straight_to_its_thing(reader: Reader, context: Context) -> None:
    """A whole id is answered with the thing's page; its beginning with a list; a reference with the version."""
    turn_once(context)
    version = context.service(Models).version(PROJECT, "digits", 2)
    run_id = version.origin.run_id or ""
    straight, again = reader.get(search(run_id)), reader.get(search(version.id))

    assert (straight.status_code, straight.headers["location"]) == (303, f"/projects/default/runs/{run_id}")
    assert again.headers["location"] == "/projects/default/models/digits/versions/2"
    assert "Runs extra trees" in found(reader, run_id[:24])
    assert found(reader, "digits@2").startswith("Versions of models digits@2")
    assert reader.get(search("f" * 32)).status_code == 200


def test_the_best_come_first(reader: Reader, context: Context) -> None:
    """The exact name stands before names that begin with it, and these before names that hold it."""
    for name in ("my-churn", "churn-2", "churn", "CHURN-3"):
        context.service(Models).create(PROJECT, NewModel(name=name))
    page = reader.get(search("churn")).text
    places = [page.index(f'models/{name}"') for name in ("churn", "CHURN-3", "churn-2", "my-churn")]

    assert places == sorted(places)


def test_a_viewer_finds_nothing_of_other_projects(reader: Reader, context: Context) -> None:
    """Who may see 3 of 50 projects finds what is in these, by name, tag and id, and nothing else."""
    names = [f"p{i:02}" for i in range(50)]
    own = names[7:10]
    ids = {}
    for name in names:
        context.service(Projects).create(NewProject(name=name))
        context.service(Models).create(name, NewModel(name=f"churn-{name}", tags={"team": "crm"}))
        context.service(Experiments).create(name, NewExperiment(name=f"churn-{name}"))
        run = context.service(Runs).create(name, NewRun(name=f"churn-{name}", experiment=f"churn-{name}"))
        ids[name] = run.id
    reader.server.is_open = False
    reader.server.tokens["t"] = Principal(
        name="ana", project_roles=dict.fromkeys(own, Role.VIEWER), holds_key=True
    )
    beginning = ids["p00"][:6]
    for text in ("churn", "team=crm", beginning, ids["p00"], "churn-p00"):
        answer = reader.get(search(text), token="t")
        assert answer.status_code == 200
        assert not [name for name in names if name not in own and f"/projects/{name}/" in answer.text]
        assert "Nothing found" in answer.text or all(f"churn-{name}<" in answer.text for name in own)
    assert reader.get(search(ids[own[0]]), token="t").status_code == 303


def test_a_narrow_token_finds_what_it_may_read(reader: Reader, context: Context) -> None:
    """Kinds that the credential may not read are left out."""
    turn_once(context)
    reader.server.is_open = False
    reader.server.tokens["t"] = Principal(
        name="job", role=Role.ADMIN, holds_key=True, only=frozenset({"projects.list", "data.read"})
    )
    page = reader.get(search("digits"), token="t").text

    assert "digits-train" in page
    assert "models/digits" not in page
    assert "experiments/train_digits" not in page


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_users_write_stays_text(reader: Reader, context: Context, language: str) -> None:
    """Markup in what is searched for and in what is found is shown as text."""
    context.service(Runs).create(PROJECT, NewRun(name=HOSTILE, experiment="e"))
    context.service(Models).create(PROJECT, NewModel(name="m", description=HOSTILE))

    assert_harmless(reader.get(search(HOSTILE), language=language))
    assert_harmless(reader.get(search("m"), language=language))


@pytest.mark.parametrize(
    "text", ["", " ", "%", "_", "=", "x=", "=x", "@", "n" * 500, "ñandú", "\U0010ffff", "'"]
)
def test_odd_searches_find_nothing_or_little(reader: Reader, context: Context, text: str) -> None:
    """Nothing, signs of patterns, long texts and letters of other languages are texts like others."""
    context.service(Models).create(PROJECT, NewModel(name="churn"))

    answer = reader.get(search(text))

    assert answer.status_code == 200
    assert "models/churn" not in answer.text
