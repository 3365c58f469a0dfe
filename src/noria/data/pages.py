"""The pages of data sets: the list, and one data set with its versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.core.errors import Invalid
from noria.core.web.charts import Chart, Series, Shape
from noria.core.web.languages import mark, translations
from noria.core.web.lists import ListContext, keyset_pager
from noria.core.web.pages import Crumb, Page, PageContext, Visit
from noria.core.web.parts import Column, Pager
from noria.core.web.retelling import Sentence
from noria.core.web.urls import DATASET_PATH, DATASETS_PATH
from noria.data.entities import DatasetKind, DatasetVersion
from noria.data.message_sentences import retelling
from noria.data.page_reads import DatasetPages, ListedDataset
from noria.data.permissions import READ_DATA
from noria.data.service import Datasets

DATASETS_PER_PAGE: Final = 50
VERSIONS_PER_PAGE: Final = 25
DATA_WORDS = mark("Data")

KIND_WORDS = {
    DatasetKind.FILES: mark("files"),
    DatasetKind.ARRAYS: mark("arrays"),
    DatasetKind.TABLE: mark("table"),
}

_FEWEST_POINTS = 3
_ROWS_OVER_VERSIONS = mark("Rows by version")
_VERSION = mark("Version")
_ROWS = mark("Rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataVersionRow:
    """A version of a data set, as a table shows it.

    Attributes
    ----------
    version, url
        Number and page.
    message
        What its maker said.
    kind
        How it is laid out, in words to be translated.
    n_rows
        None for plain files.
    grown
        Rows more than in the version before; None where that is not known.
    """

    version: int
    url: str
    message: Sentence
    kind: str
    n_rows: int | None
    grown: int | None
    n_files: int
    size_bytes: int
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRow:
    """A data set in the list; `newest` is None while it has no version."""

    name: str
    url: str
    newest: DataVersionRow | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetsContext(ListContext):
    """What the list of data sets shows.

    Attributes
    ----------
    datasets
        In the order of their names.
    """

    datasets: tuple[DatasetRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetContext(PageContext):
    """What the page of a data set shows.

    Attributes
    ----------
    now
        When it was read.
    name
        Of the data set.
    created_at, latest
        When it was made, and the number of its newest version; 0 for none.
    columns
        Headings of the versions.
    versions
        Newest first.
    pager
        The place in the list.
    chart
        Rows by version; None where that tells nothing.
    """

    now: datetime
    name: str
    created_at: datetime
    latest: int
    columns: tuple[Column, ...]
    versions: tuple[DataVersionRow, ...]
    pager: Pager
    chart: Chart | None


def datasets_page(visit: Visit) -> DatasetsContext:
    """List data sets with their newest versions."""
    project, after = visit.parameters["project"], visit.parameters.get("after", "")
    found, following = visit.context.service(DatasetPages).list(project, limit=DATASETS_PER_PAGE, after=after)
    return DatasetsContext(
        trail=(Crumb(text=DATA_WORDS, is_ours=True),),
        now=visit.context.clock.now(),
        columns=_DATASET_COLUMNS,
        datasets=tuple(_dataset_row(visit, each) for each in found),
        pager=keyset_pager(
            lambda key: visit.urls.datasets(project, after=key),
            here=after,
            following=following,
            n_shown=len(found),
        ),
    )


def dataset_page(visit: Visit) -> DatasetContext:
    """Show a data set with its versions."""
    project, before = visit.parameters["project"], number_of(visit, "before")
    service = visit.context.service(Datasets)
    dataset = service.get(project, visit.parameters["dataset"])
    page = service.log(project, dataset.name, limit=VERSIONS_PER_PAGE, before=before)
    urls = visit.urls
    return DatasetContext(
        trail=(data_crumb(visit, project), Crumb(text=dataset.name)),
        now=visit.context.clock.now(),
        name=dataset.name,
        created_at=dataset.created_at,
        latest=dataset.latest,
        columns=_VERSION_COLUMNS,
        versions=_version_rows(visit, page.items),
        pager=keyset_pager(
            lambda key: urls.dataset(project, dataset.name, before=key),
            here=before,
            following=page.next,
            n_shown=len(page.items),
        ),
        chart=_chart(visit, page.items),
    )


def data_crumb(visit: Visit, project: str) -> Crumb:
    """Give the step of the way that is the list of data sets."""
    return Crumb(text=DATA_WORDS, url=visit.urls.datasets(project), is_ours=True)


def number_of(visit: Visit, name: str) -> int | None:
    """Give a number in the query; None when it was not given.

    Raises
    ------
    Invalid
        If it is no number.
    """
    given = visit.parameters.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal()) or len(given) > 15:
        raise Invalid(f"`{name}` must be a number, not `{given[:100]}`", hint="Leave it out")
    return int(given)


def _dataset_row(visit: Visit, listed: ListedDataset) -> DatasetRow:
    dataset = listed.dataset
    return DatasetRow(
        name=dataset.name,
        url=visit.urls.dataset(dataset.project, dataset.name),
        newest=_version_row(visit, listed.newest) if listed.newest else None,
        created_at=dataset.created_at,
    )


def _version_rows(visit: Visit, versions: list[DatasetVersion]) -> tuple[DataVersionRow, ...]:
    n_rows = {version.version: version.n_rows for version in versions}
    return tuple(_version_row(visit, each, n_rows.get(each.parent or 0)) for each in versions)


def _version_row(visit: Visit, version: DatasetVersion, before: int | None = None) -> DataVersionRow:
    return DataVersionRow(
        version=version.version,
        url=visit.urls.dataset_version(version.project, version.name, version.version),
        message=retelling.find(version.message),
        kind=KIND_WORDS[version.kind],
        n_rows=version.n_rows,
        grown=version.n_rows - before if version.n_rows is not None and before is not None else None,
        n_files=version.n_files,
        size_bytes=version.size_bytes,
        author=version.author,
        created_at=version.created_at,
    )


def _chart(visit: Visit, versions: list[DatasetVersion]) -> Chart | None:
    counted = [(each.version, each.n_rows) for each in reversed(versions) if each.n_rows is not None]
    if len(counted) < _FEWEST_POINTS:
        return None
    say = translations(visit.language).gettext
    series = Series(
        name=say(_ROWS), x=[f"v{number}" for number, _ in counted], y=[float(n_rows) for _, n_rows in counted]
    )
    return Chart(
        title=say(_ROWS_OVER_VERSIONS),
        series=(series,),
        x_name=say(_VERSION),
        y_name=say(_ROWS),
        shape=Shape.LINES,
    )


_DATASET_COLUMNS = (
    Column(key="name", words=mark("Data set")),
    Column(key="newest", words=mark("Newest")),
    Column(key="kind", words=mark("Kind")),
    Column(key="rows", words=_ROWS, is_number=True),
    Column(key="size", words=mark("Size"), is_number=True),
    Column(key="author", words=mark("By")),
    Column(key="at", words=mark("When")),
)

_VERSION_COLUMNS = (
    Column(key="version", words=_VERSION),
    Column(key="kind", words=mark("Kind")),
    Column(key="rows", words=_ROWS, is_number=True),
    Column(key="grown", words=mark("Since the one before"), is_number=True),
    Column(key="files", words=mark("Files"), is_number=True),
    Column(key="size", words=mark("Size"), is_number=True),
    Column(key="author", words=mark("By")),
    Column(key="at", words=mark("When")),
)

PAGES = (
    Page(
        path=DATASETS_PATH,
        needs=READ_DATA,
        template="noria.data/datasets.html",
        build=datasets_page,
        query=("after",),
    ),
    Page(
        path=DATASET_PATH,
        needs=READ_DATA,
        template="noria.data/dataset.html",
        build=dataset_page,
        query=("before",),
    ),
)
