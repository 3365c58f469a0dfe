"""`noria models`, as a person and as a program use it."""

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
from noria.core.objects.trees import put_tree
from noria.core.workspace import open_workspace
from noria.registry.entities import NewModelVersion, Task
from noria.registry.service import Models
from support.mlflow_models import saved_model
from support.serving import signature

Command = Callable[..., str]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a caller of the command line on a workspace with two versions of a model."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    x, y = load_iris(return_X_y=True)
    with open_workspace(load_settings()) as workspace:
        for depth in (1, 2):
            fitted = DecisionTreeClassifier(max_depth=depth).fit(x, y)
            noria.register(
                fitted, "iris", x=x, y=y, holdout=(x, y), message=f"depth {depth}", workspace=workspace
            )

    def call(*arguments: str, code: int = 0) -> str:
        assert main(list(arguments)) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    return call


def test_models_and_versions_are_listed(command: Command) -> None:
    """Lists for people and for programs."""
    models = json.loads(command("models", "list", "--json"))["items"]
    versions = json.loads(command("models", "versions", "iris", "--json"))["items"]

    assert [(m["name"], m["latest"]) for m in models] == [("iris", 2)]
    assert [(v["version"], v["message"]) for v in versions] == [(2, "depth 2"), (1, "depth 1")]
    assert "iris" in command("models", "list")
    assert "depth 1" in command("models", "versions", "iris")


def test_a_version_is_shown(command: Command) -> None:
    """Where it comes from, what it takes, how good it is."""
    text = command("models", "show", "iris@1")

    for part in (
        "iris@1",
        "classification",
        "accuracy",
        "150 rows",
        "x FP64 [-1, 4]",
        "depth 1",
        "equal on 10",
    ):
        assert part in text
    assert json.loads(command("models", "show", "iris", "--json"))["version"] == 2


def test_an_alias_is_moved(command: Command) -> None:
    """`promote` points `champion`, or another alias, at a version."""
    command("models", "promote", "iris@1")
    assert json.loads(command("models", "show", "iris@champion", "--json"))["version"] == 1
    moved = json.loads(command("models", "promote", "iris@2", "champion", "--json"))
    assert moved["aliases"] == ["champion"]
    command("models", "promote", "iris@champion", "previous")
    assert json.loads(command("models", "show", "iris@previous", "--json"))["version"] == 2


def test_errors_name_the_value_and_the_mend(command: Command) -> None:
    """What is not there is a failure with the near name; what cannot be is misuse."""
    assert "`iris`" in command("models", "show", "irs", code=1)
    assert "no version 3" in command("models", "show", "iris@3", code=1)
    assert "`iris@0`" in command("models", "show", "iris@0", code=2)
    assert "cannot be an alias" in command("models", "promote", "iris@1", "latest", code=2)


def test_a_model_is_renamed_and_deleted(command: Command) -> None:
    """The former name leads to the model; a version or all of them are deleted, and nothing by accident."""
    assert json.loads(command("models", "rename", "iris", "flowers", "--json"))["name"] == "flowers"
    assert json.loads(command("models", "show", "iris@1", "--json"))["model"] == "flowers"
    for ref in (("flowers",), ("flowers@1", "--all-versions")):
        assert "does not say what to delete" in command("models", "delete", *ref, code=2)
    command("models", "delete", "flowers@2")
    assert [
        v["version"] for v in json.loads(command("models", "versions", "flowers", "--json"))["items"]
    ] == [1]
    assert "no version 2" in command("models", "show", "flowers@2", code=1)
    [gone] = json.loads(command("models", "versions", "flowers", "--deleted", "--json"))["items"]
    assert gone["version"] == 2
    assert json.loads(command("models", "restore", "flowers@2", "--json"))["version"] == 2
    assert "noria models versions flowers --deleted" in command("models", "restore", "flowers@2", code=1)
    command("models", "delete", "flowers@2")
    command("models", "delete", "flowers", "--all-versions")
    assert json.loads(command("models", "list", "--json"))["items"] == []
    [gone] = json.loads(command("models", "list", "--deleted", "--json"))["items"]
    assert (gone["name"], gone["n_versions"]) == ("flowers", 1)
    assert "flowers" in command("models", "list", "--deleted")
    assert json.loads(command("models", "restore", gone["id"], "--json"))["name"] == "flowers"
    assert "noria models list --deleted" in command("models", "restore", gone["id"], code=1)


def test_a_consent_to_pickles_is_given_and_taken_back(command: Command, tmp_path: Path) -> None:
    """Only pickles take one; `show` tells who gave it, or how to give it."""
    assert "no pickles" in command("models", "consent", "iris@1", code=1)
    with open_workspace(load_settings()) as workspace:
        for path, data in saved_model("pickle").items():
            (tmp_path / "saved" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "saved" / path).write_bytes(data)
        digest = put_tree(workspace.objects(), tmp_path / "saved").digest
        new = NewModelVersion(
            digest=digest, format="mlflow", task=Task.CLASSIFICATION, signature=signature(columns=2)
        )
        workspace.service(Models).register("default", "pickled", new)

    assert "noria models consent pickled@1" in command("models", "show", "pickled@1")
    command("models", "consent", "pickled@1")
    assert "consented" in command("models", "show", "pickled@1")
    assert json.loads(command("models", "consent", "pickled", "--json"))["consent"]["digest"] == digest
    command("models", "consent", "pickled@1", "--withdraw")
    assert json.loads(command("models", "show", "pickled", "--json"))["consent"] is None
