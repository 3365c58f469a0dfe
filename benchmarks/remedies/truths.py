"""Made episodes with their truths, kept on disk: they depend on the benchmark alone, not on who is judged by it."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from episodes import Plan, make

_HERE = Path(__file__).parent
_JUDGING = ("bench_remedies.py", "score.py")  # what is said of answers changes no episode
_LIBRARIES = ("numpy", "polars", "scikit-learn", "scipy")


def made(plan: Plan, part: str, cache: Path) -> dict[str, Any]:
    """Give an episode's truth, made now unless `cache` holds it.

    Raises
    ------
    ValueError
        If the rows do not allow the episode: the incident has no column that it could happen to, for example.
    """
    place = cache / f"{plan.name}-{_key(plan, part)}"
    truth = place / "truth.json"
    if not truth.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            found = _make(plan, Path(scratch), part)
            (Path(scratch) / "truth.json").write_text(json.dumps(found))
            shutil.rmtree(place, ignore_errors=True)
            Path(scratch).replace(place)
            Path(scratch).mkdir()  # for its end to remove
    found = json.loads(truth.read_text())
    if "skipped" in found:
        raise ValueError(found["skipped"])
    return {**found, "folder": str(place / "episode"), "clean": str(place / "episode.clean.parquet")}


def _make(plan: Plan, place: Path, part: str) -> dict[str, Any]:
    from oracle import Simulated, baselines, saved_by

    try:
        truth = make(plan, place / "episode", importlib.import_module(f"models_{part}").PIPELINES)
    except (ValueError, StopIteration) as error:
        return {"name": plan.name, "skipped": str(error) or type(error).__name__}
    simulated = Simulated(place / "episode", Path(truth["clean"]))
    onset = truth["onset"]
    return {
        **truth,
        "saved": {"wait": 0.0} if onset is None else saved_by(simulated, onset),
        "baselines": baselines(simulated, plan.delay),
        "without": simulated.losses(simulated.answers()),
    }


def _key(plan: Plan, part: str) -> str:
    source = plan.source
    said = (
        source.name,
        source.task,
        source.metric,
        source.ordered,
        source.frame.shape,
        plan.model,
        plan.causes,
    )
    rest = (plan.name, plan.delay, plan.decoy, plan.n_windows, plan.rows, plan.n_reference)
    return hashlib.sha256(repr((_code(part), said, rest)).encode()).hexdigest()[:16]


@functools.cache
def _code(part: str) -> str:
    """Give a digest of what makes episodes and truths of a part, libraries included."""
    other = "test" if part == "tuning" else "tuning"
    files = [f for f in _HERE.glob("*.py") if f.name not in _JUDGING and not f.stem.endswith(f"_{other}")]
    from noria.decisions.replay import calibrating, candidates, metrics, outputs, rows

    files += [Path(str(module.__file__)) for module in (calibrating, candidates, metrics, outputs, rows)]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    for name in _LIBRARIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    return digest.hexdigest()
