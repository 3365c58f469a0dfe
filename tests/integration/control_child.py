"""A process with a control loop whose workflows write down what they do; killed and restarted by its test.

Arguments: the loop's database and the folder to write to. A supervisor, which has imported everything, forks the
process that runs the loop and forks it again when it was killed.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

from noria.core.clock import SystemClock
from noria.core.control.loop import ControlLoop, ControlSettings
from noria.core.control.workflows import JSON, Steps, Tick, Workflow

N_STEPS = 5
INTERVAL_S = 0.25


def five_steps(steps: Steps, app: Path, name: str) -> JSON:
    """Take five steps that take time before and after their effect, with a sleep in between."""
    began = steps.now()
    for number in range(N_STEPS):
        steps.run(f"step {number}", lambda number=number: effect(app, name, str(number), 0.03))  # type: ignore[misc]
        steps.sleep(0.02)
    return [name, began.isoformat()]


def beat(steps: Steps, app: Path, start: datetime) -> JSON:
    """Write the interval down."""
    return steps.run("beat", lambda: effect(app, "beats", start.isoformat(), 0.0))


def effect(folder: Path, name: str, line: str, pause_s: float) -> bool:
    """Append a line unless it is there, as a compare-and-set does, and write down that this process tried to."""
    append(folder / f"{name}.attempts", f"{line} {os.getpid()}")
    time.sleep(pause_s)
    path = folder / f"{name}.effects"
    missing = not path.exists() or line not in path.read_text(encoding="utf-8").splitlines()
    if missing:
        append(path, line)
    time.sleep(pause_s)
    return missing


def append(path: Path, line: str) -> None:
    """Write a line in one system call, so that a kill leaves none of it or all."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def serve(url: str, folder: Path, round_: int) -> None:
    """Run a loop until SIGTERM, with one workflow more than the round before."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    loop = ControlLoop(
        settings=ControlSettings(url=url, poll_s=0.05),
        app=folder,
        clock=SystemClock(),
        workflows=[Workflow("five", five_steps)],
        ticks=[Tick("beat", INTERVAL_S, beat)],
    )
    tell(f"starting {round_} {os.getpid()}")
    loop.start()
    for number in range(round_):
        loop.submit("five", f"five:{number}", f"w{number}")
    tell(f"submitted {round_}")
    while not stopping.wait(0.05):
        if all(loop.status(f"five:{number}").status.is_finished() for number in range(round_)):
            (folder / f"finished {round_}").touch()
    loop.stop()
    tell(f"stopped {round_}")


def tell(line: str) -> None:
    """Write a line for the test to wait for."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Start the loop in a process of its own, again when it was killed, until one ends by itself."""
    url, folder = sys.argv[1], Path(sys.argv[2])
    for round_ in itertools.count(1):
        if os.fork() == 0:
            serve(url, folder, round_)
            return 0
        _, status = os.wait()
        if os.WIFEXITED(status):
            return os.WEXITSTATUS(status)
    raise AssertionError("unreachable")


if __name__ == "__main__":
    sys.exit(main())
