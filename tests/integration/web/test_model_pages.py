"""The pages of models and what they do, over real HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.errors import NotFound
from noria.core.events.sealer import Sealer
from noria.core.permissions import Principal, Role
from noria.core.workspace import InProcess, Workspace
from noria.registry.entities import AliasTarget, Description, NewModel, TagChanges
from noria.registry.packages import client
from noria.registry.service import Models
from noria.registry.versions import ModelVersions
from support.hostile import HOSTILE, assert_harmless
from support.packages import register_files
from support.pages import Reader, form_in, forms_in, visible_text
from support.wheel import PROJECT, Turn, turn_once

MODELS = "/projects/default/models"
DIGITS = f"{MODELS}/digits"
V1 = f"{DIGITS}/versions/1"
V2 = f"{DIGITS}/versions/2"
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
VIEWER = Principal(name="ana", project_roles={"default": Role.VIEWER}, holds_key=True)


@pytest.fixture
def models(context: Context) -> Models:
    """Give the service."""
    return context.service(Models)


def test_an_empty_project_says_how_a_model_comes_about(reader: Reader) -> None:
    """The list of a new workspace tells the command, and a page past its end leads back."""
    assert "noria run module:pipeline" in reader.text(MODELS)
    assert "There are no more models" in reader.text(f"{MODELS}?after=zzz")


@BOTH
def test_the_list_tells_where_each_model_stands(reader: Reader, context: Context, models: Models) -> None:
    """Newest version, aliases, what is served, the metric and who made it are told for each model."""
    turn_once(context)
    models.create(PROJECT, NewModel(name="churn", description="# Who **leaves**\nnext", tags={"team": "crm"}))
    shown = reader.text(MODELS)

    for told in (
        "churn Who leaves team crm no version",
        "digits v2 champion v1",
        "serves digits v2",
        "0.972 accuracy",
    ):
        assert told in shown


def test_many_models_are_paged(reader: Reader, models: Models) -> None:
    """Each page begins after the last name of the one before."""
    for i in range(53):
        models.create(PROJECT, NewModel(name=f"m{i:02}"))
    first, second = reader.get(MODELS).text, reader.get(f"{MODELS}?after=m49").text

    assert "m49" in first
    assert "m50" not in first
    assert f'href="{MODELS}?after=m49"' in first
    assert "m52" in second
    assert f'href="{MODELS}"' in second


@BOTH
def test_a_model_tells_its_versions_and_how_its_aliases_moved(
    reader: Reader, context: Context, models: Models
) -> None:
    """Versions with their origin, aliases with their history, description as Markdown, and tags."""
    turn_once(context)
    models.describe(PROJECT, "digits", Description(text="Reads *digits*"))
    models.set_alias(PROJECT, "digits", "champion", AliasTarget(version=2))
    models.delete_alias(PROJECT, "digits", "champion")
    Sealer(context.database, context.clock, context.settings.folder).tick()
    shown = reader.text(DIGITS)

    for told in (
        "v2 ● digits nine digits, no zero",
        "digits-train@1 sklearn-skops",
        "champion taken from v2",
        "champion moved from v1 to v2",
        "champion set to v1",
        "It cannot be deleted while an endpoint serves it",
    ):
        assert told in shown
    assert "<em>digits</em>" in reader.get(DIGITS).text


@BOTH
def test_a_version_tells_what_it_is_made_of(reader: Reader, context: Context) -> None:
    """Signature, metrics, run, data, endpoint and lineage of a version are told."""
    turn_once(context)
    shown = reader.text(V2)

    for told in (
        "serves digits",
        "pixels FP64 n × 64",
        "accuracy on 216 rows kept apart 0.972",
        "Run extra trees",
        "digits_pipeline:train_digits",
        "data set digits-train@1 → run extra trees",
        "model digits@2 → endpoint digits",
        "champion means v1",
    ):
        assert told in shown


def test_a_version_tells_its_packages(reader: Reader, context: Context, tmp_path: Path) -> None:
    """Digest, key and lock of each package are told; a version without one has no such card."""
    workspace = Workspace(context.settings, InProcess(context), context.clock)
    register_files(workspace, tmp_path / "files")
    page = f"{MODELS}/iris/versions/1"
    assert "Packages" not in reader.text(page)
    client.build(workspace, "iris@1", sign=False)
    assert "not signed" in reader.text(page)
    package, _ = client.build(workspace, "iris@1")

    shown = reader.text(page)
    assert package.digest[:19] in shown
    assert f"signed {package.key_id}" in shown
    assert "lock incomplete no run recorded" in shown
    translated = reader.text(f"{page}?lang=es")
    assert "ninguna ejecución registró lo que estaba instalado" in translated
    assert "no run recorded" not in translated


def test_a_promotion_asks_and_can_be_undone(reader: Reader, context: Context, models: Models) -> None:
    """Moving an alias shows what it replaces first; afterwards the notice takes it back without asking."""
    turn_once(context)
    form = reader.form(V2, f"{DIGITS}/alias", name="promote-1")
    asked = reader.send(form)
    assert asked.status_code == 200
    assert "It means version 1 now: accuracy 0.972 (n = 216)" in visible_text(asked.text)
    done = reader.send(form, confirmed="yes")
    cookie = done.headers["set-cookie"].partition(";")[0]
    assert (done.status_code, done.headers["location"]) == (303, V2)
    assert models.get(PROJECT, "digits").aliases["champion"] == 2

    page = reader.client.get(
        reader.server.url + V2, headers={"accept": "text/html", "cookie": cookie, "accept-language": "en"}
    )
    undone = reader.send(form_in(page.text, f"{DIGITS}/alias", name="undo"))

    assert "champion now means version 2 of digits" in visible_text(page.text)
    assert undone.status_code == 303
    assert models.get(PROJECT, "digits").aliases["champion"] == 1


def test_a_promotion_over_another_is_told(reader: Reader, context: Context, models: Models) -> None:
    """Whoever promotes from a page that is out of date is told what the alias means meanwhile."""
    turn_once(context)
    form = reader.form(V2, f"{DIGITS}/alias", name="promote-1")
    Turn(context).registered()
    models.set_alias(PROJECT, "digits", "champion", AliasTarget(version=3))
    answer = reader.send(form, confirmed="yes")

    assert answer.status_code == 409
    assert models.get(PROJECT, "digits").aliases["champion"] == 3


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({"alias": "a", "version": "99"}, 422, "There is no such version"),
        ({"alias": "", "version": "1"}, 422, "Fill this in"),
        ({"alias": "a b", "version": "1"}, 422, "a b"),
        ({"alias": "a", "version": "0"}, 422, "at least 1"),
    ],
)
def test_a_wrong_alias_is_shown_again(
    reader: Reader, context: Context, fields: dict[str, str], status: int, told: str
) -> None:
    """What cannot be is told at its field, and what was typed stays."""
    turn_once(context)
    form = reader.form(DIGITS, f"{DIGITS}/alias", name="alias")
    answer = reader.send(form, **fields)

    assert answer.status_code == status
    assert told in visible_text(answer.text)


def test_tags_and_descriptions_are_changed(reader: Reader, context: Context, models: Models) -> None:
    """Model and version take tags and a description; one that changed meanwhile is not written over."""
    turn_once(context)
    for path in (DIGITS, V1):
        assert (
            reader.send(reader.form(path, f"{path}/tag", name="tag"), key="team", value="x").status_code
            == 303
        )
        described = reader.send(reader.form(path, f"{path}/describe"), text="**what** it is")
        assert described.status_code == 303
    stale = reader.form(DIGITS, f"{DIGITS}/describe")
    models.describe(PROJECT, "digits", Description(text="another"))
    refused = reader.send(stale, text="mine")
    untagged = reader.send(reader.form(V1, f"{V1}/untag", name="untag"))

    version = models.version(PROJECT, "digits", 1)
    assert models.get(PROJECT, "digits").tags == {"team": "x"}
    assert (version.tags, version.description) == ({}, "**what** it is")
    assert untagged.status_code == 303
    assert refused.status_code == 409
    assert "another" in visible_text(refused.text)
    assert models.get(PROJECT, "digits").description == "another"


def test_deleting_asks_for_the_name(reader: Reader, context: Context, models: Models) -> None:
    """A version goes when its reference was typed, a model when its name was."""
    Turn(context).registered()
    Turn(context).registered()
    form = reader.form(V2, f"{V2}/delete", name="delete")
    assert reader.send(form).status_code == 200
    assert reader.send(form, confirmed="digits").status_code == 422
    gone = reader.send(form, confirmed="digits@2")
    whole = reader.send(reader.form(DIGITS, f"{DIGITS}/delete", name="delete"), confirmed="digits")

    assert (gone.status_code, gone.headers["location"]) == (303, DIGITS)
    assert (whole.status_code, whole.headers["location"]) == (303, MODELS)
    assert reader.get(V2).status_code == 404
    with pytest.raises(NotFound):
        models.get(PROJECT, "digits")


def test_what_is_served_is_not_deleted(reader: Reader, context: Context, models: Models) -> None:
    """A form that was made before an endpoint took the version is refused, and the page says why."""
    turn = Turn(context)
    turn.registered()
    form = reader.form(V1, f"{V1}/delete", name="delete")
    whole = reader.form(DIGITS, f"{DIGITS}/delete", name="delete")
    turn.deployed()
    answer, answer_whole = reader.send(form, confirmed="digits@1"), reader.send(whole, confirmed="digits")

    for each in (answer, answer_whole):
        assert each.status_code == 409
        assert "version 1 answers requests of the endpoint digits" in visible_text(each.text)
    assert models.version(PROJECT, "digits", 1).version == 1


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_users_write_stays_text(reader: Reader, context: Context, models: Models, language: str) -> None:
    """Markup in names, tags, descriptions and messages is shown as text on every page of models."""
    turn_once(context)
    versions = context.service(ModelVersions)
    name = HOSTILE.replace("/", "").replace(":", "")
    models.create(PROJECT, NewModel(name=name, description=HOSTILE))
    models.describe(PROJECT, "digits", Description(text=HOSTILE))
    models.tag(PROJECT, "digits", TagChanges(tags={"k": HOSTILE}))
    versions.tag(PROJECT, "digits", 1, TagChanges(tags={"k": HOSTILE}))
    versions.describe(PROJECT, "digits", 1, Description(text=HOSTILE))
    from urllib.parse import quote

    for path in (MODELS, DIGITS, V1, f"{MODELS}/{quote(name, safe='')}"):
        assert_harmless(reader.get(path, language=language))


def test_the_longest_names_are_shown(reader: Reader, models: Models) -> None:
    """Five hundred characters fit on each page."""
    name = "n" * 500
    models.create(PROJECT, NewModel(name=name))

    for path in (MODELS, f"{MODELS}/{name}"):
        assert name in reader.get(path).text


def test_a_viewer_reads_and_changes_nothing(reader: Reader, context: Context, models: Models) -> None:
    """A viewer sees no form that others use, is refused what it would do, and sees no other project."""
    context.service(Projects).create(NewProject(name="secret"))
    turn_once(context)
    reader.server.is_open = False
    reader.server.tokens["t"] = VIEWER
    for path in (MODELS, DIGITS, V1):
        page = reader.get(path, token="t")
        assert page.status_code == 200
        assert f'action="{DIGITS}' not in page.text
    headers: Any = {"authorization": "Bearer t", "origin": reader.server.url}
    sent = reader.client.post(reader.server.url + f"{DIGITS}/delete", data={"csrf": "x"}, headers=headers)

    assert sent.status_code == 403
    assert reader.get("/projects/secret/models", token="t").status_code == 403
    assert models.get(PROJECT, "digits").name == "digits"


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        (f"{MODELS}/digit", 404, "digits"),
        (f"{DIGITS}/versions/9", 404, "has no version 9"),
        (f"{DIGITS}/versions/x", 404, "no number of a version"),
        (f"{DIGITS}?before=x", 400, "must be a number"),
    ],
)
def test_bad_addresses_say_the_mend(
    reader: Reader, context: Context, path: str, status: int, told: str
) -> None:
    """A wrong name, number or parameter is told."""
    Turn(context).registered()
    answer = reader.get(path)

    assert answer.status_code == status
    assert told in visible_text(answer.text)


@BOTH
def test_a_deleted_model_comes_back_by_the_notice_and_from_the_list(
    reader: Reader, context: Context, models: Models
) -> None:
    """The notice takes a deletion back; later the list of deleted models does, unless the name is taken."""
    models.create(PROJECT, NewModel(name="old", tags={"team": "crm"}))
    page = f"{MODELS}/old"
    deleted = reader.send(reader.form(page, f"{page}/delete", name="delete"), confirmed="old")
    notice = reader.get(deleted.headers["location"]).text
    undo = next(form for form in forms_in(notice) if form.fields.get("form") == ["undo"])
    assert "The model old is there again" in reader.follow(reader.send(undo))

    models.delete(PROJECT, "old")
    models.create(PROJECT, NewModel(name="old"))
    shown = reader.get(f"{MODELS}?show=deleted").text
    assert "Deleted models" in visible_text(shown)
    [restore] = [form for form in forms_in(shown) if form.action.endswith("/restore")]
    refused = reader.send(restore)
    assert refused.status_code == 409
    assert "There is a model old already" in visible_text(refused.text)
    models.delete(PROJECT, "old")
    assert "crm" in reader.follow(reader.send(restore))


def test_a_deleted_version_comes_back_by_the_notice(reader: Reader, context: Context, models: Models) -> None:
    """The notice brings it back under its number, without the aliases that it had."""
    Turn(context).registered()
    Turn(context).registered()
    deleted = reader.send(reader.form(V2, f"{V2}/delete", name="delete"), confirmed="digits@2")
    notice = reader.get(deleted.headers["location"]).text
    undo = next(form for form in forms_in(notice) if form.fields.get("form") == ["undo"])

    assert "digits@2 is there again, without aliases" in reader.follow(reader.send(undo))
    assert models.version(PROJECT, "digits", 2).aliases == []
    assert reader.send(undo).status_code == 404


def test_who_may_not_restore_sees_no_deleted_models(reader: Reader, context: Context, models: Models) -> None:
    """A viewer's list has no link to the deleted ones, and their address shows the others."""
    hostile = HOSTILE.replace("/", "|")
    models.create(PROJECT, NewModel(name=hostile))
    models.delete(PROJECT, hostile)
    assert_harmless(reader.get(f"{MODELS}?show=deleted"))
    reader.server.is_open = False
    reader.server.tokens["t"] = VIEWER

    assert "show=deleted" not in reader.get(MODELS, token="t").text
    assert "onerror" not in reader.get(f"{MODELS}?show=deleted", token="t").text


