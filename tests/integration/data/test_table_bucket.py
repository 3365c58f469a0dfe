"""Tables of a workspace whose objects lie in a bucket."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.data.client import dataset
from support.buckets import S3Unavailable, running_moto


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Open a workspace with a bucket on a server that speaks S3, or skip with the reason."""
    try:
        with running_moto() as server:
            for name, value in server.environment.items():
                monkeypatch.setenv(name, value)
            settings = load_settings(workspace=str(tmp_path / "ws"))
            settings = dataclasses.replace(settings, objects_url=f"s3://{server.bucket}/tables")
            with open_workspace(settings, send_left=False) as opened:
                yield opened
    except S3Unavailable as reason:
        pytest.skip(f"S3: {reason}")


def test_a_table_lives_in_a_bucket(workspace: Workspace) -> None:
    """Appends, merges and choices of columns and rows work as in a folder, files beyond a megabyte too."""
    handle = dataset("t", workspace=workspace)
    frame = pl.DataFrame({"k": range(300_000), "x": np.random.default_rng(1).normal(size=300_000)})
    added = handle.append(frame)
    handle.append({"k": [-1], "x": [0.5]})
    handle.merge({"k": [7, -2], "x": [1.5, 2.5]}, on="k")

    assert added.size_bytes > 1 << 20
    assert handle.current.n_rows == 300_002
    assert handle.polars(rows="k IN (7, -1, -2)")["x"].to_list() == [1.5, 0.5, 2.5]
    assert handle.polars(columns=["k"])["k"].sum() == sum(range(300_000)) - 3
    assert dataset("t@1", workspace=workspace).polars().equals(frame)
