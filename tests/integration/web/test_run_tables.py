"""The pages of experiments, of their runs and of comparisons over real HTTP: what they show and what they do."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import quote, urlencode

import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.errors import NotFound
from noria.core.permissions import Principal, Role
from noria.tracking.entities import LogBatch, NewRun, Run, RunEnd, Tags
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.experiments import Experiments
from noria.tracking.many_runs import ManyRuns
from noria.tracking.point_entities import PointColumns
from noria.tracking.service import Runs
from noria.tracking.table_view import ROWS
from support.pages import Form, Reader, form_in, visible_text

PROJECT = "default"
HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}%(n)s`<b>`"
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
LIST = f"/projects/{PROJECT}/experiments"
TABLE = f"{LIST}/digits"


def make(
    context: Context,
    name: str,
    *,
    metrics: dict[str, list[float]] | None = None,
    running: bool = False,
    experiment: str = "digits",
    **fields: object,
) -> Run:
    """Keep a run, with the points of some metrics."""
    runs = context.service(Runs)
    run = runs.create(PROJECT, NewRun(experiment=experiment, name=name, **fields))  # type: ignore[arg-type]
    begin = int(run.started_at.timestamp() * 1e6)
    points = {
        key: PointColumns(
            steps=[*range(len(values))], at=[begin + i for i in range(len(values))], values=values
        )
        for key, values in (metrics or {}).items()
    }
    runs.log(PROJECT, run.id, LogBatch(points=points))
    if not running:
        runs.finish(PROJECT, run.id, RunEnd(ended_at=run.started_at + timedelta(seconds=90)))
    return run


def table(*pairs: tuple[str, str]) -> str:
    """Give the address of the table with a query."""
    return f"{TABLE}?{urlencode(pairs)}" if pairs else TABLE


def names(page: str) -> list[str]:
    """Give the runs of a table in order."""
    return [html.unescape(name) for name in re.findall(r'class="row-link"[^>]*>([^<]+)</a>', page)]


def link(page: str, words: str) -> str:
    """Give where the link with these words leads."""
    found = re.search(rf'href="([^"]+)"[^>]*>(?:<span>)?{re.escape(words)}<', page)
    assert found, visible_text(page)
    return html.unescape(found[1])


def ticked(page: str, part: str, *runs: Run) -> Form:
    """Give the form round the table with some runs ticked, for one of its buttons."""
    form = form_in(page, f"{TABLE}/runs/tag", name="bulk")
    form.action = f"{TABLE}/runs/{part}"
    form.fields["run"] = [run.id for run in runs]
    return form


def test_without_runs_the_pages_say_what_to_type(reader: Reader, context: Context) -> None:
    """A new workspace and a new experiment tell the first lines of a program."""
    context.service(Experiments).create(PROJECT, NewExperiment(name="digits"))

    assert "noria.run" in reader.text(TABLE)
    assert "digits 0" in reader.text(LIST)


@BOTH
def test_experiments_are_listed_with_their_counts(reader: Reader, context: Context) -> None:
    """Each has its runs by state, its last activity leads, and names are searched in any case."""
    make(context, "c", experiment="Letters")
    make(context, "a", running=True)
    make(context, "b")
    context.service(Experiments).set_tags(PROJECT, "digits", Tags(tags={"team": "vision"}))
    shown = reader.get(LIST).text

    assert names(shown)[0] == "digits"
    assert "2 … 1 running" in visible_text(shown)
    assert "team vision" in visible_text(shown)
    assert names(reader.get(f"{LIST}?q=LETT").text) == ["Letters"]
    assert "No experiment has such a name" in reader.text(f"{LIST}?q=%25")


@BOTH
@pytest.mark.parametrize(
    "sort", ["name", "-name", "created", "-created", "runs", "-runs", "activity", "-activity"]
)
def test_many_experiments_are_paged_in_every_order(reader: Reader, context: Context, sort: str) -> None:
    """The pages of a list together hold each experiment once, in the order that was asked for."""
    wanted = [f"e{i:02}" for i in range(ROWS + 3)]
    for name in wanted:
        context.service(Experiments).create(PROJECT, NewExperiment(name=name))
    make(context, "r", experiment="e07")
    path, seen = f"{LIST}?sort={sort}", []
    while path:
        page = reader.get(path).text
        seen += names(page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        path = html.unescape(found[1]) if found else ""

    assert sorted(seen) == sorted([*wanted, "Default"])
    if sort.endswith("name"):
        assert seen == sorted(seen, reverse=sort.startswith("-"))
    if sort in ("-runs", "-activity"):
        assert seen[0] == "e07"


def test_an_experiment_is_made_renamed_described_deleted_and_restored(
    reader: Reader, context: Context
) -> None:
    """Each is done by a form, told in a notice, and taken back from there."""
    new = reader.form(LIST, LIST, name="make")
    made = reader.send(new, name="digits", note="Which **model**?")
    assert "The experiment digits is made" in reader.follow(made)
    renamed = reader.send(reader.form(TABLE, f"{TABLE}/rename", name="rename"), name="numbers")
    assert "digits is now called numbers" in reader.follow(renamed)
    there = f"{LIST}/numbers"
    described = reader.form(there, f"{there}/describe", name="describe")
    assert reader.send(described, note="Other").status_code == 303
    stale = reader.send(described, note="Third")
    assert stale.status_code == 409
    assert "Other" in visible_text(stale.text)
    asked = reader.send(reader.form(there, f"{there}/delete"))
    assert "Delete the experiment numbers ?" in visible_text(asked.text)
    done = reader.send(form_in(asked.text, f"{there}/delete"))
    listed = reader.get(done.headers["location"]).text
    assert "numbers" not in names(listed)
    assert names(reader.get(f"{LIST}?show=deleted").text) == ["numbers"]
    back = reader.send(form_in(listed, f"{there}/restore", name="undo"))

    assert "The experiment numbers is back" in reader.follow(back)
    assert context.service(Experiments).get(PROJECT, "numbers").deleted_at is None


@BOTH
def test_a_table_has_the_columns_that_were_chosen(reader: Reader, context: Context) -> None:
    """Columns stand in the address; the last choice comes back by itself, in the browser that made it."""
    make(context, "a", metrics={"val/acc": [0.5, 0.9]}, params={"lr": "0.1"}, tags={"team": "vision"})
    chosen = reader.get(table(("columns", "metrics.val/acc"), ("columns", "tags.team"))).text
    sent = reader.send(reader.form(TABLE, f"{TABLE}/columns", name="columns"), columns=["params.lr"])

    assert "a 0.9 vision" in visible_text(chosen)
    assert sent.headers["location"] == table(("columns", "params.lr"))
    assert "noria_columns" in sent.headers["set-cookie"]
    assert "a 0.1" in visible_text(reader.get(TABLE).text)
    reader.client.cookies.clear()
    assert "a ✓ finished" in visible_text(reader.get(TABLE).text)


@BOTH
def test_a_table_is_sorted_filtered_and_paged(reader: Reader, context: Context) -> None:
    """Headings sort both ways, filters are MLflow's, and pages hold each run once with the total."""
    for i in range(ROWS + 5):
        make(context, f"r{i:02}", metrics={"acc": [i / 100]}, params={"lr": "0.1" if i % 2 else "0.2"})
    by_metric = reader.get(table(("sort", "-metrics.acc"))).text
    second = reader.get(link(by_metric, "Next")).text
    odd = reader.get(table(("filter", "params.lr = '0.1' AND metrics.acc < 0.1"))).text

    assert names(by_metric)[:2] == ["r54", "r53"]
    assert "50 of 55" in visible_text(by_metric)
    assert [*names(by_metric), *names(second)] == [f"r{i:02}" for i in reversed(range(ROWS + 5))]
    assert names(reader.get(link(by_metric, "acc")).text)[0] == "r00"
    assert sorted(names(odd)) == ["r01", "r03", "r05", "r07", "r09"]
    assert "5 of 5" in visible_text(odd)


