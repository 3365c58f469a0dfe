"""What logging from Python promises, on a folder and on a server alike."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import noria
from noria.core import lineage
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.workspace import Workspace, use_workspace
from noria.tracking.batches import ParamChanged
from noria.tracking.client import ERROR_TAG
from noria.tracking.entities import Link, LogBatch, RunStatus
from noria.tracking.run_keys import RunNotFound
from noria.tracking.service import Runs


@pytest.fixture(autouse=True)
def _current(workspace: Workspace) -> Iterator[None]:
    with use_workspace(workspace):
        yield


@pytest.fixture
def runs(workspace: Workspace) -> Runs:
    return workspace.service(Runs)


def test_a_block_logs_a_run(runs: Runs) -> None:
    """Params, tags and metrics logged in a block are there after it, and the run is finished."""
    with noria.run("first", experiment="digits") as run:
        run.params({"lr": 0.1, "layers": [64, 32]})
        run.tag("team", "vision")
        noria.log({"accuracy": 0.9, "loss": math.nan})
        noria.log({"accuracy": np.float32(0.5), "loss": np.array(1)})
    kept = runs.get("default", run.id)

    assert (kept.name, kept.experiment, kept.status) == ("first", "digits", RunStatus.FINISHED)
    assert kept.params == {"lr": "0.1", "layers": "[64,32]"}
    assert kept.tags == {"team": "vision"}
    assert kept.metrics == {"accuracy": 0.5, "loss": 1.0}
    assert [p.step for p in runs.history("default", run.id, "loss").items] == [0, 1]
    assert kept.source is not None
    assert kept.source.python is not None


def test_steps_are_counted_unless_they_are_given(runs: Runs) -> None:
    """A metric without a step takes the one after its last."""
    with noria.run() as run:
        run.log({"a": 1})
        run.log({"a": 2}, step=10)
        run.log({"a": 3, "b": 1})

    assert [p.step for p in runs.history("default", run.id, "a").items] == [0, 10, 11]
    assert [p.step for p in runs.history("default", run.id, "b").items] == [0]


def test_a_block_that_raises_fails_its_run(runs: Runs) -> None:
    """The run is failed and says why, without secrets; the error goes on to the caller."""
    run = noria.run()
    run.log({"a": 1})
    with pytest.raises(ValueError, match="wrong"), run:
        raise ValueError("password=hunter2 is wrong")
    kept = runs.get("default", run.id)

    assert kept.status is RunStatus.FAILED
    assert kept.metrics == {"a": 1.0}
    assert kept.tags[ERROR_TAG] == "ValueError: password=*** is wrong"
    assert noria.active_run() is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), RunStatus.KILLED),
        (SystemExit(0), RunStatus.FINISHED),
        (SystemExit(3), RunStatus.FAILED),
    ],
)
def test_an_interrupted_block_kills_its_run(runs: Runs, error: BaseException, status: RunStatus) -> None:
    """Ctrl-C is no failure of the code; leaving with code 0 is no failure at all."""
    with pytest.raises(type(error)), noria.run() as run:
        raise error

    assert runs.get("default", run.id).status is status


def test_a_run_inside_another_is_its_child(runs: Runs) -> None:
    """The inner run has the outer as parent and its experiment; afterwards the outer is active again."""
    with noria.run(experiment="search") as outer:
        with noria.run("inner") as inner:
            assert noria.active_run() is inner
            noria.log({"a": 1})
        assert noria.active_run() is outer
        noria.log({"b": 1})
    kept = runs.get("default", inner.id)

    assert (kept.parent, kept.experiment, kept.metrics) == (outer.id, "search", {"a": 1.0})
    assert runs.get("default", outer.id).metrics == {"b": 1.0}


def test_a_run_goes_on_by_its_id(runs: Runs) -> None:
    """A resumed run is running again, goes on counting steps and knows its params."""
    with noria.run() as first:
        first.param("lr", 0.1)
        first.log({"loss": 3})
        first.log({"loss": 2})
    with noria.run(resume=first.id) as again:
        assert runs.get("default", first.id).status is RunStatus.RUNNING
        again.log({"loss": 1})
        with pytest.raises(ParamChanged, match=r"`0\.1`.*`0\.2`"):
            again.param("lr", 0.2)

    assert [(p.step, p.value) for p in runs.history("default", first.id, "loss").items] == [
        (0, 3),
        (1, 2),
        (2, 1),
    ]
    assert runs.get("default", first.id).status is RunStatus.FINISHED


def test_a_run_that_is_not_there_cannot_go_on() -> None:
    """Resuming needs a known id, and nothing that the run has already."""
    with pytest.raises(RunNotFound):
        noria.run(resume="0" * 32)
    with pytest.raises(Invalid, match="has a name"):
        noria.run("new name", resume="0" * 32)


def test_there_must_be_a_run_to_log_to() -> None:
    """Nothing starts a run by itself."""
    with pytest.raises(Conflict, match="no active run"):
        noria.log({"a": 1})


@pytest.mark.parametrize("value", ["0.5", None, [1.0, 2.0], object(), 1j, {"a": 1}])
@pytest.mark.alike
def test_what_is_no_number_is_refused_at_once(runs: Runs, value: object) -> None:
    """The call names the metric; nothing of it is logged."""
    with noria.run() as run, pytest.raises(Invalid, match="`loss`"):
        run.log({"good": 1, "loss": value})

    assert runs.get("default", run.id).metrics == {}


def test_wrong_keys_steps_and_params_are_refused_at_once() -> None:
    """The caller hears of it where it happened, not at the end of the run."""
    with noria.run() as run:
        with pytest.raises(Invalid, match=r"`\.\./x`"):
            run.log({"../x": 1})
        with pytest.raises(Invalid, match=r"0\.5"):
            run.log({"x": 1}, step=0.5)  # type: ignore[arg-type]
        with pytest.raises(Invalid, match="64 bits"):
            run.log({"x": 1}, step=2**63)
        with pytest.raises(Invalid, match="6001"):
            run.param("x", "y" * 6001)
        with pytest.raises(Invalid, match="object"):
            run.param("x", object())
        run.param("lr", 1)
        with pytest.raises(ParamChanged):
            run.param("lr", 2)


def test_what_is_read_and_made_inside_a_block_is_recorded(runs: Runs) -> None:
    """Lineage goes to the active run, each link once; outside a run it goes nowhere."""
    lineage.record_input("dataset:nobody@1", "")
    with noria.run() as run:
        lineage.record_input("dataset:digits@1", "")
        lineage.record_input("dataset:digits@1", "")
        lineage.record_output("model:digits@1", "blake3:" + "1" * 64)
    kept = runs.get("default", run.id)

    assert kept.inputs == [Link(ref="dataset:digits@1")]
    assert kept.outputs == [Link(ref="model:digits@1", digest="blake3:" + "1" * 64)]


def test_files_and_folders_are_kept(runs: Runs, tmp_path: Path) -> None:
    """An artifact's bytes come back under its name; a folder is kept with all files below it."""
    folder = tmp_path / "plots"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"one")
    (folder / "deep" / "é b.bin").write_bytes(bytes(range(256)) * 5000)
    with noria.run(capture=False) as run:
        assert run.artifact(folder / "a.txt") == ["a.txt"]
        assert run.artifact(folder / "a.txt", "notes/readme") == ["notes/readme"]
        assert sorted(run.artifact(folder)) == ["plots/a.txt", "plots/deep/é b.bin"]
        with pytest.raises(NotFound):
            run.artifact(folder / "missing")
        with pytest.raises(Invalid):
            run.artifact(folder / "a.txt", "../out")

    assert runs.artifact("default", run.id, "notes/readme").read() == b"one"
    assert runs.artifact("default", run.id, "plots/deep/é b.bin").read() == bytes(range(256)) * 5000
    assert len(runs.artifacts("default", run.id).items) == 4


