"""The page of a version of a data set: its files, the profile of its columns, and what used it.

What used it is known to who tracks runs, above this capability: `noria.tracking.pages_dataset` completes the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.core.errors import NotFound
from noria.core.web.languages import mark
from noria.core.web.pages import Crumb, PageContext, Visit
from noria.core.web.parts import Column, Pager
from noria.core.web.retelling import Sentence
from noria.core.web.trees import Entry, file_tree
from noria.data.entities import DatasetVersion
from noria.data.message_sentences import retelling
from noria.data.page_reads import DatasetPages
from noria.data.pages import KIND_WORDS, data_crumb, number_of
from noria.data.profile_views import ColumnRow, column_rows
from noria.data.profiling.entities import read_profile
from noria.data.quality.service import DatasetReports
from noria.data.report_views import CheckFacts, RowFacts, check_facts, row_facts
from noria.data.service import Datasets

COLUMNS_PER_PAGE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLink:
    """A run with its page."""

    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """What runs did with a version.

    Attributes
    ----------
    makers
        Runs that made it.
    readers
        Runs that read it, the first of them.
    n_readers, is_capped
        How many read it; when capped there are more.
    """

    makers: tuple[RunLink, ...] = ()
    readers: tuple[RunLink, ...] = ()
    n_readers: int = 0
    is_capped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersionContext(PageContext):
    """What the page of a version of a data set shows.

    Attributes
    ----------
    now
        When it was read.
    name, version, ref
        What it is a version of, its number, and both as a reference.
    latest
        The newest version.
    parent
        The version that was newest before; None for the first.
    id, digest
        Of the version and of its content.
    kind
        How it is laid out, in words to be translated.
    message
        What its maker said.
    author, created_at
        Who added it, and when.
    n_rows, n_files, size_bytes
        How much it is; no rows for plain files.
    columns
        Headings of the profile.
    profile
        Columns of the data, some of them.
    rows
        What rows tell that no single column does; None without a profile.
    check
        The newest check; None where there was none.
    pager
        The place among the columns.
    files
        As a tree; None where they are too many to list.
    uses
        What runs did with it; None where the reader may not read runs.
    """

    now: datetime
    name: str
    version: int
    ref: str
    latest: int
    parent: int | None
    id: str
    digest: str
    kind: str
    message: Sentence
    author: str
    created_at: datetime
    n_rows: int | None
    n_files: int
    size_bytes: int
    columns: tuple[Column, ...]
    profile: tuple[ColumnRow, ...]
    rows: RowFacts | None
    check: CheckFacts | None
    pager: Pager
    files: tuple[Entry, ...] | None
    uses: Uses | None


def find_version(visit: Visit) -> DatasetVersion:
    """Read the version that the address names."""
    given = visit.parameters["version"]
    if not (given.isascii() and given.isdecimal()) or len(given) > 15:
        raise NotFound(f"`{given[:60]}` is no number of a version", hint="Choose one of the list")
    project, name = visit.parameters["project"], visit.parameters["dataset"]
    return visit.context.service(Datasets).version(project, name, int(given))


def version_page(visit: Visit, version: DatasetVersion, uses: Uses | None) -> DatasetVersionContext:
    """Show a version.

    Parameters
    ----------
    uses
        What runs did with it.
    """
    project, start = version.project, number_of(visit, "from") or 0
    shown, n_columns = column_rows(version.profile or {}, start, COLUMNS_PER_PAGE)
    files = visit.context.service(DatasetPages).files(version)
    return DatasetVersionContext(
        trail=(
            data_crumb(visit, project),
            Crumb(text=version.name, url=visit.urls.dataset(project, version.name)),
            Crumb(text=f"v{version.version}"),
        ),
        now=visit.context.clock.now(),
        name=version.name,
        version=version.version,
        ref=version.ref,
        latest=visit.context.service(Datasets).get(project, version.name).latest,
        parent=version.parent,
        id=version.id,
        digest=version.digest,
        kind=KIND_WORDS[version.kind],
        message=retelling.find(version.message),
        author=version.author,
        created_at=version.created_at,
        n_rows=version.n_rows,
        n_files=version.n_files,
        size_bytes=version.size_bytes,
        columns=_COLUMNS,
        profile=shown,
        rows=row_facts(read_profile(version.profile)),
        check=_check(visit, version),
        pager=_pager(visit, version, start, len(shown), n_columns),
        files=None if files is None else file_tree(files, lambda _: None),
        uses=uses,
    )


def _check(visit: Visit, version: DatasetVersion) -> CheckFacts | None:
    reports = visit.context.service(DatasetReports)
    found = reports.checks(version.project, version.name, version.version, limit=1).items
    return check_facts(found[0]) if found else None


def _pager(visit: Visit, version: DatasetVersion, start: int, n_shown: int, n_columns: int) -> Pager:
    def at(place: int) -> str:
        return visit.urls.dataset_version(
            version.project, version.name, version.version, **({"from": str(place)} if place else {})
        )

    following = start + COLUMNS_PER_PAGE
    return Pager(
        first=at(0) if start > COLUMNS_PER_PAGE else None,
        previous=at(max(0, start - COLUMNS_PER_PAGE)) if start else None,
        following=at(following) if following < n_columns else None,
        n_shown=n_shown,
        total=n_columns,
    )


_COLUMNS = (
    Column(key="name", words=mark("Column")),
    Column(key="bars", words=mark("Distribution")),
    Column(key="missing", words=mark("Missing"), is_number=True),
    Column(key="distinct", words=mark("Distinct"), is_number=True),
    Column(key="mean", words=mark("Mean ± deviation"), is_number=True),
    Column(key="minimum", words=mark("Minimum"), is_number=True),
    Column(key="median", words=mark("Median"), is_number=True),
    Column(key="maximum", words=mark("Maximum"), is_number=True),
)
