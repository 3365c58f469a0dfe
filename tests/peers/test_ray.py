"""A Ray cluster of one machine runs the steps of a pipeline, as Noria's own process would."""

from __future__ import annotations

import json
import os
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peers.conftest import Peer
from support.ports import free_port
from support.processes import RunningProcess

pytestmark = [pytest.mark.peers, pytest.mark.timeout(900)]

PEER = "ray"
DISTRIBUTION = "ray"
COVERS = "steps of a pipeline on a cluster: results, logs, lineage, errors, a process that is killed, one that is late"
NOT_YET = "several machines"

ATTEMPTS = 3
"""To start a cluster: where the machine is so busy that the agents are late, Ray ends itself."""

FLOW = Path(__file__).parents[1] / "integration" / "pipelines" / "matrix_flow.py"


@pytest.fixture
def cluster(peer: Peer, tmp_path: Path) -> Iterator[str]:
    """Give the address of a cluster; its processes find Noria in the environment of the tests."""
    warm(peer, tmp_path)
    place = Path("/tmp") / f"ray-{os.getpid()}"  # noqa: S108 - sockets need a short path
    for left in reversed(range(ATTEMPTS)):
        door, inner = free_port(), free_port()
        while not (1024 < door < 10_000 or door > 20_000):  # Ray keeps those between for its workers
            door = free_port()
        child = started(
            peer,
            [
                *("-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus", "2"),
                *("--port", str(inner), "--ray-client-server-port", str(door), "--temp-dir", str(place)),
                *(
                    "--include-dashboard",
                    "false",
                    "--disable-usage-stats",
                    "--object-store-memory",
                    "80000000",
                ),
            ],
            tmp_path,
        )
        try:
            child.wait_for_output("block forever", timeout_s=200)
            yield f"ray://127.0.0.1:{door}"
        except AssertionError:
            if child.running or not left:
                raise
        else:
            return
        finally:
            child.stop()
            shutil.rmtree(place, ignore_errors=True)


def warm(peer: Peer, folder: Path) -> None:
    """Have the byte code of Ray's agents written, and their files in memory: they have 15 s to begin, see `started`."""
    modules = "ray.dashboard.agent, ray._private.runtime_env.agent.main, ray.util.client.server.proxier"
    assert started(peer, ["-c", f"import {modules}"], folder).wait(300) == 0


def started(peer: Peer, arguments: list[str], folder: Path) -> RunningProcess:
    """Start a program of Ray's environment in which Noria can be imported, too.

    Noria and what it needs come after the packages of that environment. Before them, Ray's own processes would import
    ours, without their byte code where none is written, and take longer than the 15 s that Ray gives its agents to
    begin, which cannot be set.
    """
    places = [str(Path(__file__).parents[2] / "src"), sysconfig.get_path("purelib")]
    site = folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(f"import sys\nsys.path += {places!r}\n")
    env = {
        "PYTHONPATH": str(site),
        "PYTHONDONTWRITEBYTECODE": "",
        "NORIA_WORKSPACE": str(folder / "workspace"),
        "RAY_raylet_start_wait_time_s": "60",
        "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "150",
    }
    return peer.processes.start([peer.bin / "python", *arguments], name="ray", cwd=folder, env=env)


def test_steps_run_on_ray_as_they_do_here(peer: Peer, cluster: str, tmp_path: Path) -> None:
    """The same pipeline gives the same outputs on Ray and here, and finds what the other one stored."""
    shutil.copyfile(FLOW, tmp_path / "flow.py")
    (tmp_path / "noria.toml").write_text("")
    (tmp_path / "source.txt").write_text("one\ntwo\n")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "count.sh").write_text('for _ in $(seq "$2"); do cat "$1"; done\n')

    def run(name: str, *more: str) -> tuple[int, str]:
        child = started(peer, ["-m", "noria.cli", "run", name, *more], tmp_path)
        return child.wait(180), child.output()

    def answer(*more: str) -> Any:
        code, output = run(
            "flow:everything", "-p", "source=source.txt", "-p", f"note={tmp_path / 'note'}", "--json", *more
        )
        assert code == 0, output
        return json.loads(output.splitlines()[-1])

    there, here = answer("--on", cluster), answer()

    assert {n: o["digest"] for n, o in there["outputs"].items()} == {
        n: o["digest"] for n, o in here["outputs"].items()
    }
    assert sorted(s["name"] for s in here["steps"] if s["status"] != "reused") == ["always", "fail"]
    for name, told in (
        ("failing", "ValueError: cannot do 2"),
        ("overlong", "ran longer than its `timeout_s`"),
        ("shot", "probably because it was out of memory"),
    ):
        code, output = run(f"flow:{name}", "--on", cluster)
        assert (code, told in output) == (1, True), output
