"""The pages of a run in a real browser: curves and files are drawn, a run that goes on is followed, forms work."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.web.assets import has_asset
from noria.server.assembly import load_actions, load_pages
from noria.tracking.artifacts import Artifacts
from noria.tracking.documents import ADAPTER
from noria.tracking.entities import Link, LogBatch, NewRun, Run, RunEnd, RunSource
from noria.tracking.point_entities import PointColumns
from noria.tracking.service import Runs
from support.axe import barriers
from support.browser import Browser
from support.conformance import open_test_context, workspace_settings
from support.live_server import LiveServer

PROJECT = "default"
PARTS = (
    "",
    "metrics?smooth=5",
    "metrics?layout=together&log=y",
    "artifacts",
    "artifacts/view?path=plots/dot.png",
    "artifacts/view?path=plots/curve.json",
    "artifacts/view?path=errors.csv",
    "artifacts/view?path=notes.md",
    "code",
    "environment",
    "system",
    "console",
    "traces",
)
needs_charts = pytest.mark.skipif(
    not has_asset("vendor/plotly.min.js"), reason="the chart library was not built in"
)


@dataclass(frozen=True, slots=True)
class Site:
    """A server with a run that has everything, and has ended."""

    url: str
    context: Context
    run: Run

    def page(self, part: str = "", *, run: Run | None = None, language: str = "en") -> str:
        """Give the address of a part of a run."""
        path, _, query = part.partition("?")
        base = f"{self.url}/projects/{PROJECT}/runs/{(run or self.run).id}"
        return f"{base}{'/' if path else ''}{path}?lang={language}{'&' if query else ''}{query}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve a workspace with a run."""
    server = LiveServer()
    server.offer(Artifacts)
    server.adapt(ADAPTER)
    server.show(load_pages(), load_actions())
    settings = workspace_settings(tmp_path_factory.mktemp("runs"))
    with open_test_context(settings, SystemClock()) as context, server.serving(context):
        yield Site(server.url, context, full_run(context))
    server.close()


def full_run(context: Context) -> Run:
    """Make a run that has something on each page."""
    runs = context.service(Runs)
    parent = runs.create(PROJECT, NewRun(experiment="digits", name="search"))
    source = RunSource(git_commit="8f4b2c1d9e7a", git_dirty=True, command="python train.py", host="gpu-04")
    new = NewRun(
        experiment="digits",
        name="extra trees",
        parent=parent.id,
        params={"depth": "8", "features": json.dumps([*range(200)])},
        tags={"team": "vision", "mlflow.user": "ana"},
        source=source,
    )
    run = runs.create(PROJECT, new)
    runs.create(PROJECT, NewRun(experiment="digits", name="fold 1", parent=run.id))
    curves = {
        "loss": [math.exp(-i / 200) + 0.05 * math.sin(i) for i in range(2_000)],
        "accuracy": [1 - math.exp(-i / 200) for i in range(500)],
        "system/cpu_utilization_percentage": [50 + 10 * math.sin(i / 5) for i in range(30)],
        "system/energy_joules": [40.0 * i for i in range(30)],
    }
    note = "# Why\n**because** [it](https://x.example)\n\n| a | b |\n|--|--|\n| 1 | 2 |"
    batch = LogBatch(
        points={key: points(run, values) for key, values in curves.items()},
        tags={"mlflow.note.content": note, "noria.energy_source": "rapl"},
        inputs=[Link(ref="dataset:digits-train@2")],
        outputs=[Link(ref="model:digits@3")],
    )
    runs.log(PROJECT, run.id, batch)
    for path, data in files().items():
        context.service(Artifacts).put(PROJECT, [data], of=f"run:{run.id}", path=path)
    return runs.finish(PROJECT, run.id, RunEnd())


def points(run: Run, values: list[float]) -> PointColumns:
    """Give points ten milliseconds apart."""
    begin = int(run.started_at.timestamp() * 1e6)
    return PointColumns(
        steps=list(range(len(values))), at=[begin + 10_000 * i for i in range(len(values))], values=values
    )


def files() -> dict[str, bytes]:
    """Give files of several kinds."""
    figure = {"data": [{"type": "bar", "x": ["a", "b"], "y": [1, 2]}], "layout": {"title": {"text": "F"}}}
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20"/></svg>'
    )
    log = "".join(f"\x1b[2m{i}\x1b[0m \x1b[32mINFO\x1b[0m epoch\n" for i in range(900))
    script = "let seen = 'alone'; try { seen = localStorage.length } catch {} p.textContent = seen"
    return {
        "report.html": f"<p id=p></p><script>{script}</script>".encode(),
        "plots/dot.png": dot(),
        "plots/dot.svg": svg,
        "plots/curve.json": json.dumps(figure).encode(),
        "errors.csv": b"index,share\n" + b"".join(b"%d,0.5\n" % i for i in range(200)),
        "notes.md": b"# Notes\n- a\n- b",
        "noria/uncommitted.diff": b"--- a/t.py\n+++ b/t.py\n@@ -1,2 +1,2 @@\n-old\n+new\n same\n",
        "noria/requirements.txt": b"# CPython 3.12 on Linux\nnumpy==2.1\nscipy==1.14\n",
        "noria/console.log": f"{log}\x1b[1;31mERROR\x1b[0m the end\n".encode(),
    }


