"""Operations on logged models."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.database.engine import upsertable
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.events.log import EventType
from noria.core.ids import new_id
from noria.core.operations import Service, operation
from noria.tracking.events import RUN_UPDATED, append_event
from noria.tracking.experiment_rows import get_experiment
from noria.tracking.keys import intern_keys
from noria.tracking.limits import MAX_KEY_CHARS, MAX_NAME_CHARS, check_length, shorten
from noria.tracking.model_entities import (
    LoggedModel,
    LoggedModelPage,
    ModelEnd,
    ModelParams,
    ModelPlace,
    ModelSearch,
    ModelStatus,
    ModelTags,
    NewLoggedModel,
    RunModels,
)
from noria.tracking.model_events import (
    LOGGED_MODEL_CREATED,
    LOGGED_MODEL_DELETED,
    LOGGED_MODEL_FINISHED,
    LOGGED_MODEL_RESTORED,
    LOGGED_MODEL_UPDATED,
)
from noria.tracking.model_links import REF, write_run_models
from noria.tracking.model_rows import (
    LoggedModelNotFound,
    find_place,
    is_model_id,
    load_model,
    load_models,
    model_pk,
)
from noria.tracking.model_search import search_models
from noria.tracking.model_tables import logged_model_params, logged_model_tags, logged_models
from noria.tracking.permissions import FIND_RUNS, READ_RUNS, WRITE_RUNS
from noria.tracking.run_keys import run_key
from noria.tracking.tables import experiments, tracking_keys

MAX_PAGE = 1_000
MAX_VALUE_CHARS = 65_535
MAX_ENTRIES = 10_000
MAX_SOURCE_CHARS = 256
_BAD_CHARS = ("/", ":", ".", "%", '"', "'")


class LoggedModels(Service):
    """Models that runs made, each with params, tags, metrics and files."""

    @operation("POST", "/projects/{project}/logged-models", needs=WRITE_RUNS)
    def create(self, project: str, new: NewLoggedModel) -> LoggedModel:
        """Begin a logged model; it is pending until `finish` says that its files are there."""
        _check_new(new)
        model_id = new.id or f"m-{new_id()}"
        with self.context.database.write() as connection:
            owner = project_pk(connection, project)
            experiment = get_experiment(connection, owner, new.experiment)
            if experiment["deleted_at"] is not None:
                raise Invalid(
                    f"The experiment {experiment['number']} must be in the 'active' state."
                    " Current state is deleted."
                )
            _check_free(connection, model_id)
            now = self.context.clock.now()
            values = {
                "id": model_id,
                "project_pk": owner,
                "experiment_pk": experiment["pk"],
                "name": new.name or f"model-{model_id[-8:]}",
                "status": ModelStatus.PENDING,
                "status_message": "",
                "model_type": new.model_type,
                "source_run": new.source_run,
                "created_at": new.created_at or now,
                "updated_at": now,
            }
            key = connection.execute(_INSERT, values).scalar_one()
            _write_params(connection, key, model_id, new.params)
            _write_tags(connection, key, new.tags)
            payload = {"experiment": new.experiment, "name": values["name"], "source_run": new.source_run}
            self._append(connection, LOGGED_MODEL_CREATED, project, model_id, payload)
            return load_model(connection, key)

    @operation("GET", "/projects/{project}/logged-models/{model_id}", needs=READ_RUNS)
    def get(self, project: str, model_id: str, deleted: bool = False) -> LoggedModel:
        """Get one logged model; a deleted one only with `deleted`."""
        with self.context.database.read() as connection:
            return load_model(connection, model_pk(connection, project, model_id, deleted_too=deleted))

    @operation("GET", "/logged-models/{model_id}/place", needs=FIND_RUNS)
    def locate(self, model_id: str) -> ModelPlace:
        """Tell which project and experiment a logged model belongs to, deleted or not."""
        with self.context.database.read() as connection:
            place = find_place(connection, model_id)
        if place is None or not self.context.principal.may(READ_RUNS, place.project):
            raise LoggedModelNotFound(model_id)
        return place

    @operation("POST", "/logged-models/search", needs=FIND_RUNS, status=200)
    def search(self, search: ModelSearch) -> LoggedModelPage:
        """Search active models of experiments of any project."""
        bounded = msgspec.structs.replace(search, limit=max(1, min(search.limit, MAX_PAGE)))
        with self.context.database.read() as connection:
            readable = self._readable(connection, search.numbers)
            keys, token = search_models(connection, readable, bounded)
            return LoggedModelPage(items=load_models(connection, keys), next=token)

    @operation("POST", "/projects/{project}/logged-models/{model_id}/finish", needs=WRITE_RUNS, status=200)
    def finish(self, project: str, model_id: str, end: ModelEnd) -> LoggedModel:
        """Say what became of a model's making; may be said again."""
        check_length("status message", end.message, MAX_SOURCE_CHARS * 4)
        values = {"status": end.status, "status_message": end.message}
        return self._change(project, model_id, values, LOGGED_MODEL_FINISHED, {"status": end.status})

    @operation("DELETE", "/projects/{project}/logged-models/{model_id}", needs=WRITE_RUNS)
    def delete(self, project: str, model_id: str) -> LoggedModel:
        """Delete a logged model; it can be restored until the grace period is over."""
        now = self.context.clock.now()
        return self._change(project, model_id, {"deleted_at": now}, LOGGED_MODEL_DELETED, {})

    @operation("POST", "/projects/{project}/logged-models/{model_id}/restore", needs=WRITE_RUNS, status=200)
    def restore(self, project: str, model_id: str) -> LoggedModel:
        """Take back the deletion of a logged model."""
        return self._change(project, model_id, {"deleted_at": None}, LOGGED_MODEL_RESTORED, {})

    @operation("POST", "/projects/{project}/logged-models/{model_id}/params", needs=WRITE_RUNS, status=200)
    def add_params(self, project: str, model_id: str, given: ModelParams) -> LoggedModel:
        """Add params; one that is there already keeps its value, and cannot get another."""
        _check_values("param", given.params)
        with self.context.database.write() as connection:
            key = model_pk(connection, project, model_id)
            _write_params(connection, key, model_id, given.params)
            payload = {"params": list(given.params)}
            self._append(connection, LOGGED_MODEL_UPDATED, project, model_id, payload)
            return load_model(connection, key)

    @operation("POST", "/projects/{project}/logged-models/{model_id}/tags", needs=WRITE_RUNS, status=200)
    def set_tags(self, project: str, model_id: str, given: ModelTags) -> LoggedModel:
        """Set tags, or remove those that are null."""
        _check_values("tag", given.tags)
        with self.context.database.write() as connection:
            key = model_pk(connection, project, model_id)
            _write_tags(connection, key, given.tags)
            self._append(connection, LOGGED_MODEL_UPDATED, project, model_id, {"tags": list(given.tags)})
            return load_model(connection, key)

    @operation("DELETE", "/projects/{project}/logged-models/{model_id}/tags", needs=WRITE_RUNS)
    def remove_tag(self, project: str, model_id: str, key: str = "") -> None:
        """Remove a tag that is there."""
        with self.context.database.write() as connection:
            model = model_pk(connection, project, model_id)
            if not connection.execute(_REMOVE_TAG, {"model": model, "key": key}).rowcount:
                raise NotFound(f"No tag with key {key!r} found for model with ID {model_id!r}.")
            self._append(connection, LOGGED_MODEL_UPDATED, project, model_id, {"tags": [key]})

    @operation("POST", "/projects/{project}/runs/{run_id}/models", needs=WRITE_RUNS)
    def link(self, project: str, run_id: str, models: RunModels) -> None:
        """Note which logged models a run read and made."""
        if len(models.inputs) + len(models.outputs) > MAX_ENTRIES:
            raise Invalid(f"More than {MAX_ENTRIES} models cannot be linked at once")
        with self.context.database.write() as connection:
            run = run_key(connection, project, run_id)
            now = self.context.clock.now()
            write_run_models(connection, project=project, run=run.pk, models=models, now=now)
            payload = {
                "inputs": [REF + use.model for use in models.inputs],
                "outputs": [REF + use.model for use in models.outputs],
            }
            append_event(
                connection,
                self.context,
                RUN_UPDATED,
                subject=f"run:{run_id}",
                project=project,
                payload={kind: refs for kind, refs in payload.items() if refs},
            )

    def _change(
        self, project: str, model_id: str, values: dict[str, Any], kind: EventType, payload: dict[str, Any]
    ) -> LoggedModel:
        with self.context.database.write() as connection:
            key = model_pk(connection, project, model_id)
            changed = {**values, "updated_at": self.context.clock.now()}
            connection.execute(sa.update(logged_models).where(logged_models.c.pk == key).values(changed))
            self._append(connection, kind, project, model_id, payload)
            return load_model(connection, key)

    def _readable(self, connection: sa.Connection, numbers: list[int]) -> list[int]:
        """Give the integer keys of those experiments that the caller may read."""
        found = connection.execute(_EXPERIMENTS, {"numbers": list(dict.fromkeys(numbers))})
        return [key for key, project in found if self.context.principal.may(READ_RUNS, project)]

    def _append(
        self, connection: sa.Connection, kind: EventType, project: str, model_id: str, payload: dict[str, Any]
    ) -> None:
        append_event(connection, self.context, kind, subject=REF + model_id, project=project, payload=payload)


