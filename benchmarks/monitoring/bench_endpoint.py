"""What watching costs an endpoint: its throughput, and the CPU of each process, with monitors and without.

python benchmarks/monitoring/bench_endpoint.py [--quick] [--seconds 8] [--turns 6] [--within 0.025] [--most 60]

A logistic regression of 30 features in ONNX Runtime, one worker, 32 connections, one row for each request in JSON, all
of it kept; the rows are like those of the reference, so that there is nothing to alert. Two workspaces with a server,
a worker and a model server each, asked in turns; the server of one looks at no endpoint. The turns of a pair change
places from pair to pair, so that a machine that grows slower or faster favours neither. A turn's CPU is counted until
everything that it brought was handed on, counted and judged.

One run decides: the first pairs of turns tell how much pairs vary, and so how many make an interval of at most
`--within` to each side; of these, and not more, the mean is told with an interval that keeps its 95 % though the number
of turns was chosen by looking (Stein's two stages). The CPU of the model server for each request is told the same way:
it is what caps an endpoint whose processors are full, and other work on the machine hardly moves it.

Stein, C. (1945). A two-sample test for a linear hypothesis whose power is independent of the variance. Annals
of Mathematical Statistics 16.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))
from load import Body, Running, Server, running

from noria.core.config import load_settings
from noria.core.control.lock import read_server_info
from noria.core.errors import NotFound
from noria.core.stats.intervals import mean_interval
from noria.core.workspace import Workspace, open_workspace
from noria.monitoring.entities import MonitorSection
from noria.monitoring.estimated.service import Estimates
from noria.monitoring.service import Monitors
from noria.registry.client import register
from noria.serving.client import deploy
from noria.serving.service import Captures, Endpoints

HERE = Path(__file__).parent
NORIA = [str(Path(sys.executable).parent / "noria")]
SERVERS = {
    "watched": NORIA,
    "not watched": [sys.executable, str(HERE / "programs" / "server_without_monitors.py")],
}
CASE, MODEL = "1 row", "lr"
N_FEATURES, N_CONNECTIONS, N_BODIES = 30, 32, 5_000
WINDOW = MonitorSection().window_rows
_READY_S, _REST_S = 60, 300


class Turn(NamedTuple):
    """What one turn took: answers per second, and CPU microseconds of each process for each answer."""

    per_s: float
    used_us: dict[str, float]


@dataclass(slots=True)
class Setup:
    """A workspace whose server, worker and model server run.

    Attributes
    ----------
    processes
        Server and worker by name, with what they started.
    """

    workspace: Workspace
    model_server: Running
    processes: dict[str, psutil.Process]
    is_watched: bool

    def turn(self, seconds: int) -> Turn:
        """Ask for some seconds, and wait until all that came of it is done."""
        before = self._cpu_s()
        taken = self.model_server.measure(CASE, seconds)
        _wait(self._is_at_rest, _REST_S, "The server does not come to rest")
        used = {name: 1e6 * (used_s - before[name]) / taken.n for name, used_s in self._cpu_s().items()}
        return Turn(taken.per_s, used)

    def settle(self) -> None:
        """Wait until a worker has learnt to estimate quality: it does so once, which is no cost of a request."""
        if self.is_watched:
            _wait(self._is_estimated, _REST_S, "Nothing is estimated")

    def _is_estimated(self) -> bool:
        try:
            return self.workspace.service(Estimates).get("default", MODEL).standing is not None
        except NotFound:  # the server has not looked at its endpoints yet
            return False

    def _is_at_rest(self) -> bool:
        standing = [server.standing for server in self.workspace.service(Endpoints).servers().items]
        if any(each is None or each.waiting_bytes for each in standing):
            return False
        if not self.is_watched:
            return True
        try:
            monitor = self.workspace.service(Monitors).get("default", MODEL)
        except NotFound:  # the server has not looked at its endpoints yet
            return False
        head = self.workspace.service(Captures).head("default", MODEL, after=monitor.position)
        return head.n_rows < WINDOW

    def _cpu_s(self) -> dict[str, float]:
        served = self.model_server.cpu_s()
        found = {"model server": served["workers"], "its parent": served["parent"]}
        for name, process in self.processes.items():
            found[name] = sum(_used_s(each) for each in (process, *process.children(recursive=True)))
        return found


def main() -> None:
    """Print a line for each setting, and what they make of each other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", "--smoke", action="store_true", help="one turn of one second each")
    parser.add_argument("--seconds", type=int, default=8, help="of each turn (default: 8)")
    parser.add_argument("--turns", type=int, default=6, help="of each, to learn how they vary (default: 6)")
    parser.add_argument("--within", type=float, default=0.025, help="half an interval (default: 0.025)")
    parser.add_argument("--most", type=int, default=60, help="turns of each (default: 60)")
    chosen = parser.parse_args()
    seconds, turns = (1, 1) if chosen.quick else (chosen.seconds, chosen.turns)
    with tempfile.TemporaryDirectory(prefix="bench-endpoint-") as made, ExitStack() as stack:
        folder = Path(made)
        train(folder / "trained")
        setups = {name: stack.enter_context(started(folder, name)) for name in SERVERS}
        for setup in setups.values():
            setup.turn(1)
            setup.settle()
        found: dict[str, list[Turn]] = {name: [] for name in setups}
        _take_pairs(setups, found, turns, seconds)
        n_pairs = turns if turns < 2 else min(chosen.most, n_needed(costs(found), chosen.within))
        _take_pairs(setups, found, n_pairs - turns, seconds)
    print(f"\nmedians of {len(found['watched'])} turns")
    for name, taken in found.items():
        print(_line(name, _middle(taken)))
    print(f"watching costs {_told(costs(found), turns)} of the throughput")
    print(f"watching costs {_told(cpu_costs(found), turns)} more CPU of the model server for each request")


