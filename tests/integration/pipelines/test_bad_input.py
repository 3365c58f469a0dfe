"""What a person can get wrong in a pipeline: each is refused or noticed, with its place and the mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from noria.core.errors import NoriaError
from noria.pipelines.executors.choice import ExecutorChoice
from noria.pipelines.failures import StepFailed
from noria.pipelines.loading import load_pipeline
from noria.pipelines.runner import run_pipeline
from noria.pipelines.service import PipelineRuns
from support.waiting import wait_until

from .conftest import Desk


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (
            "import nowhere\n",
            "failed at flow.py:8: ModuleNotFoundError: No module named 'nowhere'",
            "pip install",
        ),
        (
            "bad = step(lambda n: n)\n",
            "failed at flow.py:8: A lambda cannot be a step",
            "Write it with `def`",
        ),
        ("@step\ndef bad():\n    yield 1\n", "failed at flow.py:8: `bad` is a generator", "Return a list"),
        (
            "@step\nasync def bad():\n    return 1\n",
            "failed at flow.py:8: `bad` is a coroutine",
            "with `def`",
        ),
        ("@step\nclass Bad:\n    pass\n", "failed at flow.py:8: `Bad` is a class", "Write a function"),
        ("@step(timeout_s=-1)\ndef bad(): ...\n", "`timeout_s` of the step `bad` is `-1`", "seconds above 0"),
        (
            "@pipeline\ndef study(): return other()\n@pipeline\ndef other(): return study()\n",
            "calls itself",
            "circle",
        ),
        (
            "@pipeline\ndef study(x: Nothing): ...\n",
            "names `Nothing`, which does not exist",
            "Import `Nothing`",
        ),
        (
            "@step\ndef bad() -> int: return 'x'\n@pipeline\ndef study(): bad()\n",
            "declares to return `int`",
            "Mend",
        ),
        ("@step\ndef bad(n): ...\n@pipeline\ndef study(): bad.map('ab')\n", "mapped over a `str`", "bad.map"),
        (
            "bad = noria.shell_step('bad', ['no-such-program'])\n@pipeline\ndef study(): bad()\n",
            "The step `bad` failed at flow.py:8: The command `no-such-program` of the step `bad` cannot be started",
            "Install `no-such-program`",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_mend(
    desk: Desk, code: str, message: str, hint: str
) -> None:
    """Whether it shows when the module is imported or when a step runs."""
    desk.write(code)
    desk.project.forget()
    with pytest.raises(NoriaError) as caught:  # noqa: PT012 - a mistake shows at the one or the other
        loaded = load_pipeline("flow:study", root=desk.project.root)
        run_pipeline(desk.workspace, loaded.pipeline, {}, source=loaded.source)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("half.map([5, 0], key='token=hunter2')", "item 1 of its map, counted from 0: n=0, key='token=***"),
        ("[half(n, key=rows(n)) for n in (5, 0)]", "call 2 of it: n=0"),
        ("[half(0, key='alone')]", ""),
    ],
)
def test_a_step_that_is_called_often_says_which_call_failed(
    desk: Desk, body: str, told: str, workers: int | None
) -> None:
    """The item of a map, or the number of the call, with what is short to say; a secret is not told."""
    desk.write(f"""
        @step
        def rows(n: int) -> list[int]:
            return [n]

        @step
        def half(n: int, key: Any) -> float:
            return 1 / n

        @pipeline
        def study() -> Any:
            return {body}
        """)
    study = desk.project.load("flow").study
    with pytest.raises(StepFailed) as caught:
        run_pipeline(desk.workspace, study, {}, executor=ExecutorChoice(workers=workers))
    run = desk.workspace.service(PipelineRuns).list("default", limit=1).items[0]
    steps = desk.workspace.service(PipelineRuns).steps("default", run.run_id, limit=100).items
    [failed] = [step for step in steps if step.status == "failed"]

    said = f"ZeroDivisionError: division by zero{f' ({told})' if told else ''}"
    assert caught.value.message.endswith(said)
    assert run.error is not None
    assert run.error.message.endswith(said)
    assert failed.error is not None
    assert failed.error.message.endswith(said)


def test_a_step_that_changes_what_it_closes_over_is_never_reused(desk: Desk) -> None:
    """Its result would depend on how often it ran before; the reason says which variable moved."""
    desk.write("""
        def made():
            seen = []

            @step
            def count(n: int) -> int:
                seen.append(n)
                return len(seen)

            return count

        count = made()

        @pipeline
        def study() -> Any:
            return count(1)
        """)
    reasons = [desk.run().steps[0] for _ in range(2)]
    assert [step.status for step in reasons] == ["finished", "finished"]
    assert "while it ran, variable `made.<locals>.count.seen` in flow.py was [], is [1]" in reasons[1].reason


def test_a_command_that_runs_too_long_leaves_no_process_behind(desk: Desk, tmp_path: Path) -> None:
    """What the command started in the background is stopped with it."""
    desk.write("""
        nap = noria.shell_step(
            "nap", "sleep 600 & echo $! > {note}; sleep 600", inputs=["note"], shell=True, timeout_s=1.0
        )

        @pipeline
        def study(note: str) -> None:
            nap(note)
        """)
    note = tmp_path / "note"
    with pytest.raises(StepFailed, match="ran longer than its `timeout_s` of 1 s"):
        desk.run(note=str(note))
    process = Path(f"/proc/{note.read_text().strip()}/stat")
    wait_until(lambda: not process.exists() or ") Z " in process.read_text())


def test_nested_pipelines_maps_and_edges_are_recorded(desk: Desk) -> None:
    """Each call of a nested pipeline has a name of its own; what is taken out of a handle comes from its step."""
    desk.write("""
        @step
        def rows(n: int) -> list[int]:
            return list(range(n))

        @step
        def double(row: int) -> int:
            return 2 * row

        @pipeline
        def doubled(n: int) -> Any:
            return double.map(rows(n))

        @step
        def parts(n: int) -> dict[str, list[int]]:
            return {"a": [n], "b": [n, n]}

        @step
        def joined(one: list[int], rest: list[list[int]]) -> int:
            return len(one) + len(rest)

        @pipeline
        def study() -> Any:
            made = parts(7)
            joined(made["a"], rest=[made.get("b", []), [made["a"][0]]])
            joined(made["b"], rest=[[7]])
            return {"sums": [doubled(1), doubled(2)]}
        """)
    steps = desk.run().steps
    assert [
        (s.name, s.group, s.item, [(i.argument, i.source_position) for i in s.sources]) for s in steps
    ] == [
        ("parts", "", None, []),
        ("joined", "", None, [("one", 0)]),
        ("joined", "", None, [("one", 0)]),
        ("rows", "doubled", None, []),
        ("double", "doubled", 0, [("row", 3)]),
        ("rows", "doubled 2", None, []),
        ("double", "doubled 2", 0, [("row", 5)]),
        ("double", "doubled 2", 1, [("row", 5)]),
    ]


@pytest.mark.parametrize("harm", ["deleted", "emptied"])
@pytest.mark.parametrize("made", ["7", "[7, {'a': b'bytes'}]"])
def test_a_resumed_run_makes_again_what_did_not_reach_the_disk(
    desk: Desk, tmp_path: Path, made: str, harm: str
) -> None:
    """After a loss of power files may be empty or gone that a killed process left whole; the other steps are kept."""
    desk.write(f"""
        @step
        def first() -> Any: return {made}

        @step
        def other() -> str: return "other"

        @step(cache=False)
        def last(one: Any, two: str, go: str) -> str:
            if not Path(go).exists():
                raise RuntimeError("not yet")
            return f"{{one}} {{two}}"

        @pipeline
        def study(go: str) -> Any:
            return last(first(), other(), go)
        """)
    go = tmp_path / "go"
    with pytest.raises(StepFailed):
        desk.run(go=str(go))
    runs = desk.workspace.service(PipelineRuns)
    run_id = runs.list("default", limit=1).items[0].run_id
    [stored] = runs.steps("default", run_id).items[0].outputs
    place = desk.workspace.backend.context.objects.place_of(stored.digest)  # type: ignore[attr-defined]
    place.chmod(0o600)
    if harm == "deleted":
        place.unlink()
    else:
        place.write_bytes(b"")
    go.touch()
    study = desk.project.load("flow").study
    again = run_pipeline(desk.workspace, study, {"go": str(go)}, resume=run_id)

    assert again.outputs["output"].value == f"{eval(made)} other"  # noqa: S307 - of the list above
    assert {step.name: step.reason.startswith("finished before") for step in again.steps} == {
        "first": False,
        "other": True,
        "last": False,
    }


@pytest.mark.parametrize("harm", ["deleted", "damaged"])
def test_an_output_that_somebody_deleted_or_damaged_is_made_again(desk: Desk, harm: str) -> None:
    """The step whose output is not what it was runs again, and the one after it does not; the result is right."""
    desk.write(
        "@step\ndef rows(n: int) -> bytes: return bytes(range(n)) * 400\n"
        "@step\ndef count(data: bytes) -> int: return len(data)\n"
        "@pipeline\ndef study(n: int = 100):\n"
        "    made = rows(n)\n"
        "    return {'rows': made, 'count': count(made)}\n"
    )
    made = desk.run().outputs["rows"].digest
    assert {step.name: step.status for step in desk.run().steps} == {"rows": "reused", "count": "reused"}
    place = desk.workspace.backend.context.objects.place_of(made)  # type: ignore[attr-defined]
    place.chmod(0o600)
    if harm == "deleted":
        place.unlink()
    else:
        place.write_bytes(b"?" + place.read_bytes()[1:])
    again = desk.run()

    assert {step.name: step.status for step in again.steps} == {"rows": "finished", "count": "reused"}
    assert again.outputs["rows"].value == bytes(range(100)) * 400
    assert again.outputs["rows"].digest == made
