"""Versions are tried before release, and gates keep aliases from those that did not pass."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

import noria
from noria.cli.main import main
from noria.core.clock import SystemClock
from noria.core.config import load_settings
from noria.core.permissions import Principal, Role
from noria.core.workspace import open_workspace
from noria.pipelines.job_entities import WorkerInfo
from noria.pipelines.jobs import Jobs
from noria.registry.entities import AliasTarget
from noria.registry.service import Models
from noria.registry.validation.entities import (
    Check,
    Gate,
    NewApproval,
    NewReport,
    Outcome,
    ValidationSection,
    ValidationStart,
)
from noria.registry.validation.gates import GateClosed
from noria.registry.validation.plan import PLAN
from noria.registry.validation.service import Validations
from support.conformance import open_test_context, workspace_settings

Command = Callable[..., str]

TOML = """
[validation]
rows = 60
skip = ["restart", "memory_growth_mb", "latency_many_ms"]

[validation.gates.champion]
suites = ["suites/iris.py"]
approvals = { engineer = 1 }
"""
SUITE = """
import noria
from helping import HIGHEST


@noria.check("No kind is given more often than all", at_most=HIGHEST)
def share(model, rows):
    assert rows.target is not None
    return model.share(rows.changed(x=rows["x"] * 1.0).where(rows.target == 0), 0)


@noria.check("All kinds are told apart")
def kinds(model, rows):
    assert len(set(model.predict(rows).tolist())) == 3, "some kind is never given"
    return model.probabilities(rows).shape == (rows.n, 3)
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a caller of the command line in a project with gates, a suite and a model."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / ".noria"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "noria.toml").write_text(TOML)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "iris.py").write_text(SUITE)
    (tmp_path / "helping.py").write_text("HIGHEST = 1.0\n")
    x, y = load_iris(return_X_y=True)
    with open_workspace(load_settings()) as workspace:
        fitted = DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y)
        noria.register(fitted, "iris", x=x, y=y, holdout=(x, y), workspace=workspace)

    def call(*arguments: str, code: int = 0) -> str:
        assert main(list(arguments)) == code
        captured = capsys.readouterr()
        return captured.out if code in (0, 1) and not captured.err.startswith("error") else captured.err

    return call


def test_a_version_is_tried_approved_and_promoted(command: Command, tmp_path: Path) -> None:
    """The gate is shut until the report with the own suite and the approval are there; a failing suite shuts it."""
    assert "It was not validated" in command("models", "promote", "iris@1", code=1)
    assert "was not validated" in command("models", "report", "iris@1", code=1)
    assert "There is no suite" in command("models", "validate", "iris@1", "--suite", "none.py", code=2)

    text = command("models", "validate", "iris@1", "--suite", "suites/iris.py")
    report = json.loads(command("models", "report", "iris@1", "--json"))
    assert "passed" in text
    assert (report["outcome"], report["counts"], report["model"]) == ("passed", True, "iris")
    own = {each["name"]: each for each in report["checks"] if each["family"] == "own"}
    assert own["suites/iris.py:share"]["value"] == pytest.approx(1.0)
    assert own["suites/iris.py:kinds"]["outcome"] == "passed"

    assert "0 of 1 approvals" in command("models", "promote", "iris@1", code=1)
    command("models", "approve", "iris@1", "--note", "seen")
    command("models", "withdraw", "iris@1")
    assert "shut" in command("models", "gates", "iris@1")
    command("models", "approve", "iris@1")
    assert json.loads(command("models", "gates", "iris@1", "--json"))["items"][0]["is_open"] is True
    command("models", "promote", "iris@1")

    (tmp_path / "helping.py").write_text("HIGHEST = 0.5\n")
    assert "failed" in command("models", "validate", "iris@1", "--suite", "suites/iris.py", code=1)
    command("models", "promote", "iris@1")  # it is the champion already
    x, y = load_iris(return_X_y=True)
    with open_workspace(load_settings()) as workspace:
        fitted = DecisionTreeClassifier(max_depth=1, random_state=0).fit(x, y)
        with pytest.raises(GateClosed, match="not validated"):
            noria.register(fitted, "iris", x=x, y=y, alias="champion", workspace=workspace)
        assert noria.model("iris@champion", workspace=workspace).version.version == 1


def test_gates_take_the_word_of_workers_and_of_those_who_promote(tmp_path: Path) -> None:
    """A scientist's own report does not count, that of our job does; approvals count once and not the author's."""
    wanted = {Role.ADMIN: 1, Role.ENGINEER: 1}
    section = ValidationSection(gates={"champion": Gate(approvals=wanted), "other": Gate(models=["else"])})
    settings = workspace_settings(tmp_path)
    with open_test_context(settings, SystemClock()) as plain:
        owner = dataclasses.replace(
            plain, settings=dataclasses.replace(plain.settings, sections={"validation": section})
        )
        x, y = load_iris(return_X_y=True)
        with open_workspace(settings) as workspace:
            version = noria.register(
                DecisionTreeClassifier().fit(x, y), "iris", x=x, y=y, workspace=workspace
            )
        project, name, number = version.project, "iris", 1

        def acting(who: str, role: Role) -> Validations:
            principal = Principal(name=who, role=role, holds_key=True)
            return owner.acting_as(principal).service(Validations)

        checks = [
            Check(name=each.name, family=each.family, outcome=Outcome.PASSED, value=0.0) for each in PLAN
        ]
        new = NewReport(digest=version.digest, engine="native", made_up=False, n_rows=1, checks=checks)

        def lacks() -> list[str]:
            (state,) = acting("ann", Role.ADMIN).gates(project, name, number).items
            return [each.sentence for each in state.lacks]

        assert not acting("sam", Role.SCIENTIST).record(project, name, number, new).counts
        assert "only by somebody who may not move aliases" in lacks()[0]
        job = acting("sam", Role.SCIENTIST).start(project, name, number, ValidationStart())
        claimed = owner.service(Jobs).claim(WorkerInfo(name="w")).claimed
        assert claimed is not None
        assert acting(f"worker:{job.id}", Role.SCIENTIST).record(project, name, number, new).counts
        assert [each.partition(" ")[0] for each in lacks()] == ["0", "0"]
        slow = msgspec.structs.replace(checks[0], value=0.5)
        bad = msgspec.structs.replace(new, checks=[slow, *checks[1:-1]])
        # Whatever limits a report was made with, the gate holds its figures to its own.
        assert acting("eve", Role.ENGINEER).record(project, name, number, bad).outcome is Outcome.PASSED
        assert [s for s in lacks() if "`golden` measured 0.5" in s or "not in the report" in s] == lacks()[:2]
        acting("eve", Role.ENGINEER).record(project, name, number, new)
        for who, role in ((version.author, Role.ADMIN), ("eve", Role.ENGINEER), ("sam", Role.SCIENTIST)):
            acting(who, role).approve(project, name, number, NewApproval(alias="champion"))
        assert [each for each in lacks() if "admin" in each] == lacks()
        with pytest.raises(GateClosed):
            owner.service(Models).set_alias(project, name, "champion", AliasTarget(version=number))
        acting("ada", Role.ADMIN).approve(project, name, number, NewApproval(alias="champion"))
        assert lacks() == []
        moved = owner.service(Models).set_alias(project, name, "champion", AliasTarget(version=number))
        assert moved.aliases == ["champion"]
