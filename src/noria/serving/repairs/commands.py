"""`noria endpoints repair` and `noria endpoints repairs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import show, table
from noria.serving.rollouts.commands import ReasonOption

if TYPE_CHECKING:
    from noria.serving.repairs.entities import ColumnRepair, RepairPage

EndpointArgument = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Endpoint.")]


def repair_command(
    name: EndpointArgument,
    divide: Annotated[
        list[str] | None,
        typer.Option("--divide", metavar="COLUMN=FACTOR", help="Divide what is sent.", show_default=False),
    ] = None,
    recode: Annotated[
        list[str] | None,
        typer.Option(
            "--recode",
            metavar="COLUMN:SENT=MEANT",
            help="Take one code for another.",
            show_default=False,
        ),
    ] = None,
    exchange: Annotated[
        list[str] | None,
        typer.Option(
            "--exchange",
            metavar="COLUMN=COLUMN",
            help="Give two columns each other's values.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="A list of repairs as JSON.", show_default=False),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Take inputs as they are sent again.")] = False,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="With `--off`: this column alone.", show_default=False),
    ] = None,
    reason: ReasonOption = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Put inputs of an endpoint right before the model sees them, or end that.

    Captured rows hold what the model saw, and what was sent as `received:NAME` beside the outputs.
    """
    from noria.core.errors import Invalid
    from noria.serving.repairs.entities import EndRepair, NewRepair
    from noria.serving.service import InputRepairs

    wanted = _wanted(divide or [], recode or [], exchange or [], file)
    if off == bool(wanted):
        raise Invalid(
            "Say what is to be put right, or `--off`",
            hint=f"For example `noria endpoints repair {name} --divide rooms=1000`",
        )
    with opened(workspace, project) as ws:
        service = ws.service(InputRepairs)
        if off:
            page = service.end(ws.project, name, EndRepair(columns=column or [], reason=reason or ""))
            show(page, json=json, render=repair_table)
            return
        begun = service.set(ws.project, name, NewRepair(columns=wanted, reason=reason or ""))
    show(begun, json=json, render=lambda made: f"Repair {made.number} of {name}: {made.words}")


def list_command(
    name: EndpointArgument,
    limit: LimitOption = 20,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List what was and is put right about the inputs of an endpoint, newest first."""
    from noria.serving.service import InputRepairs

    with opened(workspace, project) as ws:
        page = ws.service(InputRepairs).list(ws.project, name, limit=limit)
    show(page, json=json, render=repair_table)


def repair_table(page: RepairPage) -> Any:
    """Lay repairs out."""
    columns = ["repair", "what", "from revision", "to revision", "by", "began", "ended", "why it ended"]
    rows = [
        (
            repair.number,
            repair.words,
            repair.revision,
            repair.ended_revision,
            f"decision {repair.decision_id}" if repair.decision_id else repair.started_by,
            repair.created_at,
            repair.ended_at,
            repair.ended_why,
        )
        for repair in page.items
    ]
    return table(columns, rows)


def _wanted(
    divide: list[str], recode: list[str], exchange: list[str], file: Path | None
) -> list[ColumnRepair]:
    from noria.serving.repairs.entities import ByExchange, ByLine, ByTable, ColumnRepair

    found = [] if file is None else _read(file)
    for text in divide:
        column, _, factor = text.rpartition("=")
        words = f"`{column}` is divided by {factor}"
        found.append(ColumnRepair(column=column, change=ByLine(slope=_number(text, factor)), words=words))
    tables: dict[str, dict[str, str]] = {}
    for text in recode:
        place, _, meant = text.rpartition("=")
        column, colon, sent = place.partition(":")
        if not colon or not column:
            raise _unread(text, "COLUMN:SENT=MEANT")
        tables.setdefault(column, {})[sent] = meant
    for column, codes in tables.items():
        words = f"codes of `{column}` are put back"
        found.append(ColumnRepair(column=column, change=ByTable(codes=codes), words=words))
    for text in exchange:
        column, equals, other = text.partition("=")
        if not (column and equals and other):
            raise _unread(text, "COLUMN=COLUMN")
        words = f"`{column}` and `{other}` are exchanged again"
        found.append(ColumnRepair(column=column, change=ByExchange(other=other), words=words))
    return found


def _read(file: Path) -> list[ColumnRepair]:
    import msgspec

    from noria.core.errors import Invalid
    from noria.serving.repairs.entities import ColumnRepair

    try:
        return msgspec.json.decode(file.read_bytes(), type=list[ColumnRepair])
    except OSError as error:
        raise Invalid(f"`{file}` cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise Invalid(
            f"`{file}` is no list of repairs: {error}", hint="See `noria endpoints repairs ENDPOINT --json`"
        ) from error


def _number(text: str, factor: str) -> float:
    try:
        return float(factor)
    except ValueError:
        raise _unread(text, "COLUMN=FACTOR") from None


def _unread(text: str, form: str) -> Exception:
    from noria.core.errors import Invalid

    return Invalid(f"`{text}` has not the form {form}")
