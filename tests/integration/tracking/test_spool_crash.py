"""Loggers and servers are killed without warning: what is older than a tenth of a second is kept, and kept once."""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from noria.core.config import load_settings
from noria.core.key import read_key
from noria.core.workspace import Workspace, open_workspace
from noria.tracking.entities import RunStatus
from noria.tracking.service import Runs
from noria.tracking.sync import SyncReport, sync
from support.ports import free_port
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

CHILD = Path(__file__).with_name("logging_child.py")
NOTE = struct.Struct("<qq")
PROMISE_NS = 100_000_000


@dataclass(slots=True)
class Place:
    """A workspace that processes log to: a folder, or a server that can be killed and started again."""

    processes: Processes
    folder: Path
    command: tuple[str, ...]
    port: int | None
    server: RunningProcess | None = None

    @property
    def env(self) -> dict[str, str]:
        """Give the variables by which a process finds the workspace."""
        if self.port is None:
            return {"NORIA_WORKSPACE": str(self.folder)}
        key = read_key(self.folder)
        return {"NORIA_WORKSPACE": f"http://127.0.0.1:{self.port}", "NORIA_TOKEN": key or ""}

    def open(self) -> Workspace:
        """Open it as a client does."""
        return open_workspace(load_settings(environ=self.env, folder=self.folder), send_left=False)

    def start_server(self) -> None:
        """Start the server and wait until it answers."""
        argv = [*self.command, "server", "--workspace", str(self.folder), "--port", str(self.port)]
        self.server = self.processes.start(argv, name="server")
        self.server.wait_for_output("Noria answers at")

    def start(self, script: Path, *arguments: object) -> RunningProcess:
        """Start a process that logs."""
        argv = [sys.executable, str(script), *map(str, arguments)]
        (self.folder / "noria.toml").write_text("[tracking]\npatience_s = 60\n")
        return self.processes.start(argv, name=script.name, env=self.env, cwd=self.folder)


@pytest.fixture(params=["folder", "server"])
def place(
    request: pytest.FixtureRequest, processes: Processes, tmp_path: Path, noria_command: tuple[str, ...]
) -> Place:
    folder = tmp_path / "workspace"
    folder.mkdir()
    made = Place(processes, folder, noria_command, free_port() if request.param == "server" else None)
    if made.port is not None:
        made.start_server()
    return made


@pytest.fixture
def workspace(place: Place) -> Iterator[Workspace]:
    with place.open() as opened:
        yield opened


