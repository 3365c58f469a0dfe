"""What a moving reference to a model led to is told, so that no step's result outlives the move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB

import noria
from noria.core import lineage


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[noria.Workspace]:
    """Give a workspace with one registered version that is champion."""
    with noria.open_workspace(noria.load_settings(workspace=str(tmp_path / "ws"))) as opened:
        x, y = load_iris(return_X_y=True)
        noria.register(GaussianNB().fit(x, y), "iris", x=x, y=y, alias="champion", workspace=opened)
        yield opened


@pytest.mark.parametrize(
    ("ref", "told"),
    [
        ("iris@1", []),
        ("iris", [("model:iris", "model:iris@1")]),
        ("iris@champion", [("model:iris@champion", "model:iris@1")]),
    ],
)
def test_only_a_reference_that_can_move_is_followed(
    workspace: noria.Workspace, ref: str, told: list[tuple[str, str]]
) -> None:
    """A version is the same for ever; a name and an alias may lead elsewhere tomorrow."""
    followed: list[tuple[str, str]] = []
    token = lineage.follower.set(lambda name, target: followed.append((name, target)))
    try:
        noria.model(ref, workspace=workspace)
    finally:
        lineage.follower.reset(token)

    assert followed == told
