"""The job that looks for the cause."""

from __future__ import annotations

from typing import Any

import msgspec

from noria.core.serialisation import to_builtins
from noria.core.workspace import Workspace
from noria.decisions.diagnosis import Diagnosis, conclude
from noria.decisions.entities import Cause
from noria.decisions.jobs.reading import compared_of, read_case, settings_of
from noria.decisions.live_inputs import LiveInputs
from noria.decisions.looking import findings

_SEEN_WITHOUT_LABELS = (Cause.INPUT_FAULT, Cause.INPUT_CHANGE, Cause.PIPELINE_FAULT)
_SURE = 0.8


def diagnose(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    until_label: int | None,
    settings: dict[str, Any],
    compared: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Look at the stages in their order until a cause is certain.

    Parameters
    ----------
    compared
        A `Compared` as JSON, where the pipeline that the rows come from changed.

    Returns
    -------
    dict
        A `Diagnosis` as JSON, and `n_labelled`, `fingerprint` and `task` of what it was made from.
    """
    from threadpoolctl import threadpool_limits

    chosen = settings_of(settings)
    case = read_case(workspace, project, endpoint, version, onset_position, until_label, chosen)
    with threadpool_limits(limits=1):  # the rows are few: threads would wait for one another
        diagnosis = conclude(list(findings(case, chosen, LiveInputs(case), compared_of(compared))))
    labelled = case.rows.labelled.since(onset_position)
    short = len(labelled) < chosen.min_labels and not _needs_no_labels(diagnosis)
    diagnosis = msgspec.structs.replace(diagnosis, lacks_labels=short)
    return {
        **to_builtins(diagnosis),
        "n_labelled": len(labelled),
        "task": case.version.task.value,
        "fingerprint": case.fingerprint,
    }


def _needs_no_labels(diagnosis: Diagnosis) -> bool:
    return diagnosis.cause in _SEEN_WITHOUT_LABELS and diagnosis.probability >= _SURE
