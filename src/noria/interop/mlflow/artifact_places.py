"""Whose artifacts a path is about.

To MLflow's clients all artifacts lie in one tree: below the location of an experiment there are `<run>/artifacts/…` and
`models/<model>/artifacts/…`. Here each run and each model has a shelf of its own, so a path is taken apart; what
belongs to neither is kept beside the runs of the project whose experiment the path begins with, or else of `default`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from noria.core.adapters import AdapterRequest
from noria.core.errors import NotFound
from noria.core.ids import is_id
from noria.interop.mlflow.artifact_paths import parts_of, proxied_parts
from noria.interop.mlflow.errors import MlflowError, invalid, missing
from noria.interop.mlflow.locations import artifact_location
from noria.interop.mlflow.projects import DEFAULT_PROJECT
from noria.tracking.artifact_entities import FolderItem
from noria.tracking.artifacts import Artifacts
from noria.tracking.entities import RunPlace
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import ModelPlace
from noria.tracking.model_rows import is_model_id
from noria.tracking.service import Experiments, Runs

MODELS: Final = "models"
ARTIFACTS: Final = "artifacts"

_PAGE: Final = 10_000
_MAX_NUMBER_DIGITS: Final = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A path on a shelf.

    Attributes
    ----------
    of
        As `Artifacts` takes it: `run:<id>`, `logged-model:<id>`, or empty text for what lies beside them.
    parts
        Of the path; none for the root of the shelf.
    """

    project: str
    of: str
    parts: tuple[str, ...]

    @property
    def path(self) -> str:
        """The path as text."""
        return "/".join(self.parts)


def run_place(place: RunPlace, parts: list[str]) -> Place:
    """Give a path among the artifacts of a run."""
    return Place(project=place.project, of=f"run:{place.run_id}", parts=tuple(parts))


def model_place(place: ModelPlace, parts: list[str]) -> Place:
    """Give a path among the artifacts of a logged model."""
    return Place(project=place.project, of=f"logged-model:{place.model_id}", parts=tuple(parts))


def place_of(request: AdapterRequest, parts: list[str]) -> Place:
    """Find the shelf that a path of the tree leads to."""
    for at in range(len(parts) - 1):
        if parts[at + 1] != ARTIFACTS:
            continue
        found = _place_at(request, parts, at)
        if found is not None:
            return found
    return Place(project=_project_of(request, parts), of="", parts=tuple(parts))


def place_of_uri(request: AdapterRequest, uri: str, path: str = "") -> Place:
    """Find the shelf of an artifact's address, and a path below it.

    Parameters
    ----------
    uri
        `mlflow-artifacts:/…`, `runs:/<run>/…` or `models:/<logged model>/…`.

    Raises
    ------
    MlflowError
        If clients reach the address without this server, or there is no such run or model.
    """
    scheme, _, rest = uri.partition(":")
    owner, *inside = [*parts_of(rest.lstrip("/")), *parts_of(path)] or [""]
    try:
        if scheme == "runs":
            return run_place(request.context.guarded(Runs).locate(owner), inside)
        if scheme == MODELS and is_model_id(owner):
            return model_place(request.context.guarded(LoggedModels).locate(owner), inside)
    except NotFound as error:
        raise missing(error.message) from error
    root = proxied_parts(uri)
    if root is None:
        raise MlflowError(
            "NOT_IMPLEMENTED", f"This server does not read artifacts of the scheme '{scheme[:100]}'."
        )
    return place_of(request, [*parts_of("/".join(root)), *parts_of(path)])


def listing(request: AdapterRequest, place: Place) -> Iterator[FolderItem]:
    """List what lies right inside a folder of a shelf."""
    artifacts = request.context.guarded(Artifacts)
    after: str | None = ""
    while after is not None:
        page = artifacts.folder(place.project, of=place.of, path=place.path, limit=_PAGE, after=after)
        yield from page.items
        after = page.next


def names_above_shelves(request: AdapterRequest, parts: list[str]) -> set[str]:
    """Name the folders inside a folder of the tree that stand for experiments, runs and models with artifacts."""
    found: set[str] = set()
    for owner in request.context.guarded(Artifacts).experiments().items:
        root = proxied_parts(artifact_location(owner.number, owner.artifact_location))
        if root is None:
            continue
        if len(parts) < len(root):
            found.update(root[len(parts) : len(parts) + 1] if root[: len(parts)] == parts else ())
        elif parts[: len(root)] == root:
            found |= _names_in_experiment(request, owner.number, parts[len(root) :])
    return found


def check_within_shelf(request: AdapterRequest, place: Place) -> None:
    """Refuse to delete a folder that holds the artifacts of runs and models, rather than lies among those of one."""
    if place.of == "" and names_above_shelves(request, list(place.parts)):
        raise invalid(
            f"'{place.path}' holds the artifacts of whole runs or models; delete those, or paths below their"
            " 'artifacts'"
        )


def _place_at(request: AdapterRequest, parts: list[str], at: int) -> Place | None:
    """Give the place if the part `at` is the id of a run or model whose artifacts are there."""
    owner, rest = parts[at], parts[at + 2 :]
    try:
        if is_id(owner):
            run = request.context.guarded(Runs).locate(owner)
            if _root_of(run) == parts[:at]:
                return run_place(run, rest)
        elif is_model_id(owner) and at > 0 and parts[at - 1] == MODELS:
            model = request.context.guarded(LoggedModels).locate(owner)
            if _root_of(model) == parts[: at - 1]:
                return model_place(model, rest)
    except NotFound:
        return None
    return None


def _root_of(place: RunPlace | ModelPlace) -> list[str] | None:
    return proxied_parts(artifact_location(place.experiment_number, place.artifact_location))


def _project_of(request: AdapterRequest, parts: list[str]) -> str:
    """Give the project of the experiment whose number a path begins with, if the caller may read it."""
    first = parts[0] if parts else ""
    if first.isascii() and first.isdigit() and len(first) <= _MAX_NUMBER_DIGITS:
        try:
            return request.context.guarded(Experiments).by_number(int(first)).project
        except NotFound:
            pass
    return DEFAULT_PROJECT


def _names_in_experiment(request: AdapterRequest, number: int, parts: list[str]) -> set[str]:
    if len(parts) > 2:
        return set()
    owners = request.context.guarded(Artifacts).owners(number)
    if not parts:
        return {*owners.runs, *([MODELS] if owners.models else [])}
    if parts == [MODELS]:
        return set(owners.models)
    is_owner = (
        parts[0] in owners.runs if len(parts) == 1 else parts[0] == MODELS and parts[1] in owners.models
    )
    return {ARTIFACTS} if is_owner else set()
