"""OpenLineage: what a collector is told of runs, checked by the classes of OpenLineage's own client."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from openlineage.client import event_v2, generated
from openlineage.client.generated.base import BaseFacet
from openlineage.client.serde import Serde

from noria.cli.main import main
from noria.core.clock import ManualClock
from noria.core.config import load_settings
from noria.core.workspace import InProcess, open_context
from noria.interop.openlineage.control import FIRST_PAUSE_S, Sender
from noria.interop.openlineage.sending import waiting
from noria.tracking.entities import NewRun, RunEnd, RunStatus
from noria.tracking.service import Runs
from support.other_side import OtherSide, other_side
from support.waiting import wait_until

FLOW = """
from noria import pipeline, step


@step
def load(n: int) -> list[int]:
    return list(range(n))


@step
def split(rows: list[int]) -> tuple[list[int], list[int]]:
    return rows[::2], rows[1::2]


@step
def share(rows: list[int], of: int) -> float:
    return len(rows) / of


@pipeline
def study(n: int = 4, of: int = 2) -> dict[str, float]:
    left, right = split(load(n))
    return {"left": share(left, of), "right": share(right, of)}
"""


class Collector:
    """Takes events, or answers with the status that it is given."""

    def __init__(self) -> None:
        self.status = 201
        self.other: OtherSide
        self.taken: list[dict[str, Any]] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if self.status < 300:
            self.taken.append(json.loads(self.other.requests[-1][3]))
        handler.send_response(self.status)
        handler.send_header("content-length", "0")
        handler.end_headers()

    def told(self) -> list[tuple[str, str]]:
        """Give state and job of what was taken, and begin anew."""
        found = [(event["eventType"], event["job"]["name"]) for event in self.taken]
        self.taken = []
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Give a collector on this machine."""
    made = Collector()
    with other_side(made.answer) as made.other:
        yield made


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collector: Collector) -> Path:
    """Give a project that tells the collector."""
    (tmp_path / "told_flow.py").write_text(FLOW)
    url = f"http://127.0.0.1:{collector.other.port}/api/v1/lineage"
    (tmp_path / "noria.toml").write_text(f'[workspace]\nurl = "w"\n[openlineage]\nurl = "{url}"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "k3y")
    return tmp_path


def facet_classes() -> dict[str, type[BaseFacet]]:
    """Give the facets of the client by the address of their schema."""
    modules = [
        importlib.import_module(f"{generated.__name__}.{m.name}")
        for m in pkgutil.iter_modules(generated.__path__)
    ]
    classes = {cls for module in modules for _, cls in inspect.getmembers(module, inspect.isclass)}
    return {cls._get_schema(): cls for cls in classes if issubclass(cls, BaseFacet)}


def build(cls: Any, values: dict[str, Any], facets: dict[str, type[BaseFacet]]) -> Any:
    """Make an object of the client, which refuses fields that the specification does not have."""
    given = {
        name: value for name, value in values.items() if name not in ("_producer", "_schemaURL", "schemaURL")
    }
    for name in ("facets",):
        if name in given:
            given[name] = {
                key: build(facets[value["_schemaURL"]], value, facets)
                for key, value in given[name].items()
                if not key.startswith("noria_")
            }
    return cls(**given)


def check(event: dict[str, Any]) -> None:
    """Refuse an event that OpenLineage's client would not send, or would send differently."""
    facets = facet_classes()
    made = event_v2.RunEvent(
        eventType=event_v2.RunState(event["eventType"]),
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=build(event_v2.Run, event["run"], facets),
        job=build(event_v2.Job, event["job"], facets),
        inputs=[build(event_v2.InputDataset, thing, facets) for thing in event["inputs"]],
        outputs=[build(event_v2.OutputDataset, thing, facets) for thing in event["outputs"]],
    )
    ours = json.loads(json.dumps(event))
    own = ours["run"]["facets"].pop("noria_run")
    theirs = json.loads(Serde.to_json(made))

    assert own["_schemaURL"].startswith("https://openlineage.io/spec/2-0-2/")
    assert _without(theirs) == _without(ours)
    assert theirs["schemaURL"] == ours["schemaURL"]


def _without(value: Any) -> Any:
    """Leave out who made each facet, and what is empty."""
    if isinstance(value, dict):
        inner = {key: _without(item) for key, item in value.items() if key != "_producer"}
        return {key: item for key, item in inner.items() if item not in ({}, [], None)}
    return [_without(item) for item in value] if isinstance(value, list) else value


def test_a_run_in_a_folder_is_told_with_its_steps_and_nothing_is_lost(
    project: Path, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each event is one that OpenLineage's client makes too; a collector that was away is told later, in order."""
    assert main(["run", "told_flow:study"]) == 0
    events = list(collector.taken)
    for event in events:
        check(event)
    job = "told_flow:study"
    steps = [f"{job}.load", f"{job}.split", f"{job}.share", f"{job}.share[1]"]
    in_order = [
        ("START", job),
        *((state, step) for step in steps for state in ("START", "COMPLETE")),
        ("COMPLETE", job),
    ]

    assert collector.told() == in_order
    assert collector.other.requests[0][2]["authorization"] == "Bearer k3y"
    by_job = {(event["eventType"], event["job"]["name"]): event for event in events}
    shared = by_job["COMPLETE", f"{job}.share[1]"]
    assert [thing["name"] for thing in shared["inputs"]] == [f"{job}.split/1"]
    assert shared["run"]["facets"]["parent"]["run"] == {"runId": by_job["START", job]["run"]["runId"]}
    assert {thing["name"] for thing in by_job["COMPLETE", job]["outputs"]} == {f"{job}/left", f"{job}/right"}
    params = by_job["START", job]["run"]["facets"]["executionParameters"]["parameters"]
    assert {param["key"]: param["value"] for param in params} == {"n": "4", "of": "2"}

    collector.status = 503
    assert main(["run", "told_flow:study", "-p", "of=0"]) == 1
    assert "answered 503" in capsys.readouterr().err
    assert main(["openlineage", "send"]) == 1
    assert collector.told() == []
    collector.status = 201
    assert main(["openlineage", "send", "--json"]) == 0
    failed = collector.taken[-1]
    assert collector.told() == [*in_order[:5], ("START", steps[2]), ("FAIL", steps[2]), ("FAIL", job)]
    assert "ZeroDivisionError" in failed["run"]["facets"]["errorMessage"]["message"]
    check(failed)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["n_sent"] == 8
    assert main(["openlineage", "send"]) == 0
    assert collector.told() == []


def test_a_server_tells_of_runs_and_tries_again_after_a_pause(project: Path, collector: Collector) -> None:
    """The loop's chore sends in a thread; an event that is refused for good is passed over, the rest follows."""
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    context = open_context(load_settings(environ={}, folder=project), clock)
    try:
        sender, runs = Sender(), InProcess(context).service(Runs)

        def look() -> None:
            sender.look(context)
            wait_until(lambda: not sender.is_busy)

        look()
        parent = runs.create("default", NewRun(name="search", experiment="search"))
        child = runs.create("default", NewRun(name="trial", experiment="search", parent=parent.id))
        runs.finish("default", child.id, RunEnd(status=RunStatus.KILLED))
        collector.status = 500
        look()
        n_asked = len(collector.other.requests)
        collector.status = 201
        look()
        assert (n_asked, len(collector.other.requests), collector.told()) == (1, 1, [])
        clock.advance(FIRST_PAUSE_S)
        look()
        killed = collector.taken[-1]
        assert collector.told() == [("START", "search"), ("START", "search"), ("ABORT", "search")]
        assert killed["run"]["facets"]["parent"]["job"]["name"] == "search"
        check(killed)
        collector.status = 422
        runs.create("default", NewRun(name="odd"))
        look()
        collector.status = 201
        runs.finish("default", parent.id, RunEnd(status=RunStatus.FINISHED))
        look()
        assert collector.told() == [("COMPLETE", "search")]
        assert not waiting(context)
    finally:
        context.database.dispose()
