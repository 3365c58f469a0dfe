"""Garbage collection by references, and the check of what is referred to, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.objects.digests import hash_bytes
from noria.core.objects.layout import Layout
from noria.core.objects.references import ObjectNotInProject, add_reference
from noria.core.objects.service import DigestList, Objects
from noria.core.objects.store import Collected, ProblemKind
from noria.core.objects.upkeep import collect_garbage, find_problems
from support.conformance import open_test_context, workspace_settings

DAY = timedelta(days=1)
START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def context(tmp_path: Path, migrated_url: str, clock: ManualClock) -> Iterator[Context]:
    with open_test_context(workspace_settings(tmp_path / "workspace", migrated_url), clock) as opened:
        yield opened


def upload(context: Context, data: bytes, project: str = "default") -> str:
    return context.service(Objects).put(project, [data]).digest


def keep(context: Context, digest: str, owner: str = "dataset:1", project: str = "default") -> None:
    with context.database.write() as connection:
        add_reference(connection, context.clock, project=project, digest=digest, owner=owner)


def collect(context: Context, *, dry_run: bool = False) -> Collected:
    return collect_garbage(context.database, context.objects, context.clock, grace=DAY, dry_run=dry_run)


def missing(context: Context, digest: str, project: str = "default") -> list[str]:
    return context.service(Objects).missing(project, DigestList(digests=[digest])).digests


def test_what_nobody_took_up_is_removed_after_the_grace_period(context: Context, clock: ManualClock) -> None:
    """What is kept stays, and what is young stays."""
    kept, left = upload(context, b"kept"), upload(context, b"left behind")
    keep(context, kept)
    young = collect(context)
    clock.advance(2 * DAY.total_seconds())
    fresh = upload(context, b"fresh")
    old = collect(context)

    assert (young.n_removed, young.n_young) == (0, 2)
    assert (old.n_removed, old.removed_bytes, old.n_live, old.n_young) == (1, len(b"left behind"), 1, 1)
    assert [context.objects.has(digest) for digest in (kept, left, fresh)] == [True, False, True]


def test_a_project_knows_that_it_lost_what_was_removed(context: Context, clock: ManualClock) -> None:
    """It asks for a new upload instead of making a version of what is gone."""
    left = upload(context, b"left behind")
    clock.advance(2 * DAY.total_seconds())
    collect(context)

    assert missing(context, left) == [left]
    with pytest.raises(ObjectNotInProject):
        keep(context, left)
    assert upload(context, b"left behind") == left
    keep(context, left)
    assert list(find_problems(context.database, context.objects)) == []


def test_a_dry_run_changes_nothing(context: Context, clock: ManualClock) -> None:
    """It counts, and neither the object nor the upload is forgotten."""
    left = upload(context, b"left behind")
    clock.advance(2 * DAY.total_seconds())
    counted = collect(context, dry_run=True)

    assert (counted.n_removed, counted.dry_run) == (1, True)
    assert context.objects.has(left)
    assert missing(context, left) == []
    keep(context, left)


def test_an_object_of_two_projects_stays_for_the_one_that_keeps_it(
    context: Context, clock: ManualClock
) -> None:
    """The other one has let it go, and must upload it again to use it."""
    digest = upload(context, b"shared")
    upload(context, b"shared", project="other")
    keep(context, digest)
    clock.advance(2 * DAY.total_seconds())
    done = collect(context)

    assert (done.n_removed, done.n_live) == (0, 1)
    assert missing(context, digest) == []
    assert missing(context, digest, project="other") == [digest]


def test_an_upload_that_is_repeated_is_young_again(context: Context, clock: ManualClock) -> None:
    """Whoever uploads just before the collection is not robbed."""
    upload(context, b"again")
    clock.advance(2 * DAY.total_seconds())
    digest = upload(context, b"again")

    assert collect(context).n_removed == 0
    keep(context, digest)


def test_references_added_during_collections_are_whole(context: Context, clock: ManualClock) -> None:
    """Whichever is faster, no reference is committed to an object that is gone."""
    digests = [upload(context, b"%d" % number) for number in range(60)]
    clock.advance(2 * DAY.total_seconds())
    refused: list[str] = []

    def take_up() -> None:
        for digest in digests:
            try:
                keep(context, digest)
            except ObjectNotInProject:
                refused.append(digest)

    threads = [threading.Thread(target=take_up), threading.Thread(target=collect, args=(context,))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(find_problems(context.database, context.objects)) == []
    assert all(not context.objects.has(digest) for digest in refused)


def test_what_is_damaged_or_missing_is_named(context: Context, tmp_path: Path) -> None:
    """By digest; what is sound is not."""
    layout = Layout(tmp_path / "workspace" / "objects")
    sound, damaged, lost = (upload(context, text) for text in (b"sound", b"damaged", b"lost"))
    for digest in (sound, damaged, lost):
        keep(context, digest)
    layout.path(damaged).chmod(0o600)
    layout.path(damaged).write_bytes(b"damagee")
    layout.path(lost).unlink()
    problems = {problem.name: problem.kind for problem in find_problems(context.database, context.objects)}

    assert problems == {damaged: ProblemKind.CORRUPT, lost: ProblemKind.MISSING}
    assert damaged == hash_bytes(b"damaged")


def test_a_lost_upload_that_nobody_took_up_is_no_problem(context: Context, tmp_path: Path) -> None:
    """Only what something refers to can be missing."""
    Layout(tmp_path / "workspace" / "objects").path(upload(context, b"lost")).unlink()

    assert list(find_problems(context.database, context.objects)) == []
