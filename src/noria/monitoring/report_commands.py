"""`noria monitors`, with the report of an endpoint."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.monitoring.commands import monitors
from noria.monitoring.report_options import (
    AllFlag,
    HtmlOption,
    LanguageOption,
    chosen_language,
    write_text,
)

if TYPE_CHECKING:
    from noria.core.web.languages import Language
    from noria.monitoring.reports.entities import EndpointReport

__all__ = ["monitors"]

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


@monitors.command("report")
def report(
    endpoint: Annotated[str, typer.Argument(help="Endpoint.")],
    start: Annotated[
        datetime | None,
        typer.Option("--from", formats=_FORMATS, help="First instant, in UTC.", show_default=False),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option("--to", formats=_FORMATS, help="End, in UTC; not included.", show_default=False),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option("--version", min=1, help="Version; the one that answers now.", show_default=False),
    ] = None,
    html: HtmlOption = None,
    lang: LanguageOption = "en",
    all_columns: AllFlag = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Compare what an endpoint answered in some time with what its version was registered with."""
    from noria.core.console.output import print_json
    from noria.monitoring.reports.live import endpoint_report

    language = chosen_language(lang)
    with opened(workspace, project) as ws:
        found = endpoint_report(ws, endpoint, start=_in_utc(start), end=_in_utc(end), version=version)
    if html is not None:
        _write_html(found, html, language)
    if json:
        print_json(found)
    else:
        _print(found, all_columns=all_columns)


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _write_html(found: EndpointReport, path: Path, language: Language) -> None:
    from noria.core.clock import SystemClock
    from noria.core.console.output import say
    from noria.core.errors import Invalid
    from noria.monitoring.reports.html import report_html

    if found.drift is None:
        raise Invalid(f"There is nothing to draw: {'; '.join(found.lacks)}")
    text = report_html(found.drift, made_at=SystemClock().now(), language=language, endpoint=found)
    write_text(path, text)
    say(f"Wrote `{path}`")


def _print(found: EndpointReport, *, all_columns: bool) -> None:
    from noria.core.console.output import facts, say, stdout
    from noria.monitoring.delays.words import delay_facts
    from noria.monitoring.estimated.words import estimate_facts
    from noria.monitoring.reports.words import (
        comparison_parts,
        logs_summary,
        rules_summary,
        rules_table,
        summary,
    )
    from noria.monitoring.tasks.words import forecast_parts, unsupervised_parts

    quality = found.quality
    pairs: list[tuple[str, Any]] = [
        ("endpoint", found.endpoint),
        ("version", f"{found.model}@{found.version}"),
        ("from", found.first_at),
        ("to", found.last_at),
        ("rows", f"{found.n_rows}, the first of more" if found.capped else found.n_rows),
        ("errors", found.n_errors),
        ("quality", f"{quality.mean:.3f} ({quality.low:.3f} to {quality.high:.3f})" if quality else None),
        ("at registration", f"{quality.reference:.3f} on {quality.reference_n} rows" if quality else None),
        *(estimate_facts(found.estimated) if found.estimated else ()),
        *([("rules", rules_summary(found.rules))] if found.rules else ()),
        *(delay_facts(found.labels) if found.labels else ()),
        ("logs of model servers", logs_summary(found.logs) if found.logs else None),
        *(("lacks", lack) for lack in found.lacks),
    ]
    console = stdout()
    console.print(facts(pairs))
    parts = [
        *(forecast_parts(found.forecast, all_rows=all_columns) if found.forecast else ()),
        *(unsupervised_parts(found.unsupervised) if found.unsupervised else ()),
    ]
    if any(not result.passed for result in found.rules):
        parts.insert(0, rules_table(found.rules))
    for part in parts:
        console.print(part, markup=False)
    if found.drift is None:
        return
    say(summary(found.drift))
    for part in comparison_parts(found.drift, all_columns=all_columns):
        console.print(part, markup=False)
