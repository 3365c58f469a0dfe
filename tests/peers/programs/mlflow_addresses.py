"""Writes the addresses of MLflow's own server to `FOLDER/addresses.json`: pairs of method and path."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["_MLFLOW_SERVER_FILE_STORE"] = f"sqlite:///{sys.argv[1]}/mlflow.db"
os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = f"{sys.argv[1]}/artifacts"

from mlflow.server import app
from mlflow.server.fastapi_app import create_fastapi_app

UNASKED = {"HEAD", "OPTIONS"}


def flask_addresses() -> set[tuple[str, str]]:
    """Give what the older part of the server answers."""
    return {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods - UNASKED}


def fastapi_addresses(routes: list[Any], prefix: str = "") -> set[tuple[str, str]]:
    """Give what the newer part answers; routers may be kept whole, with a prefix of their own."""
    found: set[tuple[str, str]] = set()
    for route in routes:
        if getattr(route, "methods", None):
            found |= {(method, prefix + route.path) for method in route.methods - UNASKED}
        elif hasattr(route, "original_router"):
            inner = prefix + route.include_context.prefix
            found |= fastapi_addresses(route.original_router.routes, inner)
    return found


addresses = flask_addresses() | fastapi_addresses(create_fastapi_app(app).routes)
Path(sys.argv[1], "addresses.json").write_text(json.dumps(sorted(addresses)), encoding="utf-8")
