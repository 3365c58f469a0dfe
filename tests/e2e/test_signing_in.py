"""Signing in, the account and tokens in a real browser: by keyboard, in both languages and all themes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from noria.access.entities import NewUser
from noria.access.projects import NewProject, Projects
from noria.access.tables import sessions
from noria.access.tokens import Tokens
from noria.access.users import Users
from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.permissions import Role
from noria.server.assembly import load_actions, load_pages
from support.axe import barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.live_server import LiveServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

PASSWORD = "correct horse battery"
PHONE = {"width": 390, "height": 844}


@dataclass(frozen=True, slots=True)
class Site:
    """A closed server with a user `ana`."""

    url: str
    context: Context


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Serve a workspace that asks to sign in."""
    server = LiveServer()
    server.show(load_pages(), load_actions())
    with open_test_context(workspace_settings(tmp_path), SystemClock()) as context, server.serving(context):
        context.service(Projects).create(NewProject(name="energy"))
        context.service(Users).create(NewUser(name="ana", password=PASSWORD, role=Role.ADMIN))
        server.is_open = False
        yield Site(server.url, context)
    server.close()


def sign_in(page: Page) -> None:
    """Type name and password, and the key that sends them."""
    page.keyboard.type("ana")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")


@pytest.mark.smoke
def test_a_person_signs_in_makes_a_token_and_leaves(browser: Browser, site: Site) -> None:
    """From a page that was asked for to the sign-in and back; a token is made, seen once, revoked; and out."""
    page = browser.page
    page.goto(f"{site.url}/account/tokens")
    expect(page.get_by_label("Name")).to_be_focused()
    sign_in(page)
    page.wait_for_url("**/account/tokens")
    page.get_by_label("Name").fill("nightly")
    page.get_by_label("Project").select_option("energy")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_role("status").first).to_contain_text("This is the token nightly")
    expect(page.locator(".notice code").last).to_contain_text("noria_")
    page.reload()
    expect(page.locator(".notice")).to_have_count(0)
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Revoke the token nightly?")
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("The token nightly is revoked")).to_be_visible()
    page.get_by_label("Account of ana").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out")).to_be_visible()
    page.go_back()
    page.reload()

    assert "/sign-in" in page.url
    assert site.context.service(Tokens).list().items == []


def test_a_long_form_outlives_its_session(browser: Browser, site: Site) -> None:
    """Whoever is signed out while filling in a form signs in again, looks it over, and sends it."""
    page = browser.page
    page.goto(f"{site.url}/account/tokens")
    sign_in(page)
    page.wait_for_url("**/account/tokens")
    page.get_by_label("Name").fill("long thought")
    page.get_by_label("Name").fill("nightly")
    page.get_by_label("Permissions").fill("runs.read runs.write")
    with site.context.database.write() as connection:
        connection.execute(sa.delete(sessions))
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("what you typed is kept")).to_be_visible()
    sign_in(page)
    expect(page.get_by_text("runs.read runs.write")).to_be_visible()
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_text("This is the token nightly")).to_be_visible()
    browser.complaints.clear()  # the browser reports the 401 that led to the sign-in

    (token,) = site.context.service(Tokens).list().items
    assert token.permissions == ["runs.read", "runs.write"]


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_nobody_is_kept_out(browser: Browser, site: Site, language: str, theme: str) -> None:
    """On a phone nothing is wider than the screen, and axe finds no barrier on any of the pages or questions."""
    page = browser.page
    page.context.add_cookies(
        [
            {"name": f"noria_{name}", "value": value, "url": site.url}
            for name, value in (("theme", theme), ("language", language))
        ]
    )
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    found = {}

    def look(name: str) -> None:
        wide = page.evaluate("document.documentElement.scrollWidth") - PHONE["width"]
        found[name] = [*barriers(page), *(["too wide"] if wide > 0 else [])]

    page.goto(f"{site.url}/account")
    look("sign-in")
    page.keyboard.type("ana")
    page.locator("[name=password]").fill("wrong password")
    page.keyboard.press("Enter")
    page.locator("[role=alert]").wait_for()
    look("wrong password")
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/account")
    look("account")
    page.goto(f"{site.url}/account/tokens")
    look("no tokens")
    page.locator("[name=name]").fill("bad name")
    page.locator("[name=days]").fill("9000")
    page.locator("[name=days]").press("Enter")
    page.locator(".field-error").wait_for()
    look("wrong days")
    page.locator("[name=name]").fill("a" * 120)
    page.locator("[name=days]").fill("9")
    page.locator("[name=days]").press("Enter")
    page.locator(".notice.is-good").wait_for()
    look("a token")
    page.locator("td .button").click()
    page.locator("[name=confirmed]").wait_for(state="attached")
    look("a question")
    browser.complaints.clear()  # the browser reports the 401 and the 422 that were asked for

    assert {name: told for name, told in found.items() if told} == {}


def test_a_live_page_tells_that_the_sign_in_has_ended(browser: Browser, site: Site) -> None:
    """A page that stands open says so, keeps what it shows, and leads to the sign-in when it is loaded again."""
    page = browser.page
    page.goto(site.url)
    sign_in(page)
    expect(page.get_by_text("No model has been registered yet")).to_be_visible()
    with site.context.database.write() as connection:
        connection.execute(sa.delete(sessions))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#live-words")).to_have_text(
        "Your sign-in has ended: load the page again", timeout=20_000
    )
    expect(page.get_by_text("No model has been registered yet")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    browser.complaints.clear()  # the browser reports the 401s of a session that was ended
