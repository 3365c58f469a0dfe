"""Look at versions: profile, compare and check them. What was found is kept with the version."""

from __future__ import annotations

from collections.abc import Sequence

from noria.core.errors import Forbidden, Invalid
from noria.core.serialisation import to_builtins
from noria.core.workspace import Workspace
from noria.data.diffing.entities import TableDiff
from noria.data.diffing.matching import KeyNotUnique
from noria.data.diffing.tables import diff_tables
from noria.data.entities import DatasetVersion
from noria.data.opening import opened_table
from noria.data.profiling.entities import FORMAT, VersionProfile, read_profile
from noria.data.profiling.sources import Table
from noria.data.profiling.tables import profile_of
from noria.data.quality.checks import check_table
from noria.data.quality.entities import CheckReport, NewCheck, NewDiff, NewProfile
from noria.data.quality.gate import rules_of
from noria.data.quality.service import DatasetReports
from noria.data.quality.suggesting import suggest_rules
from noria.data.service import Datasets


def find_version(workspace: Workspace, ref: str) -> DatasetVersion:
    """Give the version that a reference means, with its profile."""
    return workspace.service(Datasets).resolve(workspace.project, ref)


def profile_version(
    workspace: Workspace, version: DatasetVersion, *, target: str | None = None, file: str | None = None
) -> VersionProfile:
    """Give the profile of a version: the stored one, or one that is made now and stored.

    Parameters
    ----------
    target
        Column to be predicted; the one in `noria.toml` when left out.
    file
        One of its files; such a profile is not stored.

    Raises
    ------
    Invalid
        If the version holds no table, or one without rows.
    NotFound
        If there is no such column or file.
    """
    rules = rules_of(workspace, version.name)
    wanted = target or (rules.target if rules else None)
    known = read_profile(version.profile)
    if file is None and known is not None and known.format >= FORMAT and wanted in (None, known.target):
        return known
    with opened_table(workspace, version, file=file) as table:
        if target is None and wanted not in table.schema:
            wanted = None  # rows without labels are data too
        made = profile_of(table, target=wanted)
    if made is None:
        raise Invalid(f"`{version.ref}` has no rows to profile, or more columns than a profile is made of")
    if file is None:
        _keep_profile(workspace, version, made)
    return made


def diff_versions(
    workspace: Workspace,
    before: DatasetVersion,
    after: DatasetVersion,
    *,
    key: Sequence[str] | None = None,
    file: str | None = None,
) -> TableDiff:
    """Compare the tables of two versions, and keep the comparison for its page.

    Parameters
    ----------
    key
        Columns that name a row. When left out: those in `noria.toml`, else a likely key in the profiles of both, else
        none, and whole rows are compared. Empty means none.

    Raises
    ------
    Invalid
        If a version holds no table.
    KeyNotUnique
        If the given key names two rows of one version; with a usual one, whole rows are compared then.
    """
    with (
        opened_table(workspace, before, file=file) as old,
        opened_table(workspace, after, file=file) as new,
    ):
        chosen = _usual_key(workspace, before, after, old, new) if key is None else tuple(key)
        try:
            found = diff_tables(old, new, key=chosen, names=(before.ref, after.ref))
        except KeyNotUnique:
            if key is not None:
                raise
            found = diff_tables(old, new, names=(before.ref, after.ref))
    if file is None:
        _keep_diff(workspace, after, found)
    return found


def check_version(
    workspace: Workspace, version: DatasetVersion, *, file: str | None = None, record: bool = True
) -> CheckReport:
    """Check a version by the rules of its dataset in `noria.toml`, and record the result.

    Parameters
    ----------
    record
        Whether the result is kept with the version; then it decides whether runs and steps may read it.

    Raises
    ------
    Invalid
        If there are no rules, or the version holds no table.
    """
    rules = rules_of(workspace, version.name)
    if rules is None:
        raise Invalid(
            f"There are no rules for `{version.name}`",
            hint=f"Put them under `[data.checks.{version.name}]` in `noria.toml`; "
            f"`noria data check {version.ref} --suggest` proposes some",
        )
    now = workspace.clock.now()
    needs_reference = rules.against and any(column.max_drift is not None for column in rules.columns.values())
    with opened_table(workspace, version, file=file) as table:
        if needs_reference and rules.against:
            with opened_table(workspace, find_version(workspace, rules.against), file=file) as reference:
                results = check_table(table, rules, now=now, reference=reference)
        else:
            results = check_table(table, rules, now=now)
        report = CheckReport(ref=version.ref, digest=version.digest, n_rows=table.n_rows, results=results)
    if record:
        reports = workspace.service(DatasetReports)
        reports.record_check(workspace.project, version.name, version.version, NewCheck(report=report))
    return report


def suggest_for(workspace: Workspace, version: DatasetVersion, *, file: str | None = None) -> str:
    """Propose rules from a version that is known to be good, as text for `noria.toml`."""
    profile = profile_version(workspace, version, file=file)
    return suggest_rules(version.name, profile, against=version.ref)


def _usual_key(
    workspace: Workspace, before: DatasetVersion, after: DatasetVersion, old: Table, new: Table
) -> tuple[str, ...]:
    rules = rules_of(workspace, after.name)
    if (
        rules is not None
        and rules.key
        and all(name in old.schema and name in new.schema for name in rules.key)
    ):
        return rules.key
    profiles = [read_profile(version.profile) for version in (before, after)]
    known = [profile or VersionProfile() for profile in profiles]
    if any(profile.format < FORMAT for profile in known):
        known = [profile_of(table) or VersionProfile() for table in (old, new)]
    return next((key for key in known[0].keys if key in known[1].keys), ())


def _keep_profile(workspace: Workspace, version: DatasetVersion, profile: VersionProfile) -> None:
    reports = workspace.service(DatasetReports)
    new = NewProfile(profile=to_builtins(profile))
    try:
        reports.record_profile(workspace.project, version.name, version.version, new)
    except Forbidden:
        return  # who may only read sees the profile all the same


def _keep_diff(workspace: Workspace, after: DatasetVersion, found: TableDiff) -> None:
    try:
        reports = workspace.service(DatasetReports)
        reports.record_diff(workspace.project, after.name, after.version, NewDiff(diff=found))
    except Forbidden:
        return
