"""`noria pipelines` as a person meets it: the graph of what a body does and did, runs, and how two of them differ."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from noria.cli.main import main
from support.project import UserProject, user_project

FLOW = """
from __future__ import annotations
import tempfile
from pathlib import Path
from typing import Any, NamedTuple
import noria
from noria import pipeline, shell_step, step


class Halves(NamedTuple):
    left: list[int]
    right: list[int]


@step
def load(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()]


@step
def halve(rows: list[int]) -> Halves:
    middle = len(rows) // 2
    return Halves(rows[:middle], rows[middle:])


@pipeline
def prepare(path: Path) -> Halves:
    return halve(load(path))


@step
def scaled(row: int, by: float) -> float:
    return row * by


@step
def total(values: list[float]) -> float:
    return sum(values)


@step
def written(rows: list[int]) -> Path:
    file = Path(tempfile.mkdtemp()) / "rows.txt"
    file.write_text("\\n".join(map(str, rows)) + "\\n")
    return file


largest = shell_step(
    "largest",
    ["sh", "largest.sh", "{table}", "{top}"],
    inputs=["table"],
    outputs={"top": "top.txt"},
    files=["largest.sh"],
)


@pipeline
def study(path: Path, by: float = 2.0) -> Any:
    left, right = prepare(path)
    sum_ = total(scaled.map(left, by=by))
    noria.log({"sum": float(sum_)})
    return {"sum": sum_, "top": largest(written(right))}


@pipeline
def never() -> None:
    return None
"""

Call = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[UserProject]:
    """Give a project with a pipeline, its data, a script and a workspace."""
    with user_project(tmp_path / "project") as made:
        made.write("flow.py", FLOW)
        folder = tmp_path / "project"
        (folder / ".noria").mkdir()
        (folder / "data.txt").write_text("4 1 3 2 9 7\n")
        (folder / "largest.sh").write_text("sort -n $1 | tail -n 1 > $2\n")
        yield made


@pytest.fixture
def noria(project: UserProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run commands in the project's folder, each with the code as it is then."""
    monkeypatch.chdir(project.root)

    def call(*arguments: str, code: int = 0) -> str:
        project.forget()
        assert main(list(arguments)) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return call


def _run(noria: Call, *arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        noria("run", "flow:study", "-p", "path=data.txt", "--json", *arguments)
    )
    return answer


