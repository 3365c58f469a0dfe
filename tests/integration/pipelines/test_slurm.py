"""Steps on a cluster of SLURM, whose jobs `dask-jobqueue` submits: the guide's own lines."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from dask_jobqueue.slurm import SLURMCluster

from support.processes import Processes
from support.slurm import Slurm, missing, running_slurm, stand_in
from support.waiting import wait_until

FLOW = """
    import os
    import subprocess
    import time
    import noria

    def job() -> str:  # a variable that is named here would have to be the same where the run began
        return subprocess.check_output(["printenv", "SLURM_JOB_ID"], text=True).strip()

    @noria.step(cache=False)
    def part(n: int) -> str:
        time.sleep(0.2)
        return f"{{n * n}} {{job()}}"

    @noria.step(cache=False)
    def slow(n: int) -> int:
        open({started!r}, "a").write(job() + "\\n")
        while not os.path.exists({goes_on!r}):
            time.sleep(0.02)
        return n

    @noria.step
    def total(parts: list[str]) -> int:
        return sum(int(part.split()[0]) for part in parts)

    @noria.step
    def jobs(parts: list[str]) -> list[str]:
        return sorted({{part.split()[1] for part in parts}})

    @noria.pipeline
    def squares(n: int = 8) -> tuple[int, list[str]]:
        parts = part.map(list(range(n)))
        return total(parts), jobs(parts)

    @noria.pipeline
    def patient() -> int:
        return slow(7)
"""


@pytest.fixture(params=["stand-in", pytest.param("slurm", marks=pytest.mark.soak)])
def slurm(request: pytest.FixtureRequest, tmp_path: Path, processes: Processes) -> Iterator[Slurm]:
    """Give the commands of a cluster: of SLURM itself where it is installed, and of a stand-in everywhere."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    if request.param == "stand-in":
        with stand_in(folder) as made:
            yield made
        return
    why_not = missing()
    if why_not:
        pytest.skip(why_not)
    with running_slurm(folder, processes) as made:
        yield made


@pytest.fixture
def cluster(slurm: Slurm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Give a cluster of two jobs with a worker each."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    logs = tmp_path / "logs"
    logs.mkdir()
    with SLURMCluster(
        cores=1,
        processes=1,
        memory="500MB",
        walltime="00:20:00",
        interface="lo",
        log_directory=str(logs),
        scheduler_options={"dashboard_address": ":0"},
    ) as made:
        made.scale(jobs=2)
        wait_until(lambda: len(made.scheduler_info["workers"]) == 2, 120, lambda: told(made, logs))
        yield made


def told(cluster: Any, logs: Path) -> str:
    written = "\n".join(path.read_text() for path in logs.iterdir())
    return f"the workers did not come; the script:\n{cluster.job_script()}\nwhat jobs wrote:\n{written}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a project, and the workspace beside it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "noria.toml").write_text("")
    files = {name: str(tmp_path / name) for name in ("started", "goes_on")}
    (folder / "flow.py").write_text(dedent(FLOW.format(**files)))
    return folder


def command(noria_command: tuple[str, ...], project: Path, cluster: Any, name: str) -> list[str]:
    address = cluster.scheduler_address.replace("tcp://", "dask://")
    place = str(project.parent / "workspace")
    return [*noria_command, "run", f"flow.py:{name}", "--on", address, "--workspace", place, "--json"]


def test_steps_run_in_jobs_of_slurm(
    cluster: Any, slurm: Slurm, project: Path, noria_command: tuple[str, ...]
) -> None:
    """What the run gives is what it gives here; its steps ran in both jobs; the script asks for what was declared."""
    line = command(noria_command, project, cluster, "squares")
    ran = subprocess.run(line, cwd=project, capture_output=True, text=True, check=False, timeout=240)
    assert ran.returncode == 0, ran.stderr
    outputs = json.loads(ran.stdout)["outputs"]
    script = cluster.job_script()

    assert sum(n * n for n in range(8)) in [each.get("value") for each in outputs.values()]
    numbers = next(each["value"] for each in outputs.values() if isinstance(each.get("value"), list))
    assert set(numbers) <= {str(job.job_id) for job in cluster.workers.values()}
    assert len(numbers) == 2
    assert "#SBATCH -t 00:20:00" in script
    if "SLURM_CONF" in slurm.environment:
        assert slurm.ran("squeue", "--noheader", "--format=%i %T").count("RUNNING") == 2


def test_a_step_whose_job_is_cancelled_runs_in_another(
    cluster: Any, slurm: Slurm, project: Path, noria_command: tuple[str, ...], processes: Processes
) -> None:
    """Dask gives it to a worker that is left, without a retry of the step, and the run ends well."""
    started, goes_on = project.parent / "started", project.parent / "goes_on"
    running = processes.start(
        command(noria_command, project, cluster, "patient"), cwd=project, env=dict(os.environ)
    )
    wait_until(started.exists, 120, lambda: f"the step did not begin: {running.output()}")
    (job,) = wait_until(lambda: started.read_text().split(), 10, "no job was told")
    slurm.ran("scancel", job)
    wait_until(lambda: len(started.read_text().split()) == 2, 120, lambda: f"not again: {running.output()}")
    goes_on.touch()

    assert running.wait(240) == 0, running.output()
    first, second = started.read_text().split()
    assert (first, second != first) == (job, True)