def test_threads_log_to_one_run(runs: Runs) -> None:
    """Points of several threads are all kept."""
    with noria.run() as run:

        def work(number: int) -> None:
            for step in range(200):
                run.log({f"m{number}": step}, step=step)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for number in range(4):
        values = [p.value for p in runs.history("default", run.id, f"m{number}").items]
        assert values == [float(step) for step in range(200)]


def test_flush_makes_what_was_logged_visible(runs: Runs) -> None:
    """After a flush the points are in the store while the run goes on."""
    with noria.run() as run:
        for step in range(12_000):
            run.log({"a": step}, step=step)
        run.flush()

        assert runs.get("default", run.id).metrics == {"a": 11_999.0}
        assert len(runs.history("default", run.id, "a", limit=10_000).items) == 10_000


def test_a_second_end_does_nothing(runs: Runs) -> None:
    """A run ended by hand inside its block keeps the status it was given."""
    with noria.run() as run:
        run.end("killed")

    assert runs.get("default", run.id).status is RunStatus.KILLED


def test_what_another_writer_contradicts_is_told_at_the_end(runs: Runs) -> None:
    """A refusal in the background is raised by the run, and costs nothing else that was logged."""
    run = noria.run()
    runs.log("default", run.id, LogBatch(params={"lr": "0.1"}))
    run.log({"a": 1})
    run.param("lr", 0.2)
    run.param("depth", 3)
    with pytest.raises(ParamChanged):
        run.end()
    kept = runs.get("default", run.id)

    assert kept.params == {"lr": "0.1", "depth": "3"}
    assert kept.metrics == {"a": 1.0}
    assert kept.status is RunStatus.FINISHED
