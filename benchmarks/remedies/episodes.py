"""Make an episode of real rows, a model family and an injected incident; tell its truth apart from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

HORIZON = 8
LEARNT_WINDOWS = 2
"""Windows of the incident whose labels teach before a remedy that learns can act."""

LEVELS = ("mild", "plain", "grave")
_SURPLUS = 2.5  # rows dealt out for each that is kept, so that choosing among them changes no window's size
_MANY = 10_000
_ONSETS = (5, 9)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Real rows: `ordered` ones drift by themselves, others are dealt out; `model` is the only family for them."""

    name: str
    task: str
    metric: str
    target: str
    frame: pl.DataFrame
    ordered: bool = False
    model: str = ""

    @property
    def n_classes(self) -> int:
        """Classes of the target; 0 for numbers."""
        return self.frame[self.target].n_unique() if self.task == "classification" else 0


@dataclass(kw_only=True)
class Scene:
    """What an injector may change.

    Attributes
    ----------
    weights
        Columns by how much the model leans on them, the most important first.
    clean
        The stream's rows as they were, of the same rows and order as `stream`: what an exact repair gives.
    lost
        Column → rows whose value no repair can give back; the truth puts estimates there.
    subjects
        What the causes happened to: columns, files of deployments.
    level
        Index into `LEVELS`.
    """

    source: Source
    reference: pl.DataFrame
    stream: pl.DataFrame
    clean: pl.DataFrame
    windows: NDArray[Any]
    onset: int
    weights: list[str]
    pipeline: str
    rng: np.random.Generator
    level: int
    live: dict[str, str] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    lost: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def hit(self) -> NDArray[np.bool_]:
        """Rows since the onset."""
        return np.asarray(self.windows >= self.onset)

    def of(self, mild: float, plain: float, grave: float) -> float:
        """Choose by severity."""
        return (mild, plain, grave)[self.level]

    def keep(self, rows: NDArray[Any]) -> None:
        """Keep some rows of the stream."""
        mask = pl.Series(rows)
        self.stream, self.clean, self.windows = (
            self.stream.filter(mask),
            self.clean.filter(mask),
            self.windows[rows],
        )
        self.lost = {name: gone[rows] for name, gone in self.lost.items()}

    def spoil(self, column: str, values: Any, *, lost: NDArray[np.bool_] | None = None) -> None:
        """Replace an input; `lost` marks rows whose value no repair could give back."""
        self.stream = self.stream.with_columns(pl.Series(column, values, dtype=self.stream[column].dtype))
        self.subjects.append(column)
        if lost is not None:
            self.lost[column] = lost

    def retarget(self, values: Any) -> None:
        """Replace the target, which no repair gives back: the world is another one."""
        name = self.source.target
        series = pl.Series(name, values, dtype=self.stream[name].dtype)
        self.stream, self.clean = self.stream.with_columns(series), self.clean.with_columns(series)

    def numbers(self) -> list[str]:
        """Give the columns of numbers that no other incident has taken, the most important first."""
        return [c for c in self.weights if self.reference[c].dtype.is_float() and c not in self.subjects]

    def numeric(self) -> str:
        """Give the most important of them.

        Raises
        ------
        ValueError
            If there is none.
        """
        found = self.numbers()
        if not found:
            raise ValueError("no column of numbers is left for the incident")
        return found[0]


