"""Made episodes with their truths, kept on disk: they depend on the benchmark alone, not on what is judged by it."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import dealing
import numpy as np
from episodes import LEVELS, Plan, describe, make

_HERE = Path(__file__).parent
_JUDGING = ("bench_remedies.py", "score.py", "report.py", "dealing.py")  # they change no episode
_LIBRARIES = ("numpy", "polars", "scikit-learn", "scipy")

_MUST_COST = (
    "input_fault",
    "input_change",
    "pipeline_fault",
    "model_regression",
    "concept_drift",
    "new_class",
)
_SURELY = 3.0  # standard errors


def made(plan: Plan, part: str, cache: Path) -> dict[str, Any]:
    """Give an episode's truth, made now unless `cache` holds it.

    Raises
    ------
    ValueError
        If the rows do not allow the episode, or the incident costs nothing at any severity.
    """
    place = cache / f"{plan.name}-{_key(plan, part)}"
    truth = place / "truth.json"
    if not truth.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch, warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of estimators that are given arrays, or stop before they converge
            found = _made(plan, Path(scratch), part)
            (Path(scratch) / "truth.json").write_text(json.dumps(found))
            shutil.rmtree(place, ignore_errors=True)
            Path(scratch).replace(place)
            Path(scratch).mkdir()  # for its end to remove
    found = json.loads(truth.read_text())
    if "skipped" in found:
        raise ValueError(found["skipped"])
    return {**found, "folder": str(place / "episode")}


def _made(plan: Plan, place: Path, part: str) -> dict[str, Any]:
    """Make an episode, graver than planned when it would cost nothing."""
    families = dealing.pipelines(part)
    for level in range(plan.level, len(LEVELS)):
        for path in place.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        try:
            known = make(plan, place / "episode", families, level=level)
        except ValueError as error:
            return {"name": plan.name, "skipped": str(error)}
        found = _judged(plan, place, known)
        if found is not None:
            return found
    return {"name": plan.name, "skipped": "the incident costs nothing"}


def _judged(plan: Plan, place: Path, known: dict[str, Any]) -> dict[str, Any] | None:
    from oracle import COSTS, counted, truth_of, unspoilt
    from rules import RULES, saved_by
    from simulated import Simulated

    simulated = Simulated(place)
    causes, nominal = known["causes"], known["nominal"]
    if any(cause in _MUST_COST for cause in causes) and unspoilt(simulated, causes, nominal) < _SURELY:
        return None
    without = simulated.losses(simulated.answers())
    calm = float(np.nanmean([value for window, value in without.items() if window < nominal]))
    simulated.costs = {remedy: cost * calm for remedy, cost in COSTS.items()}
    describe(place / "episode", plan.source, simulated.costs)
    last = counted(nominal, plan.delay, max(without))[-1]
    return {
        **known,
        "last": last,
        "calm": calm,
        "costs": simulated.costs,
        "without": without,
        **truth_of(simulated, causes, nominal, plan.delay),
        "rules": {name: saved_by(simulated, rule, plan.delay, last) for name, rule in RULES.items()},
    }


def _key(plan: Plan, part: str) -> str:
    source = plan.source
    said = (source.name, source.task, source.metric, source.target, source.ordered, source.frame.shape)
    rest = (
        plan.name,
        plan.causes,
        plan.delay,
        plan.decoy,
        plan.level,
        plan.n_windows,
        plan.rows,
        plan.n_reference,
    )
    return hashlib.sha256(repr((_code(part), said, rest)).encode()).hexdigest()[:16]


@functools.cache
def _code(part: str) -> str:
    """Give a digest of what makes episodes and truths of a part, libraries included."""
    other = "tuning" if part == "test" else "test"
    files = [f for f in _HERE.glob("*.py") if f.name not in _JUDGING and not f.stem.endswith(f"_{other}")]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    for name in _LIBRARIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    return digest.hexdigest()
