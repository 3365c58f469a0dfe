"""How equal a model in another engine is to the native one: what a version's `equality.json` says."""

from __future__ import annotations

from pathlib import Path

import msgspec

from noria.core.objects.store import ObjectReader
from noria.core.objects.trees import read_manifest

FILE = "equality.json"

TOLERANCE = 1e-5
"""Largest error with which an engine counts as equal: of a probability, or of a number relative to the largest."""

_LIMIT_BYTES = 1 << 20


class Equality(msgspec.Struct, frozen=True, kw_only=True):
    """How the ONNX form of a model compares with the estimator that was registered.

    Attributes
    ----------
    equal
        Whether no label flips and no error is beyond the tolerance: only then does the engine answer requests.
    reason
        Why it does not, in a sentence; None when it does.
    n_rows, n_threshold_rows
        Rows that both predicted, and those of them that stand at or beside the value at which a tree splits.
    largest_error
        Largest absolute difference of a probability or predicted number.
    largest_relative_error
        The same relative to the largest number predicted; of a classifier, of its probabilities as they are.
    n_label_flips, label_flip_rate
        Rows whose label differs, and their share.
    tolerance
        What `largest_relative_error` was held to.
    datatype
        In which the engine takes numbers, as the Open Inference Protocol names it; None without a model to compare.
    made_with
        Versions of the distributions that made and ran it.
    """

    engine: str = "onnxruntime"
    equal: bool
    reason: str | None = None
    n_rows: int = 0
    n_threshold_rows: int = 0
    largest_error: float = 0.0
    largest_relative_error: float = 0.0
    n_label_flips: int = 0
    label_flip_rate: float = 0.0
    tolerance: float = TOLERANCE
    datatype: str | None = None
    made_with: dict[str, str] = {}


def read_equality(folder: Path) -> Equality | None:
    """Read it from a version's files; None when no other engine was tried, or it cannot be read."""
    path = folder / FILE
    if not path.is_file() or path.stat().st_size > _LIMIT_BYTES:
        return None
    return _decoded(path.read_bytes())


def equality_of(objects: ObjectReader, digest: str) -> Equality | None:
    """Read it from the objects of a version's files, as `read_equality` does from a folder.

    Parameters
    ----------
    digest
        Of the manifest of the files.
    """
    for entry in read_manifest(objects, digest).entries:
        if entry.path == FILE and entry.size_bytes <= _LIMIT_BYTES:
            return _decoded(objects.get(entry.digest, limit_bytes=_LIMIT_BYTES))
    return None


def _decoded(data: bytes) -> Equality | None:
    try:
        return msgspec.json.decode(data, type=Equality)
    except msgspec.DecodeError:
        return None