def test_runs_are_drawn_listed_and_compared(noria: Call, project: UserProject) -> None:
    """Before a run the body is walked; a run knows what fed what; two runs differ in what was changed between them."""
    walked = noria("pipelines", "show", "flow:study")
    assert walked.startswith("flow:study(path: Path, by: float = 2.0)\nprepare/\n")
    assert "stopped: the body looks at what `total` gives at flow.py:" in walked
    assert re.search(r"scaled +row ← halve.left +→ float +× \?\n", walked)
    first, second = _run(noria), _run(noria, "-p", "by=3")
    drawn = json.loads(noria("pipelines", "show", "flow:study", "--json"))
    shown = json.loads(noria("pipelines", "show", second["run_id"], "--json", "--svg", "study.svg"))

    assert drawn == {**shown["graph"], "parameters": drawn["parameters"]}
    names = {node["id"]: node["name"] for node in drawn["nodes"]}
    assert {(names[e["source"]], e["output"], names[e["target"]], e["argument"]) for e in drawn["edges"]} == {
        ("load", "output", "halve", "rows"),
        ("halve", "left", "scaled", "row"),
        ("scaled", "output", "total", "values"),
        ("halve", "right", "written", "rows"),
        ("written", "output", "largest", "table"),
    }
    assert [(node["name"], node["group"], node["n_calls"]) for node in drawn["nodes"]] == [
        ("load", "prepare", 1),
        ("halve", "prepare", 1),
        ("scaled", "", 3),
        ("total", "", 1),
        ("written", "", 1),
        ("largest", "", 1),
    ]
    assert [result["name"] for result in drawn["results"]] == ["sum", "top"]
    assert "<svg" in (project.root / "study.svg").read_text()

    listed = json.loads(noria("pipelines", "list", "--json"))
    assert [(i["pipeline"], i["n_runs"], i["last"]["run_id"]) for i in listed["items"]] == [
        ("flow:study", 2, second["run_id"])
    ]
    assert listed["never_run"] == ["flow:never", "flow:prepare"]
    history = json.loads(noria("pipelines", "history", "flow:study", "--json"))
    assert [run["run_id"] for run in history["items"]] == [second["run_id"], first["run_id"]]

    (project.root / "largest.sh").write_text("sort -n $1 | head -n 1 > $2\n")
    project.write("flow.py", FLOW.replace("middle = len(rows) // 2", "middle = len(rows) - 2"))
    third = _run(noria, "-p", "by=3")
    one = json.loads(noria("pipelines", "diff", first["run_id"], second["run_id"], "--json"))
    other = json.loads(noria("pipelines", "diff", second["run_id"], third["run_id"], "--json"))
    assert one["params"] == [{"name": "by", "before": "2.0", "after": "3.0"}]
    assert (one["code"], one["environment"], one["n_same_steps"]) == ([], [], 4)
    assert one["metrics"] == [{"name": "sum", "before": 16.0, "after": 24.0}]
    assert one["outputs"] == [{"name": "sum", "before": "16.0", "after": "24.0"}]
    assert [change["name"] for change in other["code"]] == ["flow.py", "largest.sh"]
    reasons = {change["step"]: change["reason"] for change in other["steps"]}
    assert reasons["flow.py:halve"] == "function `halve` in flow.py changed"
    assert "flow.py:largest" in reasons
    assert {change["name"] for change in other["outputs"]} == {"sum", "top"}
    assert "parameter" in noria("pipelines", "diff", first["run_id"], second["run_id"])
    assert noria("pipelines", "diff", first["run_id"], first["run_id"]).strip() == "The runs are alike"


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("with noria.run('inner'): pass", "runs.create"),
        ("workspace.objects().put_bytes(b'x')", "objects.put"),
    ],
)
def test_a_walk_reads_the_workspace_and_changes_nothing_in_it(
    noria: Call, project: UserProject, statement: str, refused: str
) -> None:
    """What the body logs goes nowhere; where it would change the workspace the walk stops and says so."""
    project.write(
        "guarded.py",
        f"""
        import noria
        from noria import pipeline, step
        from noria.pipelines.service import PipelineRuns

        @step
        def count() -> int:
            raise AssertionError

        @pipeline
        def guarded():
            noria.log({{"n": count()}})
            workspace = noria.current_workspace()
            assert workspace.service(PipelineRuns).list(workspace.project).items == []
            try:
                {statement}
            except Exception:
                pass
            return count()
        """,
    )
    walked = noria("pipelines", "show", "guarded:guarded").splitlines()
    assert [line.split()[0] for line in walked] == ["guarded:guarded", "count", "stopped:"]
    assert re.search(rf"changes the workspace at guarded.py:\d+ \(`{refused}`\)", walked[2])
    assert json.loads(noria("runs", "list", "--json"))["items"] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["history", "flow:stduy"], "Did you mean `flow:study`?"),
        (["history", "flow:never"], "Run it with `noria run flow:never`"),
        (["show", "feed"], "See `noria pipelines history`"),
        (["show", "flow:stduy"], "Did you mean `study`?"),
        (["show", "flow:study", "--svg", "nowhere/x.svg"], "`nowhere/x.svg` cannot be written"),
        (["show", "flow:study", "-p", "by=x"], "The parameter `by` is `x`, which is not a `float`"),
        (["diff", "feed", "beef"], "has no run `feed` of a pipeline"),
    ],
)
def test_what_is_not_there_is_told_with_the_mend(noria: Call, arguments: list[str], told: str) -> None:
    """Wrong names lead to near ones, or to the command that lists them."""
    sys.path_importer_cache.clear()
    assert told in noria("pipelines", *arguments, code=2 if "cannot" in told or "which is" in told else 1)
