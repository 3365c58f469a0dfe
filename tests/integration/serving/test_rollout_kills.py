"""Rollouts of every strategy under load, while processes are killed.

`pytest -m soak --log-cli-level=INFO` on this file kills each process 20 times in each strategy, and prints what became
of the rollouts and requests, and why each that went back did; `-k canary-many` is one strategy alone.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest

from noria.core.clock import SystemClock
from noria.core.config import load_settings
from noria.core.context import Context
from noria.core.serialisation import to_builtins
from noria.core.trust import trust_for
from noria.core.workspace import open_context
from noria.serving.entities import Deployment, Rollout, RolloutStatus, RolloutStep, Share, Strategy
from noria.serving.gate_rules import Gates
from noria.serving.service import Captures, Endpoints, Rollouts
from support.model_server import row_input
from support.ports import free_port
from support.processes import Processes
from support.rollout_load import Load, PlanLog
from support.waiting import wait_until

LOGGER = logging.getLogger(__name__)
NAME = "rounds"
PLACE = ("default", NAME)
N_CONNECTIONS = 8
PATIENCE_S = 300
"""A shadow gives way to everything else on a machine that is busy."""
WEIGHTS = {
    Strategy.REPLACE: [],
    Strategy.CANARY: [0.3, 0.7],
    Strategy.BLUE_GREEN: [1.0, 1.0],
    Strategy.SHADOW: [1.0],
    Strategy.AB: [0.5],
}

LOADING = -1
"""Step of a rollout in which the new version is loaded."""


class Round(NamedTuple):
    """A rollout of a strategy, and which process is killed when it has come to which step."""

    strategy: Strategy
    victim: str
    step: int = 0


class Up(NamedTuple):
    """A running `noria up`."""

    folder: Path
    url: str
    context: Context

    def pid(self, victim: str) -> int:
        """Give the process that has a part: a child of `noria up`, or one of the model server's."""
        children = json.loads((self.folder / "up.json").read_text())["children"]
        if victim in children:
            return int(children[victim]["pid"])
        try:
            below = psutil.Process(children["serve"]["pid"]).children()
            found = [each.pid for each in below if f"noria.serving.modelserver.{victim}" in each.cmdline()]
        except psutil.NoSuchProcess:
            return 0
        return found[0] if found else 0

    def kill(self, victim: str) -> None:
        """Kill a process without warning, and wait until another has its part."""
        pid = wait_until(lambda: self.pid(victim), PATIENCE_S, f"there is no {victim}")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.pid(victim) not in (0, pid), PATIENCE_S, f"the {victim} did not come back")


@pytest.fixture(scope="module")
def up(
    registered: Path, tmp_path_factory: pytest.TempPathFactory, noria_command: tuple[str, ...]
) -> Iterator[Up]:
    """Give a running `noria up` with an endpoint that version 1 answers."""
    folder = Path(shutil.copytree(registered, tmp_path_factory.mktemp("kills") / "workspace"))
    processes = Processes(tmp_path_factory.mktemp("processes"))
    server, port = free_port(), free_port()
    ports = ["--port", str(server), "--serve-port", str(port)]
    context = open_context(load_settings(workspace=str(folder), environ={}), SystemClock())
    try:
        child = processes.start([*noria_command, "up", "--workspace", folder, *ports], name="up")
        child.wait_for_output("Press Ctrl-C", PATIENCE_S)
        context.service(Endpoints).deploy("default", NAME, Deployment(model="flowers", version=1))
        url = f"http://127.0.0.1:{port}"
        ready = f"{url}/v2/models/{NAME}/ready"
        trust = trust_for(ready)
        wait_until(
            lambda: httpx.get(ready, verify=trust, trust_env=False, timeout=30).status_code == 200, PATIENCE_S
        )
        yield Up(folder, url, context)
    finally:
        context.database.dispose()
        processes.end_all()


