"""`noria data`, with the command that compares two tables as monitors do."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.data.commands import data
from noria.monitoring.report_options import (
    AllFlag,
    HtmlOption,
    LanguageOption,
    chosen_language,
    write_text,
)

if TYPE_CHECKING:
    from noria.core.web.languages import Language
    from noria.core.workspace import Workspace
    from noria.monitoring.reports.entities import DriftComparison

__all__ = ["data"]


@data.command("drift")
def drift(
    before: Annotated[
        str, typer.Argument(metavar="BEFORE", help="File, or version of a data set: `sales@3`.")
    ],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="File or version to compare with it.")],
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", "-c", help="Compare this column only; may be repeated.", show_default=False),
    ] = None,
    level: Annotated[
        float, typer.Option("--level", help="Expected share of false discoveries among what differs.")
    ] = 0.01,
    least_psi: Annotated[
        float, typer.Option("--least-psi", help="PSI from which a difference is called drift.")
    ] = 0.1,
    together: Annotated[
        bool, typer.Option("--together", help="Test all columns at once too, by a classifier.")
    ] = False,
    file: Annotated[
        str | None,
        typer.Option(
            "--file", metavar="PATH", help="Which of several files of a version.", show_default=False
        ),
    ] = None,
    html: HtmlOption = None,
    lang: LanguageOption = "en",
    all_columns: AllFlag = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Tell which columns of two tables differ, how much and how surely."""
    from noria.monitoring.reports.opening import opened_by_name

    language = chosen_language(lang)
    with ExitStack() as stack:
        held: list[Workspace] = []

        def ws() -> Workspace:
            if not held:
                held.append(stack.enter_context(opened(workspace, project)))
            return held[0]

        tables = [stack.enter_context(opened_by_name(name, ws, file=file)) for name in (before, after)]
        found = _compared(tables, (before, after), columns, level, least_psi, together=together)
    _print_comparison(found, html=html, language=language, all_columns=all_columns, json=json)


def _print_comparison(
    found: DriftComparison, *, html: Path | None, language: Language, all_columns: bool, json: bool
) -> None:
    """Print a comparison, and write it to a file where one is asked for."""
    from noria.core.clock import SystemClock
    from noria.core.console.output import print_json, say, stdout
    from noria.monitoring.reports.words import comparison_parts, summary

    if html is not None:
        from noria.monitoring.reports.html import report_html

        write_text(html, report_html(found, made_at=SystemClock().now(), language=language))
        say(f"Wrote `{html}`")
    if json:
        print_json(found)
        return
    say(summary(found))
    console = stdout()
    for part in comparison_parts(found, all_columns=all_columns):
        console.print(part, markup=False)


def _compared(
    tables: list[Any],
    names: tuple[str, str],
    columns: list[str] | None,
    level: float,
    least_psi: float,
    *,
    together: bool,
) -> DriftComparison:
    import msgspec

    from noria.data.profiling.sources import check_columns
    from noria.monitoring.reports.comparing import compare_tables

    reference, current = tables
    check_columns(reference, columns or [])
    found = compare_tables(reference, current, names=names, columns=columns, level=level, least_psi=least_psi)
    if not together:
        return found
    import numpy as np

    from noria.monitoring.reports.together import compare_together

    names_used = sorted(column.name for column in found.columns)
    told = compare_together(reference, current, names_used, rng=np.random.default_rng(0))
    return msgspec.structs.replace(found, together=told)
