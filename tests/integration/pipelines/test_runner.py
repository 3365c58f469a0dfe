"""What happens in the body of a running pipeline, and to the steps that it calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from noria.core.errors import Invalid
from noria.pipelines.authoring import PipelineCycle
from noria.pipelines.failures import StepFailed
from noria.pipelines.paths import InputMissing
from noria.pipelines.runner import PipelineResult
from noria.pipelines.service import PipelineRuns
from noria.tracking.entities import RunStatus
from noria.tracking.service import Runs
from support.project import user_project

from .conftest import Desk, Sleepless


def ran(result: PipelineResult) -> list[str]:
    """Name the steps that ran, in order."""
    return [step.name for step in result.steps if step.status == "finished"]


def values(result: PipelineResult) -> dict[str, object]:
    """Load what a run gave."""
    return {name: output.value for name, output in result.outputs.items()}


def test_conditions_loops_and_operators_work_on_what_steps_gave(desk: Desk) -> None:
    """The body of a pipeline is plain Python: it looks at outputs as at values."""
    desk.write(
        """
        @step
        def number(n: int) -> int:
            return n

        @step
        def items(n: int) -> list[int]:
            return list(range(n))

        @step
        def nothing() -> None:
            return None

        @step
        def yes() -> bool:
            return True

        @pipeline
        def study() -> dict[str, Any]:
            three, four = number(3), number(4)
            assert three < four and four >= three and three == 3 and three != four
            assert nothing() is None and yes() is True
            assert isinstance(three, int) and isinstance(items(2), list)
            assert [1, 2, 3][number(0)] == 1 and f"{three:03d}" == "003" and str(three) == "3"
            assert -three == -3 and abs(-three) == 3 and 2 ** three == 8 and three % 2 == 1
            total = 0
            for item in items(three):
                total += number(item)
            if three + four > 6:
                total = total + 10 * len(items(2))
            return {"total": total, "last": items(4)[-1], "in": 2 in items(4), "half": three / 2, "float": float(four)}
        """
    )

    assert values(desk.run()) == {"total": 23, "last": 3, "in": True, "half": 1.5, "float": 4.0}


def test_several_outputs_are_unpacked_without_being_loaded(desk: Desk) -> None:
    """A step that declares a tuple or a named tuple gives a handle for each part."""
    desk.write(
        """
        class Parts(NamedTuple):
            left: np.ndarray
            right: np.ndarray

        @step
        def pair() -> tuple[np.ndarray, str]:
            return np.arange(3), "abc"

        @step
        def parts(x: np.ndarray) -> Parts:
            return Parts(x[:1], x[1:])

        @step
        def total(x: np.ndarray, name: str) -> float:
            return float(x.sum()) + len(name)

        @pipeline
        def study():
            x, name = pair()
            both = parts(x)
            assert not x._loaded and not both.right._loaded
            return total(both.right, name), both
        """
    )
    found = desk.run()

    assert found.outputs["0"].value == 6.0
    left, right = found.outputs["1"].value
    np.testing.assert_array_equal(left, [0])
    np.testing.assert_array_equal(right, [1, 2])
    assert ran(desk.run()) == []


def test_each_step_gets_its_own_copy(desk: Desk) -> None:
    """A step that changes what it was given changes it for nobody else, whether the value comes from a step or not."""
    desk.write(
        """
        @step
        def make() -> np.ndarray:
            return np.zeros(3)

        @step
        def spoil(x: np.ndarray, names: list[str]) -> float:
            x += 1
            names.append("spoilt")
            return float(x.sum())

        @pipeline
        def study():
            x, names = make(), ["a"]
            return {"first": spoil(x, names), "second": spoil(x, names), "x": x, "names": names}
        """
    )
    first, second = values(desk.run()), values(desk.run())

    assert (first["first"], first["second"], first["names"]) == (3.0, 3.0, ["a"])
    assert (second["first"], second["names"]) == (3.0, ["a"])
    np.testing.assert_array_equal(first["x"], np.zeros(3))


def test_files_and_folders_are_taken_and_given_by_content(desk: Desk) -> None:
    """A path is keyed by its content; a path that a step returns is stored, and the next step finds it again."""
    data = desk.project.write("data.csv", "1\n2\n3\n")
    desk.write(
        """
        import tempfile

        @step
        def split(source: Path) -> tuple[Path, Path]:
            folder = Path(tempfile.mkdtemp())
            for number in source.read_text().split():
                (folder / f"{number}.txt").write_text(number)
            single = folder.parent / f"{folder.name}.txt"
            single.write_text("one")
            return folder, single

        @step
        def count(folder: Path, single: Path) -> str:
            return f"{len(list(folder.iterdir()))} {single.suffix} {single.read_text()}"

        @pipeline
        def study(source: Path):
            return count(*split(source))
        """
    )
    first, again = desk.run(source=data), desk.run(source=str(data))
    data.write_text("1\n2\n")
    changed = desk.run(source=data)

    assert first.outputs["output"].value == "3 .txt one"
    assert ran(again) == []
    assert changed.outputs["output"].value == "2 .txt one"
    assert changed.steps[0].reason == "input `source` has other content"


def test_a_missing_input_is_refused_before_anything_is_recorded(desk: Desk) -> None:
    """A path that leads nowhere is named, and no run is left behind."""
    desk.write(
        """
        @pipeline
        def study(source: Path):
            return None
        """
    )
    with pytest.raises(InputMissing, match=r"`nowhere\.csv` does not exist"):
        desk.run(source=Path("nowhere.csv"))

    assert desk.workspace.service(Runs).list("default").items == []


@pytest.mark.parametrize(
    "reading",
    [
        "Path('data.txt').read_text()",
        "np.loadtxt('data' + '.txt').item().__str__()",
        "str(np.loadtxt(Path(__file__).parent / ('data' + '.txt')))",
    ],
)
def test_a_file_that_a_step_reads_on_its_own_is_noticed(
    desk: Desk, reading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is no argument is still what a result depends on: when it changes, the step runs again."""
    monkeypatch.chdir(desk.project.root)
    data = desk.project.write("data.txt", "1")
    desk.write(
        f"""
        @step
        def read() -> str:
            return {reading}

        @pipeline
        def study():
            return read()
        """
    )
    first = desk.run()
    unchanged = desk.run()
    data.write_text("2")
    changed = desk.run()

    assert (ran(first), ran(unchanged), ran(changed)) == (["read"], [], ["read"])
    assert "data.txt" in changed.steps[0].reason
    assert float(changed.outputs["output"].value) == 2.0


