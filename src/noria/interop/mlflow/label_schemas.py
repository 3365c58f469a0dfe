"""MLflow's endpoints of label schemas."""

from __future__ import annotations

from typing import Final

from noria.core.adapters import AdapterRequest
from noria.interop.mlflow.decoding import SEE_DOCS
from noria.interop.mlflow.errors import RESOURCE_ALREADY_EXISTS, MlflowError, invalid, missing
from noria.interop.mlflow.projects import get_experiment
from noria.interop.mlflow.times import millis
from noria.interop.mlflow.wire import Endpoints, Int32, Int64, Message, WireEnum, wire_number
from noria.tracking.experiment_entities import Experiment
from noria.tracking.reviewing.label_entities import (
    Categorical,
    FreeText,
    LabelInput,
    LabelSchema,
    LabelSchemaChange,
    LabelType,
    NewLabelSchema,
    Numeric,
    PassFail,
)
from noria.tracking.reviewing.labels import LabelSchemaNotFound, LabelSchemas, LabelSchemaTaken

MAX_LISTED: Final = 50_000
DEFAULT_LISTED: Final = 100

endpoint = Endpoints()


class LabelSchemaType(WireEnum):
    """What an answer says."""

    LABEL_SCHEMA_TYPE_UNSPECIFIED = "LABEL_SCHEMA_TYPE_UNSPECIFIED", 0
    FEEDBACK = "FEEDBACK", 1
    EXPECTATION = "EXPECTATION", 2


class PassFailMessage(Message):
    """One of two labels."""

    positive_label: str = ""
    negative_label: str = ""


class CategoricalMessage(Message):
    """Options; whether several can be chosen is always told."""

    options: list[str] = []
    multi_select: bool | None = None


class NumericMessage(Message):
    """A number between bounds."""

    min_value: float | str | None = None
    max_value: float | str | None = None


class TextMessage(Message):
    """Text."""

    max_length: Int64 | None = None


class InputMessage(Message):
    """One of the kinds of input."""

    pass_fail: PassFailMessage | None = None
    categorical: CategoricalMessage | None = None
    numeric: NumericMessage | None = None
    text: TextMessage | None = None


class CreateLabelSchema(Message):
    """A question to ask."""

    experiment_id: str = ""
    name: str = ""
    type: LabelSchemaType = LabelSchemaType.LABEL_SCHEMA_TYPE_UNSPECIFIED
    input: InputMessage | None = None
    instruction: str | None = None
    enable_comment: bool = False


class LabelSchemaId(Message):
    """A question."""

    schema_id: str = ""


class LabelSchemaName(Message):
    """A question, by its name."""

    experiment_id: str = ""
    name: str = ""


class ListLabelSchemas(Message):
    """Whose questions are wanted."""

    experiment_id: str = ""
    max_results: Int32 | None = None
    page_token: str = ""


class UpdateLabelSchema(Message):
    """What a question shall be."""

    schema_id: str = ""
    name: str | None = None
    instruction: str | None = None
    enable_comment: bool | None = None
    input: InputMessage | None = None


class LabelSchemaMessage(Message):
    """A question, as it is."""

    schema_id: str
    experiment_id: str
    name: str
    type: str
    enable_comment: bool
    input: InputMessage
    created_at: int
    last_updated_at: int
    is_default: bool
    instruction: str | None = None


class LabelSchemaAnswer(Message):
    """One question."""

    label_schema: LabelSchemaMessage


class LabelSchemasAnswer(Message):
    """Questions; the token is there also at the end, and empty."""

    next_page_token: str
    label_schemas: list[LabelSchemaMessage] = []


@endpoint("POST", "3:label-schemas/create", CreateLabelSchema, required=("experiment_id", "name"))
def create_label_schema(request: AdapterRequest, message: CreateLabelSchema) -> Message:
    """Write a question."""
    if message.type is LabelSchemaType.LABEL_SCHEMA_TYPE_UNSPECIFIED:
        raise invalid(
            "Label schema `type` must be one of FEEDBACK or EXPECTATION; got proto enum value"
            f" {message.type.number}."
        )
    experiment = active_experiment(request, message.experiment_id)
    new = NewLabelSchema(
        experiment=experiment.number,
        name=message.name,
        type=LabelType[message.type.name],
        input=_input(message.input),
        instruction=message.instruction,
        enable_comment=message.enable_comment,
    )
    try:
        return _answer(request.context.guarded(LabelSchemas).create(experiment.project, new))
    except LabelSchemaTaken as error:
        raise _taken(message.name, experiment.number) from error


@endpoint("GET", "3:label-schemas/get", LabelSchemaId, required=("schema_id",))
def get_label_schema(request: AdapterRequest, message: LabelSchemaId) -> Message:
    """Give a question."""
    service = request.context.guarded(LabelSchemas)
    return _answer(service.get(_project(request, message.schema_id), message.schema_id))


@endpoint("GET", "3:label-schemas/get-by-name", LabelSchemaName, required=("experiment_id", "name"))
def get_label_schema_by_name(request: AdapterRequest, message: LabelSchemaName) -> Message:
    """Give a question of an experiment by its name."""
    experiment = active_experiment(request, message.experiment_id)
    service = request.context.guarded(LabelSchemas)
    try:
        return _answer(service.named(experiment.project, experiment.number, message.name))
    except LabelSchemaNotFound as error:
        raise missing(
            f"Label schema with name '{message.name}' not found for experiment '{message.experiment_id}'."
        ) from error


