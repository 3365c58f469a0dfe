"""What no version of a table needs is collected, and nothing else of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from noria.core.clock import ManualClock
from noria.core.objects.trees import read_manifest
from noria.core.objects.upkeep import collect_garbage, find_problems
from noria.core.workspace import InProcess, Workspace
from noria.data.client import dataset
from noria.data.service import Datasets
from support.conformance import open_test_context, workspace_settings


def test_files_that_no_version_needs_are_collected(tmp_path: Path) -> None:
    """Removing a version frees the files that it alone has; the versions beside it read and verify as before."""
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    with open_test_context(workspace_settings(tmp_path / "ws"), clock) as context:
        workspace = Workspace(context.settings, InProcess(context), clock)
        handle = dataset("t", workspace=workspace)
        for n in range(6):
            clock.advance(60)
            handle.append({"k": [n], "text": [f"row {n} " * 50_000]})
        handle.overwrite({"k": [9], "text": ["only this"]})
        store = workspace.objects()
        digests = {
            v.version: {entry.digest for entry in read_manifest(store, v.digest).entries}
            for v in handle.log()
        }
        rows = {v.version: dataset(v.ref, workspace=workspace).polars() for v in handle.log()}
        service = workspace.service(Datasets)
        service.remove_version("default", "t", 6)
        service.remove_version("default", "t", 2)
        clock.advance(timedelta(days=3).total_seconds())
        collect_garbage(context.database, context.objects, clock, grace=timedelta(days=1))

        kept = set().union(*(digests[n] for n in (1, 3, 4, 5, 7)))
        assert not context.objects.missing(kept)
        assert context.objects.missing(digests[6] - kept) == digests[6] - kept != set()
        assert list(find_problems(context.database, context.objects)) == []
        for n in (1, 3, 4, 5, 7):
            assert dataset(f"t@{n}", workspace=workspace).polars().equals(rows[n])
        assert handle.append({"k": [10], "text": ["and on"]}).version == 8
        assert pl.concat([rows[7], handle.polars().tail(1)]).equals(handle.polars())
