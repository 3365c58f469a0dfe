"""Graphs, diffs, trees, Markdown, themes and navigation: what the parts make of what they are given."""

from __future__ import annotations

import difflib
import itertools
import random

import pytest

from noria.core.permissions import Principal, Role
from noria.core.web.diffs import read_diff
from noria.core.web.formats import Formats
from noria.core.web.graphs import NODE_HEIGHT, NODE_WIDTH, Node, draw_graph
from noria.core.web.languages import Language
from noria.core.web.markdown import markdown
from noria.core.web.themes import THEME_COOKIE, Theme, theme_of
from noria.core.web.trees import file_tree
from noria.core.web.urls import PROJECT_PATH, Urls
from noria.server.navigation import PARTS, sections


@pytest.mark.parametrize("seed", range(15))
def test_edges_lead_to_the_right_and_boxes_stand_apart(seed: int) -> None:
    """Whatever the graph, circles and strangers included, every edge that is drawn goes right and no boxes overlap."""
    rng = random.Random(seed)
    nodes = [Node(id=str(i), name=f"n{i}", kind="Run") for i in range(rng.randint(1, 14))]
    names = [node.id for node in nodes] + ["nobody"]
    drawn = draw_graph(nodes, [(rng.choice(names), rng.choice(names)) for _ in range(25)])
    corner = {box.node.id: (box.x, box.y) for box in drawn.boxes}

    assert set(corner) == {node.id for node in nodes}
    assert all(corner[start.id][0] < corner[end.id][0] for start, end in drawn.links)
    assert all(
        abs(a[0] - b[0]) >= NODE_WIDTH or abs(a[1] - b[1]) >= NODE_HEIGHT
        for a, b in itertools.combinations(corner.values(), 2)
    )
    assert all(
        0 <= x <= drawn.width - NODE_WIDTH and 0 <= y <= drawn.height - NODE_HEIGHT
        for x, y in corner.values()
    )


def test_a_diff_tells_the_lines_of_both_sides() -> None:
    """Both texts can be put together again from the rows of the diff between them."""
    old = [f"line {i}" for i in range(30)]
    new = [*old[:4], "changed", *old[5:20], "added", *old[20:]]
    read = read_diff("\n".join(difflib.unified_diff(old, new, "a", "b", n=99, lineterm="")))

    assert [row.text for row in read.rows if row.old is not None] == old
    assert [row.text for row in read.rows if row.new is not None] == new
    assert [row.old for row in read.rows if row.old is not None] == list(range(1, 31))
    assert (read.n_added, read.n_removed, read.n_left_out) == (2, 1, 0)


def test_a_long_diff_is_cut_and_what_is_no_diff_is_shown() -> None:
    """A page shows so many lines and counts the rest; text that is no diff stays as it is."""
    long = read_diff("@@ -1 +1,5000 @@\n" + "+x\n" * 5000, max_lines=100)
    none = read_diff("+++ only\nwords\n-- here")

    assert (len(long.rows), long.n_left_out, long.n_added) == (100, 4901, 5000)
    assert {row.kind for row in none.rows} == {"place"}
    assert read_diff("").rows == ()


def test_a_tree_has_every_file_once() -> None:
    """Folders come first, each by name, and the file that is shown stands in open folders."""
    paths = ["b.txt", "a/x/1", "a/x/2", "a/y", "c/z"]
    tree = file_tree([(path, 1) for path in paths], lambda path: path, current="a/x/2")
    waiting, found = list(tree), []
    while waiting:
        entry = waiting.pop()
        waiting += entry.entries
        found += [entry.url] if not entry.entries else []
    a = tree[0]

    assert sorted(found, key=str) == sorted(paths)
    assert [entry.name for entry in tree] == ["a", "c", "b.txt"]
    assert (a.is_open, a.n_files, tree[1].is_open) == (True, 3, False)
    assert file_tree([], str) == ()


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](https://tracker.example/p.png)",
        "<img src=x onerror=alert(1)>",
        '<a href="x" onclick="alert(1)">x</a>',
        "<style>*{display:none}</style>",
        "<iframe src=/></iframe>",
        "<form action=/account/tokens><button>x</button></form>",
    ],
)
def test_markdown_can_do_nothing(text: str) -> None:
    """Nothing of a user's makes an element that acts, loads or looks like a part of the page."""
    shown = str(markdown(text))

    assert not any(f"<{tag}" in shown for tag in ("script", "img", "style", "iframe", "form", "button"))
    assert 'href="javascript' not in shown.lower()
    assert 'href="data' not in shown
    assert "onclick=" not in shown.partition("<a ")[2].partition(">")[0]


def test_markdown_is_shown() -> None:
    """Headings stand below those of the page; tables, lists and code are kept."""
    shown = str(markdown("# A\n\n- b\n\n`c`\n\n| d |\n|---|\n| e |"))

    assert "<h3>A</h3>" in shown
    assert all(part in shown for part in ("<li>b</li>", "<code>c</code>", "<td>e</td>"))


@pytest.mark.parametrize("theme", Theme)
def test_a_theme_is_kept(theme: Theme) -> None:
    """What the cookie says is what the next page has."""
    assert theme_of(f"other=1; {THEME_COOKIE}={theme.value}") is theme
    assert theme_of("a" * 5000) is Theme.AUTO


def test_the_navigation_shows_what_may_be_read() -> None:
    """Each section needs its permission, and its page; the page's own section is marked."""
    served = [part.path for part in PARTS]
    urls = Urls()
    viewer = Principal(name="ana", project_roles={"a": Role.VIEWER})
    admin = Principal(name="eva", role=Role.ADMIN)

    def shown(principal: Principal, project: str, path: str = PROJECT_PATH) -> list[str]:
        return [each.words for each in sections(principal, project, path=path, served=served, urls=urls)]

    assert shown(admin, "a") == [part.words for part in PARTS]
    assert shown(viewer, "a") == [part.words for part in PARTS if part.words != "Audit"]
    assert shown(viewer, "b") == []
    assert sections(admin, "a", path=PROJECT_PATH, served=[], urls=urls) == ()
    current = sections(admin, "a", path="/projects/{project}/runs/{run_id}/metrics", served=served, urls=urls)
    assert [each.words for each in current if each.is_current] == ["Experiments"]
    assert len({part.key for part in PARTS}) == len(PARTS)


@pytest.mark.parametrize(
    ("value", "english", "spanish"),
    [
        (None, "–", "–"),
        (1234567, "1,234,567", "1.234.567"),
        (0.123456, "0.1235", "0,1235"),
        (1e-7, "1e-07", "1e-07"),
        (float("nan"), "nan", "nan"),
        ("sgd", "sgd", "sgd"),
        (-2.0, "-2", "-2"),
    ],
)
def test_brief_values(value: float | str | None, english: str, spanish: str) -> None:
    """Values of long tables have four digits, in the reader's form."""
    assert (Formats(Language.ENGLISH).brief(value), Formats(Language.SPANISH).brief(value)) == (
        english,
        spanish,
    )
