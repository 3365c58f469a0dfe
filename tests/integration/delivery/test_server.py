"""Webhooks of a real server: its control loop calls them, and goes on after it was killed."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from noria.core.config import load_settings
from noria.core.control.lock import read_server_info
from noria.core.workspace import Workspace, open_workspace
from noria.delivery.entities import DeliveryStatus, NewWebhook, parse_event
from noria.delivery.service import Webhooks
from noria.registry.entities import NewModel
from noria.registry.service import Models
from support.other_side import OtherSide, other_side, say
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

ANSWERS = "Noria answers at "
EVENTS = [parse_event("registered_model.created")]

Start = Callable[[], RunningProcess]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give the folder of a project whose server may call this machine."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "noria.toml").write_text('[workspace]\nurl = ".noria"\n\n[outbound]\nallow = ["127.0.0.1"]\n')
    return folder


@pytest.fixture
def start(processes: Processes, noria_command: tuple[str, ...], project: Path) -> Start:
    """Give what starts the server of the project and waits until it answers."""

    def begin() -> RunningProcess:
        child = processes.start([*noria_command, "server", "--port", "0"], name="server", cwd=project)
        child.wait_for_output(ANSWERS)
        return child

    return begin


@pytest.fixture
def opened(project: Path) -> Callable[[], Workspace]:
    def connect() -> Workspace:
        assert read_server_info(project / ".noria") is not None
        return open_workspace(load_settings(environ={}, folder=project))

    return connect


def add_webhook(workspace: Workspace, receiver: OtherSide, *, secret: str | None = None) -> str:
    url = f"http://127.0.0.1:{receiver.port}/hook"
    new = NewWebhook(name="hook", url=url, events=list(EVENTS), secret=secret)
    return workspace.service(Webhooks).create(new).id


def test_a_change_is_told_soon(start: Start, opened: Callable[[], Workspace]) -> None:
    """A model is made over HTTP, and the receiver hears of it from the control loop; the record says so."""
    server = start()
    with other_side(say()) as receiver, opened() as workspace:
        webhook = add_webhook(workspace, receiver, secret="s")
        workspace.service(Models).create("default", NewModel(name="digits"))
        wait_until(lambda: receiver.requests, message="nothing was told")
        service = workspace.service(Webhooks)
        wait_until(lambda: service.deliveries(webhook).items[0].status is DeliveryStatus.DELIVERED)
        [(_, path, headers, body)] = receiver.requests

    assert path == "/hook"
    assert headers["x-mlflow-signature"].startswith("v1,")
    assert json.loads(body)["data"]["name"] == "digits"
    assert server.stop() == 0


def test_a_killed_server_goes_on_where_it_was(start: Start, opened: Callable[[], Workspace]) -> None:
    """A delivery that was to be tried again is tried again by the next server, under the same identifier."""
    broken = True

    def script(handler: BaseHTTPRequestHandler) -> None:
        say(500 if broken else 200)(handler)

    server = start()
    with other_side(script) as receiver:
        with opened() as workspace:
            webhook = add_webhook(workspace, receiver)
            workspace.service(Models).create("default", NewModel(name="digits"))
            wait_until(lambda: len(receiver.requests) >= 2, message="it was not tried twice")
        server.kill()
        n_before, broken = len(receiver.requests), False
        start()
        wait_until(lambda: len(receiver.requests) > n_before, message="it was not tried again")
        with opened() as workspace:
            service = workspace.service(Webhooks)
            wait_until(lambda: service.deliveries(webhook).items[0].status is DeliveryStatus.DELIVERED)
            [delivery] = service.deliveries(webhook).items

    identities = {headers["x-mlflow-delivery-id"] for _, _, headers, _ in receiver.requests}
    assert identities == {delivery.id}


def test_this_machine_is_not_called_unless_its_owner_says_so(
    processes: Processes, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """Without settings, a webhook that names this machine is refused at its delivery and never connected to."""
    folder = tmp_path / "workspace"
    child = processes.start([*noria_command, "server", "--workspace", str(folder), "--port", "0"])
    child.wait_for_output(ANSWERS)
    settings = load_settings(workspace=str(folder), environ={}, folder=folder)
    with other_side(say()) as receiver, open_workspace(settings) as workspace:
        webhook = add_webhook(workspace, receiver)
        workspace.service(Models).create("default", NewModel(name="digits"))
        service = workspace.service(Webhooks)
        wait_until(
            lambda: service.deliveries(webhook).items and service.deliveries(webhook).items[0].ended_at
        )
        [delivery] = service.deliveries(webhook).items

    assert receiver.requests == []
    assert delivery.status is DeliveryStatus.FAILED
    assert "loopback" in str(delivery.error)
