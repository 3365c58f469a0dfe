"""Finding pipelines by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from noria.pipelines.loading import (
    ImportFailed,
    NotAPipeline,
    PipelineNotFound,
    is_packaged_pipeline,
    load_pipeline,
    source_of,
)
from support.project import UserProject

ONE = """\
from noria import pipeline, step


@step
def one():
    return 1


@pipeline
def study():
    return one()


NUMBER = 3
"""


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what loading adds to `sys.path` go with the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def root(project: UserProject) -> Path:
    """Give a project with modules, a package and a folder of scripts."""
    project.write("flow.py", ONE)
    project.write("pack/__init__.py", "")
    project.write("pack/deep.py", ONE)
    project.write("scripts/helper_beside.py", "BASE = 1\n")
    project.write("scripts/my-script.py", f"import helper_beside\n{ONE}")
    project.write("syntax.py", "def broken(:\n")
    project.write("raising.py", "x = 1\nraise ValueError('at import')\n")
    project.write("missing.py", "import not_there_at_all\n")
    return project.root


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("flow:study", "flow:study"),
        ("flow.py:study", "flow:study"),
        ("pack.deep:study", "pack.deep:study"),
        ("pack/deep.py:study", "pack/deep.py:study"),
        ("scripts/my-script.py:study", "scripts/my-script.py:study"),
    ],
)
def test_a_pipeline_is_found_by_module_or_file(root: Path, target: str, kept: str) -> None:
    """Both forms give the pipeline, and a name that finds it again from the root."""
    loaded = load_pipeline(target, root=root)
    again = load_pipeline(loaded.source.target, root=loaded.source.root)

    assert loaded.pipeline() == 1
    assert loaded.source.target == kept
    assert again.pipeline.name == "study"


def test_the_working_folder_comes_before_the_root(root: Path, project: UserProject) -> None:
    """A module in the folder where the command is given is found first."""
    project.write("inner/flow.py", ONE.replace("return 1", "return 2"))

    assert load_pipeline("flow:study", root=root, folder=root / "inner").pipeline() == 2


def test_a_file_outside_of_the_root_is_its_own_project(tmp_path: Path, root: Path) -> None:
    """A file elsewhere runs with its own folder as project."""
    (tmp_path / "elsewhere.py").write_text(ONE)
    loaded = load_pipeline(str(tmp_path / "elsewhere.py") + ":study", root=root)
    sys.modules.pop("elsewhere")

    assert loaded.source.root == tmp_path
    assert loaded.source.target == "elsewhere:study"


@pytest.mark.parametrize(
    ("target", "kind", "told"),
    [
        ("flow", PipelineNotFound, "Write `module:pipeline`"),
        (":study", PipelineNotFound, "Write `module:pipeline`"),
        ("flwo:study", PipelineNotFound, "Did you mean `flow`?"),
        ("flow:stduy", PipelineNotFound, "Did you mean `study`?"),
        ("flow:xyz", PipelineNotFound, "There are: `study`"),
        ("pack.depp:study", PipelineNotFound, "no module `pack.depp`"),
        ("flwo.py:study", PipelineNotFound, "Did you mean `flow.py`?"),
        ("flow:one", NotAPipeline, "is a step"),
        ("flow:NUMBER", NotAPipeline, "is a `int`"),
        ("syntax:study", ImportFailed, "failed at syntax.py:1: SyntaxError"),
        ("raising:study", ImportFailed, "failed at raising.py:2: ValueError: at import"),
        ("missing:study", ImportFailed, "pip install not_there_at_all"),
    ],
)
def test_what_cannot_be_loaded_is_told(root: Path, target: str, kind: type[Exception], told: str) -> None:
    """Each way to miss says what is wrong and what was probably meant."""
    with pytest.raises(kind) as caught:
        load_pipeline(target, root=root)

    error = caught.value
    assert told in f"{error} {getattr(error, 'hint', '')}"


def test_an_imported_pipeline_knows_where_its_code_is(root: Path, project: UserProject) -> None:
    """A pipeline that was imported is found again by its module; one of the project is not a package's."""
    found = project.load("flow").study

    assert source_of(found, root).target == "flow:study"
    assert not is_packaged_pipeline(found, root)
    assert is_packaged_pipeline(found, root / "pack")
