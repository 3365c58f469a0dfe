"""The commands of `noria data` that change and ask tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, print_json, say, show, table
from noria.core.errors import Invalid

if TYPE_CHECKING:
    import polars as pl

    from noria.data.client import DatasetHandle
    from noria.data.entities import DatasetVersion

_NAME = Annotated[str, typer.Argument(metavar="NAME", help="Dataset; made at first use.")]
_SOURCE = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE]",
        help="CSV, TSV, JSON, NDJSON, Parquet or Arrow file, or a folder with a Delta table; `-` reads lines of JSON.",
        show_default=False,
    ),
]
_SQL = Annotated[
    str | None, typer.Option("--sql", help="Take the rows of this query, with `--from`.", show_default=False)
]
_FROM = Annotated[
    str | None,
    typer.Option(
        "--from",
        envvar="NORIA_SQL_URL",
        metavar="URL",
        help="Database to ask, as SQLAlchemy writes it: `sqlite:///shop.db`. It is not kept.",
        show_default=False,
        show_envvar=True,
    ),
]
_EVOLVE = Annotated[
    bool, typer.Option("--evolve", help="Let columns be added and types become wider to take the rows.")
]
_MESSAGE = Annotated[str, typer.Option("--message", "-m", help="What changed.")]
_LINES = "-"


def register(data: typer.Typer) -> None:
    """Put the commands into the group `noria data`."""
    for command in (append, overwrite, merge, delete, compact, schema, query):
        data.command(command.__name__)(command)


def append(
    name: _NAME,
    source: _SOURCE = None,
    sql: _SQL = None,
    url: _FROM = None,
    evolve: _EVOLVE = False,
    every_rows: Annotated[
        int,
        typer.Option("--every-rows", min=1, help="Rows a version, when lines of JSON come in by `-`."),
    ] = 10_000,
    once: Annotated[
        str | None,
        typer.Option(
            "--once",
            metavar="WORD",
            help="A word for these rows, such as their day: said again, nothing is appended.",
            show_default=False,
        ),
    ] = None,
    message: _MESSAGE = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Put rows at the end of a table, as its next version."""
    from noria.core.errors import Invalid
    from noria.data.client import dataset

    if once is not None and source == _LINES:
        raise Invalid("`--once` is for rows that come as a whole, not for lines of `-`")
    with opened(workspace, project) as ws:
        handle = dataset(name, workspace=ws)
        if source == _LINES:
            added = _append_lines(handle, every_rows=every_rows, evolve=evolve, message=message)
        else:
            added = handle.append(_rows(source, sql, url), evolve=evolve, message=message, once=once)
    _show(added, json=json)


