"""Blue-green for batch: two versions on the same rows, compared by the truth, switched under one stable name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import noria
from noria.cli.main import main
from noria.core.errors import Conflict, Invalid
from noria.core.workspace import Workspace, use_workspace
from noria.pipelines.jobs_entry import run_pipeline_job
from noria.registry.client import register
from noria.serving.batch.client import predict
from noria.serving.batch.compare import compare_batch
from noria.serving.batch.entities import SwitchBatch
from noria.serving.batch.names import point_stable
from noria.serving.batch.service import Batches
from noria.serving.batch.slot_entities import Metric, Rule, SetRule, Slot, Verdict
from support.model_server import open_folder
from support.postgres import PostgresServer

N_ROWS = 600


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a workspace with `churn@1`, which sees one column of noise more than it should, and `churn@2`."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=(N_ROWS, 2))
    y = x[:, 0] > 0
    with open_folder(tmp_path_factory.mktemp("slots")) as opened:
        worse = LogisticRegression().fit(x, x[:, 1] > 0)
        for model in (worse, LogisticRegression().fit(x, y)):
            register(model, "churn", x=x, y=y, workspace=opened)
        for offset in (5.0, 0.0):
            line = LinearRegression().fit(x, x[:, 0] + offset)
            register(line, "value", x=x, y=x[:, 0] + offset, workspace=opened)
        rows = pl.DataFrame({"id": np.arange(N_ROWS), "a": x[:, 0], "b": x[:, 1]})
        noria.dataset("people", workspace=opened).append(rows)
        truth = rows.select(
            "id", day=pl.col("id") // 5, left=pl.lit(value=True) & (pl.col("a") > 0), worth="a"
        )
        noria.dataset("truth", workspace=opened).append(truth)
        yield opened


def run(workspace: Workspace, version: str, slot: str, batch: str, output: str | None = None) -> Any:
    """Run a version into a slot."""
    return predict(version, "people", output, key=["id"], batch=batch, slot=slot, workspace=workspace)


def test_a_table_is_switched_by_rule_when_the_truth_says_so(workspace: Workspace) -> None:
    """Little truth decides nothing; more of it does, and the stable table holds the other version's rows."""
    batches = workspace.service(Batches)

    def stable() -> pl.DataFrame:
        return noria.dataset("scores", workspace=workspace).polars()

    run(workspace, "churn@1", "blue", "scores", "scores")
    assert stable()["model_version"].unique().to_list() == [1]
    with pytest.raises(Conflict, match="slot green"):
        compare_batch(workspace, "scores", "truth", "left")
    run(workspace, "churn@2", "green", "scores")
    assert stable()["model_version"].unique().to_list() == [1], "what is not live is not seen"
    batches.set_rule("default", "scores", SetRule(rule=Rule(min_gain=0.1, min_pairs=50)))

    early = noria.dataset("truth", workspace=workspace).polars().head(8)
    noria.dataset("early", workspace=workspace).append(early)
    found = compare_batch(workspace, "scores", "early", "left")
    assert (found.switched, found.batch.comparison and found.batch.comparison.verdict) == (
        False,
        Verdict.UNDECIDED,
    )
    found = compare_batch(workspace, "scores", "truth", "left")
    comparison = found.batch.comparison
    assert comparison is not None
    assert (comparison.metric, comparison.n_pairs, comparison.n_without_truth) == (Metric.ACCURACY, N_ROWS, 0)
    assert comparison.gain == pytest.approx(comparison.candidate_value - comparison.live_value)
    assert comparison.gain_low is not None
    assert 0.1 < comparison.gain_low < comparison.gain
    assert (found.switched, found.batch.live) == (True, Slot.GREEN)
    assert stable()["model_version"].unique().to_list() == [2]
    by_day = compare_batch(workspace, "scores", "truth", "left", block="day").batch.comparison
    assert by_day is not None
    assert (by_day.n_blocks, by_day.verdict) == (N_ROWS // 5, Verdict.WORSE)
    back = batches.switch("default", "scores", SwitchBatch(reason="to see"))
    assert (back.live, stable()["model_version"].unique().to_list()) == (Slot.BLUE, [1])


def test_truth_that_cannot_be_compared_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    """A missing column, a key twice, no common key, and slots of different inputs."""
    run(workspace, "churn@1", "blue", "refused", "refused")
    run(workspace, "churn@2", "green", "refused")
    twice = pl.DataFrame({"id": [1, 1], "left": [True, False]})
    twice.write_csv(tmp_path / "twice.csv")
    twice.with_columns(id=pl.col("id") + 10_000).unique("id").write_csv(tmp_path / "others.csv")
    for truth, label, message in (
        ("truth", "gone", "no column `gone`"),
        (str(tmp_path / "twice.csv"), "left", "1 rows of the truth"),
        (str(tmp_path / "others.csv"), "left", "No row of `refused`"),
    ):
        with pytest.raises(Invalid, match=message):
            compare_batch(workspace, "refused", truth, label)
    noria.dataset("fewer", workspace=workspace).append(
        noria.dataset("people", workspace=workspace).polars()[:9]
    )
    predict("churn@2", "fewer", key=["id"], batch="refused", slot="green", workspace=workspace)
    with pytest.raises(Conflict, match="different inputs"):
        compare_batch(workspace, "refused", "truth", "left")


def test_a_file_is_reached_by_a_link_that_a_kill_cannot_leave_wrong(
    workspace: Workspace, tmp_path: Path
) -> None:
    """The link follows the switch; killed in between, the next look mends it; a file of another is left alone."""
    stable = tmp_path / "worth.parquet"
    run(workspace, "value@1", "blue", "worth", str(stable))
    run(workspace, "value@2", "green", "worth", str(stable))
    assert (stable.is_symlink(), pl.read_parquet(stable)["model_version"][0]) == (True, 1)
    found = compare_batch(workspace, "worth", "truth", "worth").batch.comparison
    assert found is not None
    assert (found.metric, found.verdict, round(found.gain, 6)) == (Metric.MAE, Verdict.BETTER, 5.0)
    workspace.service(Batches).switch("default", "worth", SwitchBatch())
    assert pl.read_parquet(stable)["model_version"][0] == 1, "as if killed before the link"
    assert point_stable(workspace, "worth").pointed is Slot.GREEN
    assert pl.read_parquet(stable)["model_version"][0] == 2
    (tmp_path / "own.parquet").write_bytes(b"own")
    with pytest.raises(Conflict, match="a file of its own"):
        run(workspace, "value@1", "blue", "own", str(tmp_path / "own.parquet"))
    assert (tmp_path / "own.parquet").read_bytes() == b"own"


def test_a_view_of_postgres_follows_the_switch(workspace: Workspace, postgres_server: PostgresServer) -> None:
    """Consumers of the view read one version or the other, and a run into the live slot shows at once."""
    import psycopg

    with postgres_server.fresh_database() as url:
        output = f"{url}#worth"
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:

            def versions() -> list[Any]:
                return connection.execute(
                    "select distinct model_version, count(*) from worth group by 1"
                ).fetchall()

            run(workspace, "value@1", "blue", "in-postgres", output)
            run(workspace, "value@2", "green", "in-postgres", output)
            assert versions() == [(1, N_ROWS)]
            with use_workspace(workspace):
                found = compare_batch(workspace, "in-postgres", "truth", "worth", output=output)
            assert found.batch.comparison is not None
            assert found.batch.comparison.verdict is Verdict.BETTER
            workspace.service(Batches).switch("default", "in-postgres", SwitchBatch())
            point_stable(workspace, "in-postgres", output)
            assert versions() == [(2, N_ROWS)]


def test_schedules_run_it_as_a_pipeline_of_noria(workspace: Workspace) -> None:
    """An interval that is run twice is predicted once."""
    params = {
        "model": "churn@2",
        "input": "people",
        "output": "nightly",
        "key": "id",
        "once": "nightly 2026-11-22T00:00:00+00:00",
    }
    with use_workspace(workspace):
        for _ in range(2):
            run_pipeline_job(workspace, "noria.serving.batch.pipeline:predict", dict(params))
    (told,) = workspace.service(Batches).runs("default", limit=1).items
    assert (told.once, told.attempt, told.written) == (params["once"], 1, "nightly@1")


def test_the_commands_as_a_person_types_them(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From two predictions through a comparison to the switch, for people and as JSON; what is wrong ends with 1."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(workspace.settings.folder))

    def typed(line: str, code: int = 0) -> str:
        assert main(line.split()) == code, capsys.readouterr()
        return "".join(capsys.readouterr())

    told = "predict churn@1 --input people --key id --batch typed --slot blue --json"
    first = json.loads(typed(f"{told} --output typed"))
    assert (first["n_rows"], first["written"]) == (N_ROWS, "typed.blue@1")
    assert "600" in typed("predict churn@2 --input people --key id --batch typed --slot green")
    assert "better" in typed("batches compare typed --truth truth --label left")
    assert "churn@2" in typed("batches show typed")
    assert json.loads(typed("batches switch typed --reason better --json"))["live"] == "green"
    assert "switches when" in typed("batches rule typed --min-gain 0.01")
    assert json.loads(typed("batches rule typed --off --json"))["rule"] is None
    assert "typed" in typed("batches list")
    assert "typed.blue@1" in typed("batches runs --batch typed --status succeeded")
    assert first["id"] in typed(f"batches run {first['id']}")
    assert "one of" in typed("batches switch typed --to red", code=2).lower()
    assert "Where the predictions go" in typed("predict churn --input people", code=2)
    assert "noria up" in typed("predict churn --input people --output x --submit", code=2)
