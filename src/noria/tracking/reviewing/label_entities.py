"""Label schemas: the questions that reviewers of traces are asked, and what an answer can be."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import TypeAlias

import msgspec


class LabelType(enum.StrEnum):
    """What an answer says: how good an application was, or what it should have done."""

    FEEDBACK = "feedback"
    EXPECTATION = "expectation"


class PassFail(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="pass_fail"):
    """One of two labels."""

    positive_label: str
    negative_label: str


class Categorical(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="categorical"):
    """One of several options, or some of them."""

    options: list[str]
    multi_select: bool = False


class Numeric(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="numeric"):
    """A number."""

    min_value: float | None = None
    max_value: float | None = None


class FreeText(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="text"):
    """Text of at most so many characters."""

    max_length: int | None = None


LabelInput: TypeAlias = PassFail | Categorical | Numeric | FreeText


class NewLabelSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question to ask.

    Attributes
    ----------
    experiment
        Number of the experiment whose traces are reviewed.
    name
        What is asked, and the name of the assessments that answer.
    enable_comment
        Whether a reviewer may add a comment.
    """

    experiment: int
    name: str
    type: LabelType
    input: LabelInput
    instruction: str | None = None
    enable_comment: bool = False


class LabelSchemaChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a question shall be; what is left out stays as it is. The kind of its input stays in any case."""

    name: str | None = None
    instruction: str | None = None
    enable_comment: bool | None = None
    input: LabelInput | None = None


class LabelSchema(msgspec.Struct, frozen=True, kw_only=True):
    """A question.

    Attributes
    ----------
    experiment
        Number.
    is_default
        Whether it is the one that every experiment has; it can be neither changed nor deleted.
    """

    id: str
    project: str
    experiment: int
    name: str
    type: LabelType
    input: LabelInput
    instruction: str | None
    enable_comment: bool
    is_default: bool
    created_at: datetime
    updated_at: datetime


class LabelSchemaPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a question belongs."""

    id: str
    project: str


class LabelSchemaPage(msgspec.Struct, frozen=True, kw_only=True):
    """Questions, newest first; `next` continues after them, or is None at the end."""

    items: list[LabelSchema]
    next: str | None