@endpoint("GET", "3:label-schemas/list", ListLabelSchemas, required=("experiment_id",))
def list_label_schemas(request: AdapterRequest, message: ListLabelSchemas) -> Message:
    """List the questions of an experiment."""
    limit = listed(message.max_results, DEFAULT_LISTED)
    experiment = active_experiment(request, message.experiment_id)
    page = request.context.guarded(LabelSchemas).list(
        experiment.project, experiment.number, limit, message.page_token or None
    )
    return LabelSchemasAnswer(
        label_schemas=[_message(each) for each in page.items], next_page_token=page.next or ""
    )


@endpoint("PATCH", "3:label-schemas/update", UpdateLabelSchema, required=("schema_id",))
def update_label_schema(request: AdapterRequest, message: UpdateLabelSchema) -> Message:
    """Change a question."""
    change = LabelSchemaChange(
        name=message.name,
        instruction=message.instruction,
        enable_comment=message.enable_comment,
        input=None if message.input is None else _input(message.input),
    )
    project = _project(request, message.schema_id)
    service = request.context.guarded(LabelSchemas)
    try:
        return _answer(service.update(project, message.schema_id, change))
    except LabelSchemaTaken as error:
        had = service.get(project, message.schema_id)
        raise _taken(message.name or "", had.experiment) from error


@endpoint("DELETE", "3:label-schemas/delete", LabelSchemaId, required=("schema_id",))
def delete_label_schema(request: AdapterRequest, message: LabelSchemaId) -> None:
    """Delete a question; one that is not there is no error."""
    service = request.context.guarded(LabelSchemas)
    try:
        place = service.locate(message.schema_id)
    except LabelSchemaNotFound:
        return
    service.delete(place.project, place.id)


def listed(asked: int | None, usual: int) -> int:
    """Give how many a list holds at most.

    Parameters
    ----------
    usual
        What holds where nobody asked.

    Raises
    ------
    MlflowError
        If nobody can ask for so many.
    """
    if asked is None:
        return usual
    if not 1 <= asked <= MAX_LISTED:
        raise invalid(f"max_results must be between 1 and {MAX_LISTED}.{SEE_DOCS}")
    return asked


def active_experiment(request: AdapterRequest, experiment_id: str) -> Experiment:
    """Get an experiment; where questions and queues are asked for, MLflow's server knows no deleted ones.

    Raises
    ------
    MlflowError
        If there is none, or it is deleted.
    """
    experiment = get_experiment(request, experiment_id)
    if experiment.deleted_at is not None:
        raise missing(f"No Experiment with id={experiment.number} exists")
    return experiment


def _project(request: AdapterRequest, schema_id: str) -> str:
    try:
        return request.context.guarded(LabelSchemas).locate(schema_id).project
    except LabelSchemaNotFound as error:
        raise missing(f"Label schema with id '{schema_id}' not found.") from error


def _taken(name: str, number: int) -> MlflowError:
    return MlflowError(
        RESOURCE_ALREADY_EXISTS,
        f"Label schema with name '{name}' already exists for experiment '{number}'.",
    )


def _input(message: InputMessage | None) -> LabelInput:
    given = (
        []
        if message is None
        else [
            each
            for each in (message.pass_fail, message.categorical, message.numeric, message.text)
            if each is not None
        ]
    )
    match given:
        case [PassFailMessage() as one]:
            return PassFail(positive_label=one.positive_label, negative_label=one.negative_label)
        case [CategoricalMessage() as one]:
            return Categorical(options=one.options, multi_select=bool(one.multi_select))
        case [NumericMessage() as one]:
            return Numeric(min_value=_number(one.min_value), max_value=_number(one.max_value))
        case [TextMessage() as one]:
            return FreeText(max_length=one.max_length)
    raise invalid(
        "Label schema `input` must have exactly one of `pass_fail`, `categorical`, `numeric`, or `text` set;"
        f" got {'an empty oneof' if not given else 'several'}."
    )


def _number(value: float | str | None) -> float | None:
    return None if value is None else float(value)


def _input_message(found: LabelInput) -> InputMessage:
    match found:
        case PassFail():
            labels = PassFailMessage(positive_label=found.positive_label, negative_label=found.negative_label)
            return InputMessage(pass_fail=labels)
        case Categorical():
            return InputMessage(
                categorical=CategoricalMessage(options=found.options, multi_select=found.multi_select)
            )
        case Numeric():
            low, high = found.min_value, found.max_value
            return InputMessage(
                numeric=NumericMessage(
                    min_value=None if low is None else wire_number(low),
                    max_value=None if high is None else wire_number(high),
                )
            )
        case FreeText():
            return InputMessage(text=TextMessage(max_length=found.max_length))


def _answer(found: LabelSchema) -> LabelSchemaAnswer:
    return LabelSchemaAnswer(label_schema=_message(found))


def _message(found: LabelSchema) -> LabelSchemaMessage:
    return LabelSchemaMessage(
        schema_id=found.id,
        experiment_id=str(found.experiment),
        name=found.name,
        type=found.type.name,
        instruction=found.instruction,
        enable_comment=found.enable_comment,
        input=_input_message(found.input),
        created_at=millis(found.created_at),
        last_updated_at=millis(found.updated_at),
        is_default=found.is_default,
    )


ROUTES = endpoint.routes
