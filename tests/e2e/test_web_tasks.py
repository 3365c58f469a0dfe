"""What people do on the pages of a workspace that the demo has left behind, in a real browser.

Each task is played in both languages, with the light and the dark theme, on a phone and at a desk; every page on the
way is looked at by axe, must fit the width, and no browser may complain. The demo runs once for all of them; set
`DEMO_FOLDER` to one that was run before, and `SCREENSHOTS` to a folder to keep a picture of each page.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.web.languages import Language, translations
from noria.core.web.urls import TOKENS_PATH
from noria.monitoring.service import Monitors
from noria.registry.entities import AliasTarget
from noria.registry.service import Models
from noria.server.assembly import load_actions, load_pages
from noria.serving.service import Endpoints
from noria.tracking.entities import Link, LogBatch
from noria.tracking.service import Runs
from support.axe import barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.english import english_in
from support.live_server import LiveServer
from support.processes import Processes
from support.wheel import PROJECT, turn_once

PATIENCE_S = 300.0
PHONE, DESK = 390, 1280


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How somebody reads the pages."""

    language: Language
    theme: str
    width: int

    def __str__(self) -> str:
        return f"{self.language.value}-{self.theme}-{self.width}"


LOOKS = (
    Look(language=Language.ENGLISH, theme="light", width=DESK),
    Look(language=Language.SPANISH, theme="dark", width=DESK),
    Look(language=Language.SPANISH, theme="light", width=PHONE),
    Look(language=Language.ENGLISH, theme="dark", width=PHONE),
)
"""Each language with each theme, each with each width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A workspace in which the wheel went round.

    Attributes
    ----------
    experiment, metric
        Where the best run is to be found, and by what.
    best
        Name of the best run.
    model, version
        What that run made.
    """

    context: Context
    url: str
    experiment: str
    metric: str
    best: str
    model: str
    version: int

    def champion(self) -> int | None:
        """Give the version that the alias means."""
        return self.context.service(Models).get(PROJECT, self.model).aliases.get("champion")

    def answering(self) -> int:
        """Give the version that answers most requests."""
        shares = self.context.service(Endpoints).get(PROJECT, self.model).shares
        return max(shares, key=lambda share: share.weight).version


@dataclass(slots=True)
class Person:
    """Somebody in front of a browser, who reads one language.

    Attributes
    ----------
    seen
        What was wrong with the pages that were looked at, by their names.
    is_hurried
        Whether pages are passed without being looked over, which takes most of the time.
    """

    page: Page
    store: Store
    look: Look
    seen: dict[str, object] = field(default_factory=dict)
    is_hurried: bool = False
    _number: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def words(self, text: str) -> str:
        """Give words of ours as this person reads them."""
        return translations(self.look.language).gettext(text)

    def goes_to(self, path: str) -> None:
        """Type an address."""
        self.page.goto(self.store.url + path)

    def looks(self, name: str) -> None:
        """Look the page over: barriers, and what does not fit."""
        page = self.page
        expect(page.locator("html")).to_have_attribute("lang", self.look.language.value)
        if self.is_hurried:
            return
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            path = Path(folder) / f"{name}-{self.look}.png"
            page.screenshot(path=path, full_page=True, animations="disabled")
        found = barriers(page)
        wide = page.evaluate("document.documentElement.scrollWidth")
        if found or wide > self.look.width:
            self.seen[f"{next(self._number)} {name} ({self.look})"] = (found, wide)

    def clicks(self, role: str, text: str, *, exact: bool = True, within: str = "main") -> None:
        """Click what has a role and says words of ours."""
        named = re.compile(re.escape(self.words(text))) if not exact else self.words(text)
        self.page.locator(within).get_by_role(role, name=named, exact=exact).first.click()  # type: ignore[arg-type]

    def goes_on(self, text: str) -> None:
        """Answer a question with a button."""
        self.clicks("button", text, within=".card.is-narrow")

    def undoes(self) -> None:
        """Take back what the notice tells."""
        self.clicks("button", "Undo", within=".notices")