def test_an_environment_variable_that_code_names_is_part_of_the_key(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that reads the environment runs again when the variable that it names has another value."""
    desk.write(
        """
        import os

        @step
        def mode() -> str:
            return os.environ.get("STUDY_MODE", "none")

        @pipeline
        def study():
            return mode()
        """
    )
    given = []
    for value in ("fast", "fast", "slow"):
        monkeypatch.setenv("STUDY_MODE", value)
        result = desk.run()
        given.append((ran(result), result.outputs["output"].value))
    monkeypatch.delenv("STUDY_MODE")
    unset = desk.run()

    assert given == [(["mode"], "fast"), ([], "fast"), (["mode"], "slow")]
    assert unset.outputs["output"].value == "none"
    assert "slow" not in unset.steps[0].reason


def test_a_step_that_failed_is_tried_again(desk: Desk, clock: Sleepless, tmp_path: Path) -> None:
    """With retries a step is tried again after growing pauses, and the report says how often."""
    count = tmp_path / "count"
    desk.write(
        f"""
        @step(retries=3, cache=False)
        def flaky() -> int:
            tries = Path({str(count)!r})
            tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
            if len(tries.read_text()) < 3:
                raise OSError("not yet")
            return len(tries.read_text())

        @pipeline
        def study():
            return flaky()
        """
    )
    result = desk.run()

    assert result.outputs["output"].value == 3
    assert result.steps[0].attempts == 3
    assert clock.slept == [0.5, 1.0]


def test_a_step_without_cache_runs_each_time(desk: Desk) -> None:
    """`cache=False` runs a step in every run, and what depends on it is still reused when it gives the same."""
    desk.write(
        """
        @step(cache=False)
        def act() -> int:
            return 1

        @step
        def after(n: int) -> int:
            return n + 1

        @pipeline
        def study():
            return after(act())
        """
    )
    desk.run()
    again = desk.run()

    assert ran(again) == ["act"]
    assert again.steps[0].reason == "declared with `cache=False`"


def test_changing_a_module_variable_is_found_out(desk: Desk) -> None:
    """A step that changes a list of its module is not reused, since its next result may differ."""
    desk.write(
        """
        SEEN = []

        @step
        def remember(n: int) -> int:
            SEEN.append(n)
            return len(SEEN)

        @pipeline
        def study():
            return remember(1)
        """
    )
    first, second = desk.run(), desk.run()

    assert "not kept for reuse: while it ran, variable `SEEN`" in first.steps[0].reason
    assert ran(second) == ["remember"]


def test_what_has_no_fingerprint_never_hits_and_says_so(desk: Desk) -> None:
    """An argument whose content cannot be read off makes the step run, and the reason names it and the two mends."""
    desk.write(
        """
        import threading

        class Connection:
            def __init__(self):
                self.lock = threading.Lock()

        @step
        def query(connection: Connection) -> int:
            return 1

        @pipeline
        def study():
            return query(Connection())
        """
    )
    desk.run()
    reason = desk.run().steps[0].reason

    assert reason.startswith("never reused: the argument `connection` is a ")
    assert "as a parameter or as the output of another step" in reason
    assert "register_fingerprint" in reason


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return (n for n in range(3))", "can be read only once"),
        ("return lambda: 1", "cannot be pickled"),
        ("return iter([1])", "can be read only once"),
        ("return Path('missing')", "`missing` does not exist"),
        ("return {'path': Path(__file__)}", "would stay behind"),
    ],
)
def test_what_cannot_be_stored_is_refused(desk: Desk, body: str, told: str) -> None:
    """A generator, a lambda, an open file or a path to nowhere is no output; the step fails and says why."""
    desk.write(
        f"""
        @step
        def make() -> Any:
            {body}

        @pipeline
        def study():
            return make()
        """
    )
    with pytest.raises(StepFailed, match="`make`") as caught:
        desk.run()

    assert told in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("declared", "returned", "told"),
    [
        ("int", "'text'", r"declares to return `int`, and returned `'text'`, a `str`"),
        ("tuple[int, int]", "(1, 2, 3)", r"returned `\(1, 2, 3\)`, a `tuple`"),
        ("None", "1", r"declares to return `None`"),
        ("np.ndarray", "[1]", r"declares to return `ndarray`"),
    ],
)
def test_a_step_must_return_what_it_declares(desk: Desk, declared: str, returned: str, told: str) -> None:
    """What a step returns beside its annotation is an error that shows both."""
    desk.write(
        f"""
        @step
        def make() -> {declared}:
            return {returned}

        @pipeline
        def study():
            return make()
        """
    )
    with pytest.raises(StepFailed, match=told):
        desk.run()


def test_a_step_called_wrongly_is_refused(desk: Desk) -> None:
    """A call with the wrong arguments names the step and what it takes."""
    desk.write(
        """
        @step
        def add(a: int, b: int) -> int:
            return a + b

        @pipeline
        def study():
            return add(1, c=2)
        """
    )
    with pytest.raises(Invalid, match=r"`add` was called wrongly: .*'b'") as caught:
        desk.run()

    assert "a: 'int', b: 'int'" in (caught.value.hint or "")


def test_nested_pipelines_are_one_run_and_circles_are_refused(desk: Desk) -> None:
    """A pipeline inside another adds its steps to the same run; one that calls itself is refused with the path."""
    desk.write(
        """
        @step
        def one() -> int:
            return 1

        @pipeline
        def inner(n: int = 0) -> int:
            return one() + n

        @pipeline
        def study():
            return inner(5)

        @pipeline
        def first():
            return second()

        @pipeline
        def second():
            return first()
        """
    )
    result = desk.run()
    with pytest.raises(PipelineCycle, match="`first` → `second` → `first`"):
        desk.run("first")
    circle = desk.workspace.service(PipelineRuns).list("default").items[0]

    assert result.outputs["output"].value == 6
    assert ran(result) == ["one"]
    assert circle.status is RunStatus.FAILED


def test_steps_are_functions_outside_of_pipelines(desk: Desk) -> None:
    """Outside of a run, and inside of another step, calling a step or a pipeline just runs it."""
    desk.write(
        """
        @step
        def one() -> int:
            return 1

        @step
        def two() -> int:
            return one() + one()

        @pipeline
        def study():
            return two()
        """
    )
    module = desk.project.load("flow")

    assert (module.one(), module.two(), module.study()) == (1, 2, 2)
    assert [step.name for step in desk.run().steps] == ["two"]


def test_a_pipeline_runs_from_python(desk: Desk) -> None:
    """`pipeline.run()` records in the current workspace; a run inside a run is its child."""
    from noria.core.workspace import use_workspace
    from noria.tracking.client import run as tracked_run

    desk.write(
        """
        @pipeline
        def study(n: int):
            return {"n": n}
        """
    )
    module = desk.project.load("flow")
    with use_workspace(desk.workspace), tracked_run("around") as around:
        result = module.study.run(n=4)

    assert values(result) == {"n": 4}
    assert desk.workspace.service(Runs).get("default", result.run_id).parent == around.id


def test_an_interrupted_run_is_killed(desk: Desk) -> None:
    """Ctrl-C ends a run as killed, and what had finished is reused."""
    desk.write(
        """
        @step
        def one() -> int:
            return 1

        @step
        def two(n: int, stop: bool) -> int:
            if stop:
                raise KeyboardInterrupt
            return n

        @pipeline
        def study(stop: bool = False):
            return two(one(), stop)
        """
    )
    with pytest.raises(KeyboardInterrupt):
        desk.run(stop=True)
    (killed,) = desk.workspace.service(PipelineRuns).list("default").items
    again = desk.run()

    assert killed.status is RunStatus.KILLED
    assert ran(again) == ["two"]


def test_metrics_params_and_lineage_of_a_reused_step_are_told_again(desk: Desk) -> None:
    """A reused step logs what it logged when it ran: metrics with steps, params, tags, what it read and made."""
    desk.write(
        """
        from noria.core import lineage

        @step
        def work(n: int) -> int:
            for loss in (0.5, float("nan")):
                noria.log({"loss": loss})
            noria.log({"at": 1.0}, step=7)
            noria.active_run().param("depth", 3)
            noria.active_run().tag("kind", "small")
            lineage.record_output("model:m@1", "")
            return n

        @pipeline
        def study():
            return work(1)
        """
    )
    runs = desk.workspace.service(Runs)
    first, second = (runs.get("default", desk.run().run_id) for _ in range(2))
    history = runs.history("default", second.id, key="loss").items

    assert second.params == first.params == {"depth": "3"}
    assert second.tags["kind"] == "small"
    assert second.outputs == first.outputs
    assert second.metrics["at"] == 1.0
    assert [point.step for point in history] == [0, 1]
    assert np.isnan(history[1].value)


def test_the_code_of_a_run_is_kept(desk: Desk, tmp_path: Path) -> None:
    """A run's snapshot opens to the project's Python files as they were, and runs again from there."""
    from noria.pipelines.snapshots import open_snapshot

    desk.write("BASE = 10", "helper_of_flow.py")
    desk.write(
        """
        import helper_of_flow

        @step
        def work() -> int:
            return helper_of_flow.BASE

        @pipeline
        def study():
            return work()
        """
    )
    desk.project.write("big.bin", "x" * 100)
    desk.project.write(".venv/lib/python3/site-packages/other.py", "raise SystemExit")
    result = desk.run()
    desk.project.write("helper_of_flow.py", "BASE = 11")
    folder = open_snapshot(desk.workspace, result.snapshot or "", tmp_path / "opened")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    desk.project.forget()
    with user_project(folder) as old:
        given = old.load("flow").study()

    assert files == ["flow.py", "helper_of_flow.py"]
    assert given == 10
    assert desk.run().snapshot != result.snapshot


def test_a_snapshot_is_the_same_however_its_folder_is_named(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files deep below the folder and of the same start are told apart; links are left out."""
    from noria.pipelines.snapshots import open_snapshot, take_snapshot

    files = ["a.py", "deep/er/still/b.py", "deep/er.py", "deeper/c.py", "noria.toml"]
    for name in (*files, "deep/er/data.csv"):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_text("")
    (tmp_path / "p/link.py").symlink_to("a.py")
    whole = take_snapshot(desk.workspace, tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p/deep")
    for named in (Path(".."), tmp_path / "p/deep/..", Path("../../p")):
        assert take_snapshot(desk.workspace, named) == whole

    folder = open_snapshot(desk.workspace, whole, tmp_path / "opened")
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert found == sorted(files)


def test_classes_of_the_project_pass_through_the_cache_with_their_code(desk: Desk) -> None:
    """An object of a class of the project is reused by its writer until the code of its class changes."""
    source = """
        from dataclasses import dataclass

        @dataclass
        class Model:
            weight: float

            def predict(self, x: float) -> float:
                return self.weight * x

        @step
        def fit() -> Model:
            return Model(2.0)

        @step
        def apply(model: Any, x: float) -> float:
            return model.predict(x)

        @pipeline
        def study():
            return apply(fit(), 3.0)
        """
    desk.write(source)
    first = desk.run()
    unchanged = desk.run()
    desk.write(source.replace("self.weight * x", "self.weight + x"))
    changed = desk.run()

    assert [step.outputs[0].codec for step in first.steps] == ["pickle", "json"]
    assert ran(unchanged) == []
    assert "apply" in ran(changed)
    assert changed.outputs["output"].value == 5.0