def test_an_error_of_the_filter_stands_under_it(reader: Reader, context: Context) -> None:
    """What is wrong and what to write instead are told, and the text stays."""
    make(context, "a", metrics={"acc": [1.0]})
    answer = reader.get(table(("filter", "metrics.acc >> 1")))

    assert answer.status_code == 200
    assert 'value="metrics.acc &gt;&gt; 1"' in answer.text
    assert "Invalid comparator" in visible_text(answer.text)
    assert "Did you mean >" in visible_text(answer.text)


@BOTH
def test_the_filter_is_completed(reader: Reader, context: Context) -> None:
    """Keys, comparators, values and AND are offered, each as the whole filter that it makes."""
    make(context, "a", metrics={"val/acc": [1.0]}, params={"lr": "it's"})

    def offered(text: str) -> list[str]:
        page = reader.get(f"{TABLE}/complete?{urlencode({'filter': text})}").text
        return [html.unescape(each) for each in re.findall(r'data-filter="([^"]*)"', page)]

    assert offered("acc") == ["metrics.`val/acc` "]
    assert "params.lr LIKE " in offered("params.lr ")
    assert offered("params.lr = ") == ["params.lr = 'it''s' "]
    assert offered("params.lr = 'it''s' ") == ["params.lr = 'it''s' AND "]