def find_the_best_run_and_promote_it(person: Person) -> None:
    """From the overview to the best run of the table, to the version that it made, and back by the notice."""
    store, page = person.store, person.page
    before = store.champion()
    person.goes_to("/")
    person.looks("overview")
    person.clicks("link", "Experiments", within="nav.sections")
    person.looks("experiments")
    page.get_by_role("link", name=store.experiment, exact=True).click()
    heading = page.locator("thead").get_by_role("link", name=store.metric)
    heading.click()
    if "sort=-" not in page.url:
        page.locator("thead").get_by_role("link", name=store.metric).click()
    person.looks("runs")
    best = page.locator("tbody .row-link").first
    expect(best).to_have_text(store.best)
    best.click()
    person.looks("run")
    page.locator("main").get_by_role("link", name=f"{store.model}@{store.version}", exact=True).first.click()
    person.looks("version")
    person.clicks("button", "Promote")
    expect(page.locator("h1")).to_contain_text(str(store.version))
    person.looks("promote")
    person.goes_on("Move the alias")
    expect(page.locator(".notice")).to_contain_text("champion")
    assert store.champion() == store.version
    person.looks("promoted")
    person.undoes()
    expect(page.locator(".notice")).to_contain_text("champion")
    assert store.champion() == before


def understand_the_incident(person: Person) -> None:
    """From the overview to the incident and its decision; what was understood is said there, and taken back."""
    page = person.page
    person.goes_to("/")
    person.clicks("link", "Incidents", within="nav.sections")
    person.looks("incidents")
    page.locator("tbody .row-link").first.click()
    for question in ("What", "Since when", "How much", "How sure"):
        expect(
            page.locator("dl.gist dt").get_by_text(person.words(question), exact=True).first
        ).to_be_visible()
    person.looks("incident")
    said = "A **new digit**: the model had never seen it"
    page.get_by_label(person.words("Say something")).fill(said)
    person.clicks("button", "Comment")
    expect(page.locator(".comment-list strong", has_text="new digit")).to_be_visible()
    person.looks("commented")
    person.undoes()
    expect(page.locator(".comment-list")).to_have_count(0)
    person.clicks("link", "open its page")
    expect(page.locator(".findings li").first).to_be_visible()
    person.looks("decision")


def roll_back(person: Person) -> None:
    """From the endpoints to the one that answers, back to the version before, and forward again by the notice."""
    store, page = person.store, person.page
    before = store.answering()
    person.goes_to("/")
    person.clicks("link", "Endpoints", within="nav.sections")
    person.looks("endpoints")
    page.locator("tbody .row-link").first.click()
    person.looks("endpoint")
    page.locator("details.menu > summary.is-danger").click()
    # Silencing an alert on this page has a reason as well.
    page.locator("[name=reason]").fill("tried by hand")
    person.looks("roll-back-form")
    person.clicks("button", "Go on", within=".rollback")
    expect(page.locator("h1")).to_contain_text(str(before))
    person.looks("roll-back-question")
    person.goes_on("Roll back")
    expect(page.locator(".notice")).to_contain_text(store.model)
    assert store.answering() != before
    person.looks("rolled-back")
    person.undoes()
    expect(page.locator(".notice")).to_contain_text(store.model)
    assert store.answering() == before


TASKS = (find_the_best_run_and_promote_it, understand_the_incident, roll_back)


def play(browser: Browser, store: Store, look: Look, *, is_hurried: bool = False) -> None:
    """Do all tasks as one person."""
    page = browser.page
    page.set_viewport_size({"width": look.width, "height": 900})
    page.emulate_media(color_scheme="dark" if look.theme == "dark" else "light")
    page.set_extra_http_headers({"accept-language": look.language.value})
    person = Person(page, store, look, is_hurried=is_hurried)
    for task in TASKS:
        task(person)
    assert person.seen == {}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, noria_command: tuple[str, ...]) -> Iterator[Store]:
    """Run the demo, and show the workspace that it leaves."""
    kept = os.environ.get("DEMO_FOLDER")
    folder = Path(kept) if kept else _played(tmp_path_factory, noria_command)
    with open_test_context(workspace_settings(folder / ".noria"), SystemClock()) as context:
        yield from _shown(context, "train", "accuracy support vectors", "digits")


