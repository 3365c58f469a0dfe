"""The server as a process: it starts, answers, is found, stops, and refuses what it must."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from noria.access.audit import Audit
from noria.access.entities import NewToken, NewUser
from noria.access.projects import NewProject, Projects
from noria.access.tokens import Tokens
from noria.access.users import Users
from noria.core.config import Settings
from noria.core.control.lock import read_server_info
from noria.core.errors import Unauthenticated, Unavailable
from noria.core.events.checkpoints import Checkpoints
from noria.core.key import read_key
from noria.core.permissions import Role
from noria.core.remote import HttpTransport, remote_service
from noria.core.trust import trust_for
from noria.core.workspace import OverHttp, open_workspace
from support.conformance import workspace_settings
from support.ports import free_port
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

ANSWERS = "Noria answers at "
PASSWORD = "correct horse battery"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - that is what is tested

Start = Callable[..., RunningProcess]
Connect = Callable[..., HttpTransport]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of a workspace that nobody has opened."""
    return tmp_path / "workspace"


@pytest.fixture
def server(processes: Processes, noria_command: tuple[str, ...], folder: Path) -> Start:
    """Give what starts a server and waits until it answers."""

    def start(*options: str, wait: bool = True, env: dict[str, str] | None = None) -> RunningProcess:
        command = [*noria_command, "server", "--workspace", str(folder), "--port", "0", *options]
        child = processes.start(command, name="server", env=env)
        if wait:
            child.wait_for_output(ANSWERS)
        return child

    return start


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Give what opens connections to a server; they are closed with the test."""
    with ExitStack() as stack:

        def open_(url: str, *, secret: str | None = None) -> HttpTransport:
            transport = HttpTransport(url, secret=secret)
            stack.callback(transport.close)
            return transport

        yield open_


def url_of(child: RunningProcess) -> str:
    """Give the address that a server printed."""
    return child.wait_for_output(ANSWERS).partition(ANSWERS)[2].strip()


def control_of(child: RunningProcess) -> str:
    """Ask a server what its control loop does."""
    url = f"{url_of(child)}/health/ready"
    return str(httpx.get(url, verify=trust_for(url), trust_env=False).json()["control"])


def test_a_server_answers_is_found_and_stops(server: Start, folder: Path) -> None:
    """It prints its address, leaves a note for clients, answers them, and takes the note away when it stops."""
    child = server()
    info = read_server_info(folder)
    with open_workspace(workspace_settings(folder)) as workspace:
        over_http = isinstance(workspace.backend, OverHttp)
        workspace.service(Projects).create(NewProject(name="energy"))
    code = child.stop(timeout_s=10)
    with open_workspace(workspace_settings(folder)) as workspace:
        found = workspace.service(Projects).get("energy").name

    assert info is not None
    assert (info.url, info.pid) == (url_of(child), child.pid)
    assert over_http
    assert code == 0
    assert read_server_info(folder) is None
    assert found == "energy"


def test_a_running_server_seals_the_log_and_signs_it_at_its_end(server: Start, folder: Path) -> None:
    """The control loop seals events soon; a stopping server notes the head."""
    child = server()
    settings = workspace_settings(folder)
    with open_workspace(settings) as workspace:
        projects, audit = workspace.service(Projects), workspace.service(Audit)
        projects.create(NewProject(name="one"))
        wait_until(lambda: audit.verify().n_sealed == 1, message="the first event was not sealed")
        projects.create(NewProject(name="two"))
        wait_until(lambda: audit.verify().n_sealed == 2, message="the second event was not sealed")
    child.stop()
    with open_workspace(settings) as workspace:
        report = workspace.service(Audit).verify()

    assert (report.ok, report.n_events, report.checkpointed_to) == (True, 2, 2)
    assert [point.position for point in Checkpoints(folder).read()] == [1, 2]


def test_the_control_loop_is_told_by_health(server: Start) -> None:
    """Soon after it answers, the server says that its loop runs."""
    child = server()
    wait_until(lambda: control_of(child) == "running", message=child.output)


def test_a_second_server_of_a_folder_is_refused(server: Start) -> None:
    """The refusal names the process and the address of the first, which goes on."""
    first = server()
    second = server(wait=False)

    assert second.wait() == 1
    assert f"process `{first.pid}`" in second.output()
    assert url_of(first) in second.output()
    assert control_of(first)


def test_a_port_in_use_is_refused_before_anything_is_made(server: Start, folder: Path) -> None:
    """The refusal names the port and the option; no database was made, and no note was left."""
    other = server()
    port = url_of(other).rpartition(":")[2]
    taken = folder.with_name("another")
    child = server("--workspace", str(taken), "--port", port, wait=False)

    assert child.wait() == 1
    assert f"Another program listens on port {port}" in child.output()
    assert "--port" in child.output()
    assert sorted(path.name for path in taken.iterdir()) == ["lock"]


def test_a_killed_server_leaves_nothing_in_the_way(server: Start, folder: Path) -> None:
    """After `kill -9` clients open the folder themselves, and the next server starts."""
    first = server()
    first.kill()
    with open_workspace(workspace_settings(folder)) as workspace:
        projects = workspace.service(Projects).list()
        in_process = not isinstance(workspace.backend, OverHttp)
    second = server()

    assert in_process
    assert [project.name for project in projects.items] == ["default"]
    assert control_of(second)


def test_a_server_that_others_could_reach_needs_a_user(server: Start, folder: Path, connect: Connect) -> None:
    """Without a user it refuses with the command that makes one; with one it starts, and asks everyone to sign in."""
    refused = server("--host", EVERYWHERE, wait=False)
    code = refused.wait()
    with open_workspace(workspace_settings(folder)) as workspace:
        workspace.service(Users).create(NewUser(name="ali", password=PASSWORD, role=Role.VIEWER))
        secret = workspace.service(Tokens).create(NewToken(name="ci", role=Role.VIEWER)).secret
    started = server("--host", EVERYWHERE)
    url = url_of(started)
    anonymous = remote_service(Projects, connect(url))
    signed_in = remote_service(Projects, connect(url, secret=secret))
    with pytest.raises(Unauthenticated):
        anonymous.list()

    assert code == 2
    assert "noria users create" in refused.output()
    assert [project.name for project in signed_in.list().items] == ["default"]


def test_from_the_first_user_on_loopback_is_closed_too(server: Start, folder: Path, connect: Connect) -> None:
    """Behind a proxy everyone comes from loopback, so a user's existence closes it; the key still opens."""
    url = url_of(server())
    visitor = remote_service(Projects, connect(url))
    owner = connect(url, secret=read_key(folder))
    before = visitor.list()
    remote_service(Users, owner).create(NewUser(name="ali", password=PASSWORD))
    with pytest.raises(Unauthenticated):
        visitor.list()

    assert remote_service(Projects, owner).list() == before


