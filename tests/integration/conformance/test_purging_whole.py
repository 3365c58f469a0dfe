"""What `noria gc` frees of experiments that hold everything, and what of others it keeps: on each database."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
import sqlalchemy as sa

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.database.schema import whole_metadata
from noria.core.errors import NotFound
from noria.core.objects.service import Objects
from noria.registry.entities import ArtifactPlace, NewModel, SourceVersion
from noria.registry.service import Models
from noria.registry.versions import ModelVersions
from noria.server.upkeep import remove_deleted
from noria.tracking.artifacts import Artifacts
from noria.tracking.entities import Dataset, LogBatch, NewRun, Tags
from noria.tracking.evaluation_datasets import EvaluationDatasets
from noria.tracking.evaluation_entities import NewEvaluationDataset, NewRecord, NewRecords
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.issue_entities import NewIssue
from noria.tracking.issues import Issues
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import ModelUse, NewLoggedModel, RunModels
from noria.tracking.point_entities import MetricPoint, ModelPoint
from noria.tracking.service import Experiments, Runs
from noria.tracking.traces.assessment_entities import AssessmentKind, NewAssessment
from noria.tracking.traces.assessment_service import Assessments
from noria.tracking.traces.entities import (
    NewTrace,
    Span,
    SpanBatch,
    TraceIds,
    TracePrompts,
    TraceRunLinks,
    TraceSearch,
    TraceState,
)
from noria.tracking.traces.service import Traces

PROJECT = "default"
DAY_S = timedelta(days=1).total_seconds()
START = datetime(2026, 1, 1, tzinfo=UTC)
START_NS = int(START.timestamp()) * 1_000_000_000
SHARED = b"bytes that both have"


@pytest.fixture
def clock() -> ManualClock:
    """Give the clock of the workspace, which a test moves."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture(params=["in_process"])
def transport(request: pytest.FixtureRequest) -> str:
    """Name the one transport: nobody purges through a server."""
    return str(request.param)


class Everything:
    """An experiment with everything in it: what the names of its things are, and what they looked like."""

    def __init__(self, context: Context, name: str) -> None:
        self.context, self.name = context, name
        experiments = context.service(Experiments)
        self.number = experiments.create(PROJECT, NewExperiment(name=name, tags={"a": "b"})).number
        self.run = self._run()
        self.model = self._model()
        self.traces = [f"tr-{name}-{at}" for at in range(3)]
        for trace_id in self.traces:
            self._trace(trace_id)
        links = TraceRunLinks(trace_ids=self.traces, run_id=self.run)
        context.service(Traces).link_run(PROJECT, links)
        self._file(f"{self.number}/traces/{self.traces[0]}/attachment", b"attached")
        self.issue = self._issue()

    def _file(self, path: str, content: bytes, of: str = "") -> None:
        body = BytesIO(content + self.name.encode())
        self.context.service(Artifacts).put(PROJECT, body, of=of, path=path)

    def _run(self) -> str:
        runs = self.context.service(Runs)
        run = runs.create(PROJECT, NewRun(experiment=self.name, params={"a": "1"}, tags={"t": "x"})).id
        runs.log(
            PROJECT,
            run,
            LogBatch(
                metrics=[MetricPoint(key="m", value=1.0, at=START)],
                datasets=[Dataset(name="d", digest="1", tags={"k": "v"})],
            ),
        )
        self._file("own.txt", b"of the run ", of=f"run:{run}")
        shared = self.context.service(Objects).put(PROJECT, [SHARED]).digest
        runs.log(PROJECT, run, LogBatch(artifacts={"shared.txt": shared}))
        return run

    def _model(self) -> str:
        models = self.context.service(LoggedModels)
        new = NewLoggedModel(experiment=self.name, name="m", source_run=self.run, params={"p": "1"})
        made = models.create(PROJECT, new).id
        models.link(PROJECT, self.run, RunModels(outputs=[ModelUse(model=made)]))
        point = ModelPoint(model=made, key="acc", value=0.5, step=0, at=START)
        self.context.service(Runs).log(PROJECT, self.run, LogBatch(model_points=[point]))
        self._file("model.bin", b"of the model ", of=f"logged-model:{made}")
        return made

    def _trace(self, trace_id: str) -> None:
        traces = self.context.service(Traces)
        span = Span(
            trace_id=trace_id, id="00000000000000aa", name="s", started_ns=START_NS, ended_ns=START_NS + 1
        )
        traces.keep_spans(PROJECT, SpanBatch(experiment=self.number, spans=[span]))
        traces.record(
            PROJECT,
            NewTrace(
                id=trace_id,
                experiment=self.number,
                started_at=START,
                state=TraceState.OK,
                tags={"env": "prod"},
                metadata={"user": "ann"},
                assessments=[NewAssessment(name="good", kind=AssessmentKind.FEEDBACK, value=True)],
            ),
        )
        traces.link_prompts(PROJECT, trace_id, TracePrompts(prompts=["greet/1"]))

    def _issue(self) -> str:
        new = NewIssue(experiment=self.number, name="slow", description="It takes long", source_run=self.run)
        issue = self.context.service(Issues).create(PROJECT, new).id
        shown = NewAssessment(name=issue, kind=AssessmentKind.ISSUE, value="slow")
        self.context.service(Assessments).create(PROJECT, self.traces[0], shown)
        return issue

    def digests(self) -> dict[str, str]:
        """Give the digest of each file of its own, by where it lies."""
        artifacts = self.context.service(Artifacts)
        places = {
            "run": (f"run:{self.run}", "own.txt"),
            "model": (f"logged-model:{self.model}", "model.bin"),
            "trace": ("", f"{self.number}/traces/{self.traces[0]}/attachment"),
        }
        return {name: artifacts.info(PROJECT, of=of, path=path).digest for name, (of, path) in places.items()}

    def seen(self) -> list[object]:
        """Give all that can be read of it."""
        runs = self.context.service(Runs)
        return [
            self.context.service(Experiments).get(PROJECT, self.name),
            runs.get(PROJECT, self.run),
            runs.points(PROJECT, self.run, "m"),
            runs.artifacts(PROJECT, self.run),
            self.context.service(LoggedModels).get(PROJECT, self.model),
            self.context.service(Traces).find(TraceIds(ids=self.traces, spans=True)),
            self.context.service(Issues).get(PROJECT, self.issue),
            self.digests(),
        ]