def _played(tmp_path_factory: pytest.TempPathFactory, noria_command: tuple[str, ...]) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "d"
    running = Processes(tmp_path_factory.mktemp("processes"))
    try:
        command = [*noria_command, "demo", "--seed", "1", "--folder", str(folder)]
        process = running.start(command, name="demo", cwd=folder.parent)
        assert process.wait(PATIENCE_S) == 0, process.output()
    finally:
        running.end_all()
    return folder


@pytest.fixture
def turned(tmp_path: Path) -> Iterator[Store]:
    """Write the demo's story through the services, which takes no time, and show it."""
    with open_test_context(workspace_settings(tmp_path), SystemClock()) as context:
        turn_once(context)
        made = context.service(Models).version(PROJECT, "digits", 2)
        output = LogBatch(outputs=[Link(ref=f"model:{made.ref}")])
        context.service(Runs).log(PROJECT, made.origin.run_id or "", output)
        yield from _shown(context, "train_digits", "holdout_accuracy", "digits")


def _shown(context: Context, experiment: str, metric: str, model: str) -> Iterator[Store]:
    """Serve the pages; the alias means the first version, so that the best run is one to promote."""
    models, runs = context.service(Models), context.service(Runs)
    models.set_alias(PROJECT, model, "champion", AliasTarget(version=1))
    found = runs.list(PROJECT, experiment=experiment).items
    best = max(found, key=lambda run: (run.metrics.get(metric, 0.0), run.started_at, run.id))
    made = models.versions(PROJECT, model).items
    version = next(each.version for each in made if each.origin.run_id == best.id)
    assert context.service(Monitors).alerts(PROJECT).items
    server = LiveServer()
    server.show(load_pages(), load_actions())
    try:
        with server.serving(context):
            yield Store(
                context=context,
                url=server.url,
                experiment=experiment,
                metric=metric,
                best=best.name,
                model=model,
                version=version,
            )
    finally:
        server.close()


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_tasks_are_done_after_the_demo(browser: Browser, demo: Store, look: Look) -> None:
    """Find the best run and promote it, understand the incident, roll back: whoever reads, and however."""
    play(browser, demo, look)


@pytest.mark.smoke
def test_tasks_are_done_on_a_written_story(browser: Browser, turned: Store) -> None:
    """The same tasks on a store that is made without training, as one person does them."""
    play(browser, turned, LOOKS[0], is_hurried=True)


FOUND_BY_LINKS = 60
ALIKE = 2
"""Pages of one kind that are looked at."""
SAID_BY_THE_DEMO = ("held-out images", "tried by hand")
"""By its pipeline, and by who plays the tasks: kept as it was written."""
NAMED_BY_THE_DEMO = ("accuracy", "predictions", "model", "dataset")


def test_pages_of_the_demo_speak_spanish(browser: Browser, demo: Store) -> None:
    """Whatever the links of its pages lead to, no sentence, label or hint of ours stays English."""
    page = browser.page
    page.context.set_extra_http_headers({"accept-language": "es"})
    todo, seen = ["/", "/search?q=digits"], dict[str, list[str]]()
    kinds: dict[str, int] = {}
    while todo and len(seen) < FOUND_BY_LINKS:
        path = todo.pop(0)
        kind = re.sub(r"[0-9a-f]{32}|[0-9]+", "#", path.partition("?")[0])
        if path in seen or kinds.get(kind, 0) == ALIKE:
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
        answer = page.goto(demo.url + path)
        assert answer is not None
        assert answer.status == 200 or path == TOKENS_PATH, (path, answer.status)
        seen[path] = english_in(page, Language.SPANISH, names=NAMED_BY_THE_DEMO, users=SAID_BY_THE_DEMO)
        links = page.eval_on_selector_all("a[href^='/']", "all => all.map(each => each.getAttribute('href'))")
        todo += [link for link in links if not re.search(r"^/api/|lang=|sort=|/artifacts/", link)]

    browser.complaints.clear()  # the page of tokens is refused to a visitor without the key
    assert len(seen) > FOUND_BY_LINKS / 2
    assert {path: said for path, said in seen.items() if said} == {}
