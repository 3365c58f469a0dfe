"""DBOS behind a small face: the only module that knows it.

DBOS is one per process, configured by its constructor and found through class methods; this module starts and ends
that one, and keeps to the rules of the house: JSON records only, one fixed version and executor, no telemetry, no
console output.
"""

from __future__ import annotations

import contextvars
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar, cast

import dbos
import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos import _dbos as dbos_module
from dbos import _scheduler as scheduler
from dbos import _workflow_commands as workflow_commands
from dbos._serialization import DefaultSerializer, Serializer

from noria.core.clock import Clock
from noria.core.control.codec import as_noria_error, decode, encode, require_json
from noria.core.control.steps import Abandoned, Executions, RecordedSteps
from noria.core.control.workflows import JSON
from noria.core.database.failures import translated
from noria.core.errors import Conflict, Corrupt, ErrorBody, Invalid, NotFound, Unavailable

APPLICATION_VERSION = "1"
"""A workflow is resumed only by the version that started it. Never raised, since otherwise an upgrade of Noria would
leave the running workflows standing for ever: those whose steps an upgrade changed begin again."""

EXECUTOR_ID = "noria"
"""One for all: whoever holds the workspace's lock takes over what its predecessor left."""

SCHEMA = "noria_control"

Function = Callable[..., JSON]
R = TypeVar("R")

AGAIN = ":again"
"""Ends the id of a workflow that began again without its record."""

_LETTING_GO_S = 0.5
"""An abandoned workflow unwinds at once; only a function that computes between its steps does not."""

_log = logging.getLogger("noria.control")
_dbos_log = logging.getLogger("dbos")


