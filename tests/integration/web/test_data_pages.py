"""The pages of data sets, over real HTTP."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
import polars as pl
import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.objects.project import ProjectStore
from noria.core.objects.service import Objects
from noria.core.objects.trees import Entry, make_manifest, put_manifest
from noria.core.permissions import Principal, Role
from noria.data.diffing.tables import diff_tables
from noria.data.entities import DatasetKind, DatasetVersion, NewDatasetVersion
from noria.data.profiling.sources import FrameTable
from noria.data.profiling.tables import stored_profile
from noria.data.quality.checks import check_table
from noria.data.quality.entities import CheckReport, NewCheck, NewDiff
from noria.data.quality.service import DatasetReports
from noria.data.quality.settings import DatasetRules
from noria.data.service import Datasets
from noria.tracking.entities import Link, LogBatch, NewRun
from noria.tracking.service import Runs
from support.hostile import HOSTILE, assert_harmless
from support.pages import Reader, visible_text
from support.wheel import PROJECT

DATA = "/projects/default/datasets"
CUSTOMERS = f"{DATA}/customers"
V1 = f"{CUSTOMERS}/versions/1"
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
NUMERIC = {
    "kind": "numeric",
    "n_rows": 100,
    "n_missing": 25,
    "n_distinct": 60,
    "minimum": 1.0,
    "maximum": 9.0,
    "mean": 4.5,
    "std": 2.25,
    "quantiles": [1, 1, 2, 3, 4, 5, 6, 8, 9],
    "edges": [3.0, 6.0],
    "counts": [30, 30, 15],
}


def add(
    context: Context,
    name: str = "customers",
    *,
    paths: tuple[str, ...] = ("docs/readme.md", "part-0.parquet"),
    message: str = "with April",
    n_rows: int = 100,
    column: str = "age",
    label: str = "basic",
) -> DatasetVersion:
    """Add a version."""
    store = ProjectStore(context.service(Objects), PROJECT)
    body = store.put_bytes(f"{n_rows}".encode())
    entries = [Entry(path=path, digest=body.digest, size_bytes=body.size_bytes) for path in sorted(paths)]
    plan = {
        "kind": "categorical",
        "n_rows": 100,
        "n_missing": 0,
        "n_distinct": 1,
        "top": [{"label": label, "n": 100}],
    }
    new = NewDatasetVersion(
        digest=put_manifest(store, make_manifest(entries)).digest,
        kind=DatasetKind.TABLE,
        n_files=len(paths),
        size_bytes=2048,
        n_rows=n_rows,
        message=message,
        profile={"n_rows": n_rows, "columns": {column: NUMERIC, "plan": plan}},
    )
    return context.service(Datasets).add(PROJECT, name, new)


def test_an_empty_project_says_how_data_comes_in(reader: Reader) -> None:
    """The list of a new workspace tells the command, and a page past its end leads back."""
    assert "noria data add" in reader.text(DATA)
    assert "There are no more data sets" in reader.text(f"{DATA}?after=zzz")


@BOTH
def test_data_sets_tell_their_versions(reader: Reader, context: Context) -> None:
    """List, data set and version tell rows, size, growth, maker, files, profile and the runs that read it."""
    add(context)
    for n_rows in (130, 120):
        add(context, n_rows=n_rows, message=f"now {n_rows}")
    runs = context.service(Runs)
    made = runs.create(PROJECT, NewRun(name="export", experiment="etl"))
    read = runs.create(PROJECT, NewRun(name="boosting", experiment="churn"))
    runs.log(PROJECT, made.id, LogBatch(outputs=[Link(ref="dataset:customers@1")]))
    runs.log(PROJECT, read.id, LogBatch(inputs=[Link(ref="dataset:customers@1")]))
    listed, one, version = reader.text(DATA), reader.text(CUSTOMERS), reader.text(V1)

    assert "customers now 120 v3 table 120 2 KiB local" in listed
    assert "v3 now 120 table 120 -10 2 2 KiB local" in one
    assert "v2 now 130 table 130 +30 2 2 KiB local" in one
    assert "Rows by version" in one
    for told in (
        "the newest is v3",
        "age 25.0 % 60 4.5 ± 2.25 1 4 9",
        "plan basic 100 %",
        "docs/ 1 readme.md",
        "Made by export",
        "Read by 1 boosting",
    ):
        assert told in version
    assert 'class="spread"' in reader.get(V1).text


def looked_at(context: Context) -> None:
    """Add two versions with whole profiles, of which the second broke a rule, and keep their comparison."""
    ages = [20 + 7 * i % 60 for i in range(400)]
    before = pl.DataFrame({"id": range(400), "age": ages, "plan": ["a", "b"] * 200})
    after = before.with_columns(pl.col("age") * 2, twice=pl.col("age") * 4)[1:]
    store, service = ProjectStore(context.service(Objects), PROJECT), context.service(Datasets)
    for frame, target in ((before, None), (after, "age")):
        body = store.put_bytes(frame.write_csv().encode())
        tree = make_manifest([Entry(path="t.csv", digest=body.digest, size_bytes=body.size_bytes)])
        new = NewDatasetVersion(
            digest=put_manifest(store, tree).digest,
            kind=DatasetKind.FILES,
            n_files=1,
            size_bytes=body.size_bytes,
            n_rows=frame.height,
            profile=stored_profile(FrameTable(frame), target=target),
        )
        added = service.add(PROJECT, "customers", new)
    reports = context.service(DatasetReports)
    rules = msgspec.convert({"columns": {"age": {"max": 150}, "plan": {"unique": True}}}, DatasetRules)
    results = check_table(FrameTable(after), rules, now=context.clock.now())
    report = CheckReport(ref=added.ref, digest=added.digest, n_rows=399, results=results)
    reports.record_check(PROJECT, "customers", 2, NewCheck(report=report))
    diff = diff_tables(
        FrameTable(before), FrameTable(after), key=["id"], names=("customers@1", "customers@2")
    )
    reports.record_diff(PROJECT, "customers", 2, NewDiff(diff=diff))


def test_a_version_tells_what_was_found_out(reader: Reader, context: Context) -> None:
    """Keys, leaks and correlations of its profile, and the rules that it breaks with their rows."""
    looked_at(context)
    shown = reader.text(f"{CUSTOMERS}/versions/2")
    high = ", ".join(str(i - 1) for i in range(1, 400) if 7 * i % 60 > 55)[:40]

    for told in (
        "Likely keys id",
        "Likely leaks of age",
        "twice 100.0 %",
        "age · twice 1",
        "age Int64",
        "Check ✕ failed",
        "It breaks 2 of 2 rules",
        "age: max : at most 150",
        f"rows, from 0: {high}",
        "what changed",
    ):
        assert told in shown, told


def test_what_a_version_changed(reader: Reader, context: Context) -> None:
    """Rows by key, cells, columns and distributions, where they were compared; else what profiles tell."""
    looked_at(context)
    add(context, name="plain")
    kept, other = (
        reader.text(f"{CUSTOMERS}/versions/2/diff"),
        reader.text(f"{CUSTOMERS}/versions/1/diff?against=2"),
    )
    plain = reader.text(f"{DATA}/plain/versions/1/diff")

    for told in (
        "customers v1 → v2",
        "Before 400 After 399 Added 0 Removed 1 Changed 399 By the key id",
        "0 removed row",
        "1 changed row age 27 54",
        "added: twice Int64",
        "Kolmogorov–Smirnov 399",
    ):
        assert told in kept, told
    assert "noria data diff customers@2 customers@1" in other
    assert "removed: twice Int64" in other
    assert "This is the first version" in plain


def test_a_wide_profile_is_paged(reader: Reader, context: Context) -> None:
    """Columns beyond a page's are on the next, and every one is shown once."""
    store = ProjectStore(context.service(Objects), PROJECT)
    tree = put_manifest(store, make_manifest([]))
    columns = {f"x{i:03}": NUMERIC for i in range(230)}
    new = NewDatasetVersion(
        digest=tree.digest, kind=DatasetKind.ARRAYS, n_files=0, size_bytes=0, profile={"columns": columns}
    )
    context.service(Datasets).add(PROJECT, "wide", new)
    pages = [reader.text(f"{DATA}/wide/versions/1?from={start}") for start in (0, 100, 200)]

    assert [sum(f"x{i:03}" in page for page in pages) for i in range(230)] == [1] * 230
    assert "30 of 230" in pages[2]


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_users_write_stays_text(reader: Reader, context: Context, language: str) -> None:
    """Markup in messages, names of files, columns, categories and runs is shown as text."""
    add(context, message=HOSTILE, paths=(f"a/{HOSTILE.replace('/', '')}",), column=HOSTILE, label=HOSTILE)
    run = context.service(Runs).create(PROJECT, NewRun(name=HOSTILE, experiment="e"))
    context.service(Runs).log(PROJECT, run.id, LogBatch(inputs=[Link(ref="dataset:customers@1")]))

    add(context, n_rows=3, message=HOSTILE, column=HOSTILE[::-1], label=HOSTILE)
    for path in (DATA, CUSTOMERS, V1, f"{CUSTOMERS}/versions/2/diff"):
        assert_harmless(reader.get(path, language=language))