def check_model_name(name: str) -> None:
    """Refuse a name that cannot stand in an address or a reference."""
    check_length("model name", name, MAX_NAME_CHARS)
    if not name or any(sign in name for sign in _BAD_CHARS):
        raise Invalid(
            f"Invalid model name ({name!r}) provided. Model name must be a non-empty string and cannot contain"
            f" the following characters: {_BAD_CHARS}"
        )


def _check_free(connection: sa.Connection, model_id: str) -> None:
    taken = sa.select(logged_models.c.pk).where(logged_models.c.id == model_id)
    if connection.execute(taken).first() is not None:
        raise Conflict(f"There is a logged model `{model_id}` already", hint="Leave the id out")


def _check_new(new: NewLoggedModel) -> None:
    if new.id is not None and not is_model_id(new.id):
        raise Invalid(
            f"`{shorten(new.id)}` is not the id of a logged model",
            hint="Use `m-` and 32 hexadecimal digits, or leave it out",
        )
    if new.name is not None:
        check_model_name(new.name)
    check_length("model type", new.model_type, MAX_NAME_CHARS)
    check_length("id of the source run", new.source_run, MAX_SOURCE_CHARS)
    _check_values("param", new.params)
    _check_values("tag", new.tags)


def _check_values(kind: str, values: Mapping[str, str | None]) -> None:
    # Other than those of runs, these keys are not restricted: clients flatten whole configurations into them.
    if len(values) > MAX_ENTRIES:
        raise Invalid(f"{len(values)} {kind}s are more than the {MAX_ENTRIES} that are taken at once")
    for key, value in values.items():
        if not key:
            raise Invalid(f"The key of a {kind} is empty")
        check_length(f"{kind} key", key, MAX_KEY_CHARS)
        check_length(f"value of the {kind} `{shorten(key)}`", value or "", MAX_VALUE_CHARS)


