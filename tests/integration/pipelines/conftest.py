"""A workspace in this process and a user's project, for running pipelines."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from noria.core.clock import SystemClock
from noria.core.config import Settings
from noria.core.workspace import InProcess, Workspace
from noria.pipelines.runner import PipelineResult, run_pipeline
from support.conformance import migrated_file, open_test_context, workspace_settings
from support.project import UserProject, user_project


@dataclass(frozen=True, slots=True)
class Desk:
    """A project, and a workspace that its pipelines are recorded in."""

    project: UserProject
    workspace: Workspace

    def write(self, text: str, path: str = "flow.py") -> Path:
        """Write a module; steps and pipelines need no import in it."""
        header = "from __future__ import annotations\nfrom pathlib import Path\nfrom typing import Any, NamedTuple\n"
        header += "import noria\nimport numpy as np\nfrom noria import pipeline, step\n\n"
        place = self.project.write(path, text)
        place.write_text(header + place.read_text())
        return place

    def run(
        self, name: str = "study", *, module: str = "flow", force: bool = False, **params: Any
    ) -> PipelineResult:
        """Run a pipeline as a new process would."""
        return run_pipeline(self.workspace, getattr(self.project.load(module), name), params, force=force)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated database to copy."""
    return migrated_file(tmp_path_factory.mktemp("template"))


@pytest.fixture
def settings(tmp_path: Path, migrated: Path) -> Settings:
    """Give the settings of a fresh, migrated workspace, seen from a project's folder."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    shutil.copyfile(migrated, folder / "noria.db")
    made = workspace_settings(folder)
    return Settings(
        workspace=made.workspace,
        database_url=made.database_url,
        objects_url=made.objects_url,
        project_root=tmp_path / "project",
    )


class Sleepless(SystemClock):
    """The machine's clock, but nobody waits: pauses are noted."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Note the pause."""
        self.slept.append(seconds)


@pytest.fixture
def clock() -> Sleepless:
    """Give a clock that does not wait."""
    return Sleepless()


@pytest.fixture
def desk(settings: Settings, clock: Sleepless) -> Iterator[Desk]:
    """Give an empty project and a workspace in this process."""
    with (
        user_project(settings.project_root) as project,
        open_test_context(settings, clock) as context,
    ):
        yield Desk(project, Workspace(settings, InProcess(context), clock))
