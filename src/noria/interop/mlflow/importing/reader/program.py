"""Goes through a store."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .files import Files
from .judging import Judging
from .lines import Telling
from .registry import Registry
from .runs import Runs
from .traces import Traces


def main() -> None:
    """Tell what the store holds: experiments with their runs and logged models, then registered models."""
    parser = argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("--experiment", action="append")
    parser.add_argument("--no-artifacts", action="store_true")
    parser.add_argument("--artifacts-root")
    options = parser.parse_args()
    # MLflow and what it loads print to stdout; our lines must stay among themselves.
    lines, sys.stdout = sys.stdout, sys.stderr
    import mlflow

    mlflow.set_tracking_uri(options.uri)
    mlflow.set_registry_uri(options.uri)
    telling = Telling(mlflow, lines)
    read(
        telling,
        Files(telling, wanted=not options.no_artifacts, root=options.artifacts_root),
        options.experiment,
    )


def read(telling: Telling, files: Files, names: list[str] | None) -> None:
    """Tell everything, or only the experiments of these names."""
    telling.tell("begin", version=telling.mlflow.__version__)
    runs, traces, judging = Runs(telling, files), Traces(telling, files), Judging(telling)
    experiments = _experiments(telling, names)
    for experiment in experiments:
        _tell_experiment(telling, experiment)
        number, name = experiment.experiment_id, experiment.name
        runs.tell_logged_models(number)
        telling.guarded("traces", name, traces.tell, number, runs.tell_runs(number))
        if experiment.lifecycle_stage != "deleted":
            telling.guarded("scorers", name, judging.tell_scorers, number)
            telling.guarded("issues", name, judging.tell_issues, number)
            telling.guarded("reviews", name, judging.tell_reviews, number)
    known = [each.experiment_id for each in experiments] if names is not None else None
    telling.guarded("evaluation data sets", "all", judging.tell_datasets, known)
    telling.tell("experiments-end")
    if names is None:
        Registry(telling).tell()
    telling.tell("end")


def _tell_experiment(telling: Telling, experiment: Any) -> None:
    telling.tell(
        "experiment",
        id=experiment.experiment_id,
        name=experiment.name,
        tags=dict(experiment.tags),
        created_ms=experiment.creation_time,
        deleted=experiment.lifecycle_stage == "deleted",
    )


def _experiments(telling: Telling, names: list[str] | None) -> list[Any]:
    found = list(telling.paged(telling.client.search_experiments, view_type=telling.view_of_all()))
    known = {experiment.name for experiment in found}
    for name in names or []:
        if name not in known:
            telling.tell("unknown-experiment", name=name, known=sorted(known))
    wanted = [each for each in found if names is None or each.name in names]
    return sorted(wanted, key=lambda each: (each.creation_time or 0, int(each.experiment_id)))