def _write_params(connection: sa.Connection, model: int, model_id: str, params: Mapping[str, str]) -> None:
    if not params:
        return
    keys = intern_keys(connection, params)
    rows = [{"model_pk": model, "key_pk": keys[key], "value": value} for key, value in params.items()]
    connection.execute(_add_params(connection.dialect.name), rows)
    names = {keys[key]: key for key in params}
    for key_pk, old in connection.execute(_PARAMS, {"model": model}):
        key = names.get(key_pk)
        if key is not None and old != params[key]:
            raise Conflict(
                f"The param `{shorten(key)}` of the logged model `{model_id}` is `{shorten(old)}` and cannot"
                f" become `{shorten(params[key])}`",
                hint="Params never change: log it as a tag",
            )


def _write_tags(connection: sa.Connection, model: int, tags: Mapping[str, str | None]) -> None:
    keys = intern_keys(connection, tags)
    rows = [
        {"model_pk": model, "key_pk": keys[key], "value": value}
        for key, value in tags.items()
        if value is not None
    ]
    if rows:
        connection.execute(_set_tags(connection.dialect.name), rows)
    for key in (key for key, value in tags.items() if value is None):
        connection.execute(_REMOVE_TAG, {"model": model, "key": key})


@functools.cache
def _add_params(dialect: str) -> sa.Insert:
    return upsertable(dialect, logged_model_params).on_conflict_do_nothing()


@functools.cache
def _set_tags(dialect: str) -> sa.Insert:
    insert = upsertable(dialect, logged_model_tags)
    return insert.on_conflict_do_update(
        index_elements=["model_pk", "key_pk"], set_={"value": insert.excluded.value}
    )


_INSERT = sa.insert(logged_models).returning(logged_models.c.pk)
_PARAMS = sa.select(logged_model_params.c.key_pk, logged_model_params.c.value).where(
    logged_model_params.c.model_pk == sa.bindparam("model")
)
_REMOVE_TAG = (
    sa.delete(logged_model_tags)
    .where(logged_model_tags.c.model_pk == sa.bindparam("model"))
    .where(
        logged_model_tags.c.key_pk
        == sa.select(tracking_keys.c.pk).where(tracking_keys.c.key == sa.bindparam("key")).scalar_subquery()
    )
)
_EXPERIMENTS = (
    sa.select(experiments.c.pk, projects.c.name)
    .join(projects, projects.c.pk == experiments.c.project_pk)
    .where(experiments.c.number.in_(sa.bindparam("numbers", expanding=True)))
    .order_by(experiments.c.number)
)
