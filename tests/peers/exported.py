"""A project whose pipelines are exported, and the server that the orchestrator's tasks report to."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from noria.pipelines.entities import PipelineRun, StepReport
from noria.pipelines.service import PipelineRuns
from noria.tracking.entities import Run
from noria.tracking.service import Runs
from support.processes import Processes

FLOW = """
from pathlib import Path

import noria
from noria import pipeline, step


class Scaler:
    def __init__(self, by: float) -> None:
        self.by = by


@step
def load(n: int, label: str) -> list[int]:
    if label == "broken":
        raise ValueError("no rows today")
    return list(range(n))


@step
def scaler(by: float) -> Scaler:
    return Scaler(by)


@step(cache=False)
def split(rows: list[int]) -> tuple[list[int], list[int]]:
    return rows[::2], rows[1::2]


@step
def total(rows: list[int], scale: Scaler) -> float:
    noria.log({"n": len(rows)})
    return sum(rows) * scale.by


@step
def flaky(mark: str) -> bool:
    if not Path(mark).exists():
        raise RuntimeError("not there yet")
    return True


@pipeline
def study(
    n: int = 10, by: float = 0.5, label: str = "it's $HOME \\"quoted\\"; rm", fast: bool = True
) -> dict[str, float]:
    even, odd = split(load(n, label))
    by_two = scaler(by)
    return {"even": total(even, by_two), "odd": total(odd, by_two)}


@pipeline
def choosing(n: int = 4) -> float:
    rows = load(n, "x")
    return total(rows, scaler(1.0)) if len(rows) > 3 else 0.0


@pipeline
def waiting(mark: str) -> bool:
    return flaky(mark)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The project, and the variables with the address of the server and a token for it."""

    root: Path
    noria: str
    env: dict[str, str]

    def export(self, *arguments: str | Path) -> str:
        """Export a pipeline from the project's folder, and give what was said."""
        done = subprocess.run(
            [self.noria, "pipelines", "export", *map(str, arguments)],
            cwd=self.root,
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def runs(self, pipeline: str) -> list[PipelineRun]:
        """Give the runs of a pipeline, newest first."""
        with open_workspace(load_settings(environ=self.env, folder=self.root)) as ws:
            return ws.service(PipelineRuns).list(ws.project, pipeline=pipeline).items

    def steps(self, run_id: str) -> list[StepReport]:
        """Give the steps of a run."""
        with open_workspace(load_settings(environ=self.env, folder=self.root)) as ws:
            return ws.service(PipelineRuns).steps(ws.project, run_id).items

    def tracked(self, run_id: str) -> Run:
        """Give the tracked run."""
        with open_workspace(load_settings(environ=self.env, folder=self.root)) as ws:
            return ws.service(Runs).get(ws.project, run_id)

    def outputs(self, run: PipelineRun) -> dict[str, object]:
        """Give the values of what a run returned, which are JSON."""
        with open_workspace(load_settings(environ=self.env, folder=self.root)) as ws:
            return {
                name: json.loads(ws.objects().get(stored.digest, limit_bytes=1000))
                for name, stored in run.outputs.items()
            }


@contextmanager
def exported_project(root: Path, noria: str, processes: Processes) -> Iterator[Exported]:
    """Write the project and start a server elsewhere; the tasks find neither its folder nor the project's."""
    root.mkdir()
    (root / "flow.py").write_text(FLOW)
    (root / "noria.toml").write_text("")
    home = root.parent / "server"
    home.mkdir()
    (home / "noria.toml").write_text('[workspace]\nurl = "w"\n')
    child = processes.start([noria, "server", "--port", "0"], name="server", cwd=home)
    output = child.wait_for_output("Noria answers at ")
    made = subprocess.run(
        [noria, "tokens", "create", "orchestrator", "--role", "engineer", "--json"],
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    url = output.split("Noria answers at ")[1].split()[0]
    env = {"NORIA_WORKSPACE": url, "NORIA_TOKEN": json.loads(made.stdout)["secret"]}
    yield Exported(root=root, noria=noria, env=env)
