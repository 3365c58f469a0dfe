"""Every address of MLflow's own server has an answer here, or a reason not to."""

from __future__ import annotations

import json
import re
from pathlib import Path

from noria.interop.mlflow.adapter import ADAPTER
from noria.interop.mlflow.switched_off import ROUTES as SWITCHED_OFF
from peers.conftest import PROGRAMS, Peer

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = "the addresses of its server, tracking, artifacts, registry, traces and page, one by one"
NOT_YET = "what Noria says is switched off: the gateway, MCP servers, skills, jobs and assistant of the page"

PAGE = "MLflow's page itself; Noria has pages of its own"
DATABRICKS = "answered with 404 by MLflow's server too: only Databricks has it"

UNANSWERED = {
    "/": PAGE,
    "/static-files/<path:path>": PAGE,
    "/build/<path:filename>": PAGE,
    "/api/2.0/mlflow/unified-traces": DATABRICKS,
    "/ajax-api/2.0/mlflow/unified-traces": DATABRICKS,
    "/api/2.0/mlflow/get-online-trace-details": DATABRICKS,
    "/ajax-api/2.0/mlflow/get-online-trace-details": DATABRICKS,
    "/api/2.0mlflow/experiments/search-datasets": DATABRICKS,
    "/ajax-api/2.0mlflow/experiments/search-datasets": DATABRICKS,
}
"""Path → why nothing answers there."""

OFF = (
    *("gateway", "prompt-optimization/", "mcp-servers", "mlflow/skills", "assistant/", "jobs"),
    *("/invoke", "issues/schedule/state", "demo/"),
)
"""Parts of the addresses that are answered with the word that they are switched off, and of no others."""

PLACE = re.compile(r"<path:[^>]+>|<[^>]+>|\{[^}]+\}")


def test_every_address_is_answered_or_has_a_reason(peer: Peer, tmp_path: Path) -> None:
    """No address of MLflow's server is missing unawares, none is excused in vain, and what is off is off by name."""
    peer.run(["python", PROGRAMS / "mlflow_addresses.py", tmp_path], cwd=tmp_path)
    addresses: list[tuple[str, str]] = json.loads((tmp_path / "addresses.json").read_text())
    ours = [(route.method, as_pattern(route.path)) for route in ADAPTER.routes]
    off = [(route.method, as_pattern(route.path)) for route in SWITCHED_OFF]
    unanswered = {path for method, path in addresses if not answered(method, path, ours)}
    switched_off = {path for method, path in addresses if answered(method, path, off)}

    assert len(addresses) > 400
    assert unanswered == UNANSWERED.keys()
    assert {path for path in switched_off if not any(part in path for part in OFF)} == set()


def as_pattern(path: str) -> re.Pattern[str]:
    """Give what matches the addresses of a route of ours."""
    parts = re.split(r"(\{[^}]+\})", path)
    return re.compile("".join(map(part_as_pattern, parts)))


def part_as_pattern(part: str) -> str:
    """Give the pattern of a piece of a path: a place of one part, of the rest, or the text itself."""
    if not part.startswith("{"):
        return re.escape(part)
    return ".*" if part.endswith(":path}") else "[^/]+"


def answered(method: str, path: str, routes: list[tuple[str, re.Pattern[str]]]) -> bool:
    """Tell whether a route takes an address of MLflow's, with a word in each of its places."""
    address = PLACE.sub("x", path)
    return any(method == asked and pattern.fullmatch(address) for asked, pattern in routes)