@BOTH
def test_runs_are_put_together_by_a_param(reader: Reader, context: Context) -> None:
    """Each value has its runs, the mean of each metric with its interval, and leads to those runs."""
    for lr, values in (("0.1", (1.0, 2.0, 3.0)), ("0.2", (5.0,))):
        for i, value in enumerate(values):
            make(context, f"{lr}-{i}", metrics={"acc": [value]}, params={"lr": lr})
    make(context, "none", metrics={"acc": [9.0]})
    page = reader.get(table(("group", "params.lr"))).text
    shown = visible_text(page)

    assert "0.1 3 2 ± 2.5 1 … 3" in shown
    assert "0.2 1 5" in shown
    assert "none 1 9" in shown
    assert sorted(names(reader.get(link(page, "0.1")).text)) == ["0.1-0", "0.1-1", "0.1-2"]


@BOTH
def test_nested_runs_are_marked_and_folded(reader: Reader, context: Context) -> None:
    """A child names its parent; folded, only parents stand there, and one is unfolded by a link."""
    parent = make(context, "sweep", running=True)
    for i in range(3):
        make(context, f"child {i}", parent=parent.id)
    flat = reader.get(TABLE).text
    folded = reader.get(link(flat, "Fold nested runs")).text
    unfolded = re.search(r'class="children" href="([^"]+)"', folded)

    assert visible_text(flat).count("inside sweep") == 3
    assert names(folded) == ["sweep"]
    assert unfolded is not None
    assert names(reader.get(html.unescape(unfolded[1])).text) == ["sweep", "child 0", "child 1", "child 2"]


@BOTH
def test_ticked_runs_are_tagged_and_the_tag_taken_back(reader: Reader, context: Context) -> None:
    """Undo gives each run the tag that it had before, or none."""
    first, second = make(context, "a", tags={"team": "old"}), make(context, "b")
    sent = reader.send(ticked(reader.get(TABLE).text, "tag", first, second), key="team", value="new")
    page = reader.get(sent.headers["location"]).text
    runs = context.service(Runs)

    assert "The tag team is set; runs: 2" in visible_text(page)
    assert [runs.get(PROJECT, run.id).tags.get("team") for run in (first, second)] == ["new", "new"]
    assert reader.send(form_in(page, f"{TABLE}/runs/retag", name="undo")).status_code == 303
    assert [runs.get(PROJECT, run.id).tags.get("team") for run in (first, second)] == ["old", None]