def n_rows(context: Context) -> dict[str, int]:
    """Count the rows of all tables that have some, but events, keys and uploads."""
    kept = {
        "events",
        "event_cursors",
        "tracking_keys",
        "alembic_version",
        "object_references",
        "object_trees",
        "project_objects",
    }
    with context.database.read() as connection:
        counted = {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in whole_metadata().tables.values()
            if table.name not in kept
        }
    return {name: n for name, n in counted.items() if n}


def delete_and_purge(context: Context, clock: ManualClock, name: str) -> dict[str, int]:
    context.service(Experiments).delete(PROJECT, name)
    clock.advance(40 * DAY_S)
    return remove_deleted(context, older_than=timedelta(days=30)).rows


def test_an_experiment_goes_with_all_that_it_held(context: Context, clock: ManualClock) -> None:
    """Rows and bytes; what others hold, and what both held, stays as it was."""
    kept = Everything(context, "kept")
    before, seen = n_rows(context), kept.seen()
    gone = Everything(context, "gone")
    digests = gone.digests()
    shared = context.service(Objects).put(PROJECT, [SHARED]).digest

    removed = delete_and_purge(context, clock, "gone")

    assert {kind: removed[kind] for kind in ("runs", "logged models", "experiments")} == {
        "runs": 1,
        "logged models": 1,
        "experiments": 1,
    }
    assert n_rows(context) == before
    assert kept.seen() == seen
    assert context.objects.missing(list(digests.values())) == set(digests.values())
    assert context.objects.missing([shared, *kept.digests().values()]) == set()
    assert context.service(Traces).find(TraceIds(ids=gone.traces)).items == []


def test_what_hangs_together_across_experiments_is_cut(context: Context, clock: ManualClock) -> None:
    """Traces, runs and models of another experiment stay when what they were linked to goes."""
    kept, gone = Everything(context, "kept"), Everything(context, "gone")
    traces, models = context.service(Traces), context.service(LoggedModels)
    traces.link_run(PROJECT, TraceRunLinks(trace_ids=kept.traces, run_id=gone.run))
    traces.link_run(PROJECT, TraceRunLinks(trace_ids=gone.traces, run_id=kept.run))
    models.link(PROJECT, kept.run, RunModels(inputs=[ModelUse(model=gone.model)]))
    models.link(PROJECT, gone.run, RunModels(inputs=[ModelUse(model=kept.model)]))
    child = context.service(Runs).create(PROJECT, NewRun(experiment="kept", parent=gone.run)).id

    delete_and_purge(context, clock, "gone")

    def linked(run: str) -> list[str]:
        found = traces.search(TraceSearch(experiments=[kept.number], filter=f"run_id = '{run}'"))
        return sorted(each.id for each in found.items)

    assert linked(kept.run) == kept.traces
    assert linked(gone.run) == []
    assert context.service(Runs).get(PROJECT, child).parent is None
    assert models.get(PROJECT, kept.model).name == "m"
    with pytest.raises(NotFound):
        models.get(PROJECT, gone.model)
    kept.seen()


def test_a_registered_version_keeps_its_files(context: Context, clock: ManualClock) -> None:
    """Though the logged model, the run and the experiment that it was made of are gone."""
    gone = Everything(context, "gone")
    digests = gone.digests()
    context.service(Models).create(PROJECT, NewModel(name="digits"))
    for kind, of in (("run", f"run:{gone.run}"), ("logged model", f"logged-model:{gone.model}")):
        place = ArtifactPlace(project=PROJECT, of=of)
        new = SourceVersion(source=kind, artifacts=place, run_id=gone.run, model_id=gone.model)
        context.service(ModelVersions).register(PROJECT, "digits", new)

    delete_and_purge(context, clock, "gone")

    assert context.objects.missing(list(digests.values())) == {digests["trace"]}
    found = context.service(Models).versions(PROJECT, "digits").items
    assert [version.origin.run_id for version in found] == [gone.run, gone.run]
    context.service(Models).delete(PROJECT, "digits")
    clock.advance(40 * DAY_S)
    remove_deleted(context, older_than=timedelta(days=30))
    assert context.objects.missing(list(digests.values())) == set(digests.values())