Injector = Callable[[Scene], None]
Pipelines = dict[str, Callable[[pl.DataFrame, str, str], str]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An episode to be made; without injectors nothing happens, but what `source` does by itself."""

    source: Source
    model: str
    injectors: tuple[tuple[str, Injector], ...]
    seed: int
    delay: int | None
    decoy: str
    level: int
    rows: int = 250
    n_reference: int = 2500

    @property
    def causes(self) -> tuple[str, ...]:
        """Injected causes in order; `none` where nothing happens, `natural` where real drift is left untouched."""
        quiet = "natural" if self.source.ordered else "none"
        return tuple(cause for cause, _ in self.injectors) or (quiet,)

    @property
    def n_windows(self) -> int:
        """Windows that end with the horizon of the latest onset."""
        return _ONSETS[1] - 1 + LEARNT_WINDOWS + HORIZON + (self.delay or 0)

    @property
    def name(self) -> str:
        """Name of the folder."""
        how = "+".join(f.__name__ for _, f in self.injectors) or self.causes[0]
        return f"{self.source.name}-{self.model}-{how}-{self.seed}"


def make(plan: Plan, folder: Path, pipelines: Pipelines, *, level: int) -> dict[str, Any]:
    """Write an episode, and give what is known of it.

    Raises
    ------
    ValueError
        If the rows do not allow the incident.
    """
    rng = np.random.default_rng(plan.seed)
    rows, scene = _scene(plan, rng, pipelines[plan.model], level)
    for _, injector in plan.injectors:
        injector(scene)
    _trim(scene, rows)
    if plan.decoy:
        _decoy(scene, plan.decoy, scene.onset + int(rng.integers(-1, 2)))
    _write(plan, scene, folder)
    return {
        "name": plan.name,
        "causes": list(plan.causes),
        "onset": scene.onset if plan.injectors else None,
        "nominal": scene.onset,
        "subjects": scene.subjects,
        "delay": plan.delay,
        "level": LEVELS[level],
        "decoy": plan.decoy,
        "metric": plan.source.metric,
        "task": plan.source.task,
    }


def _scene(
    plan: Plan, rng: np.random.Generator, pipeline: Callable[[pl.DataFrame, str, str], str], level: int
) -> tuple[int, Scene]:
    frame, ordered = plan.source.frame, plan.source.ordered
    surplus = _SURPLUS if frame.height >= _MANY and not ordered else 1.0
    wanted = plan.n_reference + int(plan.n_windows * plan.rows * surplus)
    if ordered and frame.height > wanted:
        frame = frame.slice(int(rng.integers(0, frame.height - wanted + 1)), wanted)
    elif not ordered:
        frame = frame.sample(min(frame.height, wanted), seed=plan.seed, shuffle=True)
    n_reference = min(plan.n_reference, int(frame.height * 0.4))
    reference, stream = frame[:n_reference], frame[n_reference:]
    dealt = min(int(plan.rows * surplus), stream.height // plan.n_windows)
    stream = stream[: dealt * plan.n_windows]
    scene = Scene(
        source=plan.source,
        reference=reference,
        stream=stream,
        clean=stream,
        windows=np.repeat(np.arange(plan.n_windows), dealt),
        onset=int(rng.integers(*_ONSETS)),
        weights=[],
        pipeline=pipeline(reference, plan.source.target, plan.source.task),
        rng=rng,
        level=level,
    )
    scene.weights = _weights(scene)
    return int(dealt / surplus), scene


def _trim(scene: Scene, rows: int) -> None:
    """Leave the first rows of each window, as many in each."""
    places = np.concatenate([np.arange(n) for n in np.unique(scene.windows, return_counts=True)[1]])
    scene.keep(places < rows)


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


def _decoy(scene: Scene, kind: str, at: int) -> None:
    """Deploy something innocent: the code that is live by then with another constant, or the same fit again."""
    before = [name for name in sorted(scene.live) if name[3:] == ".py" and int(name[:3]) <= at]
    name = f"{at:03d}.py" if kind == "code" else f"{at:03d}.fit.py"
    fits = [n for n in scene.live if n.endswith(".fit.py")]
    if name in scene.live or (kind == "model" and fits):
        return  # a version fitted anew would take the place of the one that is to be found
    text = scene.live[before[-1]] if kind == "code" and before else scene.pipeline
    scene.live[name] = f"{text}\nBUILD = {at}\n"
    scene.events.append(
        {"window": at, "type": "deploy", "subject": "model server", "text": "routine release"}
    )


def _write(plan: Plan, scene: Scene, folder: Path) -> None:
    (folder / "live").mkdir(parents=True, exist_ok=True)
    windows = scene.windows
    labels = pl.Series(
        "label_window", [None] * len(windows) if plan.delay is None else windows + plan.delay, dtype=pl.Int64
    )
    scene.reference.write_parquet(folder / "reference.parquet")
    marks = [pl.Series(f"lost {name}", gone) for name, gone in scene.lost.items()]
    for frame, path in (
        (scene.stream, folder / "stream.parquet"),
        (scene.clean.with_columns(marks), folder.parent / "clean.parquet"),
    ):
        frame.with_columns(pl.Series("window", windows), labels).write_parquet(path)
    (folder / "pipeline.py").write_text(scene.pipeline)
    for name, text in scene.live.items():
        (folder / "live" / name).write_text(text)
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in scene.events))
    describe(folder, plan.source, {})


def describe(folder: Path, source: Source, costs: dict[str, float]) -> None:
    """Write `episode.toml`."""
    lines = [
        f'task = "{source.task}"',
        f'target = "{source.target}"',
        f'metric = "{source.metric}"',
        "",
        "[costs]",
    ]
    lines += [f"horizon = {HORIZON}", *(f"{remedy} = {cost:.9g}" for remedy, cost in costs.items())]
    (folder / "episode.toml").write_text("\n".join(lines) + "\n")
