"""Tasks on models, data, audit and search in a real browser: promote and take back, delete, find, without barriers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.events.sealer import Sealer
from noria.data.entities import DatasetKind, NewDatasetVersion
from noria.data.service import Datasets
from noria.registry.entities import Description, NewModel, TagChanges
from noria.registry.service import Models
from noria.server.assembly import load_actions, load_pages
from support.axe import barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.live_server import LiveServer
from support.wheel import PROJECT, Turn, turn_once

PHONE = {"width": 390, "height": 844}
PATHS = (
    "/projects/default/models",
    "/projects/default/models/digits",
    "/projects/default/models/digits/versions/2",
    "/projects/default/datasets",
    "/projects/default/datasets/digits-train",
    "/projects/default/datasets/wide/versions/1",
    "/projects/default/audit?check=yes",
    "/search?q=digits",
)
NUMERIC = {
    "kind": "numeric",
    "n_rows": 100,
    "minimum": 1.0,
    "maximum": 9.0,
    "edges": [3.0, 6.0],
    "counts": [30, 30, 15],
}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """Give a workspace with a model that went round the wheel, and a wide data set."""
    with open_test_context(workspace_settings(tmp_path_factory.mktemp("models")), SystemClock()) as opened:
        turn_once(opened)
        models = opened.service(Models)
        models.describe(PROJECT, "digits", Description(text="# What\n\nReads *digits*"))
        models.tag(PROJECT, "digits", TagChanges(tags={"team": "vision"}))
        digest = models.version(PROJECT, "digits", 1).digest
        assert digest is not None
        new = NewDatasetVersion(
            digest=digest,
            kind=DatasetKind.ARRAYS,
            n_files=0,
            size_bytes=0,
            n_rows=100,
            profile={"columns": {f"x{i:03}": NUMERIC for i in range(130)}},
        )
        opened.service(Datasets).add(PROJECT, "wide", new)
        Sealer(opened.database, opened.clock, opened.settings.folder).tick()
        yield opened


@pytest.fixture(scope="module")
def url(context: Context) -> Iterator[str]:
    """Serve the pages of the workspace."""
    server = LiveServer()
    server.show(load_pages(), load_actions())
    with server.serving(context):
        yield server.url
    server.close()


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("language", "promote", "move", "told", "undo"),
    [
        ("en", "Promote", "Move the alias", "now means version 2", "Undo"),
        ("es", "Promover", "Mover el alias", "es ahora la versión 2", "Deshacer"),
    ],
)
def test_a_version_is_promoted_and_taken_back(
    browser: Browser, context: Context, url: str, language: str, promote: str, move: str, told: str, undo: str
) -> None:
    """From the list to the version, through the question to the notice, and back with one click."""
    page, models = browser.page, context.service(Models)
    page.goto(f"{url}/projects/default/models?lang={language}")
    page.get_by_role("link", name="digits", exact=True).first.click()
    page.get_by_role("link", name="v2", exact=True).click()
    page.get_by_role("button", name=promote).click()
    page.get_by_role("button", name=move).click()
    expect(page.locator(".notice")).to_contain_text(told)
    assert models.get(PROJECT, "digits").aliases["champion"] == 2
    page.get_by_role("button", name=undo).click()
    expect(page.locator(".notice")).to_be_visible()

    assert models.get(PROJECT, "digits").aliases["champion"] == 1


def test_a_model_is_deleted_by_its_name(browser: Browser, context: Context, url: str) -> None:
    """The page asks for the name, says when another was typed, and leads to the list."""
    context.service(Models).create(PROJECT, NewModel(name="old one"))
    page = browser.page
    page.goto(f"{url}/projects/default/models/old%20one")
    page.get_by_role("button", name="Delete the model").click()
    page.get_by_label("To go on, type").fill("old")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("This is another name")).to_be_visible()
    browser.complaints.clear()  # the browser reports the answer 422
    page.get_by_label("To go on, type").fill("old one")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".notice")).to_contain_text("The model old one is deleted")

    assert page.url == f"{url}/projects/default/models"


@pytest.mark.parametrize(
    ("language", "delete", "gone", "undo", "back"),
    [
        ("en", "Delete the version", "is deleted", "Undo", "is there again, without aliases"),
        ("es", "Eliminar la versión", "está eliminada", "Deshacer", "está de nuevo, sin alias"),
    ],
)
def test_a_deleted_version_is_brought_back_by_keys_alone(
    browser: Browser, context: Context, url: str, language: str, delete: str, gone: str, undo: str, back: str
) -> None:
    """Its name is typed, the list has it no more, and the notice's button brings it back."""
    number = Turn(context).registered().version
    page = browser.page
    page.goto(f"{url}/projects/default/models/digits/versions/{number}?lang={language}")
    page.get_by_role("button", name=delete).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#confirmed")).to_be_focused()
    page.keyboard.type(f"digits@{number}")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text(gone)
    expect(page.get_by_role("link", name=f"v{number}", exact=True)).to_have_count(0)
    page.get_by_role("button", name=undo).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text(back)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"digits v{number}")

    assert context.service(Models).version(PROJECT, "digits", number).aliases == []


def test_the_search_is_a_key_away(browser: Browser, context: Context, url: str) -> None:
    """`/`, a word, Enter and a click lead to the thing; its id leads there at once."""
    page = browser.page
    page.goto(f"{url}/projects/default/models")
    page.keyboard.press("/")
    page.keyboard.type("digits-tr")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="digits-train", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("digits-train")
    page.keyboard.press("/")
    page.keyboard.type(context.service(Models).version(PROJECT, "digits", 2).id)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("digits v2")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_nobody_is_kept_out(browser: Browser, url: str, path: str, scheme: str) -> None:
    """On a phone in either scheme axe finds nothing, and the page is no wider than the screen."""
    page = browser.page
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url + path)

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert barriers(page) == []
