"""Every part of the pages on one page, for tests to look at; the template stands beside this module."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from noria.core.web.charts import Chart, Series, Shape
from noria.core.web.diffs import read_diff
from noria.core.web.graphs import Node, draw_graph
from noria.core.web.languages import Language
from noria.core.web.pages import Crumb, Frame, PageContext, Section
from noria.core.web.parallel import parallel_plot
from noria.core.web.parts import Choice, Column, Direction, Pager, Tab
from noria.core.web.rendering import environment
from noria.core.web.themes import Theme
from noria.core.web.trees import file_tree
from noria.core.web.urls import Urls

TEMPLATE = Path(__file__).with_suffix(".html")
SECTIONS = (("Overview", "o"), ("Experiments", "e"), ("Models", "m"), ("Data", "d"), ("Endpoints", "n"))
DIFF = "--- a/x.py\n+++ b/x.py\n@@ -1,3 +1,4 @@\n import a\n-b = 1\n+b = 2\n+c = 3\n print(b)\n"
MARKDOWN = (
    "# Notes\n\nA **fine** run, see [docs](https://x.y).\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A run, as a table shows it."""

    id: str
    name: str
    status: str
    rate: float
    optimizer: str
    accuracy: float
    loss: float


def gallery(language: Language = Language.ENGLISH, theme: Theme = Theme.AUTO) -> str:
    """Give the HTML of the page."""
    rows = _rows()
    runs = [(row.name, (row.rate, row.optimizer, row.accuracy)) for row in rows]
    page = PageContext(
        trail=(
            Crumb(text="Experiments", url="/", is_ours=True),
            Crumb(text="digits-search", url="/"),
            Crumb(text="brave-otter-7"),
        )
    )
    return (
        environment(language)
        .from_string(TEMPLATE.read_text(encoding="utf-8"))
        .render(
            page=page,
            frame=_frame(language, theme),
            columns=_columns(),
            rows=rows,
            charts=_charts(),
            plot=parallel_plot(["learning_rate", "optimizer", "accuracy"], runs),
            g=draw_graph(_NODES, [("d", "r"), ("d2", "r"), ("r", "m"), ("m", "e")]),
            d=read_diff(DIFF),
            t=file_tree(_FILES, lambda _path: "/", current="model/MLmodel"),
            pager=Pager(following="/", first="/", n_shown=14, total=10_000, is_capped=True),
            choices=[
                Choice(value="a", words="accuracy", is_chosen=True, group="Metrics"),
                Choice(value="l", words="learning_rate", is_chosen=False, group="Params"),
            ],
            tabs_=[
                Tab(words="Overview", url="/", is_current=True),
                Tab(words="Metrics", url="/", count=20),
                Tab(words="Artifacts", url="/", count=4),
            ],
            md=MARKDOWN,
        )
    )


_NODES = (
    Node(id="d", name="digits-train@1", kind="Data", url="/"),
    Node(id="d2", name="digits-extra@4", kind="Data", url="/"),
    Node(id="r", name="extra trees", kind="Run", url="/"),
    Node(id="m", name="digits@2", kind="Model", is_current=True, url="/"),
    Node(id="e", name="digits", kind="Endpoint"),
)
_FILES = (
    ("model/MLmodel", 300),
    ("model/data/model.skops", 90_000),
    ("plots/roc.png", 34_000),
    ("notes.md", 120),
)


def _frame(language: Language, theme: Theme) -> Frame:
    return Frame(
        language=language,
        languages=tuple(Language),
        urls=Urls(),
        here="/gallery",
        caller="ana",
        release="0",
        theme=theme,
        project="default",
        sections=tuple(
            Section(words=words, url="/", key=key, is_current=words == "Experiments")
            for words, key in SECTIONS
        ),
    )


def _rows() -> list[Row]:
    states = ("finished", "running", "failed")
    return [
        Row(
            id=f"r{i}",
            name=f"brave-otter-{i}",
            status=states[i % 3],
            rate=10.0 ** -(1 + i % 5),
            optimizer=("adam", "sgd")[i % 2],
            accuracy=i / 14,
            loss=3 / (i + 1),
        )
        for i in range(14)
    ]


def _columns() -> list[Column]:
    return [
        Column(key="name", words="Run", url="/"),
        Column(key="state", words="State"),
        Column(key="rate", words="learning_rate", is_ours=False, is_number=True, url="/", group="Params"),
        Column(key="optimizer", words="optimizer", is_ours=False, url="/", group="Params"),
        Column(
            key="accuracy",
            words="accuracy",
            is_ours=False,
            is_number=True,
            url="/",
            direction=Direction.DESCENDING,
            group="Metrics",
        ),
        Column(key="loss", words="loss", is_ours=False, is_number=True, url="/", group="Metrics"),
    ]


def _charts() -> list[Chart]:
    steps = list(range(200))
    began = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Chart(
            title="loss",
            series=tuple(
                Series(name=name, x=steps, y=[math.exp(-x / pace) for x in steps])
                for name, pace in (("train", 40), ("validation", 60), ("test", 80))
            ),
            x_name="Step",
        ),
        Chart(
            title="accuracy",
            series=(
                Series(
                    name="a",
                    x=list(range(10)),
                    y=[0.5 + 0.04 * i for i in range(10)],
                    lower=[0.45 + 0.04 * i for i in range(10)],
                    upper=[0.55 + 0.04 * i for i in range(10)],
                ),
            ),
            x_name="Step",
            marks=((4, "new data"),),
        ),
        Chart(
            title="cpu",
            series=(
                Series(
                    name="cpu",
                    x=[began + timedelta(seconds=10 * i) for i in range(3000)],
                    y=[50 + 30 * math.sin(i / 100) for i in range(3000)],
                ),
            ),
        ),
        Chart(
            title="classes",
            shape=Shape.BARS,
            series=(
                Series(name="reference", x=list("abcdef"), y=[5, 4, 3, 6, 7, 2]),
                Series(name="now", x=list("abcdef"), y=[4, 4, 5, 6, 3, 3]),
            ),
        ),
    ]