@BOTH
def test_a_tag_that_another_set_meanwhile_is_not_written_over(reader: Reader, models: Models) -> None:
    """Neither setting nor removing takes a value that the page did not show; sent again it is the person's own wish."""
    models.create(PROJECT, NewModel(name="old", tags={"team": "crm"}))
    page = f"{MODELS}/old"
    setting, removing = (
        reader.form(page, f"{page}/tag", name="tag"),
        reader.form(page, f"{page}/untag", name="untag"),
    )
    models.tag(PROJECT, "old", TagChanges(tags={"stage": "theirs", "team": "theirs"}))
    refused = [reader.send(setting, key="stage", value="mine"), reader.send(removing)]

    assert [answer.status_code for answer in refused] == [409, 409]
    assert "Stands there now: theirs" in visible_text(refused[0].text)
    assert models.get(PROJECT, "old").tags == {"stage": "theirs", "team": "theirs"}
    assert reader.send(form_in(refused[0].text, f"{page}/tag", name="tag")).status_code == 303
    assert reader.send(setting, key="other", value="new").status_code == 303
    assert models.get(PROJECT, "old").tags == {"other": "new", "stage": "mine", "team": "theirs"}


@BOTH
def test_an_alias_that_another_moved_or_made_meanwhile_is_told(
    reader: Reader, context: Context, models: Models
) -> None:
    """A typed alias is compared with what the page showed, before the question and after it."""
    turn_once(context)
    made = reader.form(V2, f"{DIGITS}/alias", name="alias")
    typed = reader.form(DIGITS, f"{DIGITS}/alias", name="alias")
    asked = reader.send(typed, alias="champion", version="2")
    assert asked.status_code == 200
    Turn(context).registered()
    models.set_alias(PROJECT, "digits", "champion", AliasTarget(version=3))
    models.set_alias(PROJECT, "digits", "next", AliasTarget(version=1))
    refused = [
        reader.send(form_in(asked.text, f"{DIGITS}/alias")),
        reader.send(typed, alias="champion", version="2"),
        reader.send(made, alias="next"),
    ]

    assert [answer.status_code for answer in refused] == [409, 409, 409]
    assert "Stands there now: v3" in visible_text(refused[0].text)
    assert "Stands there now: v1" in visible_text(refused[2].text)
    assert models.get(PROJECT, "digits").aliases == {"champion": 3, "next": 1}
    assert reader.send(made, alias="fresh").status_code == 303
