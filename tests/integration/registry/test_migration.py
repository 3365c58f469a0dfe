"""Models that 0.1.0 registered, after the migration: the same versions, in the same places."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.clock import SystemClock
from noria.core.database.engine import Database
from noria.core.database.migrate import migrate
from noria.core.database.schema import to_micros
from noria.registry.entities import NewModel, SourceVersion, Stage, Task
from noria.registry.service import Models
from noria.registry.versions import ModelVersions
from support.conformance import open_test_context, workspace_settings
from support.schema import load_schema

SCHEMAS = Path(__file__).parents[1] / "upgrade" / "schemas" / "0.1.0"
AT = to_micros(datetime(2026, 1, 1, tzinfo=UTC))
SIGNATURE = (
    '{"inputs":[{"name":"x","datatype":"FP64","shape":[-1,4]}],'
    '"outputs":[{"name":"predictions","datatype":"INT64","shape":[-1]}]}'
)


@pytest.fixture
def old(database_url: str) -> Iterator[Database]:
    """Give a database of 0.1.0 with a model of three versions and an alias."""
    database = Database(database_url)
    name = "sqlite.sql" if database.is_sqlite else "postgres.sql"
    load_schema(database, (SCHEMAS / name).read_text())
    try:
        with database.write() as connection:
            for statement, values in rows():
                connection.execute(sa.text(statement), values)
        yield database
    finally:
        database.dispose()


def rows() -> Iterator[tuple[str, dict[str, object]]]:
    """Give what was stored, in words of SQL: today's tables are no help."""
    project = "insert into projects (pk, id, name, created_at) values (1, 'p', 'default', :at)"
    yield project, {"at": AT}
    model = "insert into models (id, project_pk, name, latest, created_at) values ('m1', 1, 'digits', 3, :at)"
    yield model, {"at": AT}
    version = (
        "insert into model_versions (id, model_pk, version, digest, format, task, signature, classes, holdout,"
        " metrics, origin, message, author, created_at) values (:id, 1, :n, :digest, 'sklearn-skops',"
        " 'classification', :signature, '[0,1]', null, :metrics, :origin, 'first', 'ana', :at)"
    )
    for n in (1, 2, 3):
        origin = f'{{"run_id":"run{n}","params":{{"depth":{n}}}}}'
        yield (
            version,
            {
                "n": n,
                "id": f"v{n}",
                "digest": f"blake3:{n:064}",
                "metrics": '{"accuracy":0.5}',
                "signature": SIGNATURE,
                "origin": origin,
                "at": AT + n,
            },
        )
    yield (
        "insert into model_aliases (model_pk, alias, version, moved_at) values (1, 'v1', 2, :at)",
        {"at": AT},
    )


def test_models_of_the_first_release_are_what_they_were(
    old: Database, tmp_path: Path, database_url: str
) -> None:
    """Versions, aliases (also those that are refused today) and origins are there; numbers count on."""
    migrate(old, now=datetime(2026, 2, 1, tzinfo=UTC))
    old.dispose()
    settings = workspace_settings(tmp_path / "workspace", database_url)
    with open_test_context(settings, SystemClock()) as context:
        models = context.service(Models)
        found = models.versions("default", "digits").items
        model = models.get("default", "digits")
        other = models.create("default", NewModel(name="Other, new"))
        made = context.service(ModelVersions).register("default", "digits", SourceVersion(source="s3://b/m"))
        listed = [each.name for each in models.list("default").items]

    assert [(v.version, v.id, v.digest) for v in found] == [
        (n, f"v{n}", f"blake3:{n:064}") for n in (3, 2, 1)
    ]
    for version in found:
        assert (version.format, version.task, version.author) == ("sklearn-skops", Task.CLASSIFICATION, "ana")
        assert (version.classes, version.metrics, version.message) == ([0, 1], {"accuracy": 0.5}, "first")
        assert version.origin.run_id == f"run{version.version}"
        assert version.signature is not None
        assert (version.stage, version.tags, version.pickled) == (Stage.NONE, {}, False)
        assert version.updated_at == version.created_at
    assert (model.id, model.latest, model.aliases) == ("m1", 3, {"v1": 2})
    assert model.updated_at == model.created_at
    assert made.version == 4
    assert listed == ["Other, new", "digits"]
    assert other.latest == 0
