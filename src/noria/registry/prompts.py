"""Prompts: MLflow's clients keep them as models with a tag, and lists of models leave them out."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from noria.registry.tables import model_tags, model_version_tags, model_versions, models

PROMPT_TAG: Final = "mlflow.prompt.is_prompt"


def is_prompt(tags: dict[str, str]) -> bool:
    """Tell whether tags mark a prompt.

    Examples
    --------
    >>> is_prompt({"mlflow.prompt.is_prompt": "true"})
    True
    """
    return tags.get(PROMPT_TAG, "false").lower() == "true"


def without_prompts() -> sa.ColumnElement[bool]:
    """Give the condition that a model is no prompt by its tags."""
    return models.c.pk.not_in(sa.select(model_tags.c.model_pk).where(_marks(model_tags)))


def without_prompt_versions() -> sa.ColumnElement[bool]:
    """Give the condition that a model is no prompt by the tags of its versions."""
    marked = (
        sa.select(model_versions.c.model_pk)
        .join(model_version_tags, model_version_tags.c.version_pk == model_versions.c.pk)
        .where(_marks(model_version_tags))
    )
    # Made once for the whole search: prompts are few.
    return models.c.pk.not_in(marked.correlate(None))


def _marks(tags: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(tags.c.key == PROMPT_TAG, tags.c.value == "true")
