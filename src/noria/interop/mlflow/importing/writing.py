"""Writes what the reader tells into a workspace, so that a second import goes on where the first one stopped.

Runs, logged models and version numbers keep their ids, so what is there already is found by them. A run or logged
model carries the tag `noria.imported_from` once it is complete, and is then left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from noria.core.errors import Conflict, Invalid, NoriaError, NotFound
from noria.core.ids import is_id
from noria.core.workspace import Workspace
from noria.interop.mlflow.importing.entities import (
    AliasesLine,
    DatasetLine,
    ExperimentLine,
    FileLine,
    ImportReport,
    LoggedModelEndLine,
    LoggedModelLine,
    ModelLine,
    PointsLine,
    RunEndLine,
    RunLine,
    Skipped,
    SkippedLine,
    VersionLine,
)
from noria.interop.mlflow.importing.places import artifact_place
from noria.registry.entities import AliasTarget, NewModel, SourceVersion, StageMove
from noria.registry.service import Models
from noria.registry.versions import ModelVersions
from noria.tracking.artifacts import Artifacts
from noria.tracking.entities import Dataset, LogBatch, NewRun, RunChange, RunStatus
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import (
    ModelEnd,
    ModelStatus,
    ModelTags,
    ModelUse,
    NewLoggedModel,
    RunModels,
)
from noria.tracking.point_entities import ModelPoint, PointColumns
from noria.tracking.service import Experiments, Runs

IMPORTED_TAG = "noria.imported_from"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHUNK_BYTES = 1 << 20
_PARTS_AT_ONCE = 500
_STATUS = {
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.SCHEDULED,
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.KILLED,
}
_MODEL_STATUS = {
    "READY": ModelStatus.READY,
    "PENDING": ModelStatus.PENDING,
    "UPLOAD_FAILED": ModelStatus.FAILED,
    "FAILED": ModelStatus.FAILED,
}


class Writer:
    """Takes the reader's lines in their order.

    Parameters
    ----------
    source
        What to write down as the origin: the store's URI without credentials.

    Attributes
    ----------
    numbers
        Number here of each experiment, by its id there.
    elsewhere
        Ids there of experiments whose clients keep files in a store of their own.
    """

    def __init__(self, workspace: Workspace, source: str) -> None:
        self.workspace = workspace
        self.source = source
        self._project = workspace.project
        self._experiments = workspace.service(Experiments)
        self._runs = workspace.service(Runs)
        self._artifacts = workspace.service(Artifacts)
        self._logged_models = workspace.service(LoggedModels)
        self._models = workspace.service(Models)
        self._versions = workspace.service(ModelVersions)
        self._names: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        self.elsewhere: set[str] = set()
        self._deleted_experiments: list[str] = []
        self._run: RunLine | None = None
        self._logged_model: LoggedModelLine | None = None
        self._uses: dict[str, RunModels] = {}
        self._model_points: dict[str, list[ModelPoint]] = {}
        self._counts = dict.fromkeys(
            (
                "n_experiments",
                "n_runs",
                "n_points",
                "n_files",
                "n_logged_models",
                "n_models",
                "n_versions",
                "n_traces",
                "n_scorers",
                "n_issues",
                "n_label_schemas",
                "n_review_queues",
                "n_evaluation_datasets",
                "n_present",
            ),
            0,
        )
        self._skipped: list[Skipped] = []
        self._incomplete: set[str] = set()

    def report(self, mlflow_version: str) -> ImportReport:
        """Tell what was done so far."""
        return ImportReport(
            source=self.source,
            mlflow_version=mlflow_version,
            project=self._project,
            skipped=self._skipped,
            **self._counts,
        )

    def count(self, what: str) -> None:
        """Count one more of something that the report tells."""
        self._counts[what] += 1

    def skip(self, line: SkippedLine) -> None:
        """Note what the reader could not read."""
        self._skipped.append(Skipped(what=line.what, name=line.name, why=line.why))

    def experiment(self, line: ExperimentLine) -> None:
        """Find or make an experiment; one that was deleted there is deleted here at the end."""
        self._names[line.id] = line.name
        try:
            found = self._experiments.get(self._project, line.name)
        except NotFound:
            new = NewExperiment(name=line.name, tags=line.tags, created_at=_instant(line.created_ms))
            self.numbers[line.id] = self._experiments.create(self._project, new).number
            self._counts["n_experiments"] += 1
            if line.deleted:
                self._deleted_experiments.append(line.name)
            return
        self.numbers[line.id] = found.number
        if found.artifact_location is not None:
            self.elsewhere.add(line.id)
        if found.deleted_at is not None:
            self._experiments.restore(self._project, line.name)
            self._deleted_experiments.append(line.name)

    def run(self, line: RunLine) -> bool:
        """Begin a run; False when it is here already, or cannot be."""
        self._run = None
        if not is_id(line.id):
            return self.refuse("run", line.id, "its id is not 32 hexadecimal digits")
        try:
            if IMPORTED_TAG in self._runs.get(self._project, line.id).tags:
                self._counts["n_present"] += 1
                return False
        except NotFound:
            if not self.attempt("run", line.id, lambda: self._create(line)):
                return False
        self._run = line
        return True

    def points(self, line: PointsLine) -> None:
        """Log points of the run at hand."""
        if self._run is None:
            return
        columns = PointColumns(
            steps=line.steps,
            at=[at_ms * 1000 for at_ms in line.at_ms],
            values=[_number(value) for value in line.values],
        )
        batch = LogBatch(points={line.key: columns})
        if self._log(f"metric `{line.key}` of the run", batch):
            self._counts["n_points"] += len(line.steps)

    def file(self, line: FileLine) -> None:
        """Keep a file of the run or logged model at hand."""
        if self._run is not None:
            of = f"run:{self._run.id}"
        elif self._logged_model is not None:
            of = f"logged-model:{self._logged_model.id}"
        else:
            return

        def put() -> None:
            with Path(line.place).open("rb") as file:
                chunks = iter(lambda: file.read(CHUNK_BYTES), b"")
                self._artifacts.put(self._project, chunks, of=of, path=line.path)

        if self.attempt(f"artifact of {of}", line.path, put):
            self._counts["n_files"] += 1

    def run_end(self, line: RunEndLine) -> None:
        """Complete the run at hand."""
        run, self._run = self._run, None
        if run is None or run.id != line.id:
            return
        change = RunChange(status=_STATUS.get(run.status), ended_at=_instant(run.ended_ms), end_unknown=True)
        self._runs.amend(self._project, run.id, change)
        self._uses[run.id] = RunModels(
            inputs=[ModelUse(model=model) for model in run.models_read],
            outputs=[ModelUse(model=made.id, step=made.step) for made in run.models_made],
        )
        self._finish_run(run, complete=line.complete)
        self._counts["n_runs"] += 1

    def logged_model(self, line: LoggedModelLine) -> bool:
        """Begin a logged model; False when it is here already, or cannot be."""
        self._run = self._logged_model = None
        try:
            if IMPORTED_TAG in self._logged_models.get(self._project, line.id, deleted=True).tags:
                self._counts["n_present"] += 1
                return False
        except NotFound:
            new = NewLoggedModel(
                id=line.id,
                experiment=self._names[line.experiment],
                name=line.name,
                model_type=line.model_type,
                source_run=line.source_run,
                params=line.params,
                tags=line.tags,
                created_at=_instant(line.created_ms),
            )
            if not self.attempt(
                "logged model", line.id, lambda: self._logged_models.create(self._project, new)
            ):
                return False
        self._logged_model = line
        for metric in line.metrics:
            point = ModelPoint(
                model=line.id,
                key=metric.key,
                value=_number(metric.value),
                step=metric.step,
                at=_EPOCH + timedelta(milliseconds=metric.at_ms),
                dataset_name=metric.dataset_name,
                dataset_digest=metric.dataset_digest,
            )
            self._model_points.setdefault(metric.run, []).append(point)
        return True

    def logged_model_end(self, line: LoggedModelEndLine) -> None:
        """Complete the logged model at hand."""
        model, self._logged_model = self._logged_model, None
        if model is None or model.id != line.id:
            return
        status = _MODEL_STATUS.get(model.status.removeprefix("LOGGED_MODEL_"), ModelStatus.UNSPECIFIED)
        if status is not ModelStatus.PENDING:
            self._logged_models.finish(self._project, model.id, ModelEnd(status=status))
        if not line.complete:
            self._incomplete.add(f"logged-model:{model.id}")
        else:
            tags = ModelTags(tags={IMPORTED_TAG: self.source})
            self._logged_models.set_tags(self._project, model.id, tags)
        self._counts["n_logged_models"] += 1

    def experiments_end(self) -> None:
        """Delete what was deleted there, now that all its runs are here."""
        for name in self._deleted_experiments:
            self._experiments.delete(self._project, name)

    def model(self, line: ModelLine) -> None:
        """Make a registered model unless there is one of the name."""
        new = NewModel(
            name=line.name, description=line.description, tags=line.tags, created_at=_instant(line.created_ms)
        )
        try:
            self._models.create(self._project, new)
        except Conflict:
            return
        except NoriaError as error:
            self.refuse("registered model", line.name, error.message)
            return
        self._counts["n_models"] += 1

    def version(self, line: VersionLine) -> None:
        """Register a version under its own number."""
        name = f"{line.name}@{line.number}"
        try:
            latest = self._models.get(self._project, line.name).latest
        except NotFound:
            return
        if line.number <= latest:
            self._counts["n_present"] += 1
            return
        place = artifact_place(self._project, line.source, line.model_id)
        if place is not None and place.of in self._incomplete:
            self.refuse("version", name, f"the files of {place.of} were not all read")
            return
        new = SourceVersion(
            source=line.source,
            artifacts=place,
            run_id=line.run_id,
            model_id=line.model_id,
            run_link=line.run_link,
            description=line.description,
            tags=line.tags,
            number=line.number,
            created_at=_instant(line.created_ms),
        )
        if not self.attempt("version", name, lambda: self._register(line.name, new)):
            return
        self._counts["n_versions"] += 1
        if line.stage not in ("None", ""):
            stage = StageMove(stage=line.stage)
            self.attempt(
                "stage", name, lambda: self._versions.move(self._project, line.name, line.number, stage)
            )

    def aliases(self, line: AliasesLine) -> None:
        """Point the aliases of a model."""
        for alias, number in line.aliases.items():
            target = AliasTarget(version=number)
            name = f"{line.name}@{alias}"

            def point(alias: str = alias, target: AliasTarget = target) -> None:
                self._models.set_alias(self._project, line.name, alias, target)

            self.attempt("alias", name, point)

    def _create(self, line: RunLine) -> None:
        parent = line.tags.get("mlflow.parentRunId")
        new = NewRun(
            id=line.id,
            experiment=self._names[line.experiment],
            name=line.name or None,
            parent=parent if parent is not None and self._has_run(parent) else None,
            started_at=_instant(line.started_ms),
            author=line.user or None,
        )
        self._runs.create(self._project, new)

    def _has_run(self, run_id: str) -> bool:
        try:
            self._runs.get(self._project, run_id)
        except NotFound:
            return False
        return True

    def _finish_run(self, run: RunLine, *, complete: bool) -> None:
        parts = [
            *((f"param `{key}`", LogBatch(params={key: value})) for key, value in run.params.items()),
            *((f"tag `{key}`", LogBatch(tags={key: value})) for key, value in run.tags.items()),
            *((f"data set `{each.name}`", LogBatch(datasets=[_dataset(each)])) for each in run.datasets),
            *(
                (f"metric `{point.key}` of {point.model}", LogBatch(model_points=[point]))
                for point in self._model_points.pop(run.id, [])
            ),
        ]
        self._log_parts(run, parts)
        uses = self._uses.pop(run.id)
        if uses.inputs or uses.outputs:
            self.attempt(
                "models of the run", run.id, lambda: self._logged_models.link(self._project, run.id, uses)
            )
        if not complete:
            self._incomplete.add(f"run:{run.id}")
        else:
            self._runs.log(self._project, run.id, LogBatch(tags={IMPORTED_TAG: self.source}))
        if run.deleted:
            self._runs.delete(self._project, run.id)

    def _log_parts(self, run: RunLine, parts: list[tuple[str, LogBatch]]) -> None:
        """Log all parts at once, or, if one of them is refused, each by itself, so that the others are kept."""
        for start in range(0, len(parts), _PARTS_AT_ONCE):
            some = parts[start : start + _PARTS_AT_ONCE]
            try:
                self._runs.log(self._project, run.id, _joined(batch for _, batch in some))
            except (Conflict, NotFound, Invalid):
                for what, batch in some:
                    self._log_of(run, what, batch)

    def _log(self, what: str, batch: LogBatch) -> bool:
        assert self._run is not None  # noqa: S101 - asked by the caller
        return self._log_of(self._run, what, batch)

    def _log_of(self, run: RunLine, what: str, batch: LogBatch) -> bool:
        return self.attempt(what, run.id, lambda: self._runs.log(self._project, run.id, batch))

    def _register(self, name: str, new: SourceVersion) -> None:
        try:
            self._versions.register(self._project, name, new)
        except NotFound:
            # Its files are not among what was imported: the version is kept with the address of the original.
            self._versions.register(self._project, name, msgspec.structs.replace(new, artifacts=None))
            self._skipped.append(
                Skipped(
                    what="files of a version", name=f"{name}@{new.number}", why=f"`{new.source}` is not here"
                )
            )

    def attempt(self, what: str, name: str, do: Callable[[], object]) -> bool:
        """Do something that the data may make impossible, and note the reason if so."""
        try:
            do()
        except (Conflict, NotFound, Invalid) as error:
            return self.refuse(what, name, error.message)
        return True

    def refuse(self, what: str, name: str, why: str) -> bool:
        """Note something that was not brought; gives False."""
        self._skipped.append(Skipped(what=what, name=name, why=why))
        return False


def _instant(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else _EPOCH + timedelta(milliseconds=at_ms)


def _dataset(line: DatasetLine) -> Dataset:
    return Dataset(
        name=line.name,
        digest=line.digest,
        source_type=line.source_type,
        source=line.source,
        schema=line.schema,
        profile=line.profile,
        tags=line.tags,
    )


def _joined(batches: Iterable[LogBatch]) -> LogBatch:
    params: dict[str, str] = {}
    tags: dict[str, str | None] = {}
    datasets: list[Dataset] = []
    points: list[ModelPoint] = []
    for batch in batches:
        params |= batch.params
        tags |= batch.tags
        datasets += batch.datasets
        points += batch.model_points
    return LogBatch(params=params, tags=tags, datasets=datasets, model_points=points)


def _number(value: float | str) -> float:
    return float(value)