class WorkflowStatus(StrEnum):
    """How far a workflow has come."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    def is_finished(self) -> bool:
        """Tell whether nothing will happen any more."""
        return self is not WorkflowStatus.RUNNING


_STATUS = {
    "SUCCESS": WorkflowStatus.SUCCEEDED,
    "ERROR": WorkflowStatus.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": WorkflowStatus.FAILED,
    "CANCELLED": WorkflowStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowState:
    """A workflow as its record tells.

    Attributes
    ----------
    status
        `running` also while a stopped loop waits to be started again.
    answer
        What the function returned, once it succeeded.
    error
        What it raised, once it failed.
    """

    workflow_id: str
    name: str
    status: WorkflowStatus
    answer: JSON = None
    error: ErrorBody | None = None


RESUMING_S = 3.0
SWEEPING_S = 30.0
"""How often DBOS looks for workflows that are resumed, and for delays and deadlines of workflows, of which none has
any. Both once a second, its own choice, take half of what a server takes that nobody asks anything."""


def _look_less_often() -> None:
    """Slow down what DBOS has no setting for; without effect where another version of it names this differently."""
    workflow_commands._BACKGROUND_JOBS_INTERVAL_SEC = SWEEPING_S
    # Of its first minute: it looks for schedules of its own, of which we have none.
    scheduler._STARTUP_FAST_POLL_INTERVAL_SEC = SWEEPING_S
    instance = dbos_module._dbos_global_instance
    if instance is not None:
        instance._registry.get_internal_queue()._polling_interval_sec = RESUMING_S


class _OtherSteps(BaseException):
    """The record is of other steps than the function takes.

    Not an `Exception`, so that no workflow takes it for the failure of a step.
    """

    def __init__(self, error: dbos.error.DBOSUnexpectedStepError) -> None:
        super().__init__(str(error))
        self.error = error


class JsonSerializer(Serializer):
    """Keeps values and errors as JSON."""

    def serialize(self, data: Any) -> str:
        """Encode a value or an exception."""
        return encode(data)

    def deserialize(self, serialized_data: str) -> Any:
        """Decode a record."""
        return decode(serialized_data)

    def name(self) -> str:
        """Name of the form, kept beside each record."""
        return "noria_json"


class Engine:
    """Runs durable functions on one database, from `launch` to `shut_down`; can be launched again.

    Parameters
    ----------
    url
        `sqlite:///…` or `postgresql://…`.
    functions
        What can be started, by name; each takes `Steps` and JSON arguments.
    begin_again
        Names of those that begin again when their record is of other steps.
    """

    def __init__(
        self,
        *,
        url: str,
        functions: Mapping[str, Function],
        clock: Clock,
        begin_again: Set[str] = frozenset(),
    ) -> None:
        self._url = url
        self._functions = functions
        self._begin_again = begin_again
        self._clock = clock
        self._started: dict[str, Callable[..., Any]] = {}
        self._executions = Executions()
        self._log_bridge = _LogBridge()
        self._changing = threading.Lock()

    def launch(self) -> None:
        """Open the database and take up what was left unfinished.

        Raises
        ------
        Conflict
            If another engine runs in this process.
        Unavailable
            If the database cannot be opened.
        """
        if dbos_module._dbos_global_instance is not None:
            raise Conflict(
                "A control loop already runs in this process", hint="Stop it first: `ControlLoop.stop()`"
            )
        _refuse_pickles()
        self._executions = Executions()
        self._log_bridge.install()
        try:
            _prepare_file(sa.make_url(self._url))
            DBOS(config=self._config())
            self._started = {name: self._register(name, fn) for name, fn in self._functions.items()}
            _look_less_often()
            DBOS.launch()
        except Exception as error:
            self._destroy()
            raise self._unavailable(error) from error

    def shut_down(self, grace_s: float) -> None:
        """Wait up to `grace_s` for running steps, leave the rest to the next launch, and close the database."""
        if not self._executions.stop(grace_s):
            self._executions.abandon()
            self._executions.stop(_LETTING_GO_S)
        self._destroy()

    def start(self, name: str, workflow_id: str, arguments: tuple[JSON, ...]) -> None:
        """Start a workflow unless one of this id was started before.

        Raises
        ------
        Invalid
            If the id is empty or an argument is not JSON.
        Conflict
            If the id belongs to a workflow of another name.
        """
        if not workflow_id.strip():
            raise Invalid("A workflow needs an id that is not empty", hint="Such as `rollout:<id>`")
        for index, argument in enumerate(arguments):
            require_json(argument, f"Argument {index + 1} of workflow `{name}`")
        try:
            self._call(lambda: self._start(name, workflow_id, arguments))
        except dbos.error.DBOSWorkflowIDInUseError as error:
            if error.workflow_name != name:
                raise Conflict(
                    f"The id `{workflow_id}` belongs to the workflow `{error.workflow_name}`, not to `{name}`",
                    hint="Give each kind of workflow ids of its own, such as `rollout:<id>`",
                ) from error

    def cancel(self, workflow_id: str) -> None:
        """Let a workflow go no further than the step it is in."""
        self.state(workflow_id)
        with self._changing:
            self._call(lambda: DBOS.cancel_workflow(workflow_id))
        self._executions.cancel(workflow_id)

    def state(self, workflow_id: str) -> WorkflowState:
        """Tell how far a workflow has come.

        Raises
        ------
        NotFound
            If none of this id was started, or it finished so long ago that its record is gone.
        """
        found = self._call(lambda: DBOS.list_workflows(workflow_ids=[workflow_id], load_input=False))
        if not found:
            raise NotFound(
                f"There is no workflow `{workflow_id}`",
                hint="Records of finished workflows are kept for days",
            )
        return _state(found[0])

    def runs_any(self, name: str) -> bool:
        """Tell whether a workflow of this name runs in this process."""
        return self._executions.runs_any(name)

    def revive(self, idle_s: float) -> None:
        """Take up again what has stood still for `idle_s`: workflows whose progress could not be recorded.

        A full disk stops them; DBOS itself would look for them only at the next launch.
        """
        latest = datetime.now(UTC) - timedelta(seconds=idle_s)
        # One lock with `cancel`, since resuming would bring a workflow back that was cancelled in between.
        with self._changing:
            for row in DBOS.list_workflows(status="PENDING", load_input=False, load_output=False):
                known = row.name in self._functions and not self._executions.is_running(row.workflow_id)
                if known and (row.updated_at or 0) < latest.timestamp() * 1000:
                    _log.warning("control.revived", extra={"workflow_id": row.workflow_id})
                    DBOS.resume_workflow(row.workflow_id)

    def forget_finished(self, *, before: datetime, names: list[str] | None, limit: int) -> int:
        """Delete records of workflows that finished before an instant.

        Parameters
        ----------
        names
            Only workflows of these names.
        limit
            At most this many, so that the database's writer is not held up for long.

        Returns
        -------
        int
            How many were deleted.
        """
        found: list[dbos.WorkflowStatus] = DBOS.list_workflows(
            status=list(_STATUS),
            completed_before=before.isoformat(),
            name=names,
            limit=limit,
            load_input=False,
            load_output=False,
        )
        if found:
            DBOS.delete_workflows([workflow.workflow_id for workflow in found])
        return len(found)

    def _config(self) -> DBOSConfig:
        return {
            "name": "noria",
            "system_database_url": self._url,
            "dbos_system_schema": SCHEMA,
            "application_version": APPLICATION_VERSION,
            "executor_id": EXECUTOR_ID,
            "serializer": JsonSerializer(),
            "enable_otlp": False,
            "log_level": "WARNING",
            "sys_db_pool_size": 10,
            # We use none of DBOS's messages: no LISTEN connection, and a listener that sleeps in naps which the
            # end of the engine has to wait for.
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": 0.2,
            "notification_coalesce_sec": 1.0,
        }

    def _register(self, name: str, function: Function) -> Callable[..., Any]:
        executions = self._executions

        def run(*arguments: JSON) -> JSON:
            workflow_id = cast("str", DBOS.workflow_id)
            steps = RecordedSteps(
                workflow_id=workflow_id, record=_record, executions=executions, clock=self._clock
            )
            with executions.running(name, workflow_id), _told(name, workflow_id):
                try:
                    answer = function(steps, *arguments)
                except _OtherSteps as found:
                    answer = self._again(name, workflow_id, arguments, found)
                # Once more, for a function that took the end of the loop for an error and went on.
                executions.check()
                return require_json(answer, f"The answer of workflow `{name}`")

        # None: no limit. DBOS gives a workflow up after 100 recoveries, but each restart of the server counts as
        # one, and a rollout that lives for a week must outlive any number of them.
        return DBOS.workflow(name=name, max_recovery_attempts=None)(run)

    def _again(self, name: str, workflow_id: str, arguments: tuple[JSON, ...], found: _OtherSteps) -> JSON:
        """Start a workflow once more without its record, if it can tell by itself how far it came."""
        if name not in self._begin_again:
            raise found.error
        anew = workflow_id + AGAIN
        _log.warning(
            "control.began_again", extra={"workflow_id": workflow_id, "anew": anew, "why": str(found)}
        )
        try:
            self.start(name, anew, arguments)
        except Unavailable as error:
            raise Abandoned from error  # the next launch, or `revive`, comes here once more
        return {"began_again": anew}

    def _start(self, name: str, workflow_id: str, arguments: tuple[JSON, ...]) -> None:
        with SetWorkflowID(workflow_id, workflow_id_reuse_policy="reject"):
            DBOS.start_workflow(self._started[name], *arguments)

    def _call(self, call: Callable[[], R]) -> R:
        try:
            with translated():
                # In the context of a running workflow DBOS would count the call as one of its steps.
                return contextvars.Context().run(call)
        except (RuntimeError, dbos.error.DBOSException) as error:
            if not self._executions.is_stopping or isinstance(error, dbos.error.DBOSWorkflowIDInUseError):
                raise
            raise Unavailable(
                "The control loop is stopping",
                hint="Try again once it runs; the id keeps a workflow from being started twice",
            ) from error

    def _destroy(self) -> None:
        DBOS.destroy(destroy_registry=True)
        self._log_bridge.remove()

    def _unavailable(self, error: Exception) -> Unavailable:
        shown = sa.make_url(self._url).render_as_string(hide_password=True)
        cause = getattr(error, "orig", None) or error
        return Unavailable(f"The control loop cannot open its database `{shown}`: {cause}")


def _record(name: str, fn: Callable[[], Any]) -> Any:
    try:
        return DBOS.run_step({"name": name}, fn)
    except dbos.error.DBOSUnexpectedStepError as error:
        raise _OtherSteps(error) from error
    except sa.exc.SQLAlchemyError as error:
        # The record failed, not the step. `Engine.revive` takes the workflow up again; it must not count as failed.
        _log.warning("control.not_recorded", extra={"step": name}, exc_info=error)
        raise Abandoned from error


@contextmanager
def _told(name: str, workflow_id: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        cause = error.__cause__ or error
        told = {"workflow": name, "workflow_id": workflow_id}
        _log.error("control.workflow_failed", extra=told, exc_info=cause)
        raise


def _state(row: dbos.WorkflowStatus) -> WorkflowState:
    error = row.error
    return WorkflowState(
        workflow_id=row.workflow_id,
        name=row.name,
        status=_STATUS.get(row.status, WorkflowStatus.RUNNING),
        answer=row.output,
        error=None if error is None else as_noria_error(error).to_body(),
    )


def _prepare_file(url: sa.URL) -> None:
    """Put a SQLite file into WAL mode, which it stays in: a step commits in about a third of the time."""
    if url.get_backend_name() == "sqlite" and url.database:
        with closing(sqlite3.connect(url.database, timeout=30)) as connection:
            connection.execute("pragma journal_mode = wal")


def _refuse_pickles() -> None:
    """Take DBOS's own serialiser out of the process.

    DBOS reads a record by the serialiser that is named beside it. Whoever can write to the control database, or gives
    away a workspace folder, could name pickle there and so run code in the server.
    """

    def refuse(*_: object) -> Any:
        raise Corrupt("A record of the control loop is a pickle, which Noria neither writes nor reads")

    setattr(DefaultSerializer, "serialize", refuse)  # noqa: B010 - mypy forbids assigning to a method
    setattr(DefaultSerializer, "deserialize", refuse)  # noqa: B010


class _LogBridge(logging.Handler):
    """Hands what DBOS logs to `noria.control`. With a handler in place DBOS adds no console handler of its own."""

    def install(self) -> None:
        _dbos_log.addHandler(self)
        _dbos_log.propagate = False

    def remove(self) -> None:
        _dbos_log.removeHandler(self)
        _dbos_log.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        if _log.isEnabledFor(record.levelno) and not _is_told(record):
            _log.handle(record)


def _is_told(record: logging.LogRecord) -> bool:
    """Whether a record is of an exception that left a workflow's function, which `_told` has logged."""
    error = record.exc_info[1] if record.exc_info else None
    ended = record.getMessage().startswith("Exception encountered in background workflow")
    return ended and not isinstance(error, sa.exc.SQLAlchemyError)
