"""Prompts: MLflow's clients keep them as models with a tag, and lists of models leave them out."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from noria.registry.tables import model_tags, models

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
    """Give the condition that a model is no prompt."""
    marked = (
        sa.select(model_tags.c.model_pk)
        .where(model_tags.c.model_pk == models.c.pk)
        .where(model_tags.c.key == PROMPT_TAG, model_tags.c.value == "true")
    )
    return ~sa.exists(marked)
