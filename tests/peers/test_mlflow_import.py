"""`noria import mlflow`: everything of a real store, once, also when the import is killed in the middle."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from noria.core.config import load_settings
from noria.core.errors import Failed, Invalid, NotFound
from noria.core.workspace import Workspace, open_workspace
from noria.interop.mlflow.importing.run import import_mlflow
from noria.interop.mlflow.importing.writing import IMPORTED_TAG
from noria.registry.service import Models
from noria.registry.versions import ModelVersions
from noria.tracking.artifacts import Artifacts
from noria.tracking.entities import RunStatus
from noria.tracking.evaluation_datasets import EvaluationDatasets
from noria.tracking.issues import Issues
from noria.tracking.logged_models import LoggedModels
from noria.tracking.reviewing.label_entities import Categorical, FreeText, LabelType, Numeric, PassFail
from noria.tracking.reviewing.labels import LabelSchemas
from noria.tracking.reviewing.queue_entities import QueueType, ReviewStatus
from noria.tracking.reviewing.queues import ReviewQueues
from noria.tracking.reviewing.scorers import Scorers
from noria.tracking.service import Experiments, Runs
from noria.tracking.traces.entities import TraceSearch, TraceState
from noria.tracking.traces.service import Traces
from peers.conftest import PROGRAMS, Peer
from support.processes import Processes

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = (
    "runs, histories, artifacts, logged models, the registry, traces with attachments, scorers, evaluation data sets,"
    " label schemas and review queues of a store on SQLite and on PostgreSQL, and runs and the registry of a folder"
    " `mlruns`, imported by its own client"
)
NOT_YET = "stores on MySQL and SQL Server; they go through the same client"

pytestmark = pytest.mark.timeout(400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A filled MLflow store."""

    uri: str
    python: str
    made: dict[str, Any]