def notes_of(path: Path) -> list[tuple[int, int]]:
    """Give step and processor time of each call that had returned."""
    content = path.read_bytes() if path.exists() else b""
    return list(NOTE.iter_unpack(content[: len(content) // NOTE.size * NOTE.size]))


def span_ns(path: Path) -> int:
    """Give how much processor time the child has had since its first call."""
    notes = notes_of(path)
    return notes[-1][1] - notes[0][1] if notes else 0


def check_kept(workspace: Workspace, run_id: str, notes: list[tuple[int, int]]) -> None:
    """Hold the store against the notes: a prefix of the steps, each once, that ends within the promise."""
    runs = workspace.service(Runs)
    found = {key: runs.points("default", run_id, key).points for key in ("a", "b")}
    n_kept = len(found["a"].steps)
    promised = [step for step, at_ns in notes if at_ns < notes[-1][1] - PROMISE_NS]

    assert n_kept >= len(promised)
    for key, sign in (("a", 1.0), ("b", -1.0)):
        assert found[key].steps == list(range(n_kept))
        assert found[key].values == [sign * step for step in range(n_kept)]
    params = runs.get("default", run_id).params
    assert {f"p{step // 7 % 900}" for step in promised if step % 7 == 0} <= set(params)
    assert all(key == f"p{value}" for key, value in params.items())


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "n_kills", [pytest.param(3, id="few"), pytest.param(30, marks=pytest.mark.soak, id="many")]
)
def test_a_killed_logger_loses_nothing_older_than_a_tenth_of_a_second(
    place: Place, workspace: Workspace, tmp_path: Path, n_kills: int
) -> None:
    """Whenever it dies, all points but those of its last moments are in the store after a sync, exactly once."""
    chance = random.Random(20260711)
    for turn in range(n_kills):
        notes = tmp_path / f"notes{turn}"
        child = place.start(CHILD, notes)
        lived_ns = chance.randint(1_000_000, 800_000_000)
        wait_until(lambda: span_ns(notes) > lived_ns, 60.0, child.output)  # noqa: B023 - called at once
        child.kill()
        sync(workspace)
        run_id = child.output().splitlines()[0]

        check_kept(workspace, run_id, notes_of(notes))
        assert workspace.service(Runs).get("default", run_id).status is RunStatus.KILLED


@pytest.mark.timeout(240)
def test_a_sync_that_is_killed_loses_and_doubles_nothing(
    place: Place, workspace: Workspace, tmp_path: Path
) -> None:
    """However often the sending dies in the middle, the next one goes on."""
    notes = tmp_path / "notes"
    child = place.start(CHILD, notes)
    wait_until(lambda: span_ns(notes) > 600_000_000, 120.0, child.output)
    child.kill()
    run_id = child.output().splitlines()[0]
    script = tmp_path / "send.py"
    script.write_text(
        dedent(
            """
            from noria.core.workspace import open_workspace
            from noria.tracking.sync import sync
            workspace = open_workspace(send_left=False)
            print("sending", flush=True)
            sync(workspace)
            """
        )
    )
    for _ in range(4):
        sender = place.start(script)
        sender.wait_for_output("sending")
        sender.kill()
    sync(workspace)

    check_kept(workspace, run_id, notes_of(notes))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("place", ["server"], indirect=True)
def test_a_server_that_is_killed_and_started_again_loses_and_doubles_nothing(
    place: Place, tmp_path: Path
) -> None:
    """The run goes on meanwhile; at its end all of it is there, each point once."""
    script = tmp_path / "train.py"
    script.write_text(
        dedent(
            """
            import threading, noria
            with noria.run("long") as run:
                print(run.id, flush=True)
                for step in range(40_000):
                    if step % 2_000 == 0:
                        threading.Event().wait(0.2)
                        print(f"logged {step}.", flush=True)
                    run.log({"a": float(step)}, step=step)
            """
        )
    )
    child = place.start(script)
    for step in (6_000, 14_000, 24_000):
        child.wait_for_output(f"logged {step}.")
        assert place.server is not None
        place.server.kill()
        place.start_server()
    assert child.wait(120) == 0, child.output()
    run_id = child.output().splitlines()[0]
    with place.open() as workspace:
        points = workspace.service(Runs).points("default", run_id, "a").points
        status = workspace.service(Runs).get("default", run_id).status

    assert points.steps == list(range(40_000))
    assert points.values == [float(step) for step in range(40_000)]
    assert status is RunStatus.FINISHED


@pytest.mark.parametrize("place", ["server"], indirect=True)
def test_a_program_ends_well_while_its_server_is_gone(place: Place, tmp_path: Path) -> None:
    """It says that something is left, with the command that sends it, and its exit code is its own."""
    script = tmp_path / "train.py"
    script.write_text(
        dedent(
            """
            import pathlib, threading, noria
            with noria.run("cut off") as run:
                run.log({"a": 1.0})
                run.flush()
                print(run.id, flush=True)
                while not pathlib.Path("gone").exists():
                    threading.Event().wait(0.01)
                run.log({"a": 2.0})
            """
        )
    )
    (tmp_path / "noria.toml").write_text("[tracking]\npatience_s = 0.5\n")
    child = place.processes.start([sys.executable, script], name="train", env=place.env, cwd=tmp_path)
    wait_until(lambda: child.output().endswith("\n"), message=child.output)
    run_id = child.output().splitlines()[0]
    assert place.server is not None
    place.server.kill()
    (tmp_path / "gone").touch()
    assert child.wait() == 0, child.output()
    assert "noria runs sync" in child.output()
    place.start_server()
    with place.open() as workspace:
        report: SyncReport = sync(workspace)
        values = workspace.service(Runs).points("default", run_id, "a").points.values

    assert report.is_clean
    assert values == [1.0, 2.0]