def test_a_server_workspace_is_reached_by_token(server: Start, folder: Path) -> None:
    """`http://…` with a token is a workspace like a folder, and a wrong token is told."""
    url = url_of(server())
    with open_workspace(workspace_settings(folder)) as owner:
        secret = owner.service(Tokens).create(NewToken(name="ci", role=Role.VIEWER)).secret
    settings = Settings(workspace=url, database_url="", objects_url="", token=secret)
    with open_workspace(settings) as workspace:
        names = [project.name for project in workspace.service(Projects).list().items]
    wrong = Settings(workspace=url, database_url="", objects_url="", token="noria_wrong")
    with open_workspace(wrong) as workspace, pytest.raises(Unauthenticated):
        workspace.service(Projects).list()

    assert names == ["default"]


def test_a_child_ends_with_its_parent(
    noria_command: tuple[str, ...], processes: Processes, folder: Path
) -> None:
    """A server that was given its parent's pipe ends when the parent is killed without warning."""
    parent = (
        "import os, subprocess, sys, time\n"
        "reading, writing = os.pipe()\n"
        "command = [*sys.argv[1:], '--parent-fd', str(reading)]\n"
        "child = subprocess.Popen(command, pass_fds=[reading], start_new_session=True)\n"
        "os.close(reading)\n"
        "time.sleep(600)\n"
    )
    command = [*noria_command, "server", "--workspace", str(folder), "--port", "0"]
    started = processes.start([sys.executable, "-c", parent, *command], name="parent")
    started.wait_for_output(ANSWERS)
    pid = json.loads((folder / "server.json").read_text())["pid"]
    started.kill()
    wait_until(lambda: read_server_info(folder) is None, 15, "the server outlived its parent")

    assert pid != started.pid


