"""`noria init`."""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path

import pytest

from noria.cli.init import TEMPLATE
from noria.cli.main import main
from noria.core.config import SECTIONS, load_settings
from noria.core.database.engine import Database
from noria.core.database.migrate import is_current


def init(folder: Path, *arguments: str) -> int:
    return main(["init", str(folder), *arguments])


def test_a_folder_becomes_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A workspace with its key and database, ready for use, and a file that changes nothing."""
    assert init(tmp_path) == 0
    printed = capsys.readouterr()
    settings = load_settings(environ={}, folder=tmp_path)
    database = Database(settings.database_url)
    current = is_current(database)
    database.dispose()

    assert printed.out == ""
    assert str(tmp_path) in printed.err
    assert settings.workspace == str(tmp_path / ".noria")
    assert settings.sections == {}
    assert current
    assert stat.S_IMODE((tmp_path / ".noria").stat().st_mode) == 0o700
    assert (tmp_path / ".noria" / ".gitignore").read_text() == "*\n"


def test_the_file_shows_what_can_be_set() -> None:
    """Uncommented, every line of it is valid; as it is, it sets nothing."""
    uncommented = "\n".join(line.removeprefix("# ") for line in TEMPLATE.splitlines()[1:])

    assert tomllib.loads(TEMPLATE) == {}
    assert set(tomllib.loads(uncommented)) <= set(SECTIONS)


def test_the_uncommented_file_is_read(tmp_path: Path) -> None:
    """Each value of it is the default."""
    lines = [line.removeprefix("# ") for line in TEMPLATE.splitlines()[1:]]
    (tmp_path / "noria.toml").write_text("\n".join(lines))
    settings = load_settings(environ={}, folder=tmp_path)

    assert settings.project == "default"
    assert settings.workspace == str(tmp_path / ".noria")
    assert all(
        section == type(section)() or name == "workspace" for name, section in settings.sections.items()
    )


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second time it refuses, and leaves everything as it is."""
    (tmp_path / "noria.toml").write_text("# mine\n")

    assert init(tmp_path) == 1
    assert "already" in capsys.readouterr().err
    assert (tmp_path / "noria.toml").read_text() == "# mine\n"
    assert not (tmp_path / ".noria").exists()


def test_a_workspace_that_is_there_is_kept(tmp_path: Path) -> None:
    """Its key stays."""
    init(tmp_path)
    key = (tmp_path / ".noria" / "key").read_text()
    (tmp_path / "noria.toml").unlink()

    assert init(tmp_path) == 0
    assert (tmp_path / ".noria" / "key").read_text() == key


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The places, for programs."""
    assert init(tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "folder": str(tmp_path),
        "workspace": str(tmp_path / ".noria"),
        "config": str(tmp_path / "noria.toml"),
    }


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is misuse, and nothing is made."""
    assert init(tmp_path / "missing") == 2
    assert "cannot be written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_if_the_workspace_cannot_be_made_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the file nor a half-made folder."""
    monkeypatch.setenv("NORIA_DATABASE", f"sqlite:///{tmp_path}/missing/noria.db")

    assert init(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_another_workspace_in_the_environment_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise the next command would surprise."""
    monkeypatch.setenv("NORIA_WORKSPACE", "http://noria.example")

    assert init(tmp_path) == 0
    assert "`http://noria.example`" in capsys.readouterr().err
