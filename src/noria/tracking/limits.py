"""Limits on what a run may hold, with errors that name the value and the limit."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from noria.core.errors import Invalid, TooLarge
from noria.core.objects.digests import is_digest
from noria.tracking.entities import Dataset, Link, LogBatch
from noria.tracking.point_entities import MetricPoint, ModelPoint

MAX_KEY_CHARS: Final = 250
MAX_PARAM_CHARS: Final = 6_000
MAX_TAG_CHARS: Final = 8_000
MAX_EXPERIMENT_TAG_CHARS: Final = 20_000
MAX_NAME_CHARS: Final = 500
MAX_REF_CHARS: Final = 500
MAX_PATH_CHARS: Final = 500
MAX_DATASET_DIGEST_CHARS: Final = 36
MAX_DATASET_SOURCE_CHARS: Final = 65_535
MAX_DATASET_SCHEMA_CHARS: Final = 1_048_575
MAX_DATASET_PROFILE_CHARS: Final = 16_777_215
MAX_DATASET_TAG_KEY_CHARS: Final = 255
MAX_POINTS: Final = 10_000
MAX_ENTRIES: Final = 1_000
MAX_STEP: Final = 2**63 - 1
MIN_AT: Final = -62_135_596_800_000_000
MAX_AT: Final = 253_402_300_799_999_999
"""Microseconds since 1970 of what a `datetime` can be: the years 1 to 9999."""

_KEY = re.compile(r"[\w\-.:/ ]+")
_REF = re.compile(r"[a-z][a-z0-9-]*:\S+")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHOWN_CHARS = 60


def check_batch(batch: LogBatch) -> None:
    """Refuse a batch of which anything passes a limit.

    Raises
    ------
    TooLarge
        If there are too many entries, or one is too long.
    Invalid
        If a key, reference or path does not have the right form.
    """
    _check_points(batch)
    _check_count("metric points of models", len(batch.model_points), MAX_POINTS)
    for kind, entries in (
        ("params", batch.params),
        ("tags", batch.tags),
        ("inputs", batch.inputs),
        ("outputs", batch.outputs),
        ("artifacts", batch.artifacts),
        ("data sets", batch.datasets),
    ):
        if len(entries) > MAX_ENTRIES:
            _check_count(kind, len(entries), MAX_ENTRIES)
    if batch.model_points:
        _check_model_points(batch.model_points)
    check_params(batch.params)
    check_tags(batch.tags)
    for link in (*batch.inputs, *batch.outputs):
        check_link(link)
    for path in batch.artifacts:
        check_artifact_path(path)
    for dataset in batch.datasets:
        check_dataset(dataset)


def check_keys(kind: str, keys: Iterable[str]) -> None:
    """Refuse keys that are too long, or hold what cannot stand in an address or a filter."""
    for key in keys:
        check_key(kind, key)


@functools.lru_cache(maxsize=8_192)
def check_key(kind: str, key: str) -> str:
    """Give `key` back if it can be the key of a metric, param or tag.

    Examples
    --------
    >>> check_key("metric", "val/accuracy")
    'val/accuracy'
    """
    check_length(f"{kind} key", key, MAX_KEY_CHARS)
    if not _KEY.fullmatch(key) or not _is_tidy_path(key):
        raise Invalid(
            f"`{shorten(key)}` cannot be the key of a {kind}",
            hint="Use letters, digits, spaces and `_ - . : /`, without parts that are empty or `..`",
        )
    return key


def check_params(params: dict[str, str]) -> None:
    """Refuse params whose key or value passes a limit."""
    check_keys("param", params)
    if not _are_storable(params.values(), MAX_PARAM_CHARS):
        for key, value in params.items():
            check_length(f"value of the param `{key}`", value, MAX_PARAM_CHARS)


def check_tags(tags: dict[str, str] | dict[str, str | None], max_value_chars: int = MAX_TAG_CHARS) -> None:
    """Refuse tags whose key or value passes a limit."""
    check_keys("tag", tags)
    if not _are_storable((value or "" for value in tags.values()), max_value_chars):
        for key, value in tags.items():
            check_length(f"value of the tag `{key}`", value or "", max_value_chars)


def check_dataset(dataset: Dataset) -> None:
    """Refuse a data set of which anything passes a limit."""
    check_title("data set", dataset.name)
    if not dataset.digest:
        raise Invalid(
            f"The data set `{shorten(dataset.name)}` has no digest", hint="Pass a text of 1 to 36 characters"
        )
    for kind, text, limit in (
        ("digest", dataset.digest, MAX_DATASET_DIGEST_CHARS),
        ("type of source", dataset.source_type, MAX_NAME_CHARS),
        ("source", dataset.source, MAX_DATASET_SOURCE_CHARS),
        ("schema", dataset.schema, MAX_DATASET_SCHEMA_CHARS),
        ("profile", dataset.profile, MAX_DATASET_PROFILE_CHARS),
    ):
        check_length(f"{kind} of the data set `{shorten(dataset.name)}`", text or "", limit)
    for key, value in dataset.tags.items():
        check_length("key of a data set's tag", key, MAX_DATASET_TAG_KEY_CHARS)
        check_length(f"value of the data set's tag `{shorten(key)}`", value, MAX_NAME_CHARS)


def check_artifact_location(location: str | None) -> None:
    """Refuse a location that no client could have meant."""
    if location is not None:
        check_length("artifact location", location, MAX_NAME_CHARS)


def check_length(kind: str, text: str, limit: int) -> None:
    """Refuse a text of more than `limit` characters, or one that no database can hold."""
    if len(text) > limit:
        raise _too_long(kind, text, limit)
    if "\x00" in text or _LONE_SURROGATE.search(text):
        raise Invalid(
            f"The {kind} holds a character that cannot be stored: {shorten(text)!a}",
            hint="Remove null characters and halves of surrogate pairs",
        )


def _are_storable(texts: Iterable[str], limit: int) -> bool:
    """Tell at once of all texts, which are nearly always short and plain, that `check_length` refuses none."""
    together = "".join(texts)
    return len(together) <= limit and together.isascii() and "\x00" not in together


def check_title(kind: str, name: str) -> str:
    """Give back a name for people: not empty, one line, at most 500 characters."""
    check_length(f"{kind} name", name, MAX_NAME_CHARS)
    if not name.strip() or _CONTROL.search(name):
        raise Invalid(f"`{shorten(name)}` cannot be the name of a {kind}", hint="Use one line of text")
    return name


def check_link(link: Link) -> None:
    """Refuse a reference that is not `kind:rest`, and a digest that is none."""
    check_ref(link.ref)
    if link.digest and not is_digest(link.digest):
        raise Invalid(
            f"`{shorten(link.digest)}` is not a digest",
            hint="A digest is `blake3:` and 64 digits out of 0-9 and a-f; leave it empty when there is none",
        )


def check_ref(ref: str) -> str:
    """Give `ref` back if it has the form `kind:rest`.

    Examples
    --------
    >>> check_ref("dataset:digits@2")
    'dataset:digits@2'
    """
    check_length("reference", ref, MAX_REF_CHARS)
    if not _REF.fullmatch(ref):
        raise Invalid(
            f"`{shorten(ref)}` is not a reference", hint="Write `dataset:digits@2` or `model:digits@3`"
        )
    return ref


def check_artifact_path(path: str) -> str:
    """Give `path` back if it is relative, tidy and cannot leave the folder it is unpacked in.

    Examples
    --------
    >>> check_artifact_path("plots/roc.png")
    'plots/roc.png'
    """
    check_length("artifact path", path, MAX_PATH_CHARS)
    parts = path.split("/")
    if "\\" in path or _CONTROL.search(path) or any(part in ("", ".", "..") for part in parts):
        raise Invalid(
            f"`{shorten(path)}` cannot be the path of an artifact",
            hint="Use a relative path with `/` between its parts, such as `plots/roc.png`",
        )
    return path


def shorten(text: str) -> str:
    """Give the text, cut for a message."""
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"


def check_instant(what: str, at: datetime | None) -> None:
    """Refuse a moment without a time zone: nobody can say when it was."""
    if at is not None and at.tzinfo is None:
        raise Invalid(
            f"The {what} `{at.isoformat()}` has no time zone",
            hint="Use `datetime.now(UTC)` or `.astimezone()`",
        )


def _check_point(point: MetricPoint | ModelPoint) -> None:
    _check_step(point.key, point.step)
    if point.at.tzinfo is None:
        check_instant(f"time of the metric `{point.key}`", point.at)


def _check_points(batch: LogBatch) -> None:
    columns = batch.points
    n_points = len(batch.metrics) + sum(len(each.steps) for each in columns.values())
    _check_count("metric points", n_points, MAX_POINTS)
    check_keys("metric", {point.key for point in batch.metrics} | columns.keys())
    if not all(map(_is_storable, batch.metrics)):
        for point in batch.metrics:
            _check_point(point)
    for key, each in columns.items():
        if len(each.steps) == 1:  # as nearly always: a client that logs point by point pays for each call
            if not (-MAX_STEP <= each.steps[0] <= MAX_STEP and MIN_AT <= each.at[0] <= MAX_AT):
                _check_step(key, each.steps[0])
                _check_micros(key, each.at[0])
        elif each.steps:
            _check_step(key, min(each.steps))
            _check_step(key, max(each.steps))
            _check_micros(key, min(each.at))
            _check_micros(key, max(each.at))


def _is_storable(point: MetricPoint) -> bool:
    return -MAX_STEP <= point.step <= MAX_STEP and point.at.tzinfo is not None


def _check_step(key: str, step: int) -> None:
    if not -MAX_STEP <= step <= MAX_STEP:
        raise Invalid(
            f"The step {step} of the metric `{key}` does not fit in 64 bits",
            hint=f"Use steps between {-MAX_STEP} and {MAX_STEP}",
        )


def _check_micros(key: str, at: int) -> None:
    if not MIN_AT <= at <= MAX_AT:
        raise Invalid(
            f"The time {at} of the metric `{key}` is none between the years 1 and 9999",
            hint="Give microseconds since 1970",
        )


def _check_model_points(points: list[ModelPoint]) -> None:
    check_keys("metric", {point.key for point in points})
    for point in points:
        _check_point(point)
        check_length("name of a data set", point.dataset_name, MAX_NAME_CHARS)
        check_length("digest of a data set", point.dataset_digest, MAX_DATASET_DIGEST_CHARS)


def _is_tidy_path(key: str) -> bool:
    return bool(key.strip()) and not any(part in ("", "..") for part in key.split("/"))


def _check_count(kind: str, n_entries: int, limit: int) -> None:
    if n_entries > limit:
        raise TooLarge(
            f"The batch has {n_entries} {kind}; at most {limit} are taken at once",
            hint="Send it in several batches",
        )


def _too_long(kind: str, text: str, limit: int) -> TooLarge:
    return TooLarge(
        f"The {kind} `{shorten(text)}` has {len(text)} characters; at most {limit} are kept",
        hint="Shorten it, or keep long text as an artifact",
    )
