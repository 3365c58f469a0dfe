"""What a rollout of each strategy does to callers: failures, answers of the wrong version, latency; a shadow's cost.

One `noria up`, 32 connections that ask as fast as they are answered, each request under an id of its own. Each answer
is held against the plans that were in force between its question and its end: the version must be the one that they
choose for the request's id.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from noria.core.clock import SystemClock
from noria.core.config import load_settings
from noria.core.context import Context
from noria.core.workspace import open_context, open_workspace
from noria.registry.client import register
from noria.serving.entities import Deployment, Reason, Rollout, RolloutStep, Strategy
from noria.serving.gate_rules import Gates
from noria.serving.service import Endpoints, Rollouts
from support.ports import free_port
from support.processes import Processes
from support.rollout_load import Answer, Load, PlanLog
from support.waiting import wait_until

NORIA = Path(sys.executable).parent / "noria"
NAME = "bench"
PLACE = ("default", NAME)
WEIGHTS = {
    Strategy.REPLACE: [],
    Strategy.CANARY: [0.1, 0.5],
    Strategy.BLUE_GREEN: [1.0, 1.0],
    Strategy.SHADOW: [1.0],
    Strategy.AB: [0.5],
}
_AFTER_S = 1.0
_LONG_S = 300.0


class Up(NamedTuple):
    """A running `noria up`, and the workspace opened beside it."""

    url: str
    context: Context
    row: list[float]

    def load(self, chosen: argparse.Namespace) -> Load:
        """Give what asks for predictions."""
        inputs = [{"name": "x", "shape": [1, len(self.row)], "datatype": "FP64", "data": self.row}]
        return Load(self.url, NAME, inputs, n=chosen.connections)


class Switched(NamedTuple):
    """When a rollout was asked for, and when nothing of it was under way any more."""

    rollout: Rollout
    began_s: float
    ended_s: float


def main() -> None:
    """Print a line for each strategy, and what a shadow costs."""
    chosen = _options()
    with tempfile.TemporaryDirectory(prefix="bench-rollouts-") as made, running(Path(made)) as up:
        print(
            f"{'strategy':12} {'requests':>9} {'per s':>7} {'failed':>7} {'broken':>7} {'misfits':>8}"
            f" {'before p50, p99 ms':>19} {'switch p99 ms':>14} {'ratio':>6}  end",
            flush=True,
        )
        n_bad = sum(roll_out(up, Strategy(strategy), chosen) for strategy in chosen.strategy)
        if chosen.turns:
            weigh_shadow(up, chosen)
    if n_bad:
        raise SystemExit(
            f"{n_bad} requests failed, or were answered by a version that no plan of their time gives"
        )


@contextmanager
def running(folder: Path) -> Iterator[Up]:
    """Register two versions, start everything, and end it afterwards."""
    x, y = load_breast_cancer(return_X_y=True)
    settings = load_settings(workspace=str(folder / "workspace"), environ={})
    with open_workspace(settings) as workspace:
        for strength in (1.0, 0.5):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength)).fit(x, y)
            register(model, "cancer", x=x, y=y, workspace=workspace)
    processes = Processes(folder)
    server, port = free_port(), free_port()
    ports = ["--port", str(server), "--serve-port", str(port)]
    context = open_context(settings, SystemClock())
    try:
        child = processes.start([NORIA, "up", "--workspace", folder / "workspace", *ports], name="up")
        child.wait_for_output("Press Ctrl-C", 120)
        context.service(Endpoints).deploy("default", NAME, Deployment(model="cancer", version=1))
        up = Up(f"http://127.0.0.1:{port}", context, x[0].tolist())
        wait_until(lambda: _follows(context), _LONG_S)
        yield up
    finally:
        context.database.dispose()
        processes.end_all()


def roll_out(up: Up, strategy: Strategy, chosen: argparse.Namespace) -> int:
    """Bring the other version under full load; give how many requests did not get what they should."""
    gc.freeze()
    gc.disable()  # the client's pauses would be taken for the server's
    with PlanLog(up.context, PLACE).kept() as plans, up.load(chosen) as load:
        n_before = chosen.requests // 3
        wait_until(lambda: len(load.answers) >= n_before, _LONG_S)
        done = switch(up, strategy, chosen)
        wait_until(lambda: len(load.answers) >= chosen.requests, _LONG_S)
    gc.enable()
    # What warmed up at the very beginning is not what comes before a switch.
    before = [a for a in load.answers[n_before // 5 :] if a.done_at < done.began_s]
    during = [a for a in load.answers if a.done_at >= done.began_s and a.sent_at <= done.ended_s]
    took_s = load.answers[-1].done_at - load.answers[0].sent_at
    n_failed = sum(answer.status != 200 for answer in load.answers)
    n_wrong = len(plans.misfits(load.answers)) + len(load.strange)
    p50, p99, switched = _ms(before, 0.5), _ms(before, 0.99), _ms(during, 0.99)
    print(
        f"{strategy:12} {len(load.answers):9} {len(load.answers) / took_s:7.0f} {n_failed:7} {len(load.broken):7}"
        f" {n_wrong:8} {p50:9.2f} {p99:9.2f} {switched:14.2f}"
        f" {switched / p99:6.2f}  {done.rollout.status} in {done.ended_s - done.began_s:.1f} s",
        flush=True,
    )
    return n_failed + len(load.broken) + n_wrong


def switch(up: Up, strategy: Strategy, chosen: argparse.Namespace) -> Switched:
    """Deploy the version that does not answer, and wait until nothing of that is under way."""
    endpoints, rollouts = up.context.service(Endpoints), up.context.service(Rollouts)
    began_s = time.monotonic()
    made = endpoints.deploy("default", NAME, _wish(up, strategy, bake_s=chosen.bake))

    def is_over() -> bool:
        return rollouts.get("default", made.id).status.is_finished()

    wait_until(is_over, _LONG_S)
    wait_until(lambda: _follows(up.context), _LONG_S)
    time.sleep(_AFTER_S)
    return Switched(rollouts.get("default", made.id), began_s, time.monotonic())


def weigh_shadow(up: Up, chosen: argparse.Namespace) -> None:
    """Ask without a shadow and with one, in turns, and print what callers see of it."""
    turns: list[tuple[list[Answer], list[Answer]]] = []
    n_asked = n_at_once = 0
    with up.load(chosen) as load:
        for turn in range(chosen.turns + 1):
            plain = _asked_for(load, chosen.seconds)
            made = up.context.service(Endpoints).deploy("default", NAME, _wish(up, Strategy.SHADOW, 3600))
            wait_until(lambda: _mirrored(up, made.id), _LONG_S)  # noqa: B023 - called before the next turn
            before = _shadows(up)
            shadowed = _asked_for(load, chosen.seconds)
            if turn:
                n_asked += len(shadowed)
                n_at_once += _shadows(up)["n_predicted"] - before["n_predicted"]
            up.context.service(Rollouts).abort("default", made.id, Reason(reason="measured"))
            wait_until(lambda: _follows(up.context), _LONG_S)
            if turn:  # the first one starts the process
                turns.append((plain, shadowed))
    for name, figure in _FIGURES:
        ratios = [figure(shadowed) / figure(plain) for plain, shadowed in turns]
        print(f"with a shadow, {name}: {statistics.median(ratios):.3f} times (turns {_listed(ratios)})")
    print(f"of {n_asked} requests meanwhile, shadows predicted {n_at_once} at once; in all, {_shadows(up)}")


def _shadows(up: Up) -> dict[str, int]:
    """Give what the model server tells of its shadows."""
    told = subprocess.run(["curl", "-s", f"{up.url}/status"], capture_output=True, check=True).stdout
    return dict(json.loads(told)["shadows"])


def _asked_for(load: Load, seconds: float) -> list[Answer]:
    start = len(load.answers)
    time.sleep(seconds)
    return load.answers[start:]


def _mirrored(up: Up, rollout_id: str) -> bool:
    """Tell whether the shadow is asked, and predicts."""
    return up.context.service(Rollouts).check("default", rollout_id).n_requests > 0


def _wish(up: Up, strategy: Strategy, bake_s: float) -> Deployment:
    answering = up.context.service(Endpoints).get("default", NAME).version
    steps = [RolloutStep(weight=weight, bake_s=bake_s, min_requests=100) for weight in WEIGHTS[strategy]]
    return Deployment(
        model="cancer",
        version=3 - answering,
        strategy=strategy,
        steps=steps or None,
        gates=Gates(latency=None),
        keep_warm_s=0.0,
    )


def _follows(context: Context) -> bool:
    """Tell whether the model server follows the newest plan."""
    endpoints = context.service(Endpoints)
    revision = endpoints.get("default", NAME).revision
    return [
        applied.revision
        for server in endpoints.servers().items
        for applied in server.endpoints
        if applied.endpoint == NAME
    ] == [revision]


def _ms(answers: Sequence[Answer], q: float) -> float:
    took = sorted(answer.done_at - answer.sent_at for answer in answers)
    return took[min(len(took) - 1, int(q * len(took)))] * 1e3


def _mean_ms(answers: Sequence[Answer]) -> float:
    return statistics.fmean(answer.done_at - answer.sent_at for answer in answers) * 1e3


_FIGURES: list[tuple[str, Callable[[Sequence[Answer]], float]]] = [
    ("mean latency", _mean_ms),
    ("p50", lambda answers: _ms(answers, 0.5)),
    ("p99", lambda answers: _ms(answers, 0.99)),
]


def _listed(ratios: Sequence[float]) -> str:
    return ", ".join(f"{ratio:.2f}" for ratio in ratios)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="of each strategy (default: 100,000)")
    parser.add_argument("--connections", type=int, default=32, help="(default: 32)")
    parser.add_argument("--strategy", action="append", choices=list(Strategy), help="measure this one alone")
    parser.add_argument("--bake", type=float, default=2.0, help="seconds of each step (default: 2)")
    parser.add_argument("--turns", type=int, default=5, help="with and without a shadow (default: 5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each half of a turn (default: 4)")
    parser.add_argument("--shadow-alone", action="store_true", help="measure only what a shadow costs")
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests, two short turns")
    parser.add_argument(
        "--smoke", action="store_true", help="two strategies with a tenth of that, and no turns"
    )
    chosen = parser.parse_args()
    if chosen.strategy or chosen.smoke:
        chosen.turns = 0
    if chosen.quick or chosen.smoke:
        chosen.requests //= 100 if chosen.smoke else 10
        chosen.bake, chosen.turns, chosen.seconds = 0.2, min(chosen.turns, 2), 1.0
    chosen.strategy = chosen.strategy or (["replace", "canary"] if chosen.smoke else list(Strategy))
    if chosen.shadow_alone:
        chosen.strategy = []
    return chosen


if __name__ == "__main__":
    main()