def overwrite(
    name: _NAME,
    source: _SOURCE = None,
    sql: _SQL = None,
    url: _FROM = None,
    evolve: _EVOLVE = False,
    message: _MESSAGE = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Put rows in the place of all that a table has; with `--evolve`, rows of any columns."""
    from noria.data.client import dataset

    with opened(workspace, project) as ws:
        added = dataset(name, workspace=ws).overwrite(_rows(source, sql, url), evolve=evolve, message=message)
    _show(added, json=json)


def merge(
    name: _NAME,
    on: Annotated[list[str], typer.Option("--on", metavar="COLUMN", help="Key; give it once a column.")],
    source: _SOURCE = None,
    sql: _SQL = None,
    url: _FROM = None,
    update: Annotated[bool, typer.Option(help="Change the rows that are there.")] = True,
    insert: Annotated[bool, typer.Option(help="Put in the rows that are not.")] = True,
    evolve: _EVOLVE = False,
    message: _MESSAGE = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Update the rows of a table by key, and put in those that are new."""
    from noria.data.client import dataset

    with opened(workspace, project) as ws:
        added = dataset(name, workspace=ws).merge(
            _rows(source, sql, url), on=on, update=update, insert=insert, evolve=evolve, message=message
        )
    _show(added, json=json)


def delete(
    name: _NAME,
    where: Annotated[str, typer.Option("--where", metavar="SQL", help="Such as `temp > 30`.")],
    message: _MESSAGE = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Take rows out of a table. Its older versions keep them."""
    from noria.data.client import dataset

    with opened(workspace, project) as ws:
        added = dataset(name, workspace=ws).delete(where, message=message)
    _show(added, json=json)


def compact(
    name: _NAME,
    message: _MESSAGE = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Gather the small files of a table into larger ones; its rows stay as they are."""
    from noria.data.client import dataset

    with opened(workspace, project) as ws:
        added = dataset(name, workspace=ws).compact(message=message)
    _show(added, json=json)


def schema(
    ref: Annotated[str, typer.Argument(help="`name`, `name@version` or `name@date`.")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List the columns of a table with their types."""
    from noria.data.client import dataset

    with opened(workspace, project) as ws:
        columns = dataset(ref, workspace=ws).schema()
    show(columns, json=json, render=lambda found: table(["column", "type"], list(found.items())))


def query(
    statement: Annotated[
        str, typer.Argument(metavar="SQL", help='Such as `SELECT * FROM trips`, or `FROM "trips@3"`.')
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write CSV or Parquet instead.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Show at most this many rows.")] = 100,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Ask tables with SQL, by the references of their versions."""
    from noria.data.client import dataset
    from noria.data.delta.query import run_query

    with opened(workspace, project) as ws:
        found = run_query(statement, lambda ref: dataset(ref, workspace=ws).scan())
    if out is not None:
        _write(found, out)
        say(f"Wrote {found.height} rows to {out}")
        return
    shown = found.head(limit)
    if json:
        print_json({"rows": shown.to_dicts(), "n_rows": found.height})
        return
    show(shown, json=False, render=lambda frame: table(frame.columns, frame.rows()))
    if found.height > limit:
        say(f"{limit} of {found.height} rows; `--limit` shows more, `--out FILE` writes all")


def _rows(source: str | None, sql: str | None, url: str | None) -> Any:
    if (source is None) == (sql is None):
        raise Invalid("Rows come either from a file or from `--sql`", hint="Name one of them")
    if sql is None:
        return source
    if url is None:
        raise Invalid("`--sql` needs a database", hint="Give `--from URL`, or set `NORIA_SQL_URL`")
    from noria.data.delta.sources import SqlQuery

    return SqlQuery(query=sql, url=url)


def _append_lines(
    handle: DatasetHandle, *, every_rows: int, evolve: bool, message: str
) -> DatasetVersion | None:
    """Append the lines of JSON that come in, as they come; give the last version that was made."""
    import sys

    import msgspec

    last = None
    with handle.stream(every_rows=every_rows, evolve=evolve, message=message) as stream:
        for number, line in enumerate(sys.stdin, start=1):
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line)
            except msgspec.DecodeError as error:
                raise Invalid(f"Line {number} is no JSON: {error}") from error
            last = stream.append([row]) or last
        return stream.flush() or last


def _write(frame: pl.DataFrame, out: Path) -> None:
    if out.suffix == ".csv":
        frame.write_csv(out)
    elif out.suffix == ".parquet":
        frame.write_parquet(out)
    else:
        raise Invalid(f"`{out}` is neither CSV nor Parquet", hint="End its name in `.csv` or `.parquet`")


def _show(version: DatasetVersion | None, *, json: bool) -> None:
    if version is None:
        say('No rows came, so no version was made; write one JSON object a line, such as `{"temp": 21.5}`')
        if json:
            print_json(None)
        return
    pairs = [
        ("dataset", version.ref),
        ("rows", version.n_rows),
        ("files", version.n_files),
        ("bytes", version.size_bytes),
        ("message", version.message),
        ("digest", version.digest),
    ]
    show(version, json=json, render=lambda _: facts(pairs))
