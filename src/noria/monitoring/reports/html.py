"""A comparison as one HTML file: no script, nothing loaded, readable in light and dark and on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Final

from markupsafe import Markup

from noria.core.web.languages import Language, mark
from noria.monitoring.estimated.page_words import ASSUMPTION_WORDS, METRIC_WORDS
from noria.monitoring.reports.entities import Bar, ColumnReport, DriftComparison, EndpointReport

WIDTH: Final = 320.0
HEIGHT: Final = 110.0
CHARTS: Final = 300
"""So many columns are drawn; more would make a file that browsers open slowly."""

WHYS: Final = (
    mark("a time: it moves by itself"),
    mark("lists or records"),
    mark("fewer than 20 rows on one side"),
    mark("nearly every value is there once"),
    mark("one and the same value on both sides"),
)
TESTS: Final = {
    "ks": mark("Kolmogorov-Smirnov"),
    "chi_squared": mark("chi-squared"),
    "missing": mark("missing values"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pillar:
    """A range or category in the drawing: where its two bars stand, and how high they are, y downwards."""

    x: float
    width: float
    reference_height: float
    current_height: float
    bar: Bar


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnColumn:
    """A column with its drawing; no pillars where it has none."""

    column: ColumnReport
    pillars: tuple[Pillar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage:
    """What the template shows."""

    found: DriftComparison
    drawn: tuple[DrawnColumn, ...]
    made_at: datetime
    language: Language
    style: Markup
    endpoint: EndpointReport | None = None
    width: float = WIDTH
    height: float = HEIGHT


def report_html(
    found: DriftComparison,
    *,
    made_at: datetime,
    language: Language = Language.ENGLISH,
    endpoint: EndpointReport | None = None,
) -> str:
    """Give a comparison as a whole HTML document.

    Parameters
    ----------
    made_at
        Shown in UTC.
    endpoint
        What else is told of the endpoint whose rows were compared.

    Notes
    -----
    What users wrote (names of columns, categories) is escaped. The document may be shown in a sandboxed frame.
    """
    from noria.core.web.rendering import environment

    drawn = tuple(
        DrawnColumn(column=column, pillars=pillars(column.bars) if index < CHARTS else ())
        for index, column in enumerate(found.columns)
    )
    style = files("noria.monitoring.reports").joinpath("templates", "comparison.css").read_text("utf-8")
    page = ReportPage(
        found=found,
        drawn=drawn,
        made_at=made_at,
        language=language,
        endpoint=endpoint,
        # The file is to be whole by itself, so that its style stands in it.
        style=Markup(f"<style>\n{style}</style>"),  # noqa: S704 - a file of our own
    )
    template = environment(language).get_template("noria.monitoring.reports/comparison.html")
    return template.render(page=page, tests=TESTS, assumption=ASSUMPTION_WORDS, metric_words=METRIC_WORDS)


def pillars(bars: Sequence[Bar]) -> tuple[Pillar, ...]:
    """Lay out bars side by side; the highest share of either side is as high as the drawing."""
    highest = max((max(bar.reference, bar.current) for bar in bars), default=0.0)
    if not highest:
        return ()
    width = WIDTH / len(bars)
    return tuple(
        Pillar(
            x=round(index * width, 2),
            width=round(width, 2),
            reference_height=round(bar.reference / highest * HEIGHT, 2),
            current_height=round(bar.current / highest * HEIGHT, 2),
            bar=bar,
        )
        for index, bar in enumerate(bars)
    )
