"""Tells runs with their points and files, and logged models."""

from __future__ import annotations

from typing import Any

from .files import Files
from .lines import Telling
from .values import number

POINTS = 10_000


class Runs:
    """Reads what was logged in an experiment."""

    def __init__(self, telling: Telling, files: Files) -> None:
        self._telling = telling
        self._files = files

    def tell_runs(self, experiment: str) -> list[str]:
        """Tell all runs of an experiment, and give their ids."""
        # Oldest first, so that a run's parent is there before it.
        runs = self._telling.paged(
            self._telling.client.search_runs,
            [experiment],
            run_view_type=self._telling.view_of_all(),
            order_by=["attributes.start_time ASC"],
        )
        ids = []
        for run in runs:
            self._telling.guarded("run", run.info.run_id, self._run, run)
            ids.append(run.info.run_id)
        return ids

    def _run(self, run: Any) -> None:
        info = run.info
        said = self._telling.ask(
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
        complete = self._files.tell(f"run {info.run_id}", info.artifact_uri)
        self._telling.tell("run-end", id=info.run_id, complete=complete)

    def _points(self, run_id: str, key: str) -> None:
        points = self._telling.client.get_metric_history(run_id, key)
        for start in range(0, len(points), POINTS):
            part = points[start : start + POINTS]
            self._telling.tell(
                "points",
                key=key,
                steps=[point.step for point in part],
                at_ms=[point.timestamp for point in part],
                values=[number(point.value) for point in part],
            )

    def tell_logged_models(self, experiment: str) -> None:
        """Tell all logged models of an experiment."""
        search = getattr(self._telling.client, "search_logged_models", None)
        if search is None:  # MLflow 2 has none
            return
        for model in self._telling.paged(search, experiment_ids=[experiment]):
            self._telling.guarded("logged model", model.model_id, self._logged_model, model)

    def _logged_model(self, model: Any) -> None:
        said = self._telling.ask(
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
                    "value": number(metric.value),
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
        complete = self._files.tell(f"logged model {model.model_id}", model.artifact_location)
        self._telling.tell("logged-model-end", id=model.model_id, complete=complete)


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
