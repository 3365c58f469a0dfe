"""A user's project for the tests of pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.project import UserProject, user_project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[UserProject]:
    """Give an empty project on `sys.path`."""
    with user_project(tmp_path / "project") as made:
        yield made
