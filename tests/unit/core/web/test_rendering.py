"""Rendering: strict about names, careful about users' texts."""

from __future__ import annotations

import dataclasses
import gzip

import pytest
from jinja2 import TemplateNotFound, UndefinedError

from noria.core.web.assets import assets, find_asset, gzipped
from noria.core.web.cells import author
from noria.core.web.languages import Language
from noria.core.web.pages import Frame, Page, PageContext
from noria.core.web.rendering import compile_beside, environment, prose
from noria.core.web.urls import Urls
from noria.decisions.pages import PAGES as DECISION_PAGES
from noria.decisions.story_views import StoryContext
from noria.server.overview import OverviewContext
from noria.server.page_routes import ErrorContext
from noria.server.pages import PAGES as SERVER_PAGES

HOSTILE = "<script>alert(1)</script>"


def test_code_in_a_sentence_is_escaped_too() -> None:
    """Backticks make code, and whatever stands in them or around them stays text."""
    shown = prose(f"see `{HOSTILE}` and {HOSTILE} & `open")

    assert str(shown) == (
        "see <code>&lt;script&gt;alert(1)&lt;/script&gt;</code> and &lt;script&gt;alert(1)&lt;/script&gt; &amp; `open"
    )


@pytest.mark.parametrize("language", Language)
def test_words_of_users_are_escaped_and_never_formatted(language: Language) -> None:
    """`words` translates what is known, escapes the rest, and takes no percent sign for a placeholder."""
    template = environment(language).from_string("{{ words(text) }}")

    assert template.render(text=f"100 %(x)s {HOSTILE}") == "100 %(x)s &lt;script&gt;alert(1)&lt;/script&gt;"
    assert template.render(text="") == ""
    assert environment(Language.SPANISH).from_string("{{ words('retrain') }}").render() == "reentrenar"


def test_an_unknown_name_is_an_error() -> None:
    """A template that asks for what its context lacks fails, rather than showing nothing."""
    with pytest.raises(UndefinedError):
        environment(Language.ENGLISH).from_string("{{ page.nothing }}").render(page=PageContext())


@pytest.mark.parametrize("name", ["os/templates.html", "noria.core.web/none.html", "noria.core.web/", "../x"])
def test_templates_come_from_our_packages(name: str) -> None:
    """No other place is looked at."""
    with pytest.raises(TemplateNotFound):
        environment(Language.ENGLISH).get_template(name)


@pytest.mark.parametrize("context", [OverviewContext, StoryContext, ErrorContext, PageContext, Frame])
def test_every_field_of_a_context_is_documented(context: type[PageContext]) -> None:
    """Whoever writes a template reads in one docstring what it may use."""
    doc = context.__doc__ or ""
    named = {word.strip() for line in doc.splitlines() for word in line.split(",")}
    inherited = (
        set()
        if context in (Frame, PageContext)
        else {field.name for field in dataclasses.fields(PageContext)}
    )
    own = {field.name for field in dataclasses.fields(context)} - inherited

    assert own <= named


@pytest.mark.parametrize("page", [*SERVER_PAGES, *DECISION_PAGES], ids=lambda page: page.path)
def test_every_page_has_a_template(page: Page) -> None:
    """Each template that a page names compiles in every language."""
    for language in Language:
        assert environment(language).get_template(page.template).name == page.template


def test_templates_are_compiled_once_for_all_languages() -> None:
    """Ahead of readers: those of a page's folder and of the parts, which each language then draws by the same code."""
    n_compiled = compile_beside([page.template for page in DECISION_PAGES])
    english, spanish = (environment(each).get_template("noria.core.web/_table.html") for each in Language)

    assert n_compiled > len({page.template for page in DECISION_PAGES})
    assert english.root_render_func.__code__ is spanish.root_render_func.__code__


def test_static_files_are_found_by_the_digest_of_their_content() -> None:
    """An address names one content for ever, and no other file can be asked for."""
    urls = Urls()
    for name, asset in assets().items():
        file = urls.asset(name).rpartition("/")[2]

        assert find_asset(file) == asset
        assert len(asset.body) < (1 << 20) or name == "vendor/plotly.min.js"
        assert gzip.decompress(gzipped(file) or gzip.compress(asset.body)) == asset.body
    assert find_asset("noria.css") is None
    assert gzipped("noria.css") is None
    assert find_asset("../pages.py") is None
    assert all(
        len(asset.body) < 10_000
        for name, asset in assets().items()
        if name.endswith(".js") and "/" not in name
    )


def test_a_worker_is_told_by_the_end_of_its_id() -> None:
    """Its whole name is there for who points at it; names of people stay, and stay text."""
    worker = f"worker:{'0' * 24}eecda2ab"

    assert author(worker) == f'<span title="{worker}">worker …eecda2ab</span>'
    assert author("worker:me") == "worker:me"
    assert author("<b>ana</b>") == "&lt;b&gt;ana&lt;/b&gt;"
