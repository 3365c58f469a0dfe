"""The Python files of a project."""

from __future__ import annotations

from pathlib import Path

from noria.pipelines.sources import python_files


def test_what_a_workspace_holds_is_no_code_of_the_project(tmp_path: Path) -> None:
    """A workspace inside of the project has unpacked code of other days; a project that is one itself has its own."""
    files = ["flow.py", "package/steps.py", "kept/noria.db", "kept/tmp/old/flow.py", "kept/own.py"]
    for name in [*files, ".hidden/a.py", "venv/b.py", "env/pyvenv.cfg", "env/c.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert python_files(tmp_path) == [tmp_path / "flow.py", tmp_path / "package/steps.py"]
    assert python_files(tmp_path / "kept") == [tmp_path / "kept/own.py", tmp_path / "kept/tmp/old/flow.py"]