def test_a_viewer_of_one_project_sees_no_other(reader: Reader, context: Context) -> None:
    """Roles hold for data sets, and who may not read runs is not told of them."""
    context.service(Projects).create(NewProject(name="secret"))
    add(context)
    run = context.service(Runs).create(PROJECT, NewRun(name="boosting", experiment="e"))
    context.service(Runs).log(PROJECT, run.id, LogBatch(inputs=[Link(ref="dataset:customers@1")]))
    reader.server.is_open = False
    reader.server.tokens["t"] = Principal(
        name="ana", project_roles={"default": Role.VIEWER}, holds_key=True, only=frozenset({"data.read"})
    )
    shown = reader.get(V1, token="t")

    assert shown.status_code == 200
    assert "boosting" not in shown.text
    assert reader.get("/projects/secret/datasets", token="t").status_code == 403


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        (f"{DATA}/custumers", 404, "customers"),
        (f"{CUSTOMERS}/versions/9", 404, "has no version 9"),
        (f"{CUSTOMERS}/versions/x", 404, "no number of a version"),
        (f"{V1}?from=x", 400, "must be a number"),
        (f"{V1}/diff?against=x", 400, "must be a number"),
        (f"{V1}/diff?against=7", 404, "has no version 7"),
        (f"{DATA}/{quote('../x', safe='')}", 404, "../x"),
    ],
)
def test_bad_addresses_say_the_mend(
    reader: Reader, context: Context, path: str, status: int, told: str
) -> None:
    """A wrong name, number or parameter is told."""
    add(context)
    answer = reader.get(path)

    assert answer.status_code == status
    assert told in visible_text(answer.text)
