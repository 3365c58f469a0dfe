"""`noria decide ENDPOINT --dry-run` against a real server, with a real worker."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.decisions.entities import DecisionSection
from noria.decisions.service import Decisions
from noria.monitoring.service import Monitors
from noria.pipelines.job_entities import JobStatus
from noria.pipelines.jobs import Jobs
from noria.serving.endpoints import Endpoints
from noria.serving.service import Rollouts
from support.conformance import open_test_context, workspace_settings
from support.decisions import PROJECT, Incident, blobs
from support.processes import Processes, RunningProcess

KNOWN, ALL = [0, 1, 2], [0, 1, 2, 3]

PROJECT_FILE = """
[monitors]
window_rows = 1000000
quality_margin = 0.99
"""
"""No alert is raised: whatever is opened here was opened by the dry run."""


@dataclass(frozen=True, slots=True)
class Site:
    """A server on the incident's workspace, and the ways to start a worker and a command beside it."""

    incident: Incident
    processes: Processes
    command: tuple[str, ...]

    @property
    def place(self) -> tuple[str, str]:
        return ("--workspace", str(self.incident.context.settings.workspace))

    def start(self, *arguments: str) -> RunningProcess:
        """Start a command of `noria` in the project's folder."""
        line = [*self.command, *arguments, *self.place]
        return self.processes.start(line, name=arguments[0], cwd=self.incident.folder)

    def start_worker(self) -> None:
        self.start("worker").wait_for_output("worker.started")

    def ran(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command with its streams apart."""
        return subprocess.run(
            [*self.command, *arguments, *self.place],
            cwd=self.incident.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


@pytest.fixture
def context(tmp_path: Path, settings: DecisionSection) -> Iterator[Context]:
    """Give the backends of a fresh workspace in real time, which the server's processes share."""
    chosen = workspace_settings(tmp_path / "workspace")
    chosen = replace(chosen, sections={"decisions": settings}, project_root=tmp_path / "project")
    with open_test_context(chosen, SystemClock()) as opened:
        yield opened


@pytest.fixture
def site(incident: Incident, processes: Processes, noria_command: tuple[str, ...]) -> Site:
    """Start a server on the incident's workspace."""
    (incident.folder / "noria.toml").write_text(PROJECT_FILE)
    made = Site(incident, processes, noria_command)
    made.start("server", "--port", "0").wait_for_output("Noria answers at")
    return made


def test_workers_look_and_try_and_nothing_is_done(incident: Incident, site: Site) -> None:
    """The worker finds the cause, fits and judges; stdout is one JSON, and nothing was opened or put live."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    onset = incident.answer(*blobs(120, ALL, seed=2))[0]
    site.start_worker()
    ran = site.ran("decide", "shop", "--dry-run", "--explain", "--json", "--since", str(onset))
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    retrain = next(one for one in found["candidates"] if one["name"] == "retrain")
    service = incident.context.service

    assert (found["cause"], found["subject"], found["remedy"]) == ("new_class", "class 3", "retrain")
    assert (found["version_now"], found["version"], found["n_labels"]) == (1, 2, 0)
    assert found["policy"] == "automatic"
    assert retrain["gain"]["low"] > 0
    assert {weight["stage"] for weight in found["weights"]} == {
        "prior",
        *(evidence["stage"] for evidence in found["evidence"]),
    }
    assert service(Decisions).list(PROJECT).items == []
    assert service(Monitors).alerts(PROJECT).items == []
    assert len(service(Rollouts).list(PROJECT).items) == 1
    assert service(Endpoints).get(PROJECT, "shop").version == 1
    rehearsed = [job for job in service(Jobs).list(PROJECT).items if (job.key or "").startswith("rehearsal:")]
    assert [job.status for job in rehearsed] == [JobStatus.SUCCEEDED] * len(rehearsed)
    assert {job.entry.rpartition(":")[2] for job in rehearsed} == {
        "diagnose",
        "teach",
        "refit",
        "run_pipeline_job",
        "try_remedies",
    }


def test_it_waits_for_a_worker_and_tells_what_is_missing(incident: Incident, site: Site) -> None:
    """Without a worker it says so; with one, how many labels are missing and what each stage saw."""
    onset = incident.answer(blobs(80, KNOWN, seed=1)[0])[0]
    running = site.start("decide", "shop", "--dry-run", "--explain", "--since", str(onset))
    running.wait_for_output("No worker has taken the job yet")
    site.start_worker()
    wrong = site.ran("decide", "shopp", "--dry-run")

    assert running.wait(300.0) == 0, running.output()
    for words in ("40 more labelled rows are needed", "What each stage saw", "posterior", "dry run"):
        assert words in running.output()
    assert wrong.returncode == 1
    assert "`shop`" in wrong.stderr
    assert incident.context.service(Decisions).list(PROJECT).items == []
