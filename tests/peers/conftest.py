"""Peers: other projects' tools, each in an environment of its own that `make peers` builds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.processes import Processes

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / os.environ.get("PEERS_VENV", ".venv-peers")
PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One installed peer."""

    name: str
    version: str
    bin: Path
    processes: Processes

    def run(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 240,
    ) -> str:
        """Run a program of the peer's environment to its end and give its output.

        Noria's own environment is not on `PATH`: the peer knows the command only by the path it is given.
        """
        path = f"{self.bin}{os.pathsep}{os.defpath}"
        program, *arguments = command
        child = self.processes.start(
            [self.bin / program, *arguments], name=self.name, cwd=cwd, env={"PATH": path, **(env or {})}
        )
        code = child.wait(timeout_s)
        assert code == 0, child.output()
        return child.output()


@pytest.fixture
def peer(request: pytest.FixtureRequest, processes: Processes) -> Peer:
    """Give the peer that the module names in `PEER` (distribution name in `DISTRIBUTION`), or skip with the mend."""
    name: str = request.module.PEER
    folder = ENVIRONMENTS / name
    if not (folder / ".ready").exists():
        pytest.skip(f"{name} is not installed: make peers PEERS={name}")
    show = f"from importlib.metadata import version; print(version({request.module.DISTRIBUTION!r}))"
    python = folder / "bin" / "python"
    version = subprocess.run([python, "-c", show], capture_output=True, text=True, check=True).stdout.strip()
    request.node.user_properties.append(("peer", f"{name} {version}: {request.module.COVERS}"))
    request.node.user_properties.append(
        ("peer", f"{name} {version}: not covered yet: {request.module.NOT_YET}")
    )
    return Peer(name=name, version=version, bin=folder / "bin", processes=processes)


@pytest.fixture
def noria(noria_command: tuple[str, ...]) -> str:
    """Give the path of the `noria` command, as a peer's configuration would hold it."""
    return noria_command[0]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell which version of each peer ran, and what these tests do not show."""
    lines = [
        str(text)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for key, text in report.user_properties
        if key == "peer" and report.when == "call"
    ]
    if lines:
        terminalreporter.section("peers")
        for line in lines:
            terminalreporter.write_line(line)
