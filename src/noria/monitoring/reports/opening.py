"""What people name as a table: a file, or a version of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from noria.core.errors import Invalid
from noria.data.profiling.files import TABLE_SUFFIXES, is_table_file, open_table_file

if TYPE_CHECKING:
    from noria.core.workspace import Workspace
    from noria.data.profiling.sources import Table


@contextmanager
def opened_by_name(
    name: str, workspace: Callable[[], Workspace], *, file: str | None = None
) -> Iterator[Table]:
    """Give the table that a path (`new.parquet`, `exports/new.csv`) or a reference (`sales@3`) names.

    Parameters
    ----------
    workspace
        Gives the workspace; asked only for a reference.
    file
        Which of several files of a version it is.

    Raises
    ------
    Invalid
        If there is no such file, or it holds no table.
    NotFound
        If there is no such version.
    """
    path = Path(name)
    if path.is_file() or is_table_file(name) or len(path.parts) > 1:
        with open_table_file(_checked(path)) as table:
            yield table
        return
    from noria.data.looking import find_version
    from noria.data.opening import opened_table

    found = workspace()
    with opened_table(found, find_version(found, name), file=file) as table:
        yield table


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise Invalid(f"There is no file `{path}`", hint="A version of a data set is named like `sales@3`")
    if not is_table_file(path.name):
        suffixes = ", ".join(f"`{suffix}`" for suffix in TABLE_SUFFIXES)
        raise Invalid(f"`{path}` is no table", hint=f"A table is a file whose name ends in one of {suffixes}")
    return path
