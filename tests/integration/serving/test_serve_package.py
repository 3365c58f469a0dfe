"""A package is served by a workspace that trusts whoever signed it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from noria.registry.service import Models
from noria.serving.client import endpoint
from support.model_server import is_ready, open_folder
from support.ports import free_port
from support.processes import Processes
from support.waiting import wait_until


def test_a_package_is_served_where_its_signer_is_trusted_and_nowhere_else(
    folder: Path, tmp_path: Path, processes: Processes, noria_command: tuple[str, ...]
) -> None:
    """Refused with the key's name; served with it trusted, as a version with the very same digest; not if altered."""
    package, elsewhere, project = tmp_path / "package", tmp_path / "elsewhere", tmp_path / "project"
    project.mkdir()
    built = processes.start(
        [*noria_command, "packages", "build", "flowers@1", "--to", package, "--workspace", folder]
    )
    assert built.wait(120) == 0, built.output()
    shown = processes.start([*noria_command, "packages", "keys", "--json", "--workspace", folder])
    assert shown.wait() == 0
    printed = shown.output()
    key = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])["keys"][0]
    port = free_port()
    serve: list[str | Path] = [
        *noria_command,
        "serve",
        package,
        "--workspace",
        elsewhere,
        "--port",
        str(port),
    ]

    foreign = processes.start(serve, cwd=project)
    assert foreign.wait(120) == 1
    assert key["key_id"] in foreign.output()
    (project / "noria.toml").write_text(f'[packages.trusted_keys]\nshop = "{key["public"]}"\n')
    child = processes.start(serve, cwd=project)
    wait_until(lambda: not child.running or is_ready(port), 120, child.output)

    with open_folder(folder) as source, open_folder(elsewhere) as workspace:
        with endpoint("flowers", workspace=workspace) as client:
            assert client.predict(np.ones((1, 4))).version == 1
        digests = {ws.service(Models).version("default", "flowers", 1).digest for ws in (source, workspace)}
    assert len(digests) == 1
    child.stop()
    blob = max((package / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    altered = processes.start(serve, cwd=project)
    assert altered.wait(120) == 1
    assert "error:" in altered.output()
