"""What the benchmarks of pipelines share: whole commands of Noria and its peers, in turns, timed with all children.

Each tool prepares a folder of its own (a repository, a store) outside of the time, since a project does so once. Wall
clock and CPU are those of the command with all processes that it waited for.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / os.environ.get("PEERS_VENV", ".venv-peers")
PROGRAMS = Path(__file__).parent / "programs"
NORIA = Path(sys.executable).parent / "noria"


@dataclass(frozen=True, slots=True)
class Timed:
    """One command: seconds of wall clock, seconds of CPU."""

    wall_s: float
    cpu_s: float


@dataclass(slots=True)
class Tool:
    """A tool, and how it does the work.

    Attributes
    ----------
    prepare
        Makes its folder and gives the command.
    again
        Whether the same command is measured a second time, with nothing changed.
    repeats
        At most so many turns, for tools that take long.
    """

    name: str
    prepare: Callable[[Path], list[str]]
    environment: dict[str, str] = field(default_factory=dict)
    again: bool = True
    repeats: int = 9


def options(description: str | None) -> argparse.Namespace:
    """Read the options that all of these benchmarks take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--smoke", action="store_true", help="Noria alone, once: shows only that it runs")
    parser.add_argument("--quick", action="store_true", help="one turn of Noria, DVC and Dagster")
    parser.add_argument("--repeats", type=int, default=5, help="turns (default: 5)")
    parser.add_argument("--only", action="append", help="measure this tool; may be given several times")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.repeats = 1
        chosen.only = [*(chosen.only or ()), "Noria", "Noria on 2 processes", "DVC", "Dagster"]
    return chosen


def measured(tools: list[Tool], chosen: argparse.Namespace) -> dict[str, dict[str, list[Timed]]]:
    """Let the tools take turns, and give what each took, by tool and case."""
    unknown = {*(chosen.only or ())} - {tool.name for tool in tools}
    if unknown and not chosen.quick:
        sys.exit(f"No tool is named {', '.join(sorted(unknown))}: {', '.join(tool.name for tool in tools)}")
    found: dict[str, dict[str, list[Timed]]] = {}
    for turn in range(1 if chosen.smoke else chosen.repeats):
        for tool in tools:
            if _is_wanted(tool, chosen) and turn < tool.repeats:
                for case, taken in _turn(tool).items():
                    found.setdefault(tool.name, {}).setdefault(case, []).append(taken)
    return found


def report(found: dict[str, dict[str, list[Timed]]]) -> None:
    """Print medians, and how many times as long as Noria each peer took."""
    print(f"{'':44} {'wall s':>8} {'CPU s':>8} {'wall':>9} {'CPU':>9}   turns")
    for name, cases in found.items():
        for case, taken in cases.items():
            wall_s, cpu_s = _medians(taken)
            ratios = f"{'':>9} {'':>9}"
            if not name.startswith("Noria") and case in found.get("Noria", {}):
                own_wall_s, own_cpu_s = _medians(found["Noria"][case])
                ratios = f"{wall_s / own_wall_s:8.1f}x {cpu_s / own_cpu_s:8.1f}x"
            print(f"{f'{name}, {case}':44} {wall_s:8.3f} {cpu_s:8.3f} {ratios}   {len(taken)}")


def peer(name: str, program: str = "python") -> str:
    """Give the path of a program in a peer's environment."""
    return str(PEERS / name / "bin" / program)


def quietly(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run a command that belongs to the preparations."""
    subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=True, capture_output=True)


def git_repository(folder: Path) -> None:
    """Make a repository with nothing in it."""
    quietly(["git", "init", "-q", "."], folder, {})


def _is_wanted(tool: Tool, chosen: argparse.Namespace) -> bool:
    own = tool.name.startswith("Noria")
    if chosen.only:
        return tool.name in chosen.only
    if not own and not (PEERS / tool.name.lower() / ".ready").exists():
        print(f"{tool.name} is not installed: make peers PEERS={tool.name.lower()} ARGS=--collect-only")
        tool.repeats = 0
        return False
    return own or not chosen.smoke


def _turn(tool: Tool) -> dict[str, Timed]:
    with tempfile.TemporaryDirectory(prefix=f"bench-{tool.name.split()[0].lower()}-") as made:
        folder = Path(made)
        environment = {
            **_environment(tool),
            **{key: value.format(folder=folder) for key, value in tool.environment.items()},
        }
        tool_command = tool.prepare(folder)
        taken = {"first run": timed(tool_command, folder, environment)}
        if tool.again:
            taken["unchanged"] = timed(tool_command, folder, environment)
        return taken


def _environment(tool: Tool) -> dict[str, str]:
    bin_folder = PEERS / tool.name.lower() / "bin"
    kept = {
        key: value
        for key, value in os.environ.items()
        # Without byte code a command would compile whatever was changed since somebody else ran it.
        if not key.startswith("NORIA_") and key != "PYTHONDONTWRITEBYTECODE"
    }
    return {**kept, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "DO_NOT_TRACK": "1"}


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> Timed:
    """Run a command to its end."""
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=said, stderr=said, stdin=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"`{' '.join(command)}` failed:\n{said.read().decode(errors='replace')[-2000:]}")
    return Timed(wall_s, usage.ru_utime + usage.ru_stime)


def copied(program: str, folder: Path) -> None:
    """Put a program into the folder that a tool works in."""
    shutil.copy(PROGRAMS / program, folder)


def _medians(taken: list[Timed]) -> tuple[float, float]:
    return statistics.median(t.wall_s for t in taken), statistics.median(t.cpu_s for t in taken)
