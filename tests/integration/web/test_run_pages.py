"""The pages of a run over real HTTP: what they show, what they do, and what they keep from running."""

from __future__ import annotations

import base64
import json
import math
import random
import re
from array import array
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.permissions import Principal, Role
from noria.tracking.artifacts import Artifacts
from noria.tracking.compaction import compact_run
from noria.tracking.documents import ADAPTER
from noria.tracking.entities import (
    Dataset,
    Link,
    LogBatch,
    NewRun,
    Run,
    RunEnd,
    RunSource,
    RunStatus,
)
from noria.tracking.point_entities import PointColumns
from noria.tracking.run_views import RunViews
from noria.tracking.service import Runs
from noria.tracking.traces.entities import NewTrace, TraceState
from noria.tracking.traces.service import Traces
from support.pages import Reader, form_in, forms_in, visible_text

PROJECT = "default"
PARTS = ("", "metrics", "artifacts", "code", "environment", "system", "console", "traces")
HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}%(n)s`<b>`"
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)


def make(context: Context, **fields: object) -> Run:
    """Start a run."""
    return context.service(Runs).create(PROJECT, NewRun(experiment="digits", **fields))  # type: ignore[arg-type]


def keep(context: Context, run: Run, path: str, data: bytes) -> None:
    """Keep a file of a run."""
    context.service(Artifacts).put(PROJECT, [data], of=f"run:{run.id}", path=path)


def log(context: Context, run: Run, **batch: object) -> None:
    """Log to a run."""
    context.service(Runs).log(PROJECT, run.id, LogBatch(**batch))  # type: ignore[arg-type]


def curve(run: Run, values: list[float], *, every_s: float = 1.0) -> PointColumns:
    """Give points a second apart."""
    begin = int(run.started_at.timestamp() * 1e6)
    return PointColumns(
        steps=list(range(len(values))),
        at=[begin + int(1e6 * every_s * i) for i in range(len(values))],
        values=values,
    )


def page_of(run: Run, part: str = "") -> str:
    """Give the address of a run's page."""
    return f"/projects/{PROJECT}/runs/{run.id}" + (f"/{part}" if part else "")


@BOTH
def test_a_run_is_shown_with_all_that_it_holds(reader: Reader, context: Context) -> None:
    """Params, metrics with their range, tags, description, data, models, parent and children stand on one page."""
    parent = make(context, name="search")
    source = RunSource(git_commit="8f4b2c1d9e7a60", git_dirty=True, host="gpu-04")
    run = make(
        context, name="trees", parent=parent.id, params={"depth": "8"}, tags={"team": "vision"}, source=source
    )
    child = make(context, name="fold 1", parent=run.id)
    log(
        context,
        run,
        points={"loss": curve(run, [4.0, 0.25, math.nan, 0.5]), "system/cpu": curve(run, [1.0])},
        tags={"mlflow.note.content": "# Why\n**because**", "mlflow.user": "ana"},
        inputs=[Link(ref="dataset:digits-train@2")],
        outputs=[Link(ref="model:digits@3"), Link(ref="logged-model:m-1")],
        datasets=[Dataset(name="digits", digest="abc", tags={"mlflow.data.context": "training"})],
    )
    shown = reader.text(page_of(run))
    html = reader.get(page_of(run)).text

    for told in (
        "loss 0.5 0.25 4 3",
        "depth 8",
        "team vision",
        "data set digits-train@2",
        "model digits@3",
        "logged model m-1",
        "digits training abc",
        "Started inside search",
        "fold 1",
        "8f4b2c1d9e with changes",
        "running",
        "1 tag of programs mlflow.user ana",
    ):
        assert told in shown
    assert "<strong>because</strong>" in html
    assert "system/cpu" not in shown
    assert f'href="/projects/{PROJECT}/datasets/digits-train/versions/2"' in html
    assert f'href="/projects/{PROJECT}/models/digits/versions/3"' in html
    assert f'href="{page_of(child)}"' in html
    assert f'href="{page_of(parent)}"' in html


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("ended", [True, False])
def test_a_run_without_anything_has_pages(reader: Reader, context: Context, part: str, ended: bool) -> None:
    """Each part says that there is nothing, and what would be there; only a run that goes on is looked at again."""
    run = make(context)
    if ended:
        context.service(Runs).finish(PROJECT, run.id, RunEnd())
    answer = reader.get(page_of(run, part), language="es")

    assert answer.status_code == 200
    beside_comments = answer.text.replace('id="comments-said" data-live', "")
    assert ("data-live" in beside_comments) is not ended
    assert 'lang="es"' in answer.text