def test_a_server_stops_though_a_client_holds_on(server: Start) -> None:
    """An open connection and an unfinished upload delay the end by no more than the grace."""
    child = server()
    url = httpx.URL(url_of(child))
    with (
        socket.create_connection((url.host, url.port or 0)) as idle,
        socket.create_connection((url.host, url.port or 0)) as uploading,
    ):
        idle.sendall(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        uploading.sendall(
            b"POST /api/v1/projects/default/objects HTTP/1.1\r\nhost: localhost\r\n"
            b"content-type: application/octet-stream\r\ncontent-length: 1000\r\n\r\nabc"
        )
        idle.recv(100)
        child.process.terminate()

        assert child.wait(10) in (0, 1)


def test_a_workspace_that_is_no_folder_cannot_be_served(
    noria_command: tuple[str, ...], processes: Processes
) -> None:
    """Serving a server is refused in words."""
    child = processes.start([*noria_command, "server", "--workspace", "http://localhost:1"], name="server")

    assert child.wait() == 2
    assert "needs a workspace folder" in child.output()


def test_an_address_of_another_machine_cannot_be_bound(server: Start) -> None:
    """An address that this machine does not have is told with the option that names it."""
    child = server("--host", "192.0.2.1", wait=False)

    assert child.wait() == 2
    assert "--host" in child.output()


def test_nobody_answers_at_a_free_port(connect: Connect) -> None:
    """A client without a server says where it looked and how to start one."""
    port = free_port()
    with pytest.raises(Unavailable, match=f"Nothing answers at `http://127.0.0.1:{port}`") as caught:
        remote_service(Projects, connect(f"http://127.0.0.1:{port}")).list()

    assert "noria up" in (caught.value.hint or "")


@pytest.fixture
def shared_database(postgres_url: str) -> dict[str, str]:
    """Give the environment of servers that share a PostgreSQL."""
    return {"NORIA_DATABASE": postgres_url}


@pytest.mark.postgres
def test_servers_on_one_postgres_take_turns(
    server: Start, folder: Path, shared_database: dict[str, str], connect: Connect
) -> None:
    """The second server answers and stands by; when the first is killed, it takes the control loop over."""
    first = server(env=shared_database)
    wait_until(lambda: control_of(first) == "running", message=first.output)
    second = server("--workspace", str(folder.with_name("second")), env=shared_database)
    wait_until(lambda: control_of(second) == "standby", message=second.output)
    owner = remote_service(Projects, connect(url_of(second)))
    names = [project.name for project in owner.list().items]
    first.kill()
    wait_until(lambda: control_of(second) == "running", 60, second.output)

    assert names == ["default"]
    assert second.stop() == 0


def test_the_server_is_light(server: Start) -> None:
    """A server at rest holds less than 150 MB, and none of the libraries that belong into workers."""
    child = server()
    wait_until(lambda: control_of(child) == "running", message=child.output)
    mapped = {Path(entry.path).name for entry in psutil.Process(child.pid).memory_maps() if entry.path}
    heavy = [name for name in mapped if name.startswith(("libopenblas", "_multiarray_umath", "libgfortran"))]

    assert psutil.Process(child.pid).memory_info().rss < 150 << 20
    assert heavy == []


def test_help_of_the_command_names_its_options(noria_command: tuple[str, ...]) -> None:
    """`noria server --help` tells host and port, and keeps the parent's pipe to itself."""
    done = subprocess.run(
        [*noria_command, "server", "--help"], capture_output=True, text=True, check=True, env={**os.environ}
    )

    assert "--host" in done.stdout
    assert "--port" in done.stdout
    assert "parent" not in done.stdout
