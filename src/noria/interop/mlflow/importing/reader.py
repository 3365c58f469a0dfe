"""Reads an MLflow store by MLflow's own client, and tells what it finds line by line.

A program of its own: `python reader.py URI` needs MLflow and nothing of Noria, so it runs in whatever environment has
the MLflow that wrote the store. Each line on stdout is a JSON object with a `kind`. After a line of the kind `run`,
`logged-model`, `trace`, `evaluation-dataset` or `file` it waits for a line on stdin: anything for a file, which it
removes then, `take` or `skip` for the others.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = 1000
PAGES = {"search_logged_models": 100, "search_traces": 200}
POINTS = 10_000
SPANS = 100
RECORDS = 500

_PROXIED = "mlflow-artifacts:"
_ATTACHMENT = re.compile(r"mlflow-attachment://([0-9a-fA-F-]{36})")


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
            runs = self._runs(experiment.experiment_id)
            self._guarded("traces", experiment.name, self._traces, experiment.experiment_id, runs)
            if experiment.lifecycle_stage != "deleted":
                self._guarded("scorers", experiment.name, self._scorers, experiment.experiment_id)
                self._guarded("issues", experiment.name, self._issues, experiment.experiment_id)
                self._guarded("reviews", experiment.name, self._reviews, experiment.experiment_id)
        known = [each.experiment_id for each in experiments] if names is not None else None
        self._guarded("evaluation data sets", "all", self._evaluation_datasets, known)
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

    def _runs(self, experiment: str) -> list[str]:
        # Oldest first, so that a run's parent is there before it.
        runs = self._paged(
            self._client.search_runs,
            [experiment],
            run_view_type=self._all(),
            order_by=["attributes.start_time ASC"],
        )
        ids = []
        for run in runs:
            self._guarded("run", run.info.run_id, self._run, run)
            ids.append(run.info.run_id)
        return ids

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

    def _repository(self, root: str) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        if self._artifacts_root is not None and root.startswith(_PROXIED):
            root = f"{self._artifacts_root.rstrip('/')}/{root[len(_PROXIED) :].lstrip('/')}"
        return get_artifact_repository(root)

    def _walk(self, owner: str, root: str) -> None:
        files = self._repository(root)
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

    def _traces(self, experiment: str, runs: list[str]) -> None:
        search = getattr(self._client, "search_traces", None)
        if search is None:  # MLflow before 2.14 has none
            return
        takes = inspect.signature(search).parameters
        wanted: dict[str, Any] = {"locations" if "locations" in takes else "experiment_ids": [experiment]}
        if "include_spans" in takes:
            wanted["include_spans"] = False
        has_some = False
        for trace in self._paged(search, order_by=["timestamp_ms ASC"], **wanted):
            has_some = True
            self._guarded("trace", _first(trace.info, "trace_id", "request_id"), self._trace, trace.info)
        for run in runs if has_some else ():
            found = self._paged(search, filter_string=f"attributes.run_id = '{run}'", **wanted)
            traces = [_first(each.info, "trace_id", "request_id") for each in found]
            if traces:
                self._tell("trace-links", run=run, traces=traces)

    def _trace(self, info: Any) -> None:
        trace_id = _first(info, "trace_id", "request_id")
        said = self._ask(
            "trace",
            id=trace_id,
            experiment=info.experiment_id,
            client_request_id=getattr(info, "client_request_id", None),
            started_ms=_first(info, "request_time", "timestamp_ms") or 0,
            duration_ms=_first(info, "execution_duration", "execution_time_ms"),
            state=_name(_first(info, "state", "status")),
            request=getattr(info, "request_preview", None),
            response=getattr(info, "response_preview", None),
            metadata=_texts(_first(info, "trace_metadata", "request_metadata")),
            tags=_texts(info.tags),
            assessments=[_plain(each.to_dictionary()) for each in getattr(info, "assessments", None) or []],
        )
        if said != "take":
            return
        n_skipped = self._n_skipped
        attached: set[str] = set()
        self._guarded("spans of trace", trace_id, self._spans, trace_id, attached)
        if attached and self._artifacts:
            self._guarded("attachments of trace", trace_id, self._attachments, trace_id, info.tags, attached)
        whole = self._n_skipped == n_skipped and (self._artifacts or not attached)
        self._tell("trace-end", id=trace_id, complete=whole)

    def _spans(self, trace_id: str, attached: set[str]) -> None:
        """Tell the spans of a trace, and collect the ids of the files that they refer to."""
        found = self._client.get_trace(trace_id, display=False)
        spans = [_span(trace_id, each) for each in (found.data.spans if found is not None else [])]
        for start in range(0, len(spans), SPANS):
            part = spans[start : start + SPANS]
            attached.update(_ATTACHMENT.findall(json.dumps(part)))
            self._tell("spans", spans=part)

    def _attachments(self, trace_id: str, tags: dict[str, str], attached: set[str]) -> None:
        files = self._repository(tags["mlflow.artifactLocation"])
        for each in sorted(attached):
            self._guarded(f"attachment of {trace_id}", each, self._file, files, f"attachments/{each}")

    def _scorers(self, experiment: str) -> None:
        # Through the store, whose scorers are text: the public function would run their code.
        store = _store()
        for scorer in self._known(lambda: store.list_scorers(experiment)):
            for each in store.list_scorer_versions(experiment, scorer.scorer_name):
                self._tell(
                    "scorer",
                    experiment=experiment,
                    name=each.scorer_name,
                    version=each.scorer_version,
                    content=each._serialized_scorer,
                    created_ms=each.creation_time,
                )

    def _issues(self, experiment: str) -> None:
        store = _store()
        token = None
        while True:
            page = self._known(
                lambda token=token: store.search_issues(experiment, max_results=PAGE, page_token=token)
            )
            for issue in page:
                self._tell(
                    "issue",
                    id=issue.issue_id,
                    experiment=experiment,
                    name=issue.name,
                    description=issue.description,
                    status=_name(issue.status),
                    severity=_name(issue.severity) if issue.severity else None,
                    root_causes=list(issue.root_causes or []),
                    categories=list(issue.categories or []),
                    source_run=issue.source_run_id,
                    created_by=issue.created_by,
                    created_ms=issue.created_timestamp,
                )
            token = getattr(page, "token", None)
            if not token:
                return

    def _reviews(self, experiment: str) -> None:
        store = _store()
        schemas = self._pages(lambda token: store.list_label_schemas(experiment, page_token=token))
        for schema in reversed(schemas):
            self._tell(
                "label-schema",
                id=schema.schema_id,
                experiment=experiment,
                name=schema.name,
                type=_name(schema.type),
                input=_input(schema.input),
                instruction=schema.instruction,
                enable_comment=bool(schema.enable_comment),
                is_default=bool(getattr(schema, "is_default", False)),
            )
        queues = self._pages(lambda token: store.list_review_queues(experiment, page_token=token))
        for queue in reversed(queues):
            self._guarded("review queue", queue.name, self._review_queue, store, queue)

    def _review_queue(self, store: Any, queue: Any) -> None:
        items = self._pages(lambda token: store.list_review_queue_items(queue.queue_id, page_token=token))
        self._tell(
            "review-queue",
            experiment=queue.experiment_id,
            name=queue.name,
            type=_name(queue.queue_type),
            created_by=queue.created_by,
            users=list(queue.users),
            schemas=list(queue.schema_ids),
            items=[
                {"id": item.item_id, "status": _name(item.status), "by": item.completed_by}
                for item in reversed(items)
            ],
        )

    def _pages(self, read: Any) -> list[Any]:
        """Read all pages of a list, newest first as the store gives it; none where the store knows no such thing."""
        found: list[Any] = []
        token = None
        while True:
            page = self._known(lambda token=token: read(token))
            found.extend(page)
            token = getattr(page, "token", None)
            if not token:
                return found

    def _known(self, read: Any) -> Any:
        """Read something that this version of MLflow, or this kind of store, may not know."""
        try:
            return read()
        except (AttributeError, NotImplementedError):
            return []
        except self._mlflow.MlflowException as error:
            unknown = "NotImplemented" in type(error).__name__ or error.error_code == "ENDPOINT_NOT_FOUND"
            if unknown or "is not supported with FileStore" in str(error):
                return []
            raise

    def _evaluation_datasets(self, experiments: list[str] | None) -> None:
        search = getattr(self._client, "search_datasets", None)
        if search is None:  # MLflow before 3.4 has none
            return
        wanted = {} if experiments is None else {"experiment_ids": experiments}
        for data in self._known(lambda: list(self._paged(search, **wanted))):
            self._guarded("evaluation data set", data.dataset_id, self._evaluation_dataset, data)

    def _evaluation_dataset(self, data: Any) -> None:
        said = self._ask(
            "evaluation-dataset",
            id=data.dataset_id,
            name=data.name,
            tags=_texts(data.tags),
            experiments=list(data.experiment_ids or []),
            created_ms=data.created_time,
        )
        if said != "take":
            return
        records = [_plain(each.to_dict()) for each in data.records]
        for start in range(0, len(records), RECORDS):
            self._tell("records", records=records[start : start + RECORDS])
        self._tell("evaluation-dataset-end", id=data.dataset_id)

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
                max_results=PAGES.get(search.__name__, PAGE),
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


def _store() -> Any:
    from mlflow.tracking._tracking_service import utils

    return utils._get_store()


def _span(trace_id: str, span: Any) -> dict[str, Any]:
    return {
        "trace_id": trace_id,
        "id": span.span_id.removeprefix("0x"),
        "parent": span.parent_id.removeprefix("0x") if span.parent_id else None,
        "name": span.name,
        "started_ns": span.start_time_ns or 0,
        "ended_ns": span.end_time_ns,
        "status": _name(span.status.status_code),
        "message": span.status.description or "",
        "attributes": _plain(span.attributes),
        "events": [
            {"name": event.name, "at_ns": event.timestamp, "attributes": _plain(event.attributes or {})}
            for event in span.events or []
        ],
        "links": [
            {"trace_id": each.trace_id, "span_id": each.span_id, "attributes": _plain(each.attributes or {})}
            for each in getattr(span, "links", None) or []
        ],
    }


_INPUTS = {
    "InputPassFail": "pass_fail",
    "InputCategorical": "categorical",
    "InputNumeric": "numeric",
    "InputText": "text",
}


def _input(asked: Any) -> dict[str, Any]:
    kind = _INPUTS.get(type(asked).__name__, type(asked).__name__)
    return {"kind": kind, **{key: value for key, value in vars(asked).items() if value is not None}}


def _first(found: Any, *names: str) -> Any:
    """Give the attribute that this version of MLflow has."""
    return next((getattr(found, name) for name in names if hasattr(found, name)), None)


def _name(member: Any) -> str:
    return str(getattr(member, "value", member))


def _texts(values: Any) -> dict[str, str]:
    return {key: str(value) for key, value in (values or {}).items()}


def _plain(value: Any) -> Any:
    """Give a value as JSON can hold it; what JSON does not know, as text."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return _number(value)
    return value if value is None or isinstance(value, (str, int)) else str(value)


def _number(value: float) -> float | str:
    return value if value - value == 0 else str(value)


def _quoted(name: str) -> str:
    return name.replace("'", "''")


if __name__ == "__main__":
    main()