def test_ticked_runs_are_deleted_after_a_question_and_come_back(reader: Reader, context: Context) -> None:
    """The question names them; undo restores them, and so does the list of deleted runs."""
    first, second, third = (make(context, name) for name in "abc")
    asked = reader.send(ticked(reader.get(TABLE).text, "delete", first, second))
    assert "Delete the ticked runs (2)?" in visible_text(asked.text)
    done = reader.send(form_in(asked.text, f"{TABLE}/runs/delete"))
    page = reader.get(done.headers["location"]).text
    deleted = reader.get(table(("show", "deleted"))).text

    assert names(page) == ["c"]
    assert sorted(names(deleted)) == ["a", "b"]
    assert reader.send(ticked(deleted, "restore", first)).status_code == 303
    assert reader.send(form_in(page, f"{TABLE}/runs/restore", name="undo")).status_code == 303
    assert sorted(names(reader.get(TABLE).text)) == ["a", "b", "c"]
    assert third.id


def test_a_tag_of_an_experiment_is_not_written_over_unseen(reader: Reader, context: Context) -> None:
    """Somebody else's value is told, and stays."""
    make(context, "a")
    form = form_in(reader.get(TABLE).text, f"{TABLE}/tag", name="experiment-tag")
    context.service(Experiments).set_tags(PROJECT, "digits", Tags(tags={"team": "theirs"}))
    refused = reader.send(form, key="team", value="mine")

    assert refused.status_code == 409
    assert "Stands there now: theirs" in visible_text(refused.text)
    assert context.service(Experiments).get(PROJECT, "digits").tags["team"] == "theirs"


@BOTH
def test_a_bulk_action_changes_all_ticked_runs_or_none(reader: Reader, context: Context) -> None:
    """Where one run is gone the others stay as they are, and stay ticked with the tag that was typed."""
    first, second = make(context, "a"), make(context, "b")
    page = reader.get(TABLE).text
    gone = ticked(page, "tag", first, second)
    gone.fields["run"].append("0" * 32)
    refused = reader.send(gone, key="team", value="new")
    asked = reader.send(ticked(page, "delete", first, second))
    confirm = form_in(asked.text, f"{TABLE}/runs/delete")
    confirm.fields["run"].append("0" * 32)
    not_deleted = reader.send(confirm)

    for answer in (refused, not_deleted):
        assert answer.status_code == 404
        assert "has no run 0000" in visible_text(answer.text)
        form = form_in(answer.text, f"{TABLE}/runs/tag", name="bulk")
        assert sorted(form.fields["run"]) == sorted([first.id, second.id])
    assert form_in(refused.text, f"{TABLE}/runs/tag", name="bulk").shown("value") == "new"
    runs = context.service(Runs)
    for run in (first, second):
        found = runs.get(PROJECT, run.id)
        assert (found.deleted_at, "team" in found.tags) == (None, False)
    with pytest.raises(NotFound):
        context.service(ManyRuns).restore(PROJECT, [first.id, "0" * 32])


def test_a_bulk_action_without_runs_says_so(reader: Reader, context: Context) -> None:
    """Nothing ticked, one run to compare, and a tag without a name are told at their place."""
    run = make(context, "a")
    page = reader.get(TABLE).text

    for part, runs, words in (
        ("delete", [], "Tick a run first"),
        ("compare", [run], "Tick at least two runs"),
    ):
        answer = reader.send(ticked(page, part, *runs))
        assert answer.status_code == 422
        assert words in visible_text(answer.text)
    unnamed = reader.send(ticked(page, "tag", run), key=" ")
    assert unnamed.status_code == 422
    assert "Fill this in" in visible_text(unnamed.text)
    assert re.search(rf'value="{run.id}" checked', unnamed.text)


@BOTH
def test_ticked_runs_are_compared(reader: Reader, context: Context) -> None:
    """Only what differs is shown, with the extremes marked, settings over their seeds, axes and curves."""
    runs = [
        make(
            context,
            f"{model}-{seed}",
            params={"model": model, "seed": str(seed), "batch": "64"},
            metrics={"acc": [0.1, base + seed / 100], "same": [1.0]},
        )
        for model, base in (("svm", 0.5), ("tree", 0.8))
        for seed in range(3)
    ]
    sent = reader.send(ticked(reader.get(TABLE).text, "compare", *runs))
    address = sent.headers["location"]
    page = reader.get(address).text
    shown = visible_text(page)

    assert "Comparison of 6 runs" in shown
    assert "batch" not in shown
    assert "batch" in reader.text(f"{address}&show=all")
    assert "▲ 0.82" in shown
    assert "▽ 0.5" in shown
    assert "model=tree 3 0.81" in shown
    assert "model=tree − model=svm 0.3" in shown
    assert "paired t, n = 3" in shown
    assert "they differ" in shown
    assert page.count('<path class="parallel-line') == 6
    assert page.count("data-figure=") == 1
    assert names(reader.get(f"{address}&sort=-metrics.acc").text)[0] == "tree-2"


