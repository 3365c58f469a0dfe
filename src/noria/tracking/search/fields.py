"""What filters of runs and of experiments may name."""

from __future__ import annotations

from typing import Final

from noria.tracking.search.grammar import (
    ATTRIBUTE,
    LIST_COMPARATORS,
    NULL_COMPARATORS,
    NUMBER_COMPARATORS,
    TEXT_COMPARATORS,
    Entity,
    Field,
    Grammar,
)

METRIC: Final = "metric"
PARAM: Final = "parameter"
TAG: Final = "tag"
DATASET: Final = "dataset"

RUN_NAME_TAG: Final = "mlflow.runName"
"""A run's name as MLflow's clients know it: a tag, which is not kept apart from the name."""
CONTEXT_TAG: Final = "mlflow.data.context"
"""What a run used a data set for: a tag of the use."""

METRICS = Entity(name=METRIC, also=("metrics",), numeric=True, comparators=NUMBER_COMPARATORS)
PARAMS = Entity(
    name=PARAM, also=("parameters", "param", "params"), comparators=TEXT_COMPARATORS + NULL_COMPARATORS
)
TAGS = Entity(name=TAG, also=("tags",), comparators=TEXT_COMPARATORS + NULL_COMPARATORS)
DATASETS = Entity(
    name=DATASET,
    also=("datasets",),
    fields=tuple([Field(key=key, lists=True, orderable=False) for key in ("name", "digest", "context")]),
    orderable=False,
)

RUNS = Grammar(
    entities=(
        METRICS,
        PARAMS,
        TAGS,
        Entity(
            name=ATTRIBUTE,
            also=("attr", "attributes", "run"),
            fields=(
                Field(key="run_id", lists=True),
                Field(
                    key="run_name", also=("run name", "Run name", "Run Name"), comparators=TEXT_COMPARATORS
                ),
                Field(key="status", comparators=TEXT_COMPARATORS),
                Field(key="user_id", comparators=TEXT_COMPARATORS),
                Field(key="artifact_uri", comparators=TEXT_COMPARATORS),
                Field(key="start_time", numeric=True, also=("created", "Created")),
                Field(key="end_time", numeric=True),
            ),
        ),
        DATASETS,
    )
)
"""Times are in milliseconds since 1970, and statuses in capitals, as MLflow's clients write them."""

EXPERIMENTS = Grammar(
    entities=(
        Entity(
            name=ATTRIBUTE,
            also=("attr", "attributes"),
            fields=(
                Field(key="name", comparators=TEXT_COMPARATORS),
                Field(key="experiment_id", comparators=("=", "!=", *LIST_COMPARATORS), lists=True),
                Field(key="creation_time", numeric=True),
                Field(key="last_update_time", numeric=True),
            ),
        ),
        Entity(name=TAG, also=("tags",), comparators=TEXT_COMPARATORS + NULL_COMPARATORS, orderable=False),
    )
)
