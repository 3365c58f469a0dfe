"""Where the links of all pages lead, as long as everything is there and after things were deleted."""

from __future__ import annotations

import html
import re

import httpx
import pytest

from noria.core.context import Context
from noria.core.web.assets import ASSETS_PATH
from noria.data.service import Datasets
from noria.registry.service import Models
from noria.tracking.entities import RunEnd
from noria.tracking.experiments import Experiments
from noria.tracking.service import Runs
from support.examples import address, fill, paths
from support.pages import Reader, visible_text
from support.wheel import PROJECT

OTHERS = (ASSETS_PATH, "/api/", "/account/tokens")
"""Beginnings of addresses that are no pages, or are not for a visitor without the key."""


def targets(page: str) -> set[str]:
    """Give where the links of a page lead, on this server."""
    found = {html.unescape(each).partition("#")[0] for each in re.findall(r'href="([^"#][^"]*)"', page)}
    return {each for each in found if each.startswith("/") and not each.startswith(OTHERS)}


def walk(reader: Reader, example: dict[str, str]) -> dict[str, httpx.Response]:
    """Ask for every page, and for all that their links lead to."""
    begun = {address(path, example): reader.get(address(path, example)) for path in paths()}
    linked = {each for answer in begun.values() if answer.status_code == 200 for each in targets(answer.text)}
    return begun | {each: landed(reader, each) for each in sorted(linked - set(begun))}


def landed(reader: Reader, path: str) -> httpx.Response:
    """Give the answer at the end of the ways that an address leads on."""
    answer = reader.get(path)
    while answer.status_code in (302, 303):
        answer = reader.get(answer.headers["location"])
    return answer


@pytest.fixture
def example(context: Context) -> dict[str, str]:
    """Make one of everything."""
    return fill(context)


def test_every_link_leads_to_a_page(reader: Reader, example: dict[str, str]) -> None:
    """No link of any page ends in an error."""
    found = walk(reader, example)
    wrong = {
        path: answer.status_code
        for path, answer in found.items()
        if answer.status_code != 200 and "/artifacts/view" not in path
    }

    assert len(found) > 3 * len(paths())
    assert wrong == {}


def test_links_to_what_is_gone_say_so(reader: Reader, context: Context, example: dict[str, str]) -> None:
    """After runs, experiments and data were deleted, links to them tell it, and all other links are whole."""
    runs = context.service(Runs)
    for run in runs.list(PROJECT).items:
        if run.ended_at is None:
            runs.finish(PROJECT, run.id, RunEnd())
        runs.delete(PROJECT, run.id)
    for experiment in context.service(Experiments).list(PROJECT).items:
        if experiment.number:
            context.service(Experiments).delete(PROJECT, experiment.name)
    context.service(Datasets).remove(PROJECT, "digits-train")
    found = walk(reader, example)
    gone = {path: answer for path, answer in found.items() if answer.status_code != 200}
    run_page = visible_text(found[f"/projects/{PROJECT}/runs/{example['run_id']}"].text)

    assert {answer.status_code for answer in gone.values()} == {404}
    assert all("<h1" in answer.text and "html" in answer.headers["content-type"] for answer in gone.values())
    assert all("digits-train" in path or "/artifacts/view" in path for path in gone), sorted(gone)
    assert any("digits-train" in visible_text(answer.text) for answer in gone.values()), sorted(gone)
    assert "This run was deleted" in run_page
    assert context.service(Models).versions(PROJECT, "digits").items