def test_evaluation_data_sets_outlive_their_experiments(context: Context, clock: ManualClock) -> None:
    """With their records; they only know one experiment less."""
    kept, gone = Everything(context, "kept"), Everything(context, "gone")
    sets = context.service(EvaluationDatasets)
    new = NewEvaluationDataset(name="qa", experiments=[kept.number, gone.number])
    made = sets.create(PROJECT, new).id
    sets.keep_records(PROJECT, made, NewRecords(records=[NewRecord(inputs={"a": 1})]))

    delete_and_purge(context, clock, "gone")

    assert sets.get(PROJECT, made).experiments == [kept.number]
    assert len(sets.records(PROJECT, made).items) == 1


def test_a_run_goes_alone(context: Context, clock: ManualClock) -> None:
    """Its experiment stays, with traces, models and data sets; models that it made know it no longer."""
    kept = Everything(context, "kept")
    digests = kept.digests()
    context.service(Runs).delete(PROJECT, kept.run)
    clock.advance(40 * DAY_S)
    removed = remove_deleted(context, older_than=timedelta(days=30)).rows

    assert (removed["runs"], removed["logged models"], removed["experiments"]) == (1, 0, 0)
    assert context.objects.missing(list(digests.values())) == {digests["run"]}
    assert [each.id for each in context.service(Traces).find(TraceIds(ids=kept.traces)).items] == kept.traces
    assert context.service(LoggedModels).get(PROJECT, kept.model).name == "m"
    context.service(Experiments).set_tags(PROJECT, "kept", Tags(tags={"c": "d"}))


def test_a_dry_run_counts_and_leaves_everything(context: Context, clock: ManualClock) -> None:
    """Until the grace period is over, and in a dry run, all can be restored as it was."""
    gone = Everything(context, "gone")
    context.service(Experiments).delete(PROJECT, "gone")
    deleted, seen = n_rows(context), gone.digests()
    clock.advance(29 * DAY_S)
    assert remove_deleted(context, older_than=timedelta(days=30)).rows["experiments"] == 0
    clock.advance(2 * DAY_S)
    dry = remove_deleted(context, older_than=timedelta(days=30), dry_run=True).rows
    assert (dry["runs"], dry["logged models"], dry["experiments"]) == (1, 1, 1)
    assert n_rows(context) == deleted
    context.service(Experiments).restore(PROJECT, "gone")
    remove_deleted(context, older_than=timedelta())

    assert gone.digests() == seen
    assert context.objects.missing(list(seen.values())) == set()
    gone.seen()


def test_traces_that_are_written_during_a_purge(context: Context, clock: ManualClock) -> None:
    """Whoever still sends spans to an experiment that goes is told that it is gone, and leaves nothing behind."""
    gone = Everything(context, "gone")
    context.service(Experiments).delete(PROJECT, "gone")
    clock.advance(40 * DAY_S)
    stop, failed = threading.Event(), []

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            spans = [
                Span(trace_id=trace_id, id=f"{number:016x}", name="s", started_ns=START_NS)
                for trace_id in (gone.traces[0], f"tr-new-{number % 7}")
            ]
            try:
                context.service(Traces).keep_spans(PROJECT, SpanBatch(experiment=gone.number, spans=spans))
            except NotFound:
                return
            except Exception as error:  # noqa: BLE001 - checked below, in the test's thread
                failed.append(error)
                return

    writer = threading.Thread(target=write)
    writer.start()
    remove_deleted(context, older_than=timedelta(days=30))
    stop.set()
    writer.join()

    assert failed == []
    rows = n_rows(context)
    assert {"traces", "trace_spans", "trace_values"} & set(rows) == set()


def test_many_traces_give_their_space_back(context: Context, clock: ManualClock) -> None:
    """The file of an SQLite database shrinks by what they took."""
    if not context.database.is_sqlite:
        pytest.skip("PostgreSQL frees space by itself")
    number = context.service(Experiments).create(PROJECT, NewExperiment(name="gone")).number
    chance = random.Random(1)
    for at in range(8):
        spans = [
            Span(
                trace_id=f"tr-{at}-{one}",
                id="00000000000000aa",
                name="s",
                started_ns=START_NS,
                attributes={"noise": chance.randbytes(200_000).hex()},
            )
            for one in range(20)
        ]
        context.service(Traces).keep_spans(PROJECT, SpanBatch(experiment=number, spans=spans))
    context.service(Experiments).delete(PROJECT, "gone")
    clock.advance(40 * DAY_S)

    removed = remove_deleted(context, older_than=timedelta(days=30), shrink=True)

    assert removed.database_bytes > 16 << 20