class Tags(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value or "" for name, value in attrs if name in ("href", "src")}


def hostile_run(context: Context) -> Run:
    """Make a run that holds markup wherever somebody can write any."""
    source = RunSource(git_commit=HOSTILE, git_dirty=True, command=HOSTILE, python=HOSTILE, host=HOSTILE)
    run = make(context, name=HOSTILE, params={"p": HOSTILE}, tags={"t": HOSTILE}, source=source)
    context.service(Runs).create(PROJECT, NewRun(experiment=HOSTILE, name=HOSTILE, parent=run.id))
    begin = int(run.started_at.timestamp() * 1e6)
    log(
        context,
        run,
        points={"loss": PointColumns(steps=[0], at=[begin], values=[1.0])},
        tags={
            "noria.error": HOSTILE,
            "mlflow.note.content": f"{HOSTILE}\n[l](javascript:alert(1))",
            "mlflow.source.git.repoURL": f"javascript:alert(1) {HOSTILE}",
            "noria.energy_source": HOSTILE,
        },
        inputs=[Link(ref="dataset:<script>@1"), Link(ref="javascript:alert(1)")],
        outputs=[Link(ref='model:"><img/src=x>@1')],
        datasets=[
            Dataset(
                name=HOSTILE,
                digest="a",
                source_type=HOSTILE,
                schema=HOSTILE,
                tags={"mlflow.data.context": HOSTILE},
            )
        ],
    )
    keep(context, run, "noria/uncommitted.diff", f"@@ -1 +1 @@\n-{HOSTILE}\n+{HOSTILE}\n".encode())
    keep(context, run, "noria/requirements.txt", f"# {HOSTILE}\na==1\nb @ javascript:{HOSTILE}\n".encode())
    keep(context, run, "noria/console.log", f"\x1b[31m{HOSTILE}\x1b[0m\x1b]8;;javascript:1\x07l\n".encode())
    trace = NewTrace(
        id="tr-" + "1" * 32,
        experiment=context.service(Runs).locate(run.id).experiment_number,
        started_at=run.started_at,
        state=TraceState.OK,
        name=HOSTILE,
        request=HOSTILE,
        response=HOSTILE,
        metadata={"mlflow.sourceRun": run.id},
    )
    context.service(Traces).record(PROJECT, trace)
    return run


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_users_write_stays_text(reader: Reader, context: Context, language: str) -> None:
    """Markup in any field of a run is shown as text, on every page of it."""
    run = hostile_run(context)
    for part in PARTS:
        assert_harmless(reader, page_of(run, part), language)
    shown = reader.text(page_of(run, "traces"), language=language)

    assert HOSTILE in reader.text(page_of(run, "code"), language=language)
    assert shown.count("onerror=alert(1)") >= 4  # head, name, request, response


