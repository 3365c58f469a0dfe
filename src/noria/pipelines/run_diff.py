"""What two runs of pipelines differ in: parameters, code, inputs, environment, steps, metrics and outputs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from noria.core.workspace import Workspace
from noria.pipelines.entities import PipelineRun, StepReport
from noria.pipelines.service import PipelineRuns
from noria.pipelines.snapshots import open_snapshot
from noria.tracking.entities import Link, Run
from noria.tracking.floats import Float
from noria.tracking.service import Runs

_ENVIRONMENT_BYTES = 16 * 1024 * 1024
_SHORT_BYTES = 200


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that two runs differ in; None where a run has none."""

    name: str
    before: str | None = None
    after: str | None = None


class MetricChange(msgspec.Struct, frozen=True, kw_only=True):
    """A metric whose latest values differ; None where a run has none."""

    name: str
    before: Float | None = None
    after: Float | None = None


class StepChange(msgspec.Struct, frozen=True, kw_only=True):
    """A step that two runs differ in: it depends on something else, gave something else, or is missing in one.

    Attributes
    ----------
    step
        `pipeline.py:fit`, with its number when the run calls it more than once.
    before, after
        How it ended; None where a run has no such step.
    same_outputs
        Whether it gave the same all the same.
    reason
        Why it ran in the later run.
    """

    step: str
    before: str | None = None
    after: str | None = None
    same_outputs: bool = False
    reason: str = ""


class RunDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What two runs differ in.

    Attributes
    ----------
    code
        Files of the project by their digests.
    inputs
        Data sets and models that were read, by name.
    environment
        Python, the platform and distributions.
    steps
        Steps that differ; `n_same_steps` are alike.
    unknown
        What could not be compared, in words.
    """

    before: str
    after: str
    params: list[Change] = []
    code: list[Change] = []
    inputs: list[Change] = []
    environment: list[Change] = []
    steps: list[StepChange] = []
    n_same_steps: int = 0
    metrics: list[MetricChange] = []
    outputs: list[Change] = []
    unknown: list[str] = []


def compare_runs(workspace: Workspace, before: str, after: str) -> RunDiff:
    """Compare two runs.

    Raises
    ------
    PipelineRunNotFound
        If there is no run of a pipeline with one of the ids.
    """
    runs = workspace.service(PipelineRuns)
    one, other = (runs.get(workspace.project, run_id) for run_id in (before, after))
    tracked = [workspace.service(Runs).get(workspace.project, run_id) for run_id in (before, after)]
    steps, n_same = _step_changes(all_steps(workspace, before), all_steps(workspace, after))
    unknown: list[str] = []
    return RunDiff(
        before=before,
        after=after,
        params=changes(tracked[0].params, tracked[1].params),
        code=_code_changes(workspace, one, other, unknown),
        inputs=changes(*(_by_name(run.inputs) for run in tracked)),
        environment=changes(*(_environment(workspace, run, unknown) for run in (one, other))),
        steps=steps,
        n_same_steps=n_same,
        metrics=_metric_changes(*tracked),
        outputs=changes(*(_output_texts(workspace, run) for run in (one, other))),
        unknown=list(dict.fromkeys(unknown)),
    )


def all_steps(workspace: Workspace, run_id: str) -> list[StepReport]:
    """Read every step of a run, in their order."""
    service, after = workspace.service(PipelineRuns), -1
    found: list[StepReport] = []
    while True:
        page = service.steps(workspace.project, run_id, limit=1000, after=after)
        found += page.items
        if page.next is None:
            return found
        after = page.next


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """List what two maps differ in, by name.

    Examples
    --------
    >>> [change.name for change in changes({"a": "1", "b": "2"}, {"a": "1", "c": "3"})]
    ['b', 'c']
    """
    return [
        Change(name=name, before=before.get(name), after=after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _by_name(links: Sequence[Link]) -> dict[str, str]:
    """Give what a run read by its name without the version: `dataset:digits` → `2 blake3:…`."""
    found: dict[str, list[str]] = {}
    for link in links:
        name, _, version = link.ref.partition("@")
        found.setdefault(name, []).append(" ".join(part for part in (version, link.digest) if part))
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def _metric_changes(before: Run, after: Run) -> list[MetricChange]:
    return [
        MetricChange(name=name, before=before.metrics.get(name), after=after.metrics.get(name))
        for name in sorted(before.metrics.keys() | after.metrics.keys())
        if repr(before.metrics.get(name)) != repr(after.metrics.get(name))  # NaN is like NaN here
    ]


def _step_changes(before: Sequence[StepReport], after: Sequence[StepReport]) -> tuple[list[StepChange], int]:
    one, other = ({(step.step, step.occurrence): step for step in steps} for steps in (before, after))
    places = sorted(one.keys() | other.keys(), key=lambda place: (other.get(place) or one[place]).position)
    found = [_step_change(place, one.get(place), other.get(place)) for place in places]
    differing = [change for change in found if change is not None]
    return differing, len(found) - len(differing)


def _step_change(
    place: tuple[str, int], before: StepReport | None, after: StepReport | None
) -> StepChange | None:
    same = before is not None and after is not None and _outputs(before) == _outputs(after)
    if before and after and same and before.key == after.key and before.key and not after.error:
        return None
    return StepChange(
        step=place[0] if place[1] == 0 else f"{place[0]} {place[1] + 1}",
        before=str(before.status) if before else None,
        after=str(after.status) if after else None,
        same_outputs=same,
        reason=after.reason if after else "",
    )


def _outputs(step: StepReport) -> list[str]:
    return [stored.digest for stored in step.outputs]


def _output_texts(workspace: Workspace, run: PipelineRun) -> dict[str, str]:
    """Give what a run returned: short plain values themselves, others by their digests."""
    objects = workspace.objects()
    return {
        name: objects.get(stored.digest, limit_bytes=_SHORT_BYTES).decode()
        if stored.codec == "json" and stored.size_bytes <= _SHORT_BYTES
        else stored.digest
        for name, stored in run.outputs.items()
    }


def _code_changes(
    workspace: Workspace, before: PipelineRun, after: PipelineRun, unknown: list[str]
) -> list[Change]:
    if before.snapshot == after.snapshot:
        return []
    if before.snapshot is None or after.snapshot is None:
        unknown.append("the code: a run has no snapshot of it")
        return []
    return changes(*(_files(workspace, snapshot) for snapshot in (before.snapshot, after.snapshot)))


def _files(workspace: Workspace, snapshot: str) -> dict[str, str]:
    """Give the digests of the files of a snapshot."""
    from noria.core.objects.digests import hash_file

    with tempfile.TemporaryDirectory(prefix="noria-diff-") as folder:
        root = open_snapshot(workspace, snapshot, Path(folder) / "code")
        return {
            path.relative_to(root).as_posix(): hash_file(path)[0]
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


def _environment(workspace: Workspace, run: PipelineRun, unknown: list[str]) -> dict[str, str]:
    if run.environment is None:
        unknown.append("the environment: a run has no record of it")
        return {}
    data = workspace.objects().get(run.environment, limit_bytes=_ENVIRONMENT_BYTES)
    found: dict[str, Any] = json.loads(data)
    return {
        **{name: str(found[name]) for name in ("python", "platform") if name in found},
        **found.get("distributions", {}),
    }
