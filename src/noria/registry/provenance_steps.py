"""Lineage inside runs of pipelines: which step made an object, of what, and what became of it there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import Invalid, NotFound
from noria.core.objects.references import object_references
from noria.pipelines.entities import StepReport, StepStatus
from noria.pipelines.step_rows import to_report
from noria.pipelines.tables import pipeline_runs, step_cache, step_runs
from noria.tracking.lineage import RUN_PREFIX, Walk
from noria.tracking.tables import runs

STEP_PREFIX: Final = "step:"
_OBJECT: Final = "object:"
_MOST_STEPS = 2_000
_MOST_RUNS = 20
"""Runs whose steps are looked into; a walk that leads through more goes from run to run alone."""


class StepWalk:
    """Goes from step outputs to the steps that made or read them, run by run."""

    def __init__(self, state: Walk, project: str, context: Context) -> None:
        self._state = state
        self._project = project
        self._context = context
        self._reports: dict[str, dict[int, StepReport]] = {}

    def name_of(self, ref: str) -> str:
        """Give the name of the step that a person named.

        Raises
        ------
        Invalid, NotFound
            If it is not `step:<run id>/<position>`, or there is none.
        """
        run_id, _, position = ref.removeprefix(STEP_PREFIX).partition("/")
        if not position.isdecimal():
            raise Invalid(
                f"`{ref}` does not name a step", hint="Write `step:RUN/POSITION`; positions begin at 0"
            )
        found = self._steps(run_id).get(int(position))
        if found is None:
            raise NotFound(
                f"There is no step {position} in the run `{run_id}`",
                hint=f"See `noria pipelines show {run_id}`",
            )
        return found.name

    def stride(self, frontier: Sequence[str], distance: int) -> list[str]:
        """Go one edge on from objects and steps."""
        objects = [ref.removeprefix(_OBJECT) for ref in frontier if ref.startswith(_OBJECT)]
        steps = [ref for ref in frontier if ref.startswith(STEP_PREFIX)]
        found: list[str | None] = []
        for ref in steps:
            found += (
                self._after_step(ref, distance)
                if self._state.downstream
                else self._before_step(ref, distance)
            )
        for digest in objects:
            found += self._from_object(digest, distance)
        return [ref for ref in found if ref is not None]

    def _from_object(self, digest: str, distance: int) -> Iterator[str | None]:
        state, ref = self._state, _OBJECT + digest
        for run_id, position in self._makers(digest):
            if not state.downstream:
                yield self._visit_step(run_id, position, distance)
                state.join(_step(run_id, position), ref, "made")
                continue
            for reader in self._readers(run_id, position, digest):
                yield self._visit_step(run_id, reader, distance)
                state.join(ref, _step(run_id, reader), "read")
        yield from self._runs_with(digest, distance)

    def _before_step(self, ref: str, distance: int) -> Iterator[str | None]:
        """Go from a step to the objects and data that it read, and name its run.

        The run's own causes are followed only if the step's are not known: another step may have read them.
        """
        state = self._state
        run_id, report = self._named(ref)
        for source in report.sources:
            made = self._steps(run_id).get(source.source_position)
            for digest in () if made is None else _outputs(made, source.output):
                cause = _OBJECT + digest
                yield state.visit(cause, cause, distance, digest)
                state.join(cause, ref, "read")
        entry = self._entry(report)
        for link in entry[0] if entry else ():
            yield state.visit(link.ref, link.ref, distance, link.digest)
            state.join(link.ref, ref, "read")
        run = self._visit_run(run_id, distance)
        state.join(RUN_PREFIX + run_id, ref, "started")
        if entry is None:
            yield run

    def _after_step(self, ref: str, distance: int) -> Iterator[str | None]:
        """Go from a step to its outputs, and to what it made beside them."""
        state = self._state
        _, report = self._named(ref)
        entry = self._entry(report)
        refs = [(_OBJECT + output.digest, output.digest) for output in report.outputs]
        refs += [(link.ref, link.digest) for link in entry[1]] if entry else []
        for effect, digest in refs:
            yield state.visit(effect, effect, distance, digest)
            state.join(ref, effect, "made")

    def _named(self, ref: str) -> tuple[str, StepReport]:
        run_id, _, position = ref.removeprefix(STEP_PREFIX).partition("/")
        return run_id, self._steps(run_id)[int(position)]

    def _makers(self, digest: str) -> Iterable[tuple[str, int]]:
        """Find the steps that computed an object: whoever keeps their results names them."""
        keys = {owner.rpartition(":")[2] for owner in self._owners(digest, f"step:{self._project}:")}
        query = (
            sa.select(step_cache.c.run_id, step_cache.c.key)
            .where(step_cache.c.project_pk == self._state.project, step_cache.c.key.in_(sorted(keys)))
            .order_by(step_cache.c.pk)
            .limit(_MOST_RUNS)
        )
        for run_id, key in self._state.connection.execute(query).all():
            for report in self._steps(run_id).values():
                if report.key == key and report.status is StepStatus.FINISHED:
                    yield run_id, report.position

    def _readers(self, run_id: str, position: int, digest: str) -> list[int]:
        reports = self._steps(run_id)
        return [
            report.position
            for report in reports.values()
            for source in report.sources
            if source.source_position == position and digest in _outputs(reports[position], source.output)
        ]

    def _runs_with(self, digest: str, distance: int) -> Iterator[str | None]:
        """Go from code or an environment to the runs that were made with it, and from a kept file to its run."""
        state, ref = self._state, _OBJECT + digest
        ids = [owner.removeprefix(RUN_PREFIX) for owner in self._owners(digest, RUN_PREFIX)]
        is_cause = sa.or_(pipeline_runs.c.snapshot == digest, pipeline_runs.c.environment == digest)
        query = (
            sa.select(runs.c.id, runs.c.name)
            .outerjoin(pipeline_runs, pipeline_runs.c.run_id == runs.c.id)
            .where(runs.c.project_pk == state.project, runs.c.id.in_(ids))
            .where(sa.func.coalesce(is_cause, sa.false()) == state.downstream)
        )
        for run_id, name in state.rows(query):
            run = RUN_PREFIX + run_id
            yield state.visit(run, name, distance)
            state.join(*((ref, run, "read") if state.downstream else (run, ref, "made")))

    def _owners(self, digest: str, prefix: str) -> list[str]:
        table = object_references
        query = sa.select(table.c.owner).where(
            table.c.project == self._project,
            table.c.digest == digest,
            table.c.owner.startswith(prefix, autoescape=True),
        )
        return [str(row[0]) for row in self._state.rows(query.order_by(table.c.owner))]

    def _entry(self, report: StepReport) -> Any:
        """Give what a step read and made beside its arguments and outputs; None where it was not kept."""
        if report.key is None:
            return None
        query = (
            sa.select(step_cache.c.inputs, step_cache.c.made)
            .where(step_cache.c.project_pk == self._state.project, step_cache.c.key == report.key)
            .order_by(step_cache.c.pk)
            .limit(1)
        )
        return self._state.connection.execute(query).first()

    def _steps(self, run_id: str) -> dict[int, StepReport]:
        if run_id not in self._reports:
            if len(self._reports) >= _MOST_RUNS:
                self._state.truncated = True
                return {}
            self._reports[run_id] = self._read_steps(run_id)
        return self._reports[run_id]

    def _read_steps(self, run_id: str) -> dict[int, StepReport]:
        query = (
            sa.select(*(column for column in step_runs.c if column.name != "run_pk"))
            .join(pipeline_runs, pipeline_runs.c.pk == step_runs.c.run_pk)
            .where(pipeline_runs.c.run_id == run_id, pipeline_runs.c.project_pk == self._state.project)
            .order_by(step_runs.c.position)
            .limit(_MOST_STEPS)
        )
        rows = self._state.connection.execute(query).mappings().all()
        return {row["position"]: to_report(row) for row in rows}

    def _visit_step(self, run_id: str, position: int, distance: int) -> str | None:
        return self._state.visit(_step(run_id, position), self._steps(run_id)[position].name, distance)

    def _visit_run(self, run_id: str, distance: int) -> str | None:
        name = self._state.connection.execute(sa.select(runs.c.name).where(runs.c.id == run_id)).scalar()
        return self._state.visit(RUN_PREFIX + run_id, str(name), distance)


def _step(run_id: str, position: int) -> str:
    return f"{STEP_PREFIX}{run_id}/{position}"


def _outputs(report: StepReport, name: str) -> list[str]:
    """Give the digest of an output by its name, or of all where the names were not kept."""
    digests = [output.digest for output in report.outputs]
    names = list(report.declared)
    return [digests[names.index(name)]] if name in names and len(names) == len(digests) else digests
