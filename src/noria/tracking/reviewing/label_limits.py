"""What a question for reviewers can be."""

from __future__ import annotations

import functools
from typing import Final

import msgspec

from noria.core.errors import Invalid
from noria.tracking.limits import check_length, shorten
from noria.tracking.reviewing.label_entities import Categorical, FreeText, LabelInput, Numeric, PassFail

DEFAULT_NAME: Final = "Feedback"
DEFAULT_INSTRUCTION: Final = "Share any feedback on this trace."
MAX_NAME_CHARS: Final = 250
MAX_INSTRUCTION_CHARS: Final = 1_000
MAX_LABEL_CHARS: Final = 64
MAX_OPTIONS: Final = 10


def check_label_name(name: str) -> None:
    """Refuse a name that is empty, too long, or that of the question which every experiment has."""
    if not name:
        raise Invalid(f"Label schema `name` must be a non-empty string; got {name!r}.")
    check_length("name of the label schema", name, MAX_NAME_CHARS)
    if name.strip().lower() == DEFAULT_NAME.lower():
        raise Invalid(
            f"`{shorten(name)}` is reserved for the experiment's default question and cannot be used for"
            " another label schema."
        )


def check_instruction(text: str | None) -> None:
    """Refuse instructions that are too long."""
    check_length("instruction of the label schema", text or "", MAX_INSTRUCTION_CHARS)


@functools.singledispatch
def check_input(wanted: LabelInput) -> None:
    """Refuse an input that nobody could answer by."""
    raise TypeError(f"There is no check of {type(wanted).__name__}")


@check_input.register
def _(wanted: PassFail) -> None:
    for name in ("positive_label", "negative_label"):
        label = getattr(wanted, name)
        if not label:
            raise Invalid(f"`InputPassFail.{name}` must be a non-empty string; got {label!r}.")
        check_length("label of the label schema", label, MAX_LABEL_CHARS)
    if wanted.positive_label == wanted.negative_label:
        raise Invalid(
            "`InputPassFail.positive_label` and `negative_label` must be distinct; got"
            f" {wanted.positive_label!r} for both."
        )


@check_input.register
def _(wanted: Categorical) -> None:
    if not wanted.options:
        raise Invalid(f"`InputCategorical.options` must be a non-empty list; got {wanted.options!r}.")
    if len(wanted.options) > MAX_OPTIONS:
        raise Invalid(
            f"`InputCategorical.options` must have at most {MAX_OPTIONS} entries; got {len(wanted.options)}."
        )
    for at, option in enumerate(wanted.options):
        if not option:
            raise Invalid(f"`InputCategorical.options` entries must be non-empty strings; got {option!r}.")
        check_length("option of the label schema", option, MAX_LABEL_CHARS)
        if option in wanted.options[:at]:
            raise Invalid(f"`InputCategorical.options` must be deduplicated; {option!r} appears twice.")


@check_input.register
def _(wanted: Numeric) -> None:
    low, high = wanted.min_value, wanted.max_value
    if low is not None and high is not None and not low < high:
        raise Invalid(
            f"`InputNumeric.min_value` must be strictly less than `max_value`; got min={low}, max={high}."
        )


@check_input.register
def _(wanted: FreeText) -> None:
    if wanted.max_length is not None and wanted.max_length < 1:
        raise Invalid(f"`InputText.max_length` must be at least 1; got {wanted.max_length}.")


def check_same_kind(had: LabelInput, wanted: LabelInput) -> None:
    """Refuse to make another kind of question of one that may have been answered."""
    if type(had) is not type(wanted):
        raise Invalid(
            "A label schema's input type cannot be changed after creation: it is"
            f" {type(had).__name__}, not {type(wanted).__name__}"
        )
    if isinstance(had, Categorical) and wanted != msgspec.structs.replace(
        wanted, multi_select=had.multi_select
    ):
        raise Invalid("`InputCategorical.multi_select` cannot be changed after creation.")
