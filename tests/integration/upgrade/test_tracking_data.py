"""Runs that an older version stored, as this one reads and writes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.database.engine import Database
from noria.core.database.migrate import upgrade
from noria.core.database.schema import from_micros
from noria.core.workspace import open_context
from noria.tracking.entities import LogBatch, NewRun, RunEnd, RunStatus
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.point_entities import MetricPoint
from noria.tracking.service import Experiments, Runs
from support.conformance import workspace_settings

PROJECT = "default"
IDS = [f"{number:032x}" for number in range(1, 6)]
START = 1_700_000_000_000_000
STORED = f"""
insert into experiments (id, project_pk, name, number, created_at) select 'e1', pk, 'digits', 1, {START} from projects;
insert into tracking_keys (key) values ('lr'), ('loss'), ('team');
insert into runs (id, project_pk, experiment_pk, parent_pk, name, status, started_at, ended_at, author, source)
  select '{IDS[0]}', project_pk, pk, null, 'first', 'finished', {START}, {START + 9}, 'ana', '{{"python":"3.12"}}'
  from experiments where number = 1;
insert into runs (id, project_pk, experiment_pk, parent_pk, name, status, started_at, ended_at, author, source)
  select '{IDS[1]}', project_pk, experiment_pk, pk, 'second', 'running', {START + 1}, null, 'ana', null
  from runs where name = 'first';
insert into run_params (run_pk, key_pk, value)
  select r.pk, k.pk, '{"x" * 100}' from runs r, tracking_keys k where r.name = 'first' and k.key = 'lr';
insert into run_tags (run_pk, key_pk, value)
  select r.pk, k.pk, 'vision' from runs r, tracking_keys k where r.name = 'second' and k.key = 'team';
insert into metric_points (run_pk, key_pk, step, at, is_nan, value)
  select r.pk, k.pk, 3, {START}, 0, 0.5 from runs r, tracking_keys k where r.name = 'first' and k.key = 'loss';
insert into metric_latest (run_pk, key_pk, step, at, is_nan, value)
  select r.pk, k.pk, 3, {START}, 0, 0.5 from runs r, tracking_keys k where r.name = 'first' and k.key = 'loss';
insert into run_links (run_pk, direction, ref, digest, at)
  select pk, 'input', 'dataset:digits@1', '', {START} from runs where name = 'first';
insert into run_artifacts (run_pk, path, digest, size_bytes, at)
  select pk, 'a.txt', 'blake3:{"0" * 64}', 3, {START} from runs where name = 'first';
"""  # noqa: S608 - constants


@pytest.fixture
def upgraded(database_url: str, tmp_path: Path) -> Iterator[Context]:
    """Give a workspace whose database holds runs of the first release."""
    old = Database(database_url)
    upgrade(old, "tracking_0001")
    with old.write() as connection:
        for statement in STORED.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement.replace("%", "%%"))
    old.dispose()
    context = open_context(workspace_settings(tmp_path / "workspace", database_url), SystemClock())
    yield context
    context.database.dispose()


def test_runs_of_an_older_version_are_read_as_they_were(upgraded: Context) -> None:
    """Params, metrics, tags, links, artifacts, parents and experiments are all there."""
    runs = upgraded.service(Runs)
    first, second = (runs.get(PROJECT, run_id) for run_id in IDS[:2])

    assert (first.name, first.experiment, first.status) == ("first", "digits", RunStatus.FINISHED)
    assert (first.started_at, first.ended_at) == (from_micros(START), from_micros(START + 9))
    assert first.source is not None
    assert (first.source.python, first.author, first.deleted_at) == ("3.12", "ana", None)
    assert (first.params, first.metrics) == ({"lr": "x" * 100}, {"loss": 0.5})
    assert [link.ref for link in first.inputs] == ["dataset:digits@1"]
    assert [a.path for a in runs.artifacts(PROJECT, IDS[0]).items] == ["a.txt"]
    assert (second.parent, second.tags) == (IDS[0], {"team": "vision"})
    assert runs.points(PROJECT, IDS[0], "loss").points.steps == [3]
    assert [run.id for run in runs.list(PROJECT, experiment="digits").items] == [IDS[1], IDS[0]]


def test_what_is_derived_is_filled_in(upgraded: Context) -> None:
    """Counts, numbers, times of experiments, and what searches go by, are as if this version had written it all."""
    runs, experiments = upgraded.service(Runs), upgraded.service(Experiments)
    counted = {(c.experiment, c.status, c.deleted, c.n_runs) for c in runs.counts(PROJECT).items}
    digits = experiments.get(PROJECT, "digits")

    assert counted == {("digits", RunStatus.FINISHED, False, 1), ("digits", RunStatus.RUNNING, False, 1)}
    assert digits.updated_at == digits.created_at == from_micros(START)
    assert experiments.create(PROJECT, NewExperiment(name="new")).number == 2
    owners = "select p.experiment_pk, r.experiment_pk from {} p join runs r on r.pk = p.run_pk"
    with upgraded.database.read() as connection:
        for table in ("run_params", "run_tags", "metric_latest"):
            (pair,) = connection.execute(sa.text(owners.format(table))).all()
            assert pair[0] == pair[1], table
        heads = connection.execute(sa.text("select head from run_params union all select head from run_tags"))
        assert set(heads.scalars()) == {"x" * 64, "vision"}


def test_runs_of_an_older_version_go_on(upgraded: Context) -> None:
    """They take points, end, are deleted, and new ones stand beside them."""
    runs = upgraded.service(Runs)
    point = MetricPoint(key="loss", value=0.25, step=4, at=datetime.now(UTC))
    runs.log(PROJECT, IDS[0], LogBatch(metrics=[point], params={"lr": "x" * 100, "seed": "1"}))
    runs.finish(PROJECT, IDS[1], RunEnd())
    runs.delete(PROJECT, IDS[1])
    made = runs.create(PROJECT, NewRun(experiment="digits", parent=IDS[0]))

    assert runs.get(PROJECT, IDS[0]).metrics == {"loss": 0.25}
    assert [run.id for run in runs.list(PROJECT).items] == [made.id, IDS[0]]
    if upgraded.database.is_sqlite:
        with upgraded.database.read() as connection:
            assert connection.exec_driver_sql("pragma foreign_key_check").fetchall() == []
