"""Reads an MLflow store by MLflow's own client, and tells what it finds line by line.

A program of its own: `python reader.py URI` needs MLflow and nothing of Noria, so it runs in whatever environment has
the MLflow that wrote the store. Each line on stdout is a JSON object with a `kind`. After a line of the kind `run`,
`logged-model` or `file` it waits for a line on stdin: `take` or `skip` for the first two, anything for a file, which it
removes then.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = 1000
POINTS = 10_000

_PROXIED = "mlflow-artifacts:"


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
    reader = Reader(mlflow, lines, artifacts=not options.no_artifacts, artifacts_root=options.artifacts_root)
    reader.read(options.experiment)


class Reader:
    """Goes through a store."""

    def __init__(self, mlflow: Any, lines: Any, *, artifacts: bool, artifacts_root: str | None) -> None:
        self._mlflow = mlflow
        self._client = mlflow.MlflowClient()
        self._lines = lines
        self._artifacts = artifacts
        self._artifacts_root = artifacts_root
        self._n_skipped = 0

    def read(self, names: list[str] | None) -> None:
        """Tell everything, or only the experiments of these names."""
        self._tell("begin", version=self._mlflow.__version__)
        experiments = self._experiments(names)
        for experiment in experiments:
            self._tell(
                "experiment",
                id=experiment.experiment_id,
                name=experiment.name,
                tags=dict(experiment.tags),
                created_ms=experiment.creation_time,
                deleted=experiment.lifecycle_stage == "deleted",
            )
            self._logged_models(experiment.experiment_id)
            self._runs(experiment.experiment_id)
        self._tell("experiments-end")
        if names is None:
            self._registry()
        self._tell("end")

    def _experiments(self, names: list[str] | None) -> list[Any]:
        found = list(self._paged(self._client.search_experiments, view_type=self._all()))
        known = {experiment.name for experiment in found}
        for name in names or []:
            if name not in known:
                self._tell("unknown-experiment", name=name, known=sorted(known))
        wanted = [each for each in found if names is None or each.name in names]
        return sorted(wanted, key=lambda each: (each.creation_time or 0, int(each.experiment_id)))

    def _runs(self, experiment: str) -> None:
        # Oldest first, so that a run's parent is there before it.
        runs = self._paged(
            self._client.search_runs,
            [experiment],
            run_view_type=self._all(),
            order_by=["attributes.start_time ASC"],
        )
        for run in runs:
            self._guarded("run", run.info.run_id, self._run, run)

    def _run(self, run: Any) -> None:
        info = run.info
        said = self._ask(
            "run",
            id=info.run_id,
            experiment=info.experiment_id,
            name=info.run_name,
            user=info.user_id,
            status=info.status,
            started_ms=info.start_time,
            ended_ms=info.end_time,
            deleted=info.lifecycle_stage == "deleted",
            params=dict(run.data.params),
            tags=dict(run.data.tags),
            datasets=[_dataset(each) for each in getattr(run.inputs, "dataset_inputs", None) or []],
            models_read=[each.model_id for each in getattr(run.inputs, "model_inputs", None) or []],
            models_made=[
                {"id": each.model_id, "step": each.step}
                for each in getattr(getattr(run, "outputs", None), "model_outputs", None) or []
            ],
        )
        if said != "take":
            return
        for key in sorted(run.data.metrics):
            self._points(info.run_id, key)
        complete = self._files(f"run {info.run_id}", info.artifact_uri)
        self._tell("run-end", id=info.run_id, complete=complete)

    def _points(self, run_id: str, key: str) -> None:
        points = self._client.get_metric_history(run_id, key)
        for start in range(0, len(points), POINTS):
            part = points[start : start + POINTS]
            self._tell(
                "points",
                key=key,
                steps=[point.step for point in part],
                at_ms=[point.timestamp for point in part],
                values=[_number(point.value) for point in part],
            )

    def _logged_models(self, experiment: str) -> None:
        search = getattr(self._client, "search_logged_models", None)
        if search is None:  # MLflow 2 has none
            return
        for model in self._paged(search, experiment_ids=[experiment]):
            self._guarded("logged model", model.model_id, self._logged_model, model)

    def _logged_model(self, model: Any) -> None:
        said = self._ask(
            "logged-model",
            id=model.model_id,
            name=model.name,
            experiment=model.experiment_id,
            model_type=model.model_type or "",
            source_run=model.source_run_id or "",
            status=str(getattr(model.status, "value", model.status)),
            created_ms=model.creation_timestamp,
            params=dict(model.params or {}),
            tags=dict(model.tags or {}),
            metrics=[
                {
                    "run": metric.run_id,
                    "key": metric.key,
                    "value": _number(metric.value),
                    "step": metric.step,
                    "at_ms": metric.timestamp,
                    "dataset_name": metric.dataset_name or "",
                    "dataset_digest": metric.dataset_digest or "",
                }
                for metric in model.metrics or []
            ],
        )
        if said != "take":
            return
        complete = self._files(f"logged model {model.model_id}", model.artifact_location)
        self._tell("logged-model-end", id=model.model_id, complete=complete)

    def _files(self, owner: str, root: str) -> bool:
        """Tell the files below a root; False if they were not all read."""
        if not self._artifacts:
            return False
        n_skipped = self._n_skipped
        self._guarded("artifacts", owner, self._walk, owner, root)
        return self._n_skipped == n_skipped

    def _walk(self, owner: str, root: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        if self._artifacts_root is not None and root.startswith(_PROXIED):
            root = f"{self._artifacts_root.rstrip('/')}/{root[len(_PROXIED) :].lstrip('/')}"
        files = get_artifact_repository(root)
        folders: list[str | None] = [None]
        while folders:
            for entry in files.list_artifacts(folders.pop()):
                if entry.is_dir:
                    folders.append(entry.path)
                else:
                    self._guarded(f"artifact of {owner}", entry.path, self._file, files, entry.path)

    def _file(self, files: Any, path: str) -> None:
        folder = tempfile.mkdtemp(prefix="noria-import-")
        try:
            local = files.download_artifacts(path, folder)
            self._ask("file", path=path, place=str(Path(local).resolve()))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _registry(self) -> None:
        for model in self._paged(self._client.search_registered_models):
            self._guarded("registered model", model.name, self._model, model)

    def _model(self, model: Any) -> None:
        full = self._client.get_registered_model(model.name)
        self._tell(
            "model",
            name=full.name,
            description=full.description or None,
            tags=dict(full.tags),
            created_ms=full.creation_timestamp,
        )
        versions = list(self._paged(self._client.search_model_versions, f"name = '{_quoted(full.name)}'"))
        for version in sorted(versions, key=lambda each: int(each.version)):
            self._tell(
                "version",
                name=full.name,
                number=int(version.version),
                source=version.source,
                run_id=version.run_id or None,
                run_link=version.run_link or None,
                model_id=getattr(version, "model_id", None),
                description=version.description or None,
                tags=dict(version.tags),
                stage=version.current_stage or "None",
                created_ms=version.creation_timestamp,
            )
        self._tell("aliases", name=full.name, aliases={k: int(v) for k, v in (full.aliases or {}).items()})

    def _paged(self, search: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        token = None
        while True:
            page = search(
                *args,
                max_results=PAGE if "logged" not in search.__name__ else 100,
                page_token=token,
                **kwargs,
            )
            yield from page
            token = page.token
            if not token:
                return

    def _all(self) -> Any:
        return self._mlflow.entities.ViewType.ALL

    def _guarded(self, what: str, name: str, read: Any, *args: Any) -> None:
        """Let one thing that cannot be read be told, and go on with the next."""
        try:
            read(*args)
        except (EOFError, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a store or its plugins raise
            self._n_skipped += 1
            self._tell("skipped", what=what, name=name, why=f"{type(error).__name__}: {error}"[:500])

    def _tell(self, kind: str, **said: Any) -> None:
        self._lines.write(json.dumps({"kind": kind, **said}) + "\n")
        self._lines.flush()

    def _ask(self, kind: str, **said: Any) -> str:
        self._tell(kind, **said)
        answer = sys.stdin.readline()
        if not answer:
            raise EOFError("nobody listens any more")
        return answer.strip()


def _dataset(used: Any) -> dict[str, Any]:
    data = used.dataset
    return {
        "name": data.name,
        "digest": data.digest,
        "source_type": data.source_type,
        "source": data.source,
        "schema": data.schema,
        "profile": data.profile,
        "tags": {tag.key: tag.value for tag in used.tags},
    }


def _number(value: float) -> float | str:
    return value if value - value == 0 else str(value)


def _quoted(name: str) -> str:
    return name.replace("'", "''")


if __name__ == "__main__":
    main()
