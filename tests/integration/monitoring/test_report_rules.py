"""What an endpoint was asked, held to the rules of the data that its version was trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

import noria
from noria.cli.main import main
from noria.core.config import load_settings
from noria.core.ids import new_id
from noria.core.serialisation import to_builtins
from noria.core.workspace import open_workspace
from noria.data.client import dataset
from noria.data.quality.settings import ColumnRules, DataSection, DatasetRules
from noria.monitoring.entities import AlertKind
from noria.monitoring.evaluate import look
from noria.monitoring.reference import load_reference
from noria.monitoring.reports.live import endpoint_report
from noria.monitoring.service import Monitors
from noria.monitoring.windows.ruling import Ruling
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Deployment
from noria.serving.predictions import CaptureBatch, Prediction

RULES = """
[data.checks.loans]
min_rows = 1000000
key = ["id"]

[data.checks.loans.columns.income]
type = "integer"
min = 0
max_missing = 0.05

[data.checks.loans.columns.rooms]
values = [1, 2, 3]

[data.checks.loans.columns.id]
unique = true

[[data.checks.loans.rows]]
name = "rent fits the income"
keep = "rent <= income"

[[data.checks.loans.rows]]
name = "paid in time"
keep = "paid <= due"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a workspace with an endpoint whose model was trained on a data set with rules, and thirty requests."""
    place = tmp_path_factory.mktemp("rules")
    (place / "noria.toml").write_text(RULES)
    n = 300
    frame = pl.DataFrame(
        {
            "income": [1000.0 + i for i in range(n)],
            "rent": [500.0 + i % 7 for i in range(n)],
            "rooms": [float(1 + i % 3) for i in range(n)],
            "late": [i % 2 for i in range(n)],
        }
    )
    frame.write_parquet(place / "loans.parquet")
    # Nine incomes are below 0, fourteen below the rent; two rooms of five are 0 or 4.
    asked = [{"income": 2000.0 - 100 * i, "rent": 500.0, "rooms": float(i % 5)} for i in range(30)]
    with open_workspace(load_settings(workspace=str(place), environ={}, folder=place)) as workspace:
        dataset("loans", workspace=workspace).add(place / "loans.parquet")
        inputs, late = frame.select("income", "rent", "rooms"), frame["late"].to_numpy()
        fitted = LogisticRegression(max_iter=1000).fit(inputs.to_numpy(), late)
        noria.register(fitted, "loans", x=inputs, y=late, dataset="loans@1", workspace=workspace)
        workspace.service(Endpoints).deploy("default", "loans", Deployment(model="loans", version=1))
        made = [
            Prediction(
                id=new_id(), version=1, at=workspace.clock.now(), inputs=row, outputs={"predictions": 0}
            )
            for row in asked
        ]
        workspace.service(Captures).append("default", "loans", CaptureBatch(predictions=made))
    return place


def test_requests_are_held_to_the_rules_of_the_training_data(folder: Path) -> None:
    """Bounds, values and conditions by value; not what a data set keeps as a whole; what cannot be read is told."""
    with open_workspace(load_settings(workspace=str(folder), environ={}, folder=folder)) as workspace:
        found = endpoint_report(workspace, "loans")

    assert {result.words: (result.passed, result.n_broken) for result in found.rules} == {
        "income: min": (False, 9),
        "income: missing": (True, None),
        "rooms: values": (False, 12),
        "rent fits the income": (False, 14),
    }
    assert [result.passed for result in found.rules] == [False, False, False, True]
    (lack,) = [each for each in found.lacks if "rule" in each]
    assert lack == "The rule `paid in time` of `loans` is about more than the model takes: `paid`"


def test_the_command_and_its_file_tell_broken_rules(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As lines, as JSON, and in the file in the reader's language."""
    monkeypatch.chdir(folder)
    place = ["-w", str(folder)]
    assert main(["monitors", "report", "loans", *place]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    page = tmp_path / "loans.html"
    assert main(["monitors", "report", "loans", "--json", "--html", str(page), "--lang", "es", *place]) == 0
    told = json.loads(capsys.readouterr().out)["rules"]
    text = page.read_text()

    assert "1 of 4 rules of the training data are kept" in shown
    assert "rent fits the income" in shown
    assert {each["rule"] for each in told if not each["passed"]} == {"min", "values", "rent fits the income"}
    assert "Reglas de los datos de entrenamiento" in text
    assert "Se cumplen 1 de 4." in text
    assert "income: min" in text


def test_a_window_is_held_to_the_rules_and_an_alert_tells_what_is_broken(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the rules of the server that asks for the look; without rules nothing is said."""
    with open_workspace(load_settings(workspace=str(folder), environ={}, folder=folder)) as workspace:
        monitors, settings = workspace.service(Monitors), {"window_rows": 30}
        checks = to_builtins(workspace.settings.section("data", DataSection).checks)
        monitors.watch("default", "loans")
        assert look(workspace, "default", "loans", settings, checks)["windows"] == 1
        (window,) = monitors.windows("default", "loans").items
        (alert,) = [each for each in monitors.alerts("default").items if each.kind is AlertKind.RULES]

    assert {rule.name: (rule.n_broken, rule.surely) for rule in window.rules} == {
        "income: min": (9, True),
        "rooms: values": (12, True),
        "rent fits the income": (14, True),
    }
    assert window.n_rules == 4
    assert any("`paid in time`" in lack for lack in window.lacks)
    assert alert.sentence.startswith(
        "The rule `rent fits the income` of the training data is broken by 14 of 30 rows, 46.7% (surely more than "
    )
    assert alert.sentence.endswith("1.0% is tolerated; so are 2 of 3 other rules")
    assert main(["monitors", "alerts", "-w", str(folder)]) == 0
    assert "rules" in capsys.readouterr().out


def test_without_rules_a_window_is_as_it_was(tmp_path: Path, folder: Path) -> None:
    """What other data keep is no matter of this model."""
    place = Path(shutil.copytree(folder, tmp_path / "copy"))
    with open_workspace(load_settings(workspace=str(place), environ={}, folder=place)) as workspace:
        monitors = workspace.service(Monitors)
        reference = load_reference(workspace, "default", "loans", 1)
        rules = {"others": DatasetRules(columns={"income": ColumnRules(min=0)})}
        ruling = Ruling(workspace, "default", "loans", rules, lambda _: reference, 0.01)
        (window,) = monitors.windows("default", "loans").items
        bare = msgspec.structs.replace(window, rules=[], n_rules=0)

        assert ruling.held(bare, now=workspace.clock.now()) == bare
