"""Results of steps shared by two people over HTTP: data is reused, and nobody reads back code of somebody else."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from noria.core.clock import SystemClock
from noria.core.config import Settings
from noria.core.errors import NoriaError
from noria.core.permissions import Principal, Role
from noria.core.remote import HttpTransport
from noria.core.workspace import Workspace
from noria.pipelines.cache_entities import NewCacheEntry, StoredValue
from noria.pipelines.entities import NewPipelineRun, NewStep, StepReport, StepStatus
from noria.pipelines.runner import PipelineResult, run_pipeline
from noria.pipelines.service import PipelineRuns, StepCache
from support.conformance import open_test_context
from support.live_server import LiveBackend, LiveServer
from support.project import UserProject, user_project

FLOW = """
    from noria import pipeline, step

    class Rule:
        def __init__(self, limit):
            self.limit = limit

        def holds(self, x):
            return x < self.limit

    @step
    def rule(limit: int) -> Rule:
        return Rule(limit)

    @step
    def numbers(limit: int) -> list[int]:
        return list(range(2 * limit))

    @step
    def chosen(rule: Rule, numbers: list[int]) -> int:
        return sum(rule.holds(x) for x in numbers)

    @pipeline
    def study(limit: int = 3):
        made = rule(limit)
        return {"rule": made, "n": chosen(made, numbers(limit))}
"""


@dataclass(frozen=True, slots=True)
class Office:
    """A server, a project that both people have, and the address of each."""

    project: UserProject
    people: dict[str, Workspace]

    def run(self, name: str, **params: object) -> PipelineResult:
        """Run the pipeline as one of them, in a process that has just begun."""
        return run_pipeline(self.people[name], self.project.load("flow").study, params)


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """Start a server."""
    made = LiveServer()
    yield made
    made.close()


@pytest.fixture
def office(settings: Settings, server: LiveServer) -> Iterator[Office]:
    """Give a server on which two people have tokens."""
    with (
        user_project(settings.project_root) as project,
        open_test_context(settings, SystemClock()) as context,
        server.serving(context),
    ):
        project.write("flow.py", FLOW)
        connections = {name: HttpTransport(server.url, secret=f"token-of-{name}") for name in ("ana", "bob")}
        seen = Settings(workspace=server.url, database_url="", objects_url="", project_root=project.root)
        for name in connections:
            principal = Principal(name=name, role=Role.SCIENTIST, holds_key=True)
            server.tokens[f"token-of-{name}"] = principal
        yield Office(
            project,
            {
                name: Workspace(seen, LiveBackend(server, transport), SystemClock())
                for name, transport in connections.items()
            },
        )
        for transport in connections.values():
            transport.close()


def test_data_is_shared_and_code_is_not(office: Office) -> None:
    """A colleague reuses a list of numbers, and computes anew what only unpickling would give; both keep theirs."""
    office.run("ana")
    bobs = {step.name: step for step in office.run("bob").steps}
    again = office.run("bob").steps
    anas = office.run("ana").steps

    assert bobs["numbers"].status is StepStatus.REUSED
    assert bobs["rule"].status is StepStatus.FINISHED
    assert "`ana`, who computed it" in bobs["rule"].reason
    assert [step.status for step in (*again, *anas)] == [StepStatus.REUSED] * 6
    assert office.run("bob").outputs["rule"].value.limit == 3


def test_a_pickle_in_disguise_is_never_read_back(office: Office) -> None:
    """Whatever form is claimed for the bytes of a pickle, nobody but its writer unpickles it."""
    bad = pickle.dumps(_Bad())
    stored = office.people["bob"].objects().put_bytes(bad)
    for limit, codec in enumerate(("pickle", "json", "skops"), 10):
        steps = office.run("bob", limit=limit).steps
        key = str(next(step.key for step in steps if step.name == "numbers"))
        with contextlib.suppress(NoriaError):  # a tree that is none is refused at once
            _claim(
                office.people["bob"],
                key,
                StoredValue(codec=codec, digest=stored.digest, size_bytes=len(bad)),
            )
        with contextlib.suppress(
            NoriaError
        ):  # bytes that are not of the claimed form fail the step that takes them
            assert office.run("ana", limit=limit).outputs["n"].value == limit

    assert not _Bad.loaded


def test_the_first_entry_of_a_key_stays_whoever_comes_later(office: Office) -> None:
    """A second writer has an entry of his own, and a third person gets the first one."""
    first = office.run("ana")
    key = str(next(step.key for step in first.steps if step.name == "numbers"))
    stored = office.people["bob"].objects().put_bytes(b"[9]")
    _claim(office.people["bob"], key, StoredValue(codec="json", digest=stored.digest, size_bytes=3))
    ana, bob = (office.people[name].service(StepCache).lookup("default", key) for name in ("ana", "bob"))

    assert ana.entry is not None
    assert bob.entry is not None
    assert (ana.entry.writer, bob.entry.writer) == ("ana", "bob")
    assert ana.entry.outputs[0].digest == first.steps[1].outputs[0].digest


class _Bad:
    loaded = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (_note, ())


def _note() -> str:
    _Bad.loaded = True
    return "read back"


def _claim(workspace: Workspace, key: str, value: StoredValue) -> None:
    """Tell the server of a result of one's own making."""
    runs = workspace.service(PipelineRuns)
    run_id = f"{abs(hash((key, value.codec))):032x}"[-32:]
    runs.start("default", NewPipelineRun(run_id=run_id, name="study", pipeline="flow:study"))
    report = StepReport(
        step="flow.py:numbers",
        name="numbers",
        position=0,
        status=StepStatus.FINISHED,
        reason="claimed",
        key=key,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=0.1,
    )
    entry = NewCacheEntry(key=key, step=report.step, outputs=[value])
    runs.step("default", run_id, NewStep(report=report, entry=entry))