def test_a_comparison_by_filter(reader: Reader, context: Context) -> None:
    """An experiment and a filter choose runs; a wrong filter is told, and so is one that matches nothing."""
    for i in range(4):
        make(context, f"r{i}", metrics={"acc": [float(i)]}, params={"lr": str(i % 2)})
    base = f"/projects/{PROJECT}/compare?experiment=digits&filter="

    assert "Comparison of 2 runs" in reader.text(base + quote("params.lr = '1'"))
    assert "No run matches" in reader.text(base + quote("params.lr = '7'"))
    assert "Invalid" in reader.text(base + quote("nothing"))
    assert reader.get(f"/projects/{PROJECT}/compare").status_code == 400


def test_an_experiment_is_found_by_its_id(reader: Reader, context: Context) -> None:
    """Events call an experiment by its id, which stays when its name changes: a link by id leads to its table."""
    make(context, "r0")
    kept = context.service(Experiments).get(PROJECT, "digits").id
    sent = reader.get(f"{LIST}/{kept}")

    assert (sent.status_code, sent.headers["location"]) == (303, TABLE)
    assert reader.get(f"{LIST}/{'0' * 32}").status_code == 404


def test_runs_that_end_alike_are_compared_by_their_curves(reader: Reader, context: Context) -> None:
    """Where no last value differs, the way there is drawn all the same."""
    for name, first in (("slow", 0.1), ("quick", 0.8)):
        make(context, name, metrics={"acc": [first, 0.9]}, params={"lr": name})
    page = reader.get(f"/projects/{PROJECT}/compare?experiment=digits").text

    assert page.count("data-figure=") == 1
    assert "one point in each run" not in visible_text(page)


def test_a_long_comparison_is_paged(reader: Reader, context: Context) -> None:
    """All runs are compared, each stands on one page of the table once, and the pages lead to one another."""
    n = 2 * ROWS + 3
    for i in range(n):
        make(context, f"r{i:03}", metrics={"acc": [float(i)]}, params={"lr": str(i % 2)})
    path = f"/projects/{PROJECT}/compare?experiment=digits&sort=-metrics.acc"
    pages = [reader.get(path).text]
    while 'rel="next"' in pages[-1]:
        pages.append(reader.get(link(pages[-1], "Next")).text)

    assert [len(names(page)) for page in pages] == [ROWS, ROWS, 3]
    assert [name for page in pages for name in names(page)] == [f"r{i:03}" for i in reversed(range(n))]
    assert all(f"Comparison of {n} runs" in page for page in pages)
    assert [names(reader.get(link(page, "Previous")).text)[0] for page in pages[1:]] == ["r102", "r052"]
    assert names(reader.get(link(pages[2], "First page")).text)[0] == "r102"
    assert ["▲ 102" in visible_text(page) for page in pages] == [True, False, False]
    assert names(reader.get(f"{path}&after={'0' * 32}").text)[0] == "r102"