def costs(found: Mapping[str, Sequence[Turn]]) -> list[float]:
    """Give the share of the throughput that each pair of turns lost."""
    pairs = zip(found["watched"], found["not watched"], strict=True)
    return [1 - watched.per_s / left.per_s for watched, left in pairs]


def cpu_costs(found: Mapping[str, Sequence[Turn]]) -> list[float]:
    """Give the share by which each pair of turns used more CPU in the model server for each request."""
    pairs = zip(found["watched"], found["not watched"], strict=True)
    return [_served_us(watched) / _served_us(left) - 1 for watched, left in pairs]


def n_needed(pilot: Sequence[float], within: float) -> int:
    """Give how many pairs make an interval of `within` to each side, by what the first ones vary; those at least."""
    return max(len(pilot), math.ceil(len(pilot) * (_half(pilot) / within) ** 2))


def _told(values: Sequence[float], n_pilot: int) -> str:
    mean = statistics.fmean(values)
    if n_pilot < 2:
        return f"{mean:.1%}"
    half = _half(values[:n_pilot]) * math.sqrt(n_pilot / len(values))
    return f"{mean:.1%} (95% {mean - half:.1%} to {mean + half:.1%}; {len(values)} pairs of turns)"


def _half(values: Sequence[float]) -> float:
    found = mean_interval(list(values))
    return (found.upper - found.lower) / 2


def _served_us(turn: Turn) -> float:
    return turn.used_us["model server"] + turn.used_us["its parent"]


def _take_pairs(
    setups: Mapping[str, Setup], found: dict[str, list[Turn]], n_pairs: int, seconds: int
) -> None:
    for pair in range(n_pairs):
        for name in list(setups)[:: -1 if pair % 2 else 1]:
            found[name].append(setups[name].turn(seconds))
            print(_line(name, found[name][-1]), flush=True)


def train(folder: Path) -> None:
    """Register and deploy the model, with held-out rows, so that every monitor has what it needs."""
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(0)
    x = generator.normal(size=(3000, N_FEATURES))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    model = LogisticRegression().fit(x[:2000], y[:2000])
    with open_workspace(load_settings(workspace=str(folder), environ={})) as workspace:
        held_out = (x[2000:], y[2000:])
        register(model, MODEL, x=x[:2000], y=y[:2000], holdout=held_out, workspace=workspace)
        deploy(f"{MODEL}@1", workspace=workspace)


@contextmanager
def started(folder: Path, name: str) -> Iterator[Setup]:
    """Start what serves and watches a copy of the workspace, and end it afterwards."""
    place = Path(shutil.copytree(folder / "trained", folder / name.replace(" ", "-")))
    at = ["--workspace", str(place)]
    with ExitStack() as stack:
        command = [*SERVERS[name], "server", *at, "--port", "0"]
        server = stack.enter_context(_process(command, place / "server.log"))
        _wait(lambda: read_server_info(place) is not None, _READY_S, "The server does not answer")
        worker = stack.enter_context(_process([*NORIA, "worker", *at], place / "worker.log"))
        live = stack.enter_context(running(_model_server(place), place / "serve.log"))
        workspace = stack.enter_context(open_workspace(load_settings(workspace=str(place), environ={})))
        yield Setup(workspace, live, {"server": server, "worker": worker}, name == "watched")


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[psutil.Process]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)


def _model_server(folder: Path) -> Server:
    rows = np.random.default_rng(1).normal(size=(N_BODIES, N_FEATURES)).round(6).tolist()
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, N_FEATURES]}
    file = folder / "bodies.jsonl"
    file.write_text("".join(json.dumps({"inputs": [{**tensor, "data": row}]}) + "\n" for row in rows))
    headers = {"Content-Type": "application/json"}
    return Server(
        name="Noria",
        command=[*NORIA, "serve", "--workspace", str(folder), "--port", "{port}"],
        url=f"http://127.0.0.1:{{port}}/v2/models/{MODEL}/infer",
        bodies={CASE: Body(file=file, headers=headers, n_connections=N_CONNECTIONS, is_lines=True)},
        answers=lambda _headers, body: [int(v) for v in json.loads(body)["outputs"][0]["data"]],
    )


def _used_s(process: psutil.Process) -> float:
    """Give what a process used, with those of its children that are gone."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _middle(taken: list[Turn]) -> Turn:
    middle = statistics.median
    used = {name: middle(turn.used_us[name] for turn in taken) for name in taken[0].used_us}
    return Turn(middle(turn.per_s for turn in taken), used)


def _line(name: str, turn: Turn) -> str:
    used = ", ".join(f"{process} {used_us:.0f}" for process, used_us in turn.used_us.items())
    return f"{name:12} {turn.per_s:8.0f} requests/s, CPU us for each: {used}, in all {sum(turn.used_us.values()):.0f}"


def _wait(is_so: Callable[[], bool], most_s: int, otherwise: str) -> None:
    for _ in range(2 * most_s):
        if is_so():
            return
        time.sleep(0.5)
    raise SystemExit(otherwise)


if __name__ == "__main__":
    main()
