"""A local store on a clock that stands still."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from noria.core.clock import ManualClock
from noria.core.objects.local import LocalObjectStore

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store(root: Path, clock: ManualClock) -> LocalObjectStore:
    return LocalObjectStore(root, clock)
