"""Which project a model of MLflow's flat world belongs to, and Noria's errors about models in MLflow's words.

Models of the project `default` have their plain names; those of any other project are called `project.model`. Only
the present name of a model is its name here: what it was called before leads to it in Noria's own references alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from noria.core.adapters import AdapterRequest
from noria.interop.mlflow.errors import INVALID_PARAMETER_VALUE, MlflowError, invalid, missing
from noria.interop.mlflow.validation import check_length
from noria.registry.entities import Model, ModelVersion
from noria.registry.queries import RegistryPlace
from noria.registry.rows import ModelNotFound, ModelVersionNotFound
from noria.registry.rules import MAX_ALIAS_CHARS, check_model_name
from noria.registry.search import Registry
from noria.registry.service import AliasNotFound, Models

_ALIAS = re.compile(r"[\w\-]*\n?")
_VERSION_ALIAS = re.compile(r"[vV]\d+\n?")


def get_place(request: AdapterRequest, shown: str) -> RegistryPlace:
    """Find the project and name of a model.

    Raises
    ------
    MlflowError
        If there is none of this name that the caller may read.
    """
    place = place_for(request, shown)
    if not place.exists:
        raise missing(f"Registered Model with name={shown} not found")
    return place


def place_for(request: AdapterRequest, shown: str) -> RegistryPlace:
    """Find the project and name of a model that is, or shall be, called so."""
    return request.context.guarded(Registry).locate(check_model_name(shown))


def get_model(request: AdapterRequest, shown: str) -> tuple[RegistryPlace, Model]:
    """Get a model by the name that MLflow's clients see."""
    place = get_place(request, shown)
    with in_words(shown):
        return place, request.context.guarded(Models).get(place.project, place.name)


def get_version(request: AdapterRequest, shown: str, version: str) -> tuple[RegistryPlace, ModelVersion]:
    """Get a version of a model by its number."""
    check_model_name(shown)
    number = number_of(version)
    with in_words(shown, version):
        place = get_place_of_version(request, shown, version)
        return place, request.context.guarded(Models).version(place.project, place.name, number)


def get_place_of_version(request: AdapterRequest, shown: str, version: str) -> RegistryPlace:
    """Find the model of a version; that there is none is told of the version, as MLflow does."""
    place = place_for(request, shown)
    if not place.exists:
        raise missing(f"Model Version (name={shown}, version={version}) not found")
    return place


def get_aliased(request: AdapterRequest, shown: str, alias: str) -> tuple[RegistryPlace, ModelVersion]:
    """Get the version that an alias points to; `latest` is the newest one."""
    check_model_name(shown)
    check_alias_name(alias)
    place = get_place(request, shown)
    models = request.context.guarded(Models)
    with in_words(shown):
        model = models.get(place.project, place.name)
        if alias.lower() == "latest":
            if not model.latest:
                raise missing(f"Latest version not found for model {shown}.")
            return place, models.version(place.project, place.name, model.latest)
        if alias not in model.aliases:
            raise invalid(f"Registered model alias {alias} not found.")
        return place, models.version(place.project, place.name, model.aliases[alias])


def check_alias_name(alias: str) -> None:
    """Refuse what is no name of an alias."""
    if not _ALIAS.fullmatch(alias):
        raise invalid(
            f"Invalid alias name: '{alias[:300]}'. "
            "Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )
    check_length("Registered model alias name", alias, MAX_ALIAS_CHARS)


def check_new_alias(alias: str) -> None:
    """Refuse what could be taken for a version."""
    check_alias_name(alias)
    if alias.lower() == "latest":
        raise invalid("'latest' alias name (case insensitive) is reserved.")
    if _VERSION_ALIAS.fullmatch(alias):
        raise invalid(f"Version alias name '{alias}' is reserved.")


def number_of(version: str) -> int:
    """Read the number of a version."""
    try:
        return int(version)
    except ValueError as error:
        raise invalid(f"Parameter 'version' must be an integer, got '{version[:100]}'.") from error


@contextmanager
def in_words(shown: str, version: str = "") -> Iterator[None]:
    """Tell in MLflow's words what is not there."""
    try:
        yield
    except ModelVersionNotFound as error:
        raise missing(f"Model Version (name={shown}, version={version}) not found") from error
    except ModelNotFound as error:
        raise missing(f"Registered Model with name={shown} not found") from error
    except AliasNotFound as error:
        alias = error.details.get("alias", "")
        raise MlflowError(INVALID_PARAMETER_VALUE, f"Registered model alias {alias} not found.") from error
