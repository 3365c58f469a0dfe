"""Run a pipeline file in Kubeflow's local runner, each container as a process: kfp_run.py FILE [JSON of arguments].

There need be no container engine: what stands for one here starts the command of a container as a process. All else,
the order of tasks, their arguments and placeholders, is Kubeflow's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any


class Container:
    """A process that stands for a container."""

    def __init__(self, command: list[str], environment: dict[str, str] | None) -> None:
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**(environment or {}), **os.environ},
        )

    def logs(self, **_: Any) -> Any:
        """Give the lines that it writes."""
        return iter(self._process.stdout or ())

    def wait(self) -> dict[str, int]:
        """Wait for its end."""
        return {"StatusCode": self._process.wait()}


class Containers:
    """Starts containers."""

    def run(self, *, command: list[str], environment: dict[str, str] | None = None, **_: Any) -> Container:
        """Start one."""
        return Container(command, environment)


class Images:
    """Has every image."""

    def list(self) -> list[Any]:
        """Give none: they are pulled then."""
        return []

    def pull(self, name: str) -> None:
        """Do nothing."""
        print("image", name)


class Engine:
    """What `docker.from_env()` gives."""

    def __init__(self) -> None:
        self.containers = Containers()
        self.images = Images()

    def info(self) -> dict[str, Any]:
        """Say nothing of the machine."""
        return {}

    def close(self) -> None:
        """Do nothing."""


docker: Any = types.ModuleType("docker")
docker.DockerClient = Engine
docker.from_env = Engine
docker.errors = types.SimpleNamespace(NotFound=KeyError)
sys.modules["docker"] = docker

from kfp import components, local  # noqa: E402 - after the engine is in its place

if __name__ == "__main__":
    pipeline = components.load_component_from_file(sys.argv[1])
    local.init(runner=local.DockerRunner(), pipeline_root=str(Path.cwd() / "outputs"))
    pipeline(**json.loads(sys.argv[2] if len(sys.argv) > 2 else "{}"))
    print("pipeline", pipeline.pipeline_spec.pipeline_info.name, "ran")
