"""Evaluation data sets: inputs, with what should come out, on which programs and models are tried."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import msgspec


class RecordSourceType(enum.StrEnum):
    """Where a record comes from."""

    UNSPECIFIED = "UNSPECIFIED"
    TRACE = "TRACE"
    HUMAN = "HUMAN"
    DOCUMENT = "DOCUMENT"
    CODE = "CODE"


class RecordSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record comes from, with what that kind of source tells, such as a `trace_id`."""

    source_type: RecordSourceType
    source_data: dict[str, Any] = {}


class NewRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record to keep; one of the same inputs is completed by it.

    Attributes
    ----------
    inputs
        What goes in; it tells records apart.
    outputs
        What came out; it replaces what was there when it is given, even if it is null.
    expectations, tags
        Added to what was there.
    """

    inputs: dict[str, Any] = {}
    outputs: Any = msgspec.UNSET
    expectations: dict[str, Any] | None = None
    tags: dict[str, str] | None = None
    source: RecordSource | None = None


class NewRecords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records to keep."""

    records: list[NewRecord]


class RecordsKept(msgspec.Struct, frozen=True, kw_only=True):
    """How many records are new, and how many were completed."""

    n_inserted: int
    n_updated: int


class EvaluationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to try."""

    id: str
    inputs: dict[str, Any]
    outputs: Any
    expectations: dict[str, Any] | None
    tags: dict[str, str]
    source: RecordSource | None
    created_at: datetime
    updated_at: datetime
    created_by: str | None = None
    updated_by: str | None = None


class RecordPage(msgspec.Struct, frozen=True, kw_only=True):
    """Records, oldest first; `next` continues after them, or is None at the end."""

    items: list[EvaluationRecord]
    next: str | None


class RecordIds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records by their ids."""

    ids: list[str]


class RecordsDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """How many records went."""

    n_records: int


class EvaluationDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A set of records.

    Attributes
    ----------
    digest
        Changes with every change of the records.
    schema
        JSON text on the types of inputs, outputs and expectations; None before the first record.
    experiments
        Numbers of the experiments that use it, as far as the caller may read them.
    """

    id: str
    project: str
    name: str
    digest: str
    schema: str | None
    n_records: int
    tags: dict[str, str]
    experiments: list[int]
    created_at: datetime
    updated_at: datetime
    created_by: str | None = None
    updated_by: str | None = None


class NewEvaluationDataset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A set to make.

    Attributes
    ----------
    id
        `d-` and 32 digits out of 0-9 and a-f; None for one of its own.
    created_at
        None for now.
    """

    name: str
    experiments: list[int] = []
    tags: dict[str, str] = {}
    id: str | None = None
    created_at: datetime | None = None


class EvaluationDatasetPage(msgspec.Struct, frozen=True, kw_only=True):
    """Sets in the order asked for; `next` continues after them, or is None at the end."""

    items: list[EvaluationDataset]
    next: str | None


class EvaluationDatasetSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sets are wanted, of all projects that the caller may read.

    Attributes
    ----------
    experiments
        Numbers: those that any of them uses; None for all.
    filter
        `name LIKE 'qa%' AND tags.team = 'ml'`; also `created_by`, `last_updated_by`, `created_time`, `last_update_time`
        (milliseconds since 1970).
    order_by
        `name`, `created_time DESC`, `last_update_time`; newest first when there is none.
    """

    experiments: list[int] | None = None
    filter: str = ""
    order_by: list[str] = []
    limit: int = 100
    after: str | None = None


class EvaluationDatasetPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a set belongs."""

    id: str
    project: str


class EvaluationTags(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tags to set; null removes one, if it is there."""

    tags: dict[str, str | None]


class EvaluationExperiments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Experiments by their numbers: those that use a set from now on, and those that no longer do."""

    add: list[int] = []
    remove: list[int] = []
