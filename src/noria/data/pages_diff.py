"""The page of what a version changed: columns, rows by key, cells and distributions.

Profiles are at hand here, rows are not: what only rows tell is shown where `noria data diff` kept it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from noria.core.web.formats import clipped
from noria.core.web.languages import mark
from noria.core.web.pages import Crumb, Page, PageContext, Visit
from noria.core.web.parts import Column
from noria.core.web.urls import DATASET_DIFF_PATH
from noria.data.diffing.entities import CellChange, RowsDiff, SchemaDiff
from noria.data.entities import DatasetVersion
from noria.data.pages import data_crumb, number_of
from noria.data.pages_version import find_version
from noria.data.permissions import READ_DATA
from noria.data.profiling.entities import read_profile
from noria.data.quality.entities import RecordedDiff
from noria.data.quality.service import DatasetReports
from noria.data.report_views import ComparedColumn, compared_columns, schema_of
from noria.data.service import Datasets

_CELL = 60
_VERSIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLine:
    """A row that differs, by its key; of a changed one, one of its cells."""

    kind: str
    key: str
    cell: CellChange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDiffContext(PageContext):
    """What the page of a version's changes shows.

    Attributes
    ----------
    now
        When it was read.
    name, version, against
        The data set, its version, and the version that it is compared with; None for a first version.
    others
        Versions that it can be compared with.
    n_rows_before, n_rows_after
        Rows; None for plain files.
    schema
        Columns that differ; None where a version has no profile.
    rows
        Rows that differ; None until `noria data diff` compared them.
    measured_at
        When that was.
    row_columns, lines
        The first rows that differ.
    columns, compared
        Columns side by side.
    """

    now: datetime
    name: str
    version: int
    against: int | None
    others: tuple[int, ...]
    n_rows_before: int | None
    n_rows_after: int | None
    schema: SchemaDiff | None
    rows: RowsDiff | None
    measured_at: datetime | None
    row_columns: tuple[Column, ...]
    lines: tuple[RowLine, ...]
    columns: tuple[Column, ...]
    compared: tuple[ComparedColumn, ...]


def dataset_diff_page(visit: Visit) -> DatasetDiffContext:
    """Show what a version changed."""
    after = find_version(visit)
    datasets = visit.context.service(Datasets)
    number = number_of(visit, "against") or after.parent
    before = None if number is None else datasets.version(after.project, after.name, number)
    kept = _kept(visit, before, after)
    diff = kept.diff if kept is not None else None
    old, new = read_profile(before.profile) if before is not None else None, read_profile(after.profile)
    listed = datasets.log(after.project, after.name, limit=_VERSIONS).items
    return DatasetDiffContext(
        trail=(
            data_crumb(visit, after.project),
            Crumb(text=after.name, url=visit.urls.dataset(after.project, after.name)),
            Crumb(
                text=f"v{after.version}",
                url=visit.urls.dataset_version(after.project, after.name, after.version),
            ),
            Crumb(text=mark("Changes"), is_ours=True),
        ),
        now=visit.context.clock.now(),
        name=after.name,
        version=after.version,
        against=number,
        others=tuple(each.version for each in listed if each.version != after.version),
        n_rows_before=before.n_rows if before is not None else None,
        n_rows_after=after.n_rows,
        schema=diff.schema if diff is not None else schema_of(old, new),
        rows=diff.rows if diff is not None else None,
        measured_at=kept.created_at if kept is not None else None,
        row_columns=_ROW_COLUMNS,
        lines=_lines(diff.rows) if diff is not None else (),
        columns=_COLUMNS,
        compared=compared_columns(old, new, diff) if before is not None else (),
    )


def _kept(visit: Visit, before: DatasetVersion | None, after: DatasetVersion) -> RecordedDiff | None:
    if before is None:
        return None
    reports = visit.context.service(DatasetReports)
    found = reports.diffs(after.project, after.name, after.version, against=before.ref, limit=1).items
    return found[0] if found else None


def _lines(rows: RowsDiff) -> tuple[RowLine, ...]:
    lines = [RowLine(kind=_ADDED, key=_key(row.key)) for row in rows.added]
    lines += [RowLine(kind=_REMOVED, key=_key(row.key)) for row in rows.removed]
    for row in rows.changed:
        lines += [RowLine(kind=_CHANGED, key=_key(row.key), cell=_clipped(cell)) for cell in row.cells[:5]]
    return tuple(lines)


def _key(key: dict[str, str | None]) -> str:
    return clipped(", ".join("–" if value is None else value for value in key.values()), _CELL)


def _clipped(cell: CellChange) -> CellChange:
    return CellChange(
        column=clipped(cell.column, _CELL),
        before=None if cell.before is None else clipped(cell.before, _CELL),
        after=None if cell.after is None else clipped(cell.after, _CELL),
    )


_ADDED, _REMOVED, _CHANGED = mark("added row"), mark("removed row"), mark("changed row")

_ROW_COLUMNS = (
    Column(key="key", words=mark("Row")),
    Column(key="kind", words=mark("What")),
    Column(key="column", words=mark("Column")),
    Column(key="before", words=mark("Before")),
    Column(key="after", words=mark("After")),
)

_COLUMNS = (
    Column(key="name", words=mark("Column")),
    Column(key="distance", words=mark("Distance"), is_number=True),
    Column(key="cells", words=mark("Changed cells"), is_number=True),
    Column(key="missing", words=mark("Missing"), is_number=True),
    Column(key="distinct", words=mark("Distinct"), is_number=True),
    Column(key="mean", words=mark("Mean"), is_number=True),
)

PAGES = (
    Page(
        path=DATASET_DIFF_PATH,
        needs=READ_DATA,
        template="noria.data/diff.html",
        build=dataset_diff_page,
        query=("against",),
    ),
)
