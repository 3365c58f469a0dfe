"""Make an episode of real rows, a model family and an injected incident; tell its two truths apart from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl


@dataclass(frozen=True, kw_only=True)
class Source:
    """Real rows: `ordered` ones drift by themselves, others are dealt out; `model` is the only family for them."""

    name: str
    task: str
    metric: str
    target: str
    frame: pl.DataFrame
    ordered: bool
    model: str = ""


@dataclass(kw_only=True)
class Scene:
    """What an injector may change.

    Attributes
    ----------
    weights
        Columns by how much the model leans on them, the most important first.
    clean
        The stream's rows as they were, of the same rows and order as `stream`: what a perfect repair gives.
    """

    source: Source
    reference: pl.DataFrame
    stream: pl.DataFrame
    clean: pl.DataFrame
    windows: np.ndarray[Any, Any]
    onset: int
    weights: list[str]
    pipeline: str
    rng: np.random.Generator
    live: dict[str, str] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    subject: str | None = None

    @property
    def hit(self) -> np.ndarray[Any, Any]:
        """Rows since the onset."""
        return np.asarray(self.windows >= self.onset)

    def keep(self, rows: np.ndarray[Any, Any]) -> None:
        """Keep some rows of the stream."""
        mask = pl.Series(rows)
        self.stream, self.clean, self.windows = (
            self.stream.filter(mask),
            self.clean.filter(mask),
            self.windows[rows],
        )

    def put(self, column: str, values: Any, *, clean: bool = False) -> None:
        """Replace a column; `clean` when no repair could give the old values back."""
        series = pl.Series(column, values)
        self.stream = self.stream.with_columns(series)
        if clean:
            self.clean = self.clean.with_columns(series)

    def numeric(self) -> str:
        """Give the most important column of numbers."""
        return next(c for c in self.weights if self.reference[c].dtype.is_float())


Injector = Callable[[Scene], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An episode to be made; `causes` is the injected truth (empty: nothing happens)."""

    source: Source
    model: str
    injectors: tuple[tuple[str, Injector], ...]
    seed: int
    delay: int | None
    decoy: bool
    n_windows: int = 18
    rows: int = 250
    n_reference: int = 2500

    @property
    def causes(self) -> tuple[str, ...]:
        """Injected causes, in order."""
        return tuple(cause for cause, _ in self.injectors) or ("none",)

    @property
    def name(self) -> str:
        """Name of the folder."""
        how = "+".join(f.__name__ for _, f in self.injectors) or "quiet"
        return f"{self.source.name}-{self.model}-{how}-{self.seed}"


def make(
    plan: Plan, folder: Path, pipelines: dict[str, Callable[[pl.DataFrame, str, str], str]]
) -> dict[str, Any]:
    """Write an episode, and give its truth."""
    rng = np.random.default_rng(plan.seed)
    scene = _scene(plan, rng, pipelines[plan.model])
    for _, injector in plan.injectors:
        injector(scene)
    if plan.decoy:
        at = max(1, scene.onset + int(rng.integers(-1, 2)))
        scene.events.append(
            {"window": at, "type": "deploy", "subject": "model server", "text": "routine release"}
        )
        if not any(name.endswith(f"{at:03d}.py") for name in scene.live):
            scene.live[f"{at:03d}.py"] = scene.pipeline + "\nBUILD = 2\n"
    _write(plan, scene, folder)
    return {
        "name": plan.name,
        "causes": list(plan.causes),
        "onset": scene.onset if plan.injectors else None,
        "subject": scene.subject,
        "delay": plan.delay,
        "folder": str(folder),
        "ordered": plan.source.ordered,
        "clean": str(folder.parent / f"{folder.name}.clean.parquet"),
    }


def _scene(plan: Plan, rng: np.random.Generator, pipeline: Callable[[pl.DataFrame, str, str], str]) -> Scene:
    frame, n = plan.source.frame, plan.n_reference + plan.n_windows * plan.rows
    n_reference = plan.n_reference
    if plan.source.ordered and frame.height > n:
        frame = frame.slice(int(rng.integers(0, frame.height - n + 1)), n)
    elif not plan.source.ordered:
        frame = frame.sample(min(frame.height, n), seed=plan.seed, shuffle=True)
    if frame.height < n:
        n_reference = frame.height // 2
    reference, stream = frame[:n_reference], frame[n_reference:]
    rows = min(plan.rows, stream.height // plan.n_windows)
    stream = stream[: rows * plan.n_windows]
    windows = np.repeat(np.arange(plan.n_windows), rows)
    text = pipeline(reference, plan.source.target, plan.source.task)
    scene = Scene(
        source=plan.source,
        reference=reference,
        stream=stream,
        clean=stream,
        windows=windows,
        onset=int(rng.integers(6, 10)),
        weights=[],
        pipeline=text,
        rng=rng,
    )
    scene.weights = _weights(scene)
    return scene


def _weights(scene: Scene) -> list[str]:
    """Order columns by what a shuffle of each costs a model fitted on half of the reference."""
    space: dict[str, Any] = {}
    exec(scene.pipeline, space)  # noqa: S102 - the benchmark's own text
    target = scene.source.target
    half = scene.reference.height // 2
    raw = scene.reference.drop(target)
    model = space["fit"](space["features"](raw[:half]), scene.reference[target][:half])
    held, actual = raw[half:], scene.reference[target][half:].to_numpy()
    rng = np.random.default_rng(0)

    def cost(frame: pl.DataFrame) -> float:
        found = np.asarray(model.predict(space["features"](frame)))
        return float(
            np.mean(found != actual)
            if scene.source.task == "classification"
            else np.mean(np.abs(found - actual))
        )

    costs = {
        name: cost(held.with_columns(held[name].gather(rng.permutation(held.height)))) for name in raw.columns
    }
    return sorted(costs, key=lambda name: -costs[name])


def _write(plan: Plan, scene: Scene, folder: Path) -> None:
    (folder / "live").mkdir(parents=True, exist_ok=True)
    source = plan.source
    windows = scene.windows
    labels = pl.Series(
        "label_window", [None] * len(windows) if plan.delay is None else windows + plan.delay, dtype=pl.Int64
    )
    scene.reference.write_parquet(folder / "reference.parquet")
    for frame, path in (
        (scene.stream, folder / "stream.parquet"),
        (scene.clean, folder.parent / f"{folder.name}.clean.parquet"),
    ):
        frame.with_columns(pl.Series("window", windows), labels).write_parquet(path)
    (folder / "pipeline.py").write_text(scene.pipeline)
    for name, text in scene.live.items():
        (folder / "live" / name).write_text(text)
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in scene.events))
    (folder / "episode.toml").write_text(
        f'task = "{source.task}"\ntarget = "{source.target}"\nmetric = "{source.metric}"\n\n[costs]\nhorizon = 8\n'
    )
