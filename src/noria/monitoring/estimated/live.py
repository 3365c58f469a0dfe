"""Estimate the quality of captured rows of a version."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from noria.core.errors import NoriaError
from noria.core.workspace import Workspace
from noria.monitoring.estimated.entities import EstimatedQuality
from noria.monitoring.estimated.learning import CannotEstimate, Learnt, estimate, learn
from noria.monitoring.reference import VersionSource
from noria.registry.client import fetch_version
from noria.registry.entities import ServableVersion
from noria.registry.golden import load_answers, load_held_out_sample
from noria.registry.signatures import stack_rows
from noria.serving.predictions import CapturedRow


def estimated_quality(
    workspace: Workspace, version: ServableVersion, rows: Sequence[CapturedRow]
) -> tuple[EstimatedQuality | None, str | None]:
    """Estimate the quality of the rows that a version answered.

    Users' code is not run: what the model answered to its held-out rows is kept beside it.

    Returns
    -------
    The estimate, or None and why there is none.
    """
    learnt = _learnt(VersionSource(workspace, version))
    if isinstance(learnt, str):
        return None, learnt
    answered = [
        row.prediction
        for row in rows
        if row.prediction.version == version.version and row.prediction.error is None
    ]
    try:
        inputs = stack_rows(version.signature, [prediction.inputs for prediction in answered])
        return estimate(learnt, inputs, [prediction.outputs for prediction in answered]), None
    except CannotEstimate as error:
        return None, f"No estimate of quality: {error.message}"


@functools.lru_cache(maxsize=8)
def _learnt(source: VersionSource) -> Learnt | str:
    """Learn once in a process; a text says why that is not possible."""
    version = source.version
    folder = fetch_version(source.workspace, version)
    held_out, answers = load_held_out_sample(folder), load_answers(folder)
    if held_out is None or answers is None:
        missing = "held-out rows" if held_out is None else "its answers to them"
        return (
            f"Quality is not estimated: version {version.version} was registered without {missing}; "
            "`noria.register(..., holdout=...)` keeps both"
        )
    try:
        return learn(version.task, version.classes, held_out.inputs, held_out.target, answers)
    except NoriaError as error:
        hint = f". {error.hint}" if error.hint else ""
        return f"Quality is not estimated: {error.message}{hint}"
