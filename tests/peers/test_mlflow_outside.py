"""MLflow's client at the doors of the house: how it signs in, and the webhooks that it makes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from noria.access.entities import NewToken, NewUser
from noria.access.tokens import Tokens
from noria.access.users import Users
from noria.core.config import load_settings
from noria.core.permissions import Role
from noria.core.workspace import open_workspace
from peers.conftest import PROGRAMS, Peer
from support.other_side import other_side, say
from support.processes import Processes
from support.waiting import wait_until

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = "MLflow's client signed in by password and by token, and its webhooks were called"
NOT_YET = "receivers that check certificates of their own authority"

ANSWERS = "Noria answers at "
PASSWORD = "correct horse battery"
QUICKLY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of a project whose server may call this machine."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "noria.toml").write_text('[workspace]\nurl = "w"\n\n[outbound]\nallow = ["127.0.0.1"]\n')
    return folder


@pytest.fixture
def serve(processes: Processes, noria: str, folder: Path) -> Callable[[], str]:
    """Give what starts the server, and gives its address."""

    def start() -> str:
        child = processes.start([noria, "server", "--port", "0"], name="server", cwd=folder)
        return child.wait_for_output(ANSWERS).partition(ANSWERS)[2].strip()

    return start


def test_people_and_programs_sign_in(
    peer: Peer, folder: Path, serve: Callable[[], str], tmp_path: Path
) -> None:
    """A password, a token, and a token as the password let the client in; anything else is refused at once."""
    settings = load_settings(environ={}, folder=folder)
    with open_workspace(settings) as workspace:
        workspace.service(Users).create(NewUser(name="ana", password=PASSWORD, role=Role.SCIENTIST))
        token = workspace.service(Tokens).create(NewToken(name="ci", role=Role.SCIENTIST)).secret
    url = serve()

    def log(**credentials: str) -> str:
        env = {f"MLFLOW_TRACKING_{name.upper()}": value for name, value in credentials.items()}
        output = peer.run(["python", PROGRAMS / "mlflow_login.py", url], cwd=tmp_path, env={**QUICKLY, **env})
        return next(line for line in output.splitlines() if line.startswith(("logged", "refused")))

    assert log(username="ana", password=PASSWORD) == "logged 0.5"
    assert log(token=token) == "logged 0.5"
    assert log(username="anything", password=token) == "logged 0.5"
    assert log(username="ana", password="wrong").startswith("refused UNAUTHENTICATED")
    assert log(token="wrong").startswith("refused UNAUTHENTICATED")
    assert log().startswith("refused UNAUTHENTICATED")


def test_webhooks_of_mlflows_client_are_called(peer: Peer, serve: Callable[[], str], tmp_path: Path) -> None:
    """What the client makes, it reads back, tries and changes; each change of a model reaches the receiver."""
    url = serve()
    with other_side(say(200, b"{}")) as receiver:
        output = peer.run(
            ["python", PROGRAMS / "mlflow_webhooks.py", url, f"http://127.0.0.1:{receiver.port}"],
            cwd=tmp_path,
            env=QUICKLY,
        )
        wait_until(lambda: len(receiver.requests) >= 6, message=lambda: str(receiver.requests))
        requests = list(receiver.requests)
    seen = json.loads(next(line for line in output.splitlines() if line.startswith("{")))

    address = f"http://127.0.0.1:{receiver.port}/signed"
    assert seen["read_back"] == ["signed", address, "why", None, "ACTIVE"]
    assert len(seen["events"]) == 5
    assert seen["tested"] == [True, 200, None]
    assert seen["tested_other"] == [True, 200]
    assert seen["updated"] == ["renamed", "DISABLED", True]
    assert seen["time_moved"] is True
    assert seen["pages"] == [["page2", "page1"], ["page0", "plain", "renamed"], None]
    assert seen["gone"] == ["RESOURCE_DOES_NOT_EXIST", True]
    assert seen["refused"] == [["INVALID_PARAMETER_VALUE", True]] * 3
    told = [(json.loads(body)["entity"], json.loads(body)["data"]) for _, _, _, body in requests]
    assert ("registered_model", {"name": "digits", "tags": {"k": "v"}, "description": "d"}) in told
    assert ("model_version_tag", {"name": "digits", "version": "1", "key": "key", "value": "new"}) in told
    assert ("model_version_alias", {"name": "digits", "version": "1", "alias": "champion"}) in told
    for _, path, headers, body in requests:
        if path == "/signed":
            content = f"{headers['x-mlflow-delivery-id']}.{headers['x-mlflow-timestamp']}.".encode() + body
            digest = hmac.new(b"test-secret-key", content, hashlib.sha256).digest()
            assert headers["x-mlflow-signature"] == "v1," + base64.b64encode(digest).decode()
