"""Deal out episodes: which rows, model, incidents, severity, labels and innocent deployments each has."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from episodes import LEVELS, Injector, Pipelines, Plan, Source

CYCLE = 20
QUIET = (0, 3, 7, 10, 13, 17)
TWO_CAUSES = (5, 12, 19)
NATURAL = (9,)
"""Places in a cycle of `CYCLE` episodes: 30 % without an incident, 15 % with two, 5 % of drift left untouched."""

GROUPS = {
    "input_fault": "inputs",
    "input_change": "inputs",
    "pipeline_fault": "code",
    "model_regression": "model",
    "covariate_drift": "world",
    "label_drift": "world",
    "concept_drift": "world",
    "new_class": "world",
}
"""Cause → what it happens to; two causes of an episode happen to different things."""

_FEWEST_CLASSES = 4
_ORDERED_TOO = ("input_fault", "input_change", "pipeline_fault", "model_regression")

Chosen = list[tuple[str, Injector]]


def pipelines(part: str) -> Pipelines:
    """Give the model families of a part; the smoke run has those of the tuning part."""
    found: Pipelines = importlib.import_module(f"models_{_kinds(part)}").PIPELINES
    return found


def _kinds(part: str) -> str:
    return "tuning" if part == "smoke" else part


def plans(
    part: str, data: Path, *, n: int, delay: int | None, first_seed: int, small: bool = False
) -> list[Plan]:
    """Deal out the first `n` episodes of a part; fewer are the beginning of more. Small ones have few rows."""
    sources: list[Source] = importlib.import_module(f"data_{part}").sources(data)
    models = list(pipelines(part))
    injectors: dict[str, list[Injector]] = importlib.import_module(f"injectors_{_kinds(part)}").INJECTORS
    size = {"rows": 100, "n_reference": 1000} if small else {}
    found = []
    loud = 0
    for number in range(n):
        rng = np.random.default_rng(first_seed + number)
        place = number % CYCLE
        chosen: Chosen = []
        if place not in (*QUIET, *NATURAL):
            chosen = _incidents(injectors, loud, rng, two=place in TWO_CAUSES)
            loud += 1
        found.append(
            _plan(
                sources,
                models,
                chosen,
                rng,
                natural=place in NATURAL,
                seed=first_seed + number,
                delay=delay,
                **size,
            )
        )
    return found


def _incidents(
    injectors: dict[str, list[Injector]], index: int, rng: np.random.Generator, *, two: bool
) -> Chosen:
    """Take causes in turn, and of each cause its injectors in turn."""
    causes = list(injectors)
    first = causes[index % len(causes)]
    chosen = [(first, injectors[first][(index // len(causes)) % len(injectors[first])])]
    if two:
        others = [c for c in causes if GROUPS[c] != GROUPS[first] and c != "new_class"]
        second = others[int(rng.integers(len(others)))]
        chosen.append((second, injectors[second][int(rng.integers(len(injectors[second])))]))
    # What happens to the world comes first: code and columns go wrong for the rows that are left.
    return sorted(chosen, key=lambda pair: GROUPS[pair[0]] != "world")


def _plan(
    sources: list[Source],
    models: list[str],
    chosen: Chosen,
    rng: np.random.Generator,
    *,
    natural: bool,
    **rest: Any,
) -> Plan:
    able = [s for s in sources if _fits(s, [cause for cause, _ in chosen], natural=natural)]
    names = sorted({source.name for source in able})
    name = names[int(rng.integers(len(names)))]
    same = [source for source in able if source.name == name]
    source = same[int(rng.integers(len(same)))]
    return Plan(
        source=source,
        model=source.model or models[int(rng.integers(len(models)))],
        injectors=tuple(chosen),
        decoy=("", "", "code", "model")[int(rng.integers(4))],
        level=int(rng.integers(len(LEVELS))),
        **rest,
    )


def _fits(source: Source, causes: list[str], *, natural: bool) -> bool:
    if natural:
        return source.ordered
    if "new_class" in causes and source.n_classes < _FEWEST_CLASSES:
        return False
    return not source.ordered or (bool(causes) and all(cause in _ORDERED_TOO for cause in causes))