def _roll_out(up: Up, this: Round, load: Load) -> Rollout:
    """Bring the other version, and kill a process on the way: what answers then is one version, alone."""
    strategy = this.strategy
    endpoints, rollouts = up.context.service(Endpoints), up.context.service(Rollouts)
    before = endpoints.get("default", NAME).version
    wish = Deployment(
        model="flowers",
        version=3 - before,
        strategy=strategy,
        steps=[RolloutStep(weight=w, bake_s=0.3, min_requests=20) for w in WEIGHTS[strategy]] or None,
        gates=Gates(latency=None),
        promote=True if strategy is Strategy.SHADOW else None,
    )
    made = endpoints.deploy("default", NAME, wish)

    def now() -> Rollout:
        return rollouts.get("default", made.id)

    def ended_or_none() -> Rollout | None:
        found = now()
        return found if found.status.is_finished() else None

    wait_until(lambda: now().step >= this.step or now().status.is_finished(), PATIENCE_S, lambda: f"{now()}")
    up.kill(this.victim)
    n_before = load.n_good
    wait_until(lambda: load.n_good > n_before + 20, PATIENCE_S, "nothing is answered")
    wait_until(ended_or_none, PATIENCE_S, lambda: f"{now()}")
    ended = now()
    assert ended.status in (RolloutStatus.PROMOTED, RolloutStatus.ROLLED_BACK), ended.reason
    version = wish.version if ended.status is RolloutStatus.PROMOTED else before
    assert endpoints.get("default", NAME).shares == [Share(version=int(version), weight=1.0)]
    return ended


def _why(this: Round, ended: Rollout) -> dict[str, object]:
    """Tell what was killed and when, why the rollout went back, and what the gates had seen by then."""
    when = "while it was loaded" if this.step == LOADING else f"in step {this.step}"
    seen = [to_builtins(result) for result in ended.history[-1:]]
    return {"killed": this.victim, "when": when, "reason": ended.reason, "last step": seen}


def _captured(context: Context) -> list[str]:
    found: list[str] = []
    after, more = 0, True
    while more:
        page = context.service(Captures).read("default", NAME, after=after, limit=1000)
        found += [row.prediction.id for row in page.items]
        after, more = page.next, page.more
    return found


VICTIMS = ["worker", "server", "serve"]
"""The control loop runs in the server."""


N_KILLS = 20
"""Of each victim, in each strategy; in turn while the new version is loaded, and in each of the steps."""


def _rounds(strategy: Strategy) -> list[Round]:
    steps = itertools.cycle(range(LOADING, len(WEIGHTS[strategy])))
    return [
        Round(strategy, victim, step)
        for _, step in zip(range(N_KILLS), steps, strict=False)
        for victim in VICTIMS
    ]


SMOKE = [Round(Strategy.BLUE_GREEN, "worker"), Round(Strategy.SHADOW, "server")]
MANY = [pytest.mark.soak, pytest.mark.timeout(7200)]
ROUNDS = [
    pytest.param(SMOKE, id="smoke", marks=pytest.mark.timeout(900)),
    *(pytest.param(_rounds(each), id=f"{each}-many", marks=MANY) for each in Strategy),
]


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_rollout_under_load_outlives_kills(up: Up, rounds: list[Round]) -> None:
    """Each answer is of a version that a plan of its time gives; what broke off is answered when asked again."""
    load = Load(
        up.url, NAME, [row_input([[1, 2, 3, 4]])], n=N_CONNECTIONS, pause_s=0.1 if rounds is SMOKE else 0.01
    )
    with PlanLog(up.context, PLACE, grace_s=60.0).kept() as plans, load:
        wait_until(lambda: load.n_good > 20, PATIENCE_S)
        ends = [(each, _roll_out(up, each, load)) for each in rounds]
    answers = load.answers

    assert plans.misfits(answers) == []
    assert load.strange == []
    # A model server that starts may not have looked at its plans yet.
    starts = any(each.victim == "serve" for each in rounds)
    assert starts or not load.refused
    assert {answer.status for answer in answers} <= {200, 503}
    n_kills = sum(each.victim in ("worker", "serve") for each in rounds)
    assert len(load.broken) <= n_kills * N_CONNECTIONS
    asked = {answer.id for answer in answers if answer.status == 200}
    assert {identity for identity, _ in load.broken} <= {answer.id for answer in answers}
    wait_until(lambda: asked <= set(_captured(up.context)), PATIENCE_S, "not every answer was captured")
    captured = [identity for identity in _captured(up.context) if identity in asked]
    assert len(captured) == len(asked) == sum(answer.status == 200 for answer in answers)
    told = {
        "strategies": dict(Counter(str(each.strategy) for each in rounds)),
        "killed": dict(Counter(each.victim for each in rounds)),
        "ended": dict(Counter(f"{ended.status} ({ended.reason})" for _, ended in ends)),
        "answers": dict(Counter(answer.status for answer in answers)),
        "connections broken and asked again": len(load.broken),
        "captured once": len(captured),
    }
    LOGGER.info("%s", told)
    for each, ended in ends:
        if ended.status is RolloutStatus.ROLLED_BACK:
            LOGGER.info("rolled back: %s", _why(each, ended))
