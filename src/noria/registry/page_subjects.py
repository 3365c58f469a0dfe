"""The model and the version that a page or a form is about, and where their pages are."""

from __future__ import annotations

from noria.core.errors import NotFound
from noria.core.web.actions import FieldError, FieldsRefused
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.registry.entities import Model, ModelVersion
from noria.registry.rows import ModelVersionNotFound
from noria.registry.service import Models


def models_of(visit: Visit) -> Models:
    """Give the service of models."""
    return visit.context.service(Models)


def model_of(visit: Visit) -> Model:
    """Get the model that the address names."""
    return models_of(visit).get(visit.parameters["project"], visit.parameters["model"])


def version_of(visit: Visit) -> ModelVersion:
    """Get the version that the address names."""
    model = model_of(visit)
    return models_of(visit).version(model.project, model.name, version_number(visit))


def version_number(visit: Visit) -> int:
    """Give the number in the address.

    Raises
    ------
    NotFound
        If it is none.
    """
    given = visit.parameters["version"]
    if not (given.isascii() and given.isdecimal()) or len(given) > 15:
        raise NotFound(f"`{given[:60]}` is no number of a version", hint="Choose one of the list")
    return int(given)


def known_version(visit: Visit, model: Model, number: int) -> ModelVersion:
    """Get a version that was typed into a form.

    Raises
    ------
    FieldsRefused
        If there is none.
    """
    try:
        return models_of(visit).version(model.project, model.name, number)
    except ModelVersionNotFound as error:
        wrong = FieldError(words=mark("There is no such version"))
        raise FieldsRefused({"version": wrong}) from error


def told(version: ModelVersion) -> str:
    """Tell a version in figures and names, which need no translation."""
    holdout = version.holdout
    metric = f"{holdout.metric} {holdout.value:.4g} (n = {holdout.n}), " if holdout else ""
    return f"{metric}{version.author}, {version.created_at:%Y-%m-%d %H:%M} UTC"


def model_page(visit: Visit, part: str = "") -> str:
    """Give the address of the model's page, or of what can be done there."""
    return visit.urls.model(visit.parameters["project"], visit.parameters["model"], part)


def version_page(visit: Visit, part: str = "") -> str:
    """Give the address of the version's page, or of what can be done there."""
    return visit.urls.version(
        visit.parameters["project"], visit.parameters["model"], version_number(visit), part
    )
