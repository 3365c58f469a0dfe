"""A scheduled feature pipeline whose new code breaks a column: named, taken back, and right again.

Server with its control loop, and workers, are processes; workers are killed while they do what a decision asks of them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from noria.catalog.service import Catalog
from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.data.client import dataset
from noria.decisions.entities import Decision, DecisionStatus
from noria.decisions.rerunning import ASIDE_JOB
from noria.decisions.service import Decisions
from noria.decisions.steering import PIPELINE_JOB
from noria.pipelines.job_entities import JobStatus
from noria.pipelines.jobs import Jobs
from noria.pipelines.schedules.entities import RunState
from noria.pipelines.schedules.service import Schedules
from noria.registry.client import register
from noria.serving.batch.entities import BatchStatus
from noria.serving.batch.service import Batches
from noria.serving.captures import Captures
from noria.serving.label_keys import KeyedLabel, KeyedLabelBatch
from support.processes import Processes, RunningProcess
from support.scheduled_incident import FLOW, people
from support.waiting import wait_until

PROJECT = "default"
SETTINGS = """
[monitors]
window_rows = 1000000

[decisions]
outcome_labels = 50
outcome_patience_s = 600.0

[decisions.policy]
recalibrate = "forbid"
new_model = "forbid"

[[schedules]]
name = "features"
run = "flows.py:features"
on = { dataset = "raw" }