def dot() -> bytes:
    """Give an image of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)

    head = (1).to_bytes(4) + (1).to_bytes(4) + b"\x08\x02\x00\x00\x00"
    pixel = chunk(b"IDAT", zlib.compress(b"\x00\xff\x00\x00"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixel + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("language", "scheme", "width"), [("en", "light", 1280), ("es", "dark", 390)], ids=["desk", "phone"]
)
def test_each_part_keeps_nobody_out(
    browser: Browser, site: Site, language: str, scheme: str, width: int
) -> None:
    """On every page of a run axe finds nothing, and nothing is wider than the screen."""
    page = browser.page
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    found = {}
    for part in PARTS:
        page.goto(site.page(part, language=language))
        expect(page.locator("h1")).to_have_text("extra trees")
        wide = page.evaluate("document.documentElement.scrollWidth") > width
        found[part] = [*barriers(page), *(["wider than the screen"] if wide else [])]

    assert {part: wrong for part, wrong in found.items() if wrong} == {}


@needs_charts
def test_curves_figures_and_images_are_drawn(browser: Browser, site: Site) -> None:
    """Under the strict policy curves are drawn as asked for, a user's figure too, and images are loaded."""
    page = browser.page
    page.goto(site.page("metrics"))
    expect(page.locator("#curves .main-svg").first).to_be_visible(timeout=20_000)
    page.get_by_label("Smoothing").select_option("5")
    page.get_by_label("In one chart").check()
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("accuracy, mean over 5 % of the points").first).to_be_visible()
    page.goto(site.page("artifacts"))
    page.get_by_text("plots/").click()
    page.get_by_role("link", name="curve.json").click()
    expect(page.locator(".user-figure .main-svg").first).to_be_visible()
    sizes = []
    for name in ("dot.png", "dot.svg"):
        page.goto(site.page(f"artifacts/view?path=plots/{name}"))
        image = page.get_by_role("img", name=name)
        expect(image).to_be_visible()
        sizes.append(image.evaluate("image => image.decode().then(() => image.naturalWidth)"))

    assert sizes == [1, 40]


def test_a_document_draws_and_belongs_to_nobody(browser: Browser, site: Site) -> None:
    """Opened alone, a script in a run's HTML runs, and finds itself without a site."""
    page = browser.page
    page.goto(site.page("artifacts/view?path=report.html"))
    expect(page.get_by_text("localStorage")).to_be_visible()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open it alone").click()
    expect(opened.value.locator("p")).to_have_text("alone")


def test_a_run_that_goes_on_is_followed(browser: Browser, site: Site) -> None:
    """New figures and output appear without a reload; the console stays at its end, and says when the run ended."""
    runs, artifacts = site.context.service(Runs), site.context.service(Artifacts)
    run = runs.create(PROJECT, NewRun(experiment="digits", name="going on"))
    page = browser.page
    page.goto(site.page(run=run))
    expect(page.get_by_text("No metric was logged yet")).to_be_visible()
    runs.log(PROJECT, run.id, LogBatch(points={"loss": points(run, [0.25])}, tags={"a": "b"}))
    expect(page.get_by_role("link", name="loss")).to_be_visible(timeout=20_000)
    lines = "".join(f"line {i}\n" for i in range(900))
    artifacts.put(PROJECT, [lines.encode()], of=f"run:{run.id}", path="noria/console.log")
    page.goto(site.page("console", run=run))
    expect(page.get_by_text("line 899")).to_be_in_viewport()
    artifacts.put(PROJECT, [f"{lines}the last\n".encode()], of=f"run:{run.id}", path="noria/console.log")
    expect(page.get_by_text("the last")).to_be_in_viewport(timeout=20_000)
    runs.finish(PROJECT, run.id, RunEnd())
    expect(page.locator("#run-state").get_by_text("finished")).to_be_visible(timeout=20_000)
    page.goto("about:blank")
    # A look that was under way when the page was left.
    browser.complaints[:] = [each for each in browser.complaints if not each.startswith("failed:")]


def test_a_run_is_tagged_renamed_and_deleted_in_spanish(browser: Browser, site: Site) -> None:
    """Forms open where they are needed, the notice takes a change back, and deleting asks first."""
    runs = site.context.service(Runs)
    run = runs.create(PROJECT, NewRun(experiment="digits", name="vieja"))
    runs.finish(PROJECT, run.id, RunEnd())
    page = browser.page
    page.goto(site.page(run=run, language="es"))
    page.get_by_text("Añadir una etiqueta").click()
    page.get_by_label("Clave").fill("equipo")
    page.get_by_label("Valor").fill("visión")
    page.get_by_role("button", name="Poner la etiqueta").click()
    expect(page.get_by_text("La etiqueta equipo se ha puesto")).to_be_visible()
    page.get_by_role("button", name="Quitar la etiqueta equipo").click()
    page.get_by_role("button", name="Deshacer").click()
    page.locator("#rename summary").click()
    page.get_by_label("Nombre").fill("nueva")
    page.locator("#rename").get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("nueva")
    page.get_by_role("button", name="Borrar").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("¿Borrar la ejecución nueva?")
    page.get_by_role("button", name="Borrar").click()
    expect(page.get_by_text("Esta ejecución se borró")).to_be_visible()
    page.get_by_role("button", name="Restaurar").click()
    expect(page.get_by_text("La ejecución nueva se ha restaurado")).to_be_visible()

    assert runs.get(PROJECT, run.id).tags == {"equipo": "visión"}