@pytest.fixture
def store(request: pytest.FixtureRequest, peer: Peer, tmp_path: Path) -> Store:
    """Fill a store with MLflow itself, on SQLite unless a test says otherwise."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    if getattr(request, "param", "sqlite") == "postgres":
        # The driver that MLflow takes by itself.
        uri = request.getfixturevalue("postgres_url").replace("postgresql+psycopg:", "postgresql:")
    return filled(peer, "mlflow_store.py", uri, tmp_path)


def filled(peer: Peer, program: str, uri: str, folder: Path) -> Store:
    """Fill a store by a program, which tells what it has made."""
    arguments: list[str | Path] = ["python", PROGRAMS / program, uri, (folder / "artifacts").as_uri()]
    output = peer.run(arguments, cwd=folder)
    # MLflow has words of its own after the program's.
    made = next(line for line in reversed(output.splitlines()) if line.startswith("{"))
    return Store(uri=uri, python=str(peer.bin / "python"), made=json.loads(made))


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """Give an empty workspace."""
    with open_workspace(load_settings(workspace=str(tmp_path / "workspace"))) as opened:
        yield opened


def check_all(workspace: Workspace, store: Store) -> None:
    runs, made, project = workspace.service(Runs), store.made, workspace.project
    parent, child = runs.get(project, made["parent"]), runs.get(project, made["child"])
    assert (parent.name, parent.experiment, parent.status) == ("parent", "años", RunStatus.FINISHED)
    assert (parent.params["depth"], len(parent.params["largo"])) == ("2", 500)
    assert child.parent == parent.id
    loss = runs.history(project, child.id, "loss", limit=10_000).items
    assert [point.step for point in loss] == list(range(2500))
    assert [point.value for point in loss[:2]] == [1.0, 0.5]
    odd = [point.value for point in runs.history(project, child.id, "odd").items]
    assert odd[0] != odd[0]
    assert odd[1] == 0.5
    assert runs.get(project, made["gone"]).deleted_at is not None
    assert runs.get(project, made["running"]).status is RunStatus.RUNNING
    assert workspace.service(Experiments).get(project, "closed").deleted_at is not None
    artifacts = workspace.service(Artifacts)
    assert artifacts.get(project, of=f"run:{parent.id}", path="notes/hi.txt").read() == b"hola"
    assert artifacts.get(project, of=f"run:{parent.id}", path="empty.txt").read() == b""
    assert workspace.service(LoggedModels).get(project, made["model"]).source_run == parent.id
    model = workspace.service(Models).get(project, "iris")
    assert (model.aliases, model.tags, model.latest) == ({"champion": 3}, {"kind": "flowers"}, 3)
    versions = workspace.service(Models).versions(project, "iris").items
    assert [version.version for version in versions] == [3, 1]
    assert all(version.digest is not None for version in versions)
    assert workspace.service(ModelVersions).newest(project, "iris", stages=["Production"]).items
    check_traces(workspace, made)


def check_traces(workspace: Workspace, made: dict[str, Any]) -> None:
    traces, project = workspace.service(Traces), workspace.project
    trace, failed = traces.get(project, made["trace"]), traces.get(project, made["failed"])
    assert (trace.name, trace.experiment, trace.state) == ("responder", "años", TraceState.OK)
    assert (trace.tags["colour"], trace.n_spans, failed.state) == ("red", 2, TraceState.ERROR)
    assert (trace.is_final, "¿qué?" in str(trace.request)) == (True, True)
    root, inner = trace.spans or []
    assert (root.parent, inner.parent, inner.name) == (None, root.id, "inner")
    assert (root.attributes["weight"], root.attributes["parts"]) == (0.5, ["a", {"b": "nan"}])
    assert inner.attributes["mlflow.spanOutputs"] == "¡hola!"
    events = [event for span in failed.spans or [] for event in span.events]
    assert "no answer" in str(events[0].attributes)
    first, expected, second = trace.assessments
    assert (first.value, first.valid, first.source_id, first.rationale) == (True, False, "ana", "it greets")
    assert (second.value, second.valid, second.overrides) == (False, True, first.id)
    assert (expected.name, expected.value) == ("expected", {"said": "hola"})
    wanted = TraceSearch(experiments=[trace.experiment_number], filter=f"run_id = '{made['parent']}'")
    assert [each.id for each in traces.search(wanted).items] == [trace.id]
    scorers = workspace.service(Scorers).versions(project, trace.experiment_number, "short").items
    assert [(each.version, json.loads(each.content)["number"]) for each in scorers] == [(1, 1), (3, 3)]
    check_reviews(workspace, trace.experiment_number, made)
    check_attachment(workspace, made["seen"])
    issue = workspace.service(Issues).get(project, made["issue"])
    assert (issue.name, issue.source_run) == ("slow", made["parent"])
    data = workspace.service(EvaluationDatasets)
    found = data.get(project, made["evaluation"])
    assert (found.name, found.tags["kind"], found.n_records) == ("questions", "small", 3)
    assert found.experiments == [trace.experiment_number]
    records = data.records(project, found.id).items
    assert sorted(each.inputs["question"] for each in records) == ["0", "1", "2"]
    assert all(each.expectations == {"said": "hola"} and each.tags["at"] for each in records)


def check_reviews(workspace: Workspace, experiment: int, made: dict[str, Any]) -> None:
    project = workspace.project
    schemas = workspace.service(LabelSchemas).list(project, experiment).items
    questions = {each.name: each for each in schemas if not each.is_default}
    assert {name: each.input for name, each in questions.items()} == {
        "right": PassFail(positive_label="yes", negative_label="no"),
        "tone": Categorical(options=["warm", "cold"], multi_select=True),
        "stars": Numeric(min_value=0, max_value=5),
        "better": FreeText(max_length=200),
    }
    assert questions["better"].type is LabelType.EXPECTATION
    assert (questions["tone"].enable_comment, questions["tone"].instruction) == (True, "about tone")
    queues = workspace.service(ReviewQueues)
    weekly, own = (queues.named(project, experiment, name) for name in ("weekly", "bob"))
    assert (sorted(weekly.users), weekly.created_by, own.type) == (["ana", "bob"], "ana", QueueType.USER)
    assert set(weekly.schemas) == {questions["right"].id, questions["tone"].id}
    items = {each.id: (each.status, each.completed_by) for each in queues.items(project, weekly.id).items}
    assert items == {
        made["trace"]: (ReviewStatus.COMPLETE, "bob"),
        made["failed"]: (ReviewStatus.PENDING, None),
    }
    assert [each.id for each in queues.items(project, own.id).items] == [made["failed"]]


def check_attachment(workspace: Workspace, trace_id: str) -> None:
    trace = workspace.service(Traces).get(workspace.project, trace_id)
    (span,) = trace.spans or []
    reference = urlsplit(span.attributes["mlflow.spanOutputs"]["picture"])
    assert (reference.scheme, trace.tags[IMPORTED_TAG] != "") == ("mlflow-attachment", True)
    # Below the location that the answer of the trace names, where MLflow's client looks for it.
    path = f"{trace.experiment_number}/traces/{trace_id}/artifacts/attachments/{reference.netloc}"
    kept = workspace.service(Artifacts).get(workspace.project, of="", path=path).read()
    assert kept.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "store", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
def test_everything_comes_once(store: Store, workspace: Workspace) -> None:
    """Runs, points, files, logged models, versions and aliases are here as they were there; again, nothing changes."""
    first = import_mlflow(workspace, store.uri, python=store.python)
    check_all(workspace, store)
    again = import_mlflow(workspace, store.uri, python=store.python)

    assert first.skipped == []
    assert (first.n_runs, first.n_logged_models, first.n_models, first.n_versions) == (4, 1, 1, 2)
    assert (first.n_points, first.n_experiments) == (2502, 2)
    assert (again.n_runs, again.n_points, again.n_files, again.n_versions) == (0, 0, 0, 0)
    assert (first.n_traces, first.n_scorers, first.n_evaluation_datasets) == (3, 2, 1)
    assert (first.n_label_schemas, first.n_review_queues) == (4, 2)
    assert (again.n_label_schemas, again.n_review_queues) == (0, 0)
    assert (again.n_traces, again.n_scorers, again.n_evaluation_datasets) == (0, 0, 0)
    assert (first.n_issues, again.n_issues) == (1, 0)
    assert again.n_present == 4 + 1 + 2 + 3 + 2 + 1 + 1 + 4 + 2


def test_a_folder_of_runs_comes_once(peer: Peer, workspace: Workspace, tmp_path: Path) -> None:
    """What MLflow kept before it had a database: runs with their histories and files, and the registry."""
    store = filled(peer, "mlflow_folder.py", str(tmp_path / "mlruns"), tmp_path)
    first = import_mlflow(workspace, store.uri, python=store.python)
    again = import_mlflow(workspace, store.uri, python=store.python)
    runs, project = workspace.service(Runs), workspace.project
    parent, child = (runs.get(project, store.made[name]) for name in ("parent", "child"))
    history = runs.history(project, child.id, "loss").items
    model = workspace.service(Models).get(project, "iris")

    assert first.skipped == []
    assert (first.n_runs, first.n_points, first.n_models, first.n_versions) == (3, 3, 1, 2)
    assert (again.n_runs, again.n_points, again.n_files, again.n_versions) == (0, 0, 0, 0)
    assert (parent.name, parent.experiment, parent.params) == ("parent", "años", {"depth": "2"})
    assert (child.parent, child.tags["colour"], child.status) == (parent.id, "red", RunStatus.FAILED)
    assert [(point.step, point.value) for point in history] == [(0, 1.0), (1, 0.5), (2, 0.25)]
    assert runs.get(project, store.made["gone"]).deleted_at is not None
    kept = workspace.service(Artifacts).get(project, of=f"run:{parent.id}", path="notes/hi.txt").read()
    assert kept == b"hola"
    assert (model.aliases, model.tags, model.latest) == ({"champion": 2}, {"kind": "flowers"}, 2)


def test_a_killed_import_goes_on(
    store: Store, workspace: Workspace, processes: Processes, noria_command: tuple[str, ...]
) -> None:
    """After `kill -9` at any moment, another import brings the rest, and nothing twice."""
    command = [*noria_command, "import", "mlflow", store.uri, "--python", store.python]
    folder = str(workspace.settings.folder)
    for attempt in range(3):
        killed = processes.start([*command, "--workspace", folder], name=f"import-{attempt}")
        time.sleep(2.5 + attempt)  # somewhere in the middle; wherever it is, the outcome must be the same
        killed.kill()
    import_mlflow(workspace, store.uri, python=store.python)

    check_all(workspace, store)


def test_only_some_experiments_can_be_brought(store: Store, workspace: Workspace) -> None:
    """A name that the store lacks is told with the near one, and changes nothing."""
    with pytest.raises(NotFound, match="`anos`") as caught:
        import_mlflow(workspace, store.uri, python=store.python, experiments=["anos"])
    report = import_mlflow(workspace, store.uri, python=store.python, experiments=["años"], artifacts=False)

    assert caught.value.hint == "Did you mean `años`?"
    assert (report.n_experiments, report.n_files, report.n_models) == (1, 0, 0)


def test_a_store_that_cannot_be_read_is_told(peer: Peer, workspace: Workspace, tmp_path: Path) -> None:
    """A wrong address and an environment without MLflow name the value and the mend, and no password."""
    python = str(peer.bin / "python")
    with pytest.raises(Failed, match="could not read") as caught:
        import_mlflow(workspace, "postgresql://ana:secret@127.0.0.1:1/none", python=python)
    assert "secret" not in str(caught.value)
    with pytest.raises(Invalid, match="has MLflow"):
        import_mlflow(workspace, "sqlite:///x.db", python=str(tmp_path / "python"))


def test_a_misspelt_path_is_told_and_nothing_is_made(
    peer: Peer, workspace: Workspace, tmp_path: Path
) -> None:
    """MLflow would make an empty store there, and the import would succeed with nothing."""
    python = str(peer.bin / "python")
    (tmp_path / "mlflow.db").touch()
    for uri in (f"sqlite:///{tmp_path / 'mlfow.db'}", str(tmp_path / "mlrunz")):
        with pytest.raises(NotFound, match="There is no"):
            import_mlflow(workspace, uri, python=python)
    with pytest.raises(NotFound) as caught:
        import_mlflow(workspace, f"sqlite:///{tmp_path / 'mlfow.db'}", python=python)

    assert caught.value.hint == f"Did you mean `sqlite:///{tmp_path / 'mlflow.db'}`?"
    assert not (tmp_path / "mlfow.db").exists()