class Parsed(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_users_write_stays_text(reader: Reader, context: Context, language: str) -> None:
    """Markup in any field that a user can write is shown as text on every page and in every answer to a form."""
    name = f"{HOSTILE} experiment"
    experiments = context.service(Experiments)
    experiments.create(PROJECT, NewExperiment(name=name, tags={"k": HOSTILE, "mlflow.note.content": HOSTILE}))
    runs = [
        make(
            context,
            f"{HOSTILE} {i}",
            experiment=name,
            metrics={"acc": [0.1, i / 2], "loss": [float(i)]},
            params={"p": f"{HOSTILE}{i}", "seed": str(i)},
            tags={"t": HOSTILE},
            author=HOSTILE,
        )
        for i in range(3)
    ]
    there = f"{LIST}/{quote(name, safe='')}"
    ids = urlencode([("runs", run.id) for run in runs])
    columns = urlencode(
        [("columns", key) for key in ("params.p", "tags.t", "author", "metrics.acc", f"params.{HOSTILE}")]
    )
    filtered = urlencode({"filter": f"params.p = '{HOSTILE}'"})
    for path in (
        LIST,
        f"{LIST}?{urlencode({'q': '<script>'})}",
        there,
        f"{there}?{columns}",
        f"{there}?{filtered}",
        f"{there}?group=params.p",
        f"{there}?{urlencode({'group': HOSTILE})}",
        f"{there}/complete?{urlencode({'filter': 'params.p = '})}",
        f"/projects/{PROJECT}/compare?{ids}",
        f"/projects/{PROJECT}/compare?{ids}&show=all&{urlencode({'score': HOSTILE})}",
    ):
        answer = reader.get(path, language=language)
        parsed = Parsed()
        parsed.feed(answer.text)

        assert answer.status_code == 200, (path, answer.text)
        assert "<script>alert" not in answer.text
        assert "&gt;49%" not in answer.text
        assert "b" not in parsed.tags
        assert not {each for each in parsed.attributes if each.startswith("on") or each == "style"}


def test_long_names_are_shown(reader: Reader, context: Context) -> None:
    """Names of 500 characters, keys of 250 and long values break no page."""
    long = "x" * 500
    runs = [
        make(
            context,
            f"{'y' * 498}{i}",
            experiment=long,
            metrics={"m" * 250: [float(i)]},
            params={"p" * 250: f"{'v' * 5000}{i}"},
        )
        for i in range(2)
    ]
    ids = urlencode([("runs", run.id) for run in runs])

    for path in (LIST, f"{LIST}/{long}", f"/projects/{PROJECT}/compare?{ids}"):
        assert reader.get(path).status_code == 200


def test_a_viewer_reads_and_changes_nothing(reader: Reader, context: Context) -> None:
    """A viewer of one project sees its tables without buttons that write, and nothing of other projects."""
    context.service(Projects).create(NewProject(name="secret"))
    run = make(context, "a", metrics={"acc": [1.0]})
    reader.server.is_open = False
    reader.server.tokens["t"] = Principal(name="ana", project_roles={PROJECT: Role.VIEWER}, holds_key=True)
    shown = reader.get(TABLE, token="t").text

    assert names(shown) == ["a"]
    assert "Delete" not in visible_text(shown)
    assert "Set the tag" not in visible_text(shown)
    assert "New experiment" not in visible_text(reader.get(LIST, token="t").text)
    for path in (
        "/projects/secret/experiments",
        "/projects/secret/experiments/Default",
        f"/projects/secret/compare?runs={run.id}&runs=x",
    ):
        assert reader.get(path, token="t").status_code == 403
    sent = reader.client.post(
        f"{reader.server.url}{TABLE}/runs/delete",
        data={"run": run.id},
        headers={"authorization": "Bearer t", "origin": reader.server.url, "accept": "text/html"},
    )
    assert sent.status_code == 403
    assert context.service(Runs).get(PROJECT, run.id).deleted_at is None


def test_what_is_gone_is_told(reader: Reader, context: Context) -> None:
    """An experiment that is not there names the near one; a deleted one is shown as such; unknown runs are 404."""
    make(context, "a")
    context.service(Experiments).delete(PROJECT, "digits")
    gone = reader.get(f"{LIST}/digit")

    assert gone.status_code == 404
    assert "digits" in visible_text(gone.text)
    assert "deleted" in reader.text(TABLE)
    assert "Restore the experiment" in reader.text(TABLE)
    assert reader.get(f"/projects/{PROJECT}/compare?runs={'0' * 32}&runs={'1' * 32}").status_code == 404
    assert reader.get(table(("sort", "nothing"))).status_code == 400
