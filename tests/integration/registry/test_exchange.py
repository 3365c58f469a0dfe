"""A version goes from one workspace to another by its digest, by the command line as a person uses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

import noria
from noria.cli.main import main
from noria.core.config import load_settings
from noria.core.errors import Invalid
from noria.core.workspace import open_workspace
from noria.registry.exchange import other_workspace

Command = Callable[..., str]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a caller of the command line on a workspace with a model, and an empty folder for another."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / "development"))
    monkeypatch.setenv("NORIA_OBJECTS", str(tmp_path / "development" / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "production").mkdir()
    x, y = load_iris(return_X_y=True)
    with open_workspace(load_settings()) as workspace:
        fitted = DecisionTreeClassifier(max_depth=2).fit(x, y)
        noria.register(fitted, "iris", x=x, y=y, holdout=(x, y), message="tree", workspace=workspace)

    def call(*arguments: str, code: int = 0) -> str:
        assert main(list(arguments)) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    return call


def test_a_version_is_the_same_in_another_workspace(command: Command, tmp_path: Path) -> None:
    """Pushed once it is there with its digest and alias, pushed again it stays, and pulled back it is the first."""
    here = json.loads(command("models", "show", "iris", "--json"))
    there = ("--to", "production", "--alias", "champion")
    first = json.loads(command("models", "push", "iris@1", *there, "--json"))
    again = command("models", "push", "iris@1", *there)
    back = json.loads(command("models", "pull", "iris@champion", "--from", "production", "--json"))

    moved = first["version"]
    for field in ("digest", "format", "task", "signature", "classes", "holdout", "metrics", "message"):
        assert moved[field] == here[field]
    assert (moved["aliases"], moved["tags"]) == (["champion"], {"noria.moved_from": "default/iris@1"})
    assert (first["was_there"], back["was_there"], back["version"]["version"]) == (False, True, 1)
    assert "these very files already" in again
    x, y = load_iris(return_X_y=True)
    with open_workspace(load_settings(workspace=str(tmp_path / "production"), environ={})) as production:
        assert (noria.model("iris@champion", workspace=production).predict(x) == y).mean() > 0.9
    assert list((tmp_path / "production" / "objects").iterdir())


def test_what_cannot_be_moved_is_said(command: Command, tmp_path: Path) -> None:
    """An unknown version, place or project, and a name that a model cannot have."""
    assert "iriss" in command("models", "push", "iriss", "--to", "production", code=1)
    assert "`nowhere`" in command("models", "push", "iris", "--to", "nowhere", code=2)
    assert "`other`" in command(
        "models", "push", "iris", "--to", "production", "--to-project", "other", code=1
    )
    assert "a/b" in command("models", "push", "iris", "--to", "production", "--name", "a/b", code=2)
    assert "iris" in command("models", "pull", "iris", "--from", "production", code=1)
    assert "already" in command("models", "push", "iris", "--to", "development", code=2)
    with pytest.raises(Invalid, match="ftp://x"):
        other_workspace("ftp://x", project="default")


def test_settings_of_one_workspace_say_nothing_about_another(tmp_path: Path) -> None:
    """Neither its database and objects nor its token; the other one's own `noria.toml` does."""
    (tmp_path / "noria.toml").write_text('[workspace]\nobjects = "kept"\n')
    (tmp_path / "there").mkdir()
    env = {
        "NORIA_DATABASE": "sqlite:////x.db",
        "NORIA_OBJECTS": "/y",
        "NORIA_TOKEN": "mine",
        "OTHER": "theirs",
    }
    settings = other_workspace(str(tmp_path / "there"), project="p", environ=env, token_variable="OTHER")

    assert settings.database_url == f"sqlite:///{tmp_path}/there/noria.db"
    assert (settings.objects_url, settings.token) == (str(tmp_path / "kept"), "theirs")
    remote = other_workspace("https://noria.example", project="p", environ={"NORIA_TOKEN": "one"})
    assert (remote.is_remote, remote.token) == (True, "one")
