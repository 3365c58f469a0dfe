"""Which project an experiment of MLflow's flat world belongs to, and what it is called there.

MLflow knows no projects. Experiments of the project `default` have their plain names; those of any other project are
called `project/name`. A client that creates or asks for `project/name` means that project, if the caller may read it
and `default` has no experiment of that literal name. Ids are numbers that count through the workspace, so they need no
project; what the caller may not read does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from noria.access.projects import Projects
from noria.core.adapters import AdapterRequest
from noria.core.errors import Forbidden, NotFound
from noria.interop.mlflow.errors import invalid, missing
from noria.tracking.by_id import RunsById
from noria.tracking.entities import LogBatch, RunPlace
from noria.tracking.experiment_entities import Experiment
from noria.tracking.permissions import READ_RUNS
from noria.tracking.rows import readable_run
from noria.tracking.run_keys import RunDeleted
from noria.tracking.run_rows import RunRow, load_run_rows
from noria.tracking.service import Experiments, Runs

DEFAULT_PROJECT: Final = "default"
DEFAULT_NUMBER: Final = 0
"""The experiment that is meant where none is named."""

_LIMIT_OF_NUMBERS: Final = 1 << 63


def shown_name(project: str, name: str) -> str:
    """Give the name of an experiment as MLflow's clients see it.

    Examples
    --------
    >>> shown_name("default", "digits"), shown_name("bank", "churn")
    ('digits', 'bank/churn')
    """
    return name if project == DEFAULT_PROJECT else f"{project}/{name}"


def place_of_name(request: AdapterRequest, shown: str) -> tuple[str, str]:
    """Give project and name of the experiment that is, or shall be, called so."""
    project, slash, name = shown.partition("/")
    if not slash or not name or project == DEFAULT_PROJECT:
        return DEFAULT_PROJECT, shown
    if not request.context.principal.may(READ_RUNS, project) or not _is_project(request, project):
        return DEFAULT_PROJECT, shown
    literal = _find(request, DEFAULT_PROJECT, shown)
    return (project, name) if literal is None else (DEFAULT_PROJECT, shown)


def find_experiment(request: AdapterRequest, shown: str) -> Experiment | None:
    """Find an experiment by the name that MLflow's clients see."""
    literal = _find(request, DEFAULT_PROJECT, shown)
    if literal is not None:
        return literal
    project, name = place_of_name(request, shown)
    return None if project == DEFAULT_PROJECT else _find(request, project, name)


def get_experiment(request: AdapterRequest, experiment_id: str) -> Experiment:
    """Get an experiment by its id.

    Raises
    ------
    MlflowError
        If the id is no number, or there is none of that number that the caller may read.
    """
    number = number_of(experiment_id)
    try:
        return request.context.guarded(Experiments).by_number(number)
    except NotFound as error:
        raise missing(f"No Experiment with id={number} exists") from error


def number_of(experiment_id: str) -> int:
    """Read the id of an experiment; the first one is meant where there is no id."""
    return _number_of(experiment_id or str(DEFAULT_NUMBER))


def numbers_of(experiment_ids: Iterable[str]) -> list[int]:
    """Read the ids of experiments to search; an empty one means none, not the first."""
    return [_number_of(each) for each in experiment_ids]


def _number_of(experiment_id: str) -> int:
    try:
        number = int(experiment_id)
    except ValueError as error:
        raise invalid(
            f"Invalid experiment ID '{experiment_id}'. Experiment ID must be a valid integer."
        ) from error
    if not -_LIMIT_OF_NUMBERS <= number < _LIMIT_OF_NUMBERS:
        raise missing(f"No Experiment with id={number} exists")
    return number


def get_place(request: AdapterRequest, run_id: str) -> RunPlace:
    """Find the project and experiment of a run.

    Raises
    ------
    MlflowError
        If there is no such run that the caller may read.
    """
    try:
        return request.context.guarded(Runs).locate(run_id)
    except NotFound as error:
        raise missing(f"Run with id={run_id} not found") from error


def get_active_place(request: AdapterRequest, run_id: str) -> RunPlace:
    """Find the project and experiment of a run that can be written to.

    Raises
    ------
    MlflowError
        If there is none, or it is deleted.
    """
    place = get_place(request, run_id)
    if place.deleted_at is not None:
        raise invalid(f"The run {run_id} must be in the 'active' state. Current state is deleted.")
    return place


def load_row(request: AdapterRequest, run_id: str) -> RunRow:
    """Read a run with all that it holds.

    Raises
    ------
    MlflowError
        If there is no such run that the caller may read.
    """
    with request.context.database.read() as connection:
        try:
            found = readable_run(connection, request.context.principal, run_id)
        except NotFound as error:
            raise missing(f"Run with id={run_id} not found") from error
        (row,) = load_run_rows(connection, [found.state.key.pk])
        return row


def log(request: AdapterRequest, run_id: str, batch: LogBatch) -> None:
    """Write what a run logs.

    Raises
    ------
    MlflowError
        If there is no such run, or it is deleted.
    """
    with telling_of_run(run_id):
        request.context.guarded(RunsById).log(run_id, batch)


class telling_of_run:  # noqa: N801 - read as a word of the `with` statement
    """Tell in MLflow's words that a run is not there, or cannot be written to."""

    __slots__ = ("_run_id",)

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise what went wrong in MLflow's words."""
        if isinstance(error, RunDeleted):
            raise invalid(
                f"The run {self._run_id} must be in the 'active' state. Current state is deleted."
            ) from error
        if type(error) is NotFound:
            raise missing(f"Run with id={self._run_id} not found") from error


def check_active(experiment: Experiment) -> None:
    """Refuse to write to a deleted experiment."""
    if experiment.deleted_at is not None:
        raise invalid(
            f"The experiment {experiment.number} must be in the 'active' state. Current state is deleted."
        )


def _find(request: AdapterRequest, project: str, name: str) -> Experiment | None:
    try:
        return request.context.guarded(Experiments).get(project, name)
    except (NotFound, Forbidden):
        return None


def _is_project(request: AdapterRequest, name: str) -> bool:
    try:
        request.context.guarded(Projects).get(name)
    except (NotFound, Forbidden):
        return False
    return True
