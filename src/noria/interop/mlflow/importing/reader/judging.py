"""Tells what traces are judged by: scorers, issues, reviews and evaluation data sets."""

from __future__ import annotations

from typing import Any

from .lines import PAGE, Telling
from .values import name, plain, texts

RECORDS = 500


class Judging:
    """Reads what belongs to judging traces; nothing where this MLflow or its store knows no such thing."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling

    def tell_scorers(self, experiment: str) -> None:
        """Tell all versions of the scorers of an experiment."""
        # Through the store, whose scorers are text: the public function would run their code.
        store = self._telling.store()
        for scorer in self._telling.known(lambda: store.list_scorers(experiment)):
            for each in store.list_scorer_versions(experiment, scorer.scorer_name):
                self._telling.tell(
                    "scorer",
                    experiment=experiment,
                    name=each.scorer_name,
                    version=each.scorer_version,
                    content=each._serialized_scorer,
                    created_ms=each.creation_time,
                )

    def tell_issues(self, experiment: str) -> None:
        """Tell the issues of an experiment."""
        store = self._telling.store()
        token = None
        while True:
            page = self._telling.known(
                lambda token=token: store.search_issues(experiment, max_results=PAGE, page_token=token)
            )
            for issue in page:
                self._telling.tell(
                    "issue",
                    id=issue.issue_id,
                    experiment=experiment,
                    name=issue.name,
                    description=issue.description,
                    status=name(issue.status),
                    severity=name(issue.severity) if issue.severity else None,
                    root_causes=list(issue.root_causes or []),
                    categories=list(issue.categories or []),
                    source_run=issue.source_run_id,
                    created_by=issue.created_by,
                    created_ms=issue.created_timestamp,
                    # MLflow tells these from 3.18 on.
                    seen_ms=getattr(issue, "last_seen_timestamp", None),
                    metadata=texts(getattr(issue, "metadata", None) or {}),
                )
            token = getattr(page, "token", None)
            if not token:
                return

    def tell_reviews(self, experiment: str) -> None:
        """Tell the label schemas and review queues of an experiment."""
        store = self._telling.store()
        schemas = self._telling.pages(lambda token: store.list_label_schemas(experiment, page_token=token))
        for schema in reversed(schemas):
            self._telling.tell(
                "label-schema",
                id=schema.schema_id,
                experiment=experiment,
                name=schema.name,
                type=name(schema.type),
                input=_input(schema.input),
                instruction=schema.instruction,
                enable_comment=bool(schema.enable_comment),
                is_default=bool(getattr(schema, "is_default", False)),
            )
        queues = self._telling.pages(lambda token: store.list_review_queues(experiment, page_token=token))
        for queue in reversed(queues):
            self._telling.guarded("review queue", queue.name, self._review_queue, store, queue)

    def _review_queue(self, store: Any, queue: Any) -> None:
        items = self._telling.pages(
            lambda token: store.list_review_queue_items(queue.queue_id, page_token=token)
        )
        self._telling.tell(
            "review-queue",
            experiment=queue.experiment_id,
            name=queue.name,
            type=name(queue.queue_type),
            created_by=queue.created_by,
            users=list(queue.users),
            schemas=list(queue.schema_ids),
            items=[
                {"id": item.item_id, "status": name(item.status), "by": item.completed_by}
                for item in reversed(items)
            ],
        )

    def tell_datasets(self, experiments: list[str] | None) -> None:
        """Tell the evaluation data sets of some experiments, or all."""
        search = getattr(self._telling.client, "search_datasets", None)
        if search is None:  # MLflow before 3.4 has none
            return
        wanted = {} if experiments is None else {"experiment_ids": experiments}
        for data in self._telling.known(lambda: list(self._telling.paged(search, **wanted))):
            self._telling.guarded("evaluation data set", data.dataset_id, self._evaluation_dataset, data)

    def _evaluation_dataset(self, data: Any) -> None:
        said = self._telling.ask(
            "evaluation-dataset",
            id=data.dataset_id,
            name=data.name,
            tags=texts(data.tags),
            experiments=list(data.experiment_ids or []),
            created_ms=data.created_time,
        )
        if said != "take":
            return
        records = [plain(each.to_dict()) for each in data.records]
        for start in range(0, len(records), RECORDS):
            self._telling.tell("records", records=records[start : start + RECORDS])
        self._telling.tell("evaluation-dataset-end", id=data.dataset_id)


_INPUTS = {
    "InputPassFail": "pass_fail",
    "InputCategorical": "categorical",
    "InputNumeric": "numeric",
    "InputText": "text",
}


def _input(asked: Any) -> dict[str, Any]:
    kind = _INPUTS.get(type(asked).__name__, type(asked).__name__)
    return {"kind": kind, **{key: value for key, value in vars(asked).items() if value is not None}}