FILES = {
    f"a/{'<img src=x onerror=alert(1)>'}.txt": HOSTILE.encode(),
    "a.md": f"{HOSTILE}\n[l](javascript:alert(1)) ![i](http://x.example/i.png)".encode(),
    "a.csv": f'a,"{HOSTILE.replace(chr(34), chr(34) * 2)}"\n1,<b>x</b>\n'.encode(),
    "t.json": json.dumps({"columns": [HOSTILE], "data": [[HOSTILE], [{"<b>": 1}], []]}).encode(),
    "f.json": json.dumps({"data": [{"name": HOSTILE}], "layout": {"title": HOSTILE}}).encode(),
    "j.json": json.dumps({HOSTILE: HOSTILE}).encode(),
    "a.diff": HOSTILE.encode(),
    "a.log": f"\x1b[1m{HOSTILE}".encode(),
    "a.html": b"<script>alert(1)</script><b>x</b>",
    "a.svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>',
    "a.pkl": b"\x80\x04\x00",
    "a.parquet": b"PAR1",
    "empty.csv": b"",
    "broken.json": b'{"columns": ',
    "deep.json": b"[" * 5000 + b"]" * 5000,
    "cut.txt": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("path", FILES)
def test_no_file_runs_in_a_page(reader: Reader, context: Context, path: str) -> None:
    """Whatever a file holds, its page shows it as text, table or image; opened by itself it is an attachment."""
    run = make(context)
    keep(context, run, path, FILES[path])
    tree = Tags()
    tree.feed(reader.get(page_of(run, "artifacts")).text)
    (link,) = [each for each in tree.links if "/artifacts/view?" in each]
    parsed = assert_harmless(reader, link, "en")
    (download,) = {each for each in parsed.links if "/artifacts/file?" in each}
    reader.server.offer(Artifacts)
    got = reader.get(download)

    assert got.content == FILES[path]
    assert got.headers["content-disposition"].startswith("attachment")
    assert "default-src 'none'" in got.headers["content-security-policy"]
    assert got.headers["x-content-type-options"] == "nosniff"
    assert not got.headers["content-type"].startswith("text/")


def test_a_document_is_shown_alone_without_power(reader: Reader, context: Context) -> None:
    """HTML comes inline only into a sandbox that has no site, loads nothing and sends nothing; nothing else does."""
    run = make(context)
    keep(context, run, "r&d/report 1.HTML", b"<script>alert(1)</script>")
    keep(context, run, "a.svg", b"<svg/>")
    reader.server.adapt(ADAPTER)
    reader.server.tokens["stranger"] = Principal(name="ben", project_roles={"other": Role.ADMIN})
    page = Tags()
    page.feed(reader.get(page_of(run, "artifacts/view?path=r%26d/report 1.HTML")).text)
    (link,) = [each for each in page.links if each.startswith("/documents/")]
    shown = reader.get(link)
    policy = shown.headers["content-security-policy"]
    others = [reader.get(link.replace("r%26d/report%201.HTML", path)) for path in ("a.svg", "none.html")]

    assert (shown.status_code, shown.content) == (200, b"<script>alert(1)</script>")
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert policy.startswith("sandbox allow-scripts; default-src 'none'; ")
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy
    assert [each.status_code for each in others] == [400, 404]
    assert all(each.headers["content-type"].startswith("text/plain") for each in others)
    assert reader.get(link, token="stranger").status_code in (403, 404)


def assert_harmless(reader: Reader, path: str, language: str) -> Tags:
    """Ask for a page and see that nothing of a user's became markup."""
    answer = reader.get(path, language=language)
    parsed = Tags()
    parsed.feed(answer.text)

    assert answer.status_code == 200, answer.text
    assert "<script>" not in answer.text
    assert not parsed.tags & {"b", "iframe", "object", "embed"}
    assert not {name for name in parsed.attributes if name.startswith("on") or name == "style"}
    assert not {link for link in parsed.links if not re.match(r"[/?#]|http://x\.example|$", link)}
    assert "&gt;49%" not in answer.text
    return parsed


def test_long_names_and_values_fit(reader: Reader, context: Context) -> None:
    """A name of 500 characters, a param of 6,000 and a key of 250 are shown whole."""
    run = make(context, name="n" * 500, params={"k" * 250: "v" * 6000})
    shown = reader.text(page_of(run))

    assert "n" * 500 in shown
    assert "k" * 250 in shown
    assert "v" * 6000 in shown


def test_many_metrics_and_params_come_in_parts(reader: Reader, context: Context) -> None:
    """A hundred of each are shown at first; a link leads to all. Curves come twelve at a time."""
    run = make(context, params={f"p{i:03d}": "x" for i in range(150)})
    log(context, run, points={f"m{i:03d}": curve(run, [1.0]) for i in range(30)})
    first = reader.get(page_of(run)).text
    pages = [reader.get(page_of(run, "metrics")).text]
    while (found := re.search(r'rel="next" href="([^"]+)"', pages[-1])) is not None:
        pages.append(reader.get(found[1].replace("&amp;", "&")).text)

    assert "p099" in visible_text(first)
    assert "p100" not in visible_text(first)
    assert "p149" in reader.text(f"{page_of(run)}?show=all")
    assert [page.count("data-figure=") for page in pages] == [12, 12, 6]


def figures(html: str) -> list[dict[str, object]]:
    """Give the figures in a page."""
    return [json.loads(each) for each in Figures.of(html)]


class Figures(HTMLParser):
    """Collects the figures of charts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name == "data-figure"]

    @classmethod
    def of(cls, html: str) -> list[str]:
        parser = cls()
        parser.feed(html)
        return parser.found


def traces_of(html: str) -> list[dict[str, object]]:
    """Give the curves of the only figure in a page."""
    (figure,) = figures(html)
    data: list[dict[str, object]] = figure["data"]  # type: ignore[assignment]
    return [{**trace, "x": unpacked(trace["x"]), "y": unpacked(trace["y"])} for trace in data]


def unpacked(values: object) -> object:
    """Read numbers as the chart library does: base64 of doubles, or a plain list."""
    if isinstance(values, dict):
        return list(array("d", base64.b64decode(values["bdata"])))
    return values


def test_curves_are_drawn_as_asked_for(reader: Reader, context: Context) -> None:
    """Across steps, seconds or moments; smoothed under a name that says so; logarithmic; together."""
    run = make(context)
    log(context, run, points={"a": curve(run, [float(i % 7) for i in range(500)], every_s=2.0)})
    log(context, run, points={"b": curve(run, [5.0, 6.0])})
    base = page_of(run, "metrics")
    plain = traces_of(reader.get(f"{base}?key=a").text)
    relative = traces_of(reader.get(f"{base}?key=b&x=relative").text)
    moments = traces_of(reader.get(f"{base}?key=b&x=time").text)
    smooth = traces_of(reader.get(f"{base}?key=a&smooth=10").text)
    together = reader.get(f"{base}?key=a&key=b&layout=together&log=y").text
    second = run.started_at + timedelta(seconds=1)

    assert [len(plain), plain[0]["x"][-1]] == [1, 499]  # type: ignore[index]
    assert relative[0]["x"] == [0.0, 1.0]
    assert moments[0]["x"][1] == second.isoformat()  # type: ignore[index]
    assert [each["name"] for each in smooth] == ["value", "value, mean over 10 % of the points"]
    assert smooth[1]["y"][250] == pytest.approx(3.0, abs=0.1)  # type: ignore[index]
    assert [each["name"] for each in traces_of(together)] == ["a", "b"]
    assert figures(together)[0]["layout"]["yaxis"]["type"] == "log"  # type: ignore[index]
    assert "500 points" in reader.text(f"{base}?key=a&smooth=10")


@pytest.mark.parametrize(
    ("part", "status", "told"),
    [
        ("metrics?key=los", 400, "Did you mean loss ?"),
        ("metrics?x=banana", 400, "`x=banana`"),
        ("metrics?smooth=99", 400, "`smooth=99`"),
        ("console?before=-1", 400, "is no place in the output"),
        ("artifacts/view?path=../../etc/passwd", 400, "cannot be the path of an artifact"),
        ("artifacts/view?path=gone.txt", 404, "has no artifact gone.txt"),
        ("metrics?ley=loss", 400, "Did you mean key ?"),
    ],
)
def test_wrong_addresses_say_the_mend(
    reader: Reader, context: Context, part: str, status: int, told: str
) -> None:
    """What an address asks for and is not there is named."""
    run = make(context)
    log(context, run, points={"loss": curve(run, [1.0])})
    answer = reader.get(page_of(run, part))

    assert answer.status_code == status
    assert told.replace("`", "") in visible_text(answer.text)


def test_runs_that_are_not_here_say_where(reader: Reader, context: Context) -> None:
    """A run of another project, one that never was, and one that was purged have pages that say so."""
    context.service(Projects).create(NewProject(name="other"))
    other = context.service(Runs).create("other", NewRun())
    elsewhere = reader.get(page_of(other))
    reader.server.tokens["t"] = Principal(name="ana", project_roles={PROJECT: Role.VIEWER})
    unseen = reader.get(page_of(other), token="t")
    nowhere = reader.get(f"/projects/{PROJECT}/runs/{'0' * 32}/metrics")
    no_id = reader.get(f"/projects/{PROJECT}/runs/%3Cb%3E")

    assert {each.status_code for each in (elsewhere, unseen, nowhere, no_id)} == {404}
    assert f"It is in the project other : /projects/other/runs/{other.id}" in visible_text(elsewhere.text)
    assert "It is in" not in unseen.text
    assert "has no run" in visible_text(nowhere.text)
    assert "<b>" not in no_id.text


def test_the_console_is_read_from_its_end(reader: Reader, context: Context) -> None:
    """The last lines are shown first, colours as classes; pages before them lose no line and repeat none."""
    run = make(context)
    lines = [f"line {i:05d} \x1b[32mok\x1b[0m {'.' * (i % 90)}" for i in range(6_000)]
    keep(context, run, "noria/console.log", "".join(f"{line}\n" for line in lines).encode())
    pages = [reader.get(page_of(run, "console")).text]
    while (found := re.search(r'rel="prev" href="([^"]+)"', pages[0])) is not None:
        pages.insert(0, reader.get(found[1].replace("&amp;", "&")).text)
    shown = [number for page in pages for number in re.findall(r"line (\d{5})", page)]
    later = re.search(r'rel="next" href="([^"]+)"', pages[0])

    assert shown == [f"{i:05d}" for i in range(6_000)]
    assert len(pages) > 3
    assert '<span class="ansi-green">ok</span>' in pages[-1]
    assert "line 05999" in pages[-1]
    assert later is not None
    assert reader.get(later[1].replace("&amp;", "&")).status_code == 200


def test_code_environment_and_machine_are_told(reader: Reader, context: Context) -> None:
    """Command and diff, packages that a search finds, curves of the machine with their energy."""
    run = make(context, source=RunSource(command="python t.py", git_commit="abc123", git_dirty=True))
    keep(context, run, "noria/uncommitted.diff", b"--- a\n+++ b\n@@ -1 +1,2 @@\n-old\n+new\n+more\n")
    lock = b"# CPython 3.12.3 on Linux\nnumpy==2.1\nscipy==1.14\nmine @ file:///a  # 0.1\n"
    keep(context, run, "noria/requirements.txt", lock)
    joules = {"system/energy_joules": curve(run, [0.0, 7200.0])}
    log(context, run, points=joules, tags={"noria.energy_source": "rapl"})
    code = reader.text(page_of(run, "code"))
    found = reader.text(page_of(run, "environment") + "?q=NUM")
    machine = reader.text(page_of(run, "system"), language="es")

    assert "python t.py" in code
    assert "+2 −1" in code
    assert "1 of 3 packages · CPython 3.12.3 on Linux" in found
    assert "numpy 2.1" in found
    assert "scipy" not in found
    assert "2 Wh" in machine
    assert "contada por el procesador" in machine


@BOTH
def test_traces_of_a_run_are_its_own(reader: Reader, context: Context) -> None:
    """Only traces that name the run as their source are listed."""
    run, other = make(context), make(context)
    number = context.service(Runs).locate(run.id).experiment_number
    for digit, source in (("1", run), ("2", other)):
        trace = NewTrace(
            id="tr-" + digit * 32,
            experiment=number,
            started_at=run.started_at,
            state=TraceState.ERROR,
            duration_ms=1500,
            name=f"of {source.id}",
            metadata={"mlflow.sourceRun": source.id},
        )
        context.service(Traces).record(PROJECT, trace)
    shown = reader.text(page_of(run, "traces"))

    assert f"of {run.id} ✕ error" in shown
    assert f"of {other.id}" not in shown


@BOTH
def test_a_run_is_named_tagged_and_described(reader: Reader, context: Context) -> None:
    """Forms change a run; the notice takes each change back."""
    runs = context.service(Runs)
    run = make(context, name="old", tags={"team": "a"})
    path = page_of(run)
    renamed = reader.follow(reader.send(reader.form(path, f"{path}/rename", name="rename"), name="new"))
    undone = reader.send(reader.form(path, f"{path}/rename", name="rename"), name="newer")
    undo = reader.get(undone.headers["location"]).text
    back = reader.send(form_in(undo, f"{path}/rename", name="undo"))
    tag = reader.form(path, f"{path}/tag", name="tag")
    told = reader.follow(reader.send(tag, key="team", value="b"))
    reader.send(tag, key="note", value="")
    untag = next(form for form in forms_in(reader.get(path).text) if form.fields.get("key") == ["note"])
    removed = reader.follow(reader.send(untag))
    described = reader.send(reader.form(path, f"{path}/describe", name="describe"), text="**x**")

    assert "The run is now called new" in renamed
    assert (undone.status_code, back.status_code, described.status_code) == (303, 303, 303)
    assert "The tag team is set" in told
    assert "The tag note is removed" in removed
    found = runs.get(PROJECT, run.id)
    assert found.name == "new"
    assert found.tags == {"team": "b", "mlflow.note.content": "**x**"}


def test_a_tag_is_neither_written_over_nor_removed_unseen(reader: Reader, context: Context) -> None:
    """A value that another set since the page was read is told; what is not touched is no hindrance."""
    runs = context.service(Runs)
    run = make(context, name="old", tags={"team": "a"})
    path = page_of(run)
    page = reader.get(path).text
    setting = form_in(page, f"{path}/tag", name="tag")
    removing = next(form for form in forms_in(page) if form.fields.get("key") == ["team"])
    runs.log(PROJECT, run.id, LogBatch(tags={"team": "theirs", "stage": "theirs"}))
    refused = [reader.send(setting, key="stage", value="mine"), reader.send(removing)]

    assert [answer.status_code for answer in refused] == [409, 409]
    assert "Stands there now: theirs" in visible_text(refused[0].text)
    assert reader.send(setting, key="other", value="new").status_code == 303
    assert runs.get(PROJECT, run.id).tags == {"team": "theirs", "stage": "theirs", "other": "new"}


def test_a_description_is_not_written_over_unseen(reader: Reader, context: Context) -> None:
    """Who sends a description that somebody changed meanwhile sees both; sending again overwrites."""
    run = make(context)
    path = page_of(run)
    form = reader.form(path, f"{path}/describe", name="describe")
    log(context, run, tags={"mlflow.note.content": "theirs"})
    stale = reader.send(form, text="mine")
    again = reader.send(form_in(stale.text, f"{path}/describe", name="describe"))

    assert stale.status_code == 409
    assert "theirs" in visible_text(stale.text)
    assert form_in(stale.text, f"{path}/describe", name="describe").shown("text").strip() == "mine"
    assert again.status_code == 303
    assert context.service(Runs).get(PROJECT, run.id).tags["mlflow.note.content"].strip() == "mine"


def test_wrong_tags_and_names_are_told(reader: Reader, context: Context) -> None:
    """What a run cannot be called, and keys that cannot be, are told; what was typed stays."""
    run = make(context, name="old")
    path = page_of(run)
    empty = reader.send(reader.form(path, f"{path}/rename", name="rename"), name="")
    key = reader.send(reader.form(path, f"{path}/tag", name="tag"), key="a<b>", value="v")

    assert (empty.status_code, key.status_code) == (422, 422)
    assert "Fill this in" in visible_text(empty.text)
    assert "cannot be the key of a tag" in visible_text(key.text)
    assert form_in(key.text, f"{path}/tag", name="tag").shown("value") == "v"


@BOTH
def test_a_run_is_deleted_after_a_question_and_restored(reader: Reader, context: Context) -> None:
    """Deleting asks first; a deleted run can be read, offers nothing but restoring, and comes back."""
    runs = context.service(Runs)
    run = make(context, name="short")
    path = page_of(run)
    asked = reader.send(reader.form(path, f"{path}/delete", name="delete"))
    still = runs.get(PROJECT, run.id).deleted_at
    answer = reader.send(form_in(asked.text, f"{path}/delete"))
    deleted = reader.get(answer.headers["location"]).text
    actions = {form.action for form in forms_in(deleted) if form.action.startswith(path)}
    parts = {reader.get(page_of(run, part)).status_code for part in PARTS}
    told = reader.follow(reader.send(form_in(deleted, f"{path}/restore")))

    assert "Delete the run short ?" in visible_text(asked.text)
    assert still is None
    assert "This run was deleted" in visible_text(deleted)
    assert actions == {f"{path}/restore"}
    assert parts == {200}
    assert "The run short is restored" in told
    assert runs.get(PROJECT, run.id).deleted_at is None


def test_a_run_that_hangs_is_ended(reader: Reader, context: Context) -> None:
    """It ends as killed after a question, and goes on when that is taken back."""
    runs = context.service(Runs)
    run = make(context)
    path = page_of(run)
    asked = reader.send(reader.form(path, f"{path}/end", name="end"))
    done = reader.send(form_in(asked.text, f"{path}/end"))
    ended = runs.get(PROJECT, run.id).status
    page = reader.get(done.headers["location"]).text
    reader.send(form_in(page, f"{path}/resume", name="undo"))

    assert ended is RunStatus.KILLED
    assert not [form for form in forms_in(page) if form.action.endswith("/end")]
    assert runs.get(PROJECT, run.id).status is RunStatus.RUNNING


def test_roles_decide_what_is_seen_and_done(reader: Reader, context: Context) -> None:
    """Whoever has no role in the project sees nothing; a viewer reads, finds no form, and is refused one."""
    run = make(context, tags={"team": "a"})
    context.service(Projects).create(NewProject(name="other"))
    reader.server.tokens["viewer"] = Principal(name="ana", project_roles={PROJECT: Role.VIEWER})
    reader.server.tokens["stranger"] = Principal(name="ben", project_roles={"other": Role.ADMIN})
    path = page_of(run)
    seen = {reader.get(page_of(run, part), token="viewer").status_code for part in PARTS}
    hidden = {reader.get(page_of(run, part), token="stranger").status_code for part in PARTS}
    forms = forms_in(reader.get(path, token="viewer").text)

    assert seen == {200}
    assert hidden <= {403, 404}
    assert not [form for form in forms if form.action.startswith(path)]


@BOTH
def test_ranges_and_curves_are_those_of_all_points(reader: Reader, context: Context) -> None:
    """Least and greatest are found among rows and packed points alike, and NaN is none of them."""
    run = make(context)
    rnd = random.Random(5)
    known: dict[str, list[float]] = {"nan": [math.nan], "few": [2.0, math.nan, -1.0]}
    known |= {f"m{i}": [rnd.gauss(0, 1) for _ in range(300)] for i in range(3)}
    known["m1"][0] = math.nan
    log(context, run, points={key: curve(run, values[: len(values) // 2]) for key, values in known.items()})
    compact_run(context, run.id)
    log(context, run, points={key: curve(run, values) for key, values in known.items()})
    views = context.service(RunViews)
    ranges = views.ranges(PROJECT, run.id) or {}
    curves = views.curves(PROJECT, run.id, ["m1", "none", "m2"], max_points=50, share=0.1)

    for key, values in known.items():
        numbers = [value for value in values if not math.isnan(value)]
        assert (ranges[key].least, ranges[key].greatest) == (
            min(numbers, default=None),
            max(numbers, default=None),
        )
    assert list(curves) == ["m1", "m2"]
    assert curves["m2"].n_points == 300
    assert {min(known["m2"]), max(known["m2"])} <= set(curves["m2"].points.values)
    assert len(curves["m2"].averages) == len(curves["m2"].points.steps) <= 50


def test_a_run_of_very_many_points_leaves_ranges_to_the_curves(reader: Reader, context: Context) -> None:
    """Where looking through all points would take long, the page says where the ranges are."""
    run = make(context)
    begin = int(run.started_at.timestamp() * 1e6)
    for lot in range(11):
        steps = list(range(lot * 10_000, (lot + 1) * 10_000))
        columns = PointColumns(
            steps=steps, at=[begin + s for s in steps], values=[float(s % 97) for s in steps]
        )
        log(context, run, points={"loss": columns})
    overview = reader.text(page_of(run))
    chart = reader.text(page_of(run, "metrics"))

    assert "too many points to look for the least and greatest" in overview
    assert "110,000 points" in chart
    assert "Least 0 Greatest 96" in chart
