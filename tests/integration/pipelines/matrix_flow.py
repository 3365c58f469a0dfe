"""A project with every kind of graph; copied into a folder of its own and run in every way."""

import contextlib
import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

import noria
from noria import pipeline, step
from noria.core import lineage


class Split(NamedTuple):
    train: list[int]
    test: list[int]


@step
def grow(n: int) -> int:
    print(f"growing {n}")  # noqa: T201
    return n + 1


@step
def split(values: list[int]) -> Split:
    half = len(values) // 2
    return Split(values[:half], values[half:])


@step
def both(train: list[int], test: list[int]) -> tuple[int, int]:
    return sum(train), sum(test)


@step
def large(n: int) -> pl.DataFrame:
    return pl.DataFrame({"x": np.arange(n), "y": np.arange(n) * 0.5})


@step
def shrink(table: pl.DataFrame, weights: np.ndarray) -> float:
    return float((table["x"].to_numpy()[: len(weights)] * weights).sum())


@step
def weights(n: int) -> np.ndarray:
    return np.linspace(0.0, 1.0, n)


@step
def lines(source: Path) -> int:
    return len(source.read_text().splitlines())


@step
def write(n: int) -> Path:
    place = Path(tempfile.mkdtemp()) / "made"
    place.write_text("line\n" * n)
    return place


count = noria.shell_step(  # noqa: S604 - the command is ours
    "count",
    "echo growing by a command; sh tools/count.sh {source} {times} > {made}; ls > {seen}",
    inputs=["source", "times"],
    outputs={"made": "out/counted", "seen": "seen"},
    files=["tools/count.sh"],
    env={"LC_ALL": "C"},
    shell=True,
)


@step
def nothing(n: int) -> int | None:
    return n or None


@step
def tell(n: int) -> int:
    noria.log({"told": n})
    noria.log({"told": n + 0.5})
    if run := noria.active_run():
        run.param("told", n)
        run.tag("told", "yes")
    lineage.record_input("dataset:rivers@1", "blake3:" + "1" * 64)
    return n


@step(cache=False)
def always() -> int:
    return 7


@step(retries=1)
def second_time(note: str) -> str:
    if os.path.lexists(note):
        return "done"
    Path(note).symlink_to("nowhere")
    raise RuntimeError("the first time fails")


@step
def total(values: list[int], named: dict[str, int]) -> int:
    return sum(values) + sum(named.values())


@step
def fail(n: int) -> int:
    noria.log({"before": n})
    raise ValueError(f"cannot do {n}")


@step
def wrong(n: int) -> int:
    return f"not {n}"  # type: ignore[return-value]


@step(timeout_s=0.3)
def endless() -> int:
    while True:
        with contextlib.suppress(BaseException):  # what swallows everything must be stopped too
            time.sleep(60)


@step
def killed(pid_file: str) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 1


@step
def takes(thing: object) -> int:
    return 1


@step(cache=False)
def mark(note: str, n: int, pause_s: float) -> int:
    with Path(note).open("a") as out:
        out.write(f"{n}\n")
    time.sleep(pause_s)
    return n


@pipeline
def prepare(n: int) -> int:
    return grow(grow(n))


@pipeline
def everything(source: Path, note: str, n: int = 3) -> dict[str, object]:
    parts = split(list(range(n)))
    a, b = both(parts.train, test=parts.test)
    grown = grow.map([10, 20, 30])
    try:
        fallback = fail(n)
    except noria.NoriaError:
        fallback = prepare(n)
    branch = always() if nothing(0) is None else grow(1000)
    if grown[1] > 20:
        branch = grow(branch)
    counted = count(source, 2)
    return {
        "sums": [a, b],
        "total": total([*grown, fallback, branch], {"a": a, "b": b}),
        "shrunk": shrink(large(20_000), weights(100)),
        "lines": lines(source),
        "written": lines(write(4)),
        "counted": [lines(counted.made), lines(counted.seen)],
        "told": tell(n),
        "retried": second_time(note),
    }


@pipeline
def failing(n: int = 2) -> list[int]:
    return [grow(n), fail(n)]


@pipeline
def misdeclared() -> int:
    return wrong(1)


@pipeline
def overlong() -> int:
    return endless()


@pipeline
def shot() -> int:
    return killed("")


@pipeline
def unsendable() -> int:
    return takes(threading.Lock())


STAMP = os.getpid()


@step
def stamp() -> int:
    return STAMP


@pipeline
def stamping() -> int:
    return stamp()


@pipeline
def marking(note: str, n: int = 6, pause_s: float = 0.2) -> int:
    return total([mark(note, k, pause_s) for k in range(n)], {})