[[schedules]]
name = "scores"
run = "noria.serving.batch.pipeline:predict"
on = { schedule = "features" }
params = { model = "buyers@1", input = "customers", output = "scores", key = "id", endpoint = "shop" }
"""


@dataclass(slots=True)
class Site:
    """A project whose server and worker run, and its user."""

    folder: Path
    place: Path
    command: tuple[str, ...]
    workspace: Workspace
    start: Callable[[str], RunningProcess]
    worker: RunningProcess
    day: int = 0

    def run(self, *arguments: str) -> str:
        """Run a command of `noria` in the project's folder."""
        ran = subprocess.run(
            [*self.command, *arguments, "--workspace", str(self.place)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def write(self, divisor: str) -> None:
        """Write the pipeline."""
        text = FLOW.format(divisor=divisor, column="cents", more="", effect="pass")
        (self.folder / "flows.py").write_text(dedent(text))

    def lose_worker(self, entry: str, since: datetime) -> str:
        """Kill the worker (SIGKILL) while it runs a job of a function, begin another one, and give the job's id."""
        found: list[str] = []

        def runs() -> bool:
            jobs = self.workspace.service(Jobs).list(PROJECT, limit=20).items
            found[:] = [
                job.id
                for job in jobs
                if job.entry.endswith(entry) and job.status is JobStatus.RUNNING and job.created_at >= since
            ]
            return bool(found)

        wait_until(runs, 300, f"no worker ran `{entry}`")
        self.worker.kill()
        assert self.workspace.service(Jobs).get(PROJECT, found[0]).status is JobStatus.RUNNING
        self.worker = self.start("worker")
        return found[0]

    def a_day(self) -> None:
        """Let raw rows come; what is made of them is predicted; then the truth about them is known."""
        self.day += 1
        raw, y = people(120, seed=self.day)
        before = self.n_predicted()
        dataset("raw", workspace=self.workspace).add(raw)
        wait_until(lambda: self.n_predicted() > before, 300, "no batch run followed the raw rows")
        self.tell(raw["id"].to_list(), y)

    def tell(self, ids: list[int], y: Any) -> None:
        """Send the truth about people, whose predictions are found by their ids."""
        at = self.workspace.clock.now()
        labels = [KeyedLabel(key={"id": i}, at=at, value=int(v)) for i, v in zip(ids, y, strict=True)]
        sent = self.workspace.service(Captures).label_by_key(PROJECT, "shop", KeyedLabelBatch(labels=labels))
        assert sent.unmatched == []

    def n_predicted(self) -> int:
        """Count the batch runs that ended well."""
        page = self.workspace.service(Batches).runs(PROJECT, status=BatchStatus.SUCCEEDED, limit=100)
        return len(page.items)

    def decided(self, is_so: Callable[[Decision], bool]) -> Decision:
        """Wait for a decision that is so."""
        seen: list[Decision] = []

        def look() -> bool:
            seen[:] = self.workspace.service(Decisions).list(PROJECT).items
            return any(is_so(each) for each in seen)

        wait_until(
            look, 300, lambda: f"the decisions stand so: {[(d.status, d.cause, d.reason) for d in seen]}"
        )
        return next(each for each in seen if is_so(each))


@pytest.fixture
def site(tmp_path: Path, processes: Processes, noria_command: tuple[str, ...]) -> Iterator[Site]:
    """Start server and worker, register the model and bind the schedules."""
    folder, place = tmp_path / "project", tmp_path / "workspace"
    folder.mkdir()
    (folder / "noria.toml").write_text(SETTINGS)

    def start(name: str) -> RunningProcess:
        line = [*noria_command, name, "--workspace", str(place)]
        more = ["--port", "0"] if name == "server" else []
        started = processes.start([*line, *more], name=name, cwd=folder)
        started.wait_for_output("Noria answers at" if name == "server" else "worker.started")
        return started

    start("server")
    worker = start("worker")
    settings = load_settings(workspace=str(place), environ={}, folder=folder)
    with open_workspace(settings) as workspace:
        made = Site(folder, place, noria_command, workspace, start, worker)
        rows, y = people(400, seed=99)
        x = np.column_stack([rows["cents"].to_numpy() / 100, rows["age"].to_numpy()])
        fitted = LogisticRegression(max_iter=2000).fit(x[:300], y[:300])
        held = ({"x": x[300:]}, y[300:])
        register(fitted, "buyers", x={"x": x[:300]}, y=y[:300], holdout=held, workspace=workspace)
        made.run("deploy", "buyers@1", "--to", "shop")
        made.write("100")
        made.run("schedules", "apply")
        yield made


def test_a_pipeline_that_broke_is_named_taken_back_and_right_again(site: Site) -> None:
    """From labels alone the step is named, and approved, the code before runs; killed workers cost time alone."""
    for _ in range(3):
        site.a_day()
    site.write("1")
    site.run("schedules", "apply")
    began = site.workspace.clock.now()
    site.a_day()
    lost = site.lose_worker(ASIDE_JOB, began)
    asked = site.decided(lambda d: d.status is DecisionStatus.ASKING)
    shown = json.loads(site.run("decisions", "show", asked.id, "--json"))

    assert (asked.cause, asked.subject, asked.remedy) == (
        "pipeline_fault",
        "step flows.py:scaled",
        "fix_pipeline",
    ), asked.reason
    assert "revision 1 again" in asked.reason
    assert (shown["id"], shown["pin"]["revision"], shown["pin"]["instead_of"]) == (asked.id, 1, 2)
    assert site.workspace.service(Jobs).get(PROJECT, lost).attempt == 2

    before, began = site.n_predicted(), site.workspace.clock.now()
    site.run("decisions", "approve", asked.id)
    site.lose_worker(PIPELINE_JOB, began)
    wait_until(lambda: site.n_predicted() > before, 300, "what broke was not made again")
    schedule = json.loads(site.run("schedules", "show", "features", "--json"))
    assert schedule["revision"] == 1
    assert asked.id in schedule["pin"]["reason"]
    site.decided(lambda d: d.status is DecisionStatus.MEASURING)
    site.a_day()
    done = site.decided(lambda d: d.status is DecisionStatus.DONE)
    outcome = site.workspace.service(Catalog).get(PROJECT, done.record_id).outcome
    runs = site.workspace.service(Schedules).history(PROJECT, "features").items

    assert outcome is not None
    assert outcome["result"] == "pinned"
    assert outcome["score_after"] > 0.85 > outcome["score_before"]
    assert site.workspace.service(Schedules).get(PROJECT, "features").pin is not None
    assert [run.revision for run in runs] == [1, 1, 2, 1, 1, 1]
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    versions = dataset("customers", workspace=site.workspace).current.version
    assert versions == 6, "each run made one version, those whose worker was killed too"
