"""A model server that runs, and requests to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from noria.core.config import load_settings
from noria.core.trust import trust_for
from noria.core.workspace import Workspace, open_workspace
from support.processes import RunningProcess

N_COLUMNS = 4


def open_folder(folder: Path) -> Workspace:
    """Open a workspace as the command line does."""
    return open_workspace(load_settings(workspace=str(folder), environ={}))


def is_ready(port: int) -> bool:
    """Tell whether a model server has followed its plans."""
    try:
        url = f"http://127.0.0.1:{port}/v2/health/ready"
        return httpx.get(url, verify=trust_for(url), trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


class LiveModelServer:
    """A model server that several tests ask."""

    def __init__(self, port: int, folder: Path, workspace: Workspace, process: RunningProcess) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self.workspace = workspace
        self.process = process
        self.http = httpx.Client(base_url=self.url, verify=trust_for(self.url), trust_env=False)

    def infer(
        self, *, endpoint: str = "flowers", headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """Send a request for predictions; `inputs` is one good row unless given."""
        body.setdefault("inputs", [row_input([[1.0, 2.0, 3.0, 4.0]])])
        return self.http.post(f"/v2/models/{endpoint}/infer", json=body, headers=headers)

    def feedback(self, labels: dict[str, Any], **body: Any) -> httpx.Response:
        """Send labels by prediction id."""
        listed = [{"prediction_id": key, "value": value} for key, value in labels.items()]
        return self.http.post("/feedback", json={"labels": listed, **body})


def row_input(rows: list[list[float]]) -> dict[str, Any]:
    """Give the input `x` of some rows."""
    data = [value for row in rows for value in row]
    return {"name": "x", "shape": [len(rows), N_COLUMNS], "datatype": "FP64", "data": data}
