"""A repair of inputs in a real model server: what the model sees, what is captured, and that it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from noria.core.key import read_key
from noria.core.workspace import Workspace
from noria.registry.client import model
from noria.serving.client import deploy
from noria.serving.predictions import CapturedRow
from noria.serving.repairs.entities import ByLine, ColumnRepair, EndRepair, NewRepair
from noria.serving.service import Captures, Endpoints, InputRepairs
from support.model_server import row_input
from support.ports import free_port
from support.processes import RunningProcess
from support.waiting import wait_until

REPAIR = NewRepair(columns=[ColumnRepair(column="x[1]", change=ByLine(slope=1000.0, low=0.0, high=5.0))])


class Server:
    """A model server of the endpoint `flowers`."""

    def __init__(self, workspace: Workspace, port: int) -> None:
        self.workspace, self.url = workspace, f"http://127.0.0.1:{port}"

    def ask(self, rows: Any, **body: Any) -> dict[str, Any]:
        key = {"authorization": f"Bearer {read_key(self.workspace.settings.folder)}"}
        answer = httpx.post(
            f"{self.url}/v2/models/flowers/infer",
            json={"inputs": [row_input(np.asarray(rows).tolist())], **body},
            headers=key,
            timeout=60.0,
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        return {output["name"]: output["data"] for output in answer.json()["outputs"]}

    def follows(self) -> bool:
        """Tell whether it serves the endpoint as it is now."""
        place = self.workspace.service(Endpoints).get("default", "flowers")
        servers = self.workspace.service(Endpoints).servers().items
        return any(plan.revision == place.revision for server in servers for plan in server.endpoints)

    def captured(self, n: int) -> list[CapturedRow]:
        found: list[CapturedRow] = []

        def came() -> bool:
            found[:] = self.workspace.service(Captures).read("default", "flowers").items
            return len(found) >= n

        wait_until(came, 30, lambda: f"{len(found)} rows were captured")
        return found


def test_the_model_sees_what_is_meant(
    workspace: Workspace, folder: Path, start_server: Callable[..., RunningProcess]
) -> None:
    """Single and many rows alike are put right; both forms are captured; replays and the time after are untouched."""
    deploy("flowers@1", workspace=workspace)
    port = free_port()
    start_server(port)
    server, repairs = Server(workspace, port), workspace.service(InputRepairs)
    meant = np.random.default_rng(3).integers(0, 5, (6, 4)).astype(float)
    sent = meant.copy()
    sent[:, 1] *= 1000.0
    expected = model("flowers@1", workspace=workspace).predict(meant).tolist()
    as_sent = model("flowers@1", workspace=workspace).predict(sent).tolist()
    assert expected != as_sent

    begun = repairs.set("default", "flowers", REPAIR)
    wait_until(server.follows, 30, lambda: "the repair is not followed")
    together = server.ask(sent)["predictions"]
    alone = [server.ask([row])["predictions"][0] for row in sent]
    replayed = server.ask(sent, parameters={"replay": True})["predictions"]
    repairs.end("default", "flowers", EndRepair())
    wait_until(server.follows, 30, lambda: "the end is not followed")
    after = server.ask(sent)["predictions"]
    rows = server.captured(18)

    assert together == alone == expected
    assert replayed == after == as_sent
    mended, plain = rows[:12], rows[12:]
    assert [row.prediction.inputs["x"] for row in mended] == [*meant.tolist(), *meant.tolist()]
    assert [row.prediction.outputs["received:x"] for row in mended] == [*sent.tolist(), *sent.tolist()]
    assert {row.prediction.revision for row in mended} == {begun.revision}
    assert [row.prediction.inputs["x"] for row in plain] == sent.tolist()
    assert all("received:x" not in row.prediction.outputs for row in plain)
