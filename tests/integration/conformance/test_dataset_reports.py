"""The suite of `DatasetReports`, and of what looks at versions and what a failed check blocks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from noria.core.config import load_settings
from noria.core.errors import Invalid, NotFound
from noria.core.workspace import Workspace, use_workspace
from noria.data.client import dataset
from noria.data.diffing.matching import KeyNotUnique
from noria.data.looking import check_version, diff_versions, find_version, profile_version, suggest_for
from noria.data.profiling.entities import FORMAT, read_profile
from noria.data.quality.entities import CheckFailed, CheckMissing, CheckReport, NewCheck
from noria.data.quality.service import DatasetReports
from noria.data.service import Datasets
from noria.tracking.client import run
from support.conformance import Services

PROJECT = "default"
GOOD = pl.DataFrame({"id": [1, 2, 3], "amount": [1.0, 2.0, 3.0]})
BAD = pl.DataFrame({"id": [1, 2, 4], "amount": [1.0, -2.0, 3.0]})
RULES = '[data.checks.orders]\nkey = ["id"]\n[data.checks.orders.columns.amount]\nmin = 0\n'


@pytest.fixture
def orders(workspace: Workspace, tmp_path: Path) -> Workspace:
    """Give a workspace with rules for a dataset of two versions, the second of which breaks them."""
    for frame in (GOOD, BAD):
        dataset("orders", workspace=workspace).add(frame)
    return with_rules(workspace, tmp_path, RULES)


def with_rules(workspace: Workspace, folder: Path, text: str) -> Workspace:
    (folder / "noria.toml").write_text(text)
    sections = load_settings(folder=folder, environ={}).sections
    settings = dataclasses.replace(workspace.settings, sections=sections)
    return Workspace(settings, workspace.backend, workspace.clock)


def checked(workspace: Workspace, ref: str) -> CheckReport:
    return check_version(workspace, find_version(workspace, ref))


def test_a_check_is_kept_with_the_version(orders: Workspace, services: Services) -> None:
    """Newest first, with its rows; a version without one has none."""
    good, bad, again = checked(orders, "orders@1"), checked(orders, "orders@2"), checked(orders, "orders@2")
    reports = services(DatasetReports)
    kept = reports.checks(PROJECT, "orders", 2).items

    assert (good.passed, bad.passed) == (True, False)
    assert [each.report for each in kept] == [again, bad]
    assert (kept[0].ref, kept[0].passed) == ("orders@2", False)
    assert [(row.row, row.key) for row in bad.broken[0].rows] == [(1, {"id": "2"})]
    assert reports.checks(PROJECT, "orders", 1).items[0].passed


def test_a_run_cannot_read_a_version_that_failed(orders: Workspace) -> None:
    """Nothing is made of it; a person may still look at it, and a check that passes lets it through."""
    checked(orders, "orders@2")
    with (
        use_workspace(orders),
        pytest.raises(CheckFailed, match="`amount: min`") as raised,
        run(experiment="training"),
    ):
        dataset("orders").polars()

    assert "noria data check orders@2" in str(raised.value.hint)
    assert dataset("orders", workspace=orders).polars().height == 3
    with use_workspace(orders), run(experiment="training"):
        assert dataset("orders@1").polars().height == 3


def test_the_newest_check_decides(orders: Workspace, tmp_path: Path) -> None:
    """Rules that are mended and kept let the version through."""
    checked(orders, "orders@2")
    mended = with_rules(orders, tmp_path, RULES.replace("min = 0", "min = -5"))
    checked(mended, "orders@2")

    with use_workspace(mended), run(experiment="training"):
        assert dataset("orders@2").polars().height == 3


def test_rules_may_require_a_check(orders: Workspace, tmp_path: Path) -> None:
    """Then a version that was never checked is refused too."""
    strict = with_rules(orders, tmp_path, RULES.replace('key = ["id"]', "required = true"))
    with use_workspace(strict), run(experiment="training"):
        with pytest.raises(CheckMissing):
            dataset("orders@1").polars()
        checked(strict, "orders@1")
        assert dataset("orders@1").polars().height == 3


def test_a_check_may_be_only_tried(orders: Workspace, services: Services) -> None:
    """Then nothing is kept."""
    assert not check_version(orders, find_version(orders, "orders@2"), record=False).passed
    assert services(DatasetReports).checks(PROJECT, "orders", 2).items == []


def test_a_report_of_other_content_is_refused(orders: Workspace, services: Services) -> None:
    """The result of one version does not pass for that of another."""
    report = checked(orders, "orders@1")
    reports = services(DatasetReports)
    with pytest.raises(Invalid, match="`orders@1`"):
        reports.record_check(PROJECT, "orders", 2, NewCheck(report=report))
    other = msgspec.structs.replace(report, digest="blake3:" + "0" * 64)
    with pytest.raises(Invalid):
        reports.record_check(PROJECT, "orders", 1, NewCheck(report=other))


@pytest.mark.parametrize(("name", "version"), [("orders", 9), ("order", 1)])
def test_reports_of_what_is_not_there(orders: Workspace, services: Services, name: str, version: int) -> None:
    """Are answered as the version itself is."""
    with pytest.raises(NotFound, match=name):
        services(DatasetReports).checks(PROJECT, name, version)
    with pytest.raises(NotFound):
        services(DatasetReports).diffs(PROJECT, name, version)


def test_without_rules_there_is_nothing_to_check(workspace: Workspace) -> None:
    """And the mend is said."""
    version = dataset("points", workspace=workspace).add(GOOD)
    with pytest.raises(Invalid, match="no rules for `points`") as raised:
        check_version(workspace, version)

    assert "--suggest" in str(raised.value.hint)
    assert 'key = ["id"]' in suggest_for(workspace, version)


def test_a_comparison_is_kept_for_its_page(orders: Workspace, services: Services) -> None:
    """With what it was compared to; the key is the one in the rules."""
    before, after = find_version(orders, "orders@1"), find_version(orders, "orders@2")
    found = diff_versions(orders, before, after)
    (kept,) = services(DatasetReports).diffs(PROJECT, "orders", 2, against="orders@1").items

    assert (found.rows.key, found.rows.n_added, found.rows.n_removed, found.rows.n_changed) == (
        ("id",),
        1,
        1,
        1,
    )
    assert (kept.diff, kept.against, kept.ref) == (found, "orders@1", "orders@2")
    assert services(DatasetReports).diffs(PROJECT, "orders", 2, against="orders@7").items == []


def test_without_rules_a_likely_key_is_taken(workspace: Workspace) -> None:
    """From the profiles of both; a given one that repeats is refused, an empty one compares whole rows."""
    handle = dataset("orders", workspace=workspace)
    before, after = handle.add(GOOD), handle.add(BAD.with_columns(half=1))

    assert diff_versions(workspace, before, after).rows.key == ("id",)
    assert diff_versions(workspace, before, after, key=()).rows.n_added == 2
    with pytest.raises(KeyNotUnique):
        diff_versions(workspace, after, after, key=["half"])


def test_a_profile_is_made_when_it_is_wanted(workspace: Workspace, services: Services) -> None:
    """Of a version without one, and once more with a target; then it is stored."""
    added = dataset("points", workspace=workspace).add({"x": np.arange(500.0), "y": 2 * np.arange(500.0)})
    first = profile_version(workspace, added, target="y")
    stored = read_profile(services(Datasets).resolve(PROJECT, "points").profile)

    assert [leak.column for leak in first.leaks] == ["x"]
    assert stored == first
    assert stored is not None
    assert stored.format == FORMAT
    assert profile_version(workspace, find_version(workspace, "points")) == first


def test_files_and_folders_are_tables_too(workspace: Workspace, tmp_path: Path) -> None:
    """One by itself, or one of several by its path; anything else has no table."""
    folder = tmp_path / "tables"
    folder.mkdir()
    GOOD.write_csv(folder / "a.csv")
    BAD.write_parquet(folder / "b.parquet")
    (folder / "note.txt").write_text("x")
    tree = dataset("tables", workspace=workspace).add(folder)
    note = dataset("note", workspace=workspace).add(folder / "note.txt")

    assert profile_version(workspace, tree, file="b.parquet").columns["amount"].minimum == -2
    with pytest.raises(Invalid, match=r"2 tables: `a\.csv`"):
        profile_version(workspace, tree)
    with pytest.raises(NotFound, match=r"c\.csv"):
        profile_version(workspace, tree, file="c.csv")
    with pytest.raises(Invalid, match="holds no table"):
        profile_version(workspace, note)


def test_a_table_that_grows_is_profiled_and_compared(workspace: Workspace) -> None:
    """Versions of a Delta table are looked at like others."""
    handle = dataset("grown", workspace=workspace)
    before = handle.append(GOOD)
    after = handle.append(GOOD.with_columns(pl.col("id") + 10))

    assert profile_version(workspace, after).n_rows == 6
    assert diff_versions(workspace, before, after).rows.n_added == 3
    assert find_version(workspace, "grown@2").profile is not None


def test_a_handle_looks_too(orders: Workspace) -> None:
    """Profile, difference and check, by the names that the commands have."""
    handle = dataset("orders", workspace=orders)

    assert handle.profile().columns["amount"].minimum == -2
    assert handle.diff("orders@1").rows.n_changed == 1
    assert [each.words for each in handle.check(record=False).broken] == ["amount: min"]


def test_a_version_that_is_removed_takes_its_reports_along(orders: Workspace, services: Services) -> None:
    """Nothing stands in the way of removing it."""
    checked(orders, "orders@2")
    services(Datasets).remove_version(PROJECT, "orders", 2)
    with pytest.raises(NotFound):
        services(DatasetReports).checks(PROJECT, "orders", 2)
