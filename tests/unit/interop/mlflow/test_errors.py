"""Errors reach MLflow's clients with the code and status by which they act."""

from __future__ import annotations

import json

import pytest

from noria.core.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    Invalid,
    NoriaError,
    NotFound,
    StorageFull,
    TooLarge,
    Unauthenticated,
)
from noria.core.gate import ContentTypeRefused
from noria.core.http_errors import MethodNotAllowed, RouteNotFound, TooManyRequests
from noria.interop.mlflow.errors import RESOURCE_ALREADY_EXISTS, STATUS, MlflowError, refuse


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Invalid("x"), 400, "INVALID_PARAMETER_VALUE"),
        (TooLarge("x"), 400, "INVALID_PARAMETER_VALUE"),
        (NotFound("x"), 404, "RESOURCE_DOES_NOT_EXIST"),
        (RouteNotFound("x"), 404, "ENDPOINT_NOT_FOUND"),
        (MethodNotAllowed("x"), 405, "ENDPOINT_NOT_FOUND"),
        (ContentTypeRefused("x"), 400, "INVALID_PARAMETER_VALUE"),
        (Conflict("x"), 409, "RESOURCE_CONFLICT"),
        (Unauthenticated("x"), 401, "UNAUTHENTICATED"),
        (Forbidden("x"), 403, "PERMISSION_DENIED"),
        (Corrupt("x"), 500, "DATA_LOSS"),
        (TooManyRequests("x"), 429, "REQUEST_LIMIT_EXCEEDED"),
        (StorageFull("x"), 503, "TEMPORARILY_UNAVAILABLE"),
        (NoriaError("x"), 500, "INTERNAL_ERROR"),
        (MlflowError("INVALID_STATE", "x"), 500, "INVALID_STATE"),
    ],
)
def test_each_branch_has_its_code(error: NoriaError, status: int, code: str) -> None:
    """An error is told with the code of its nearest branch and the status of the code."""
    answer = refuse(error)
    assert answer.status == status
    assert json.loads(answer.body)["error_code"] == code


def test_an_endpoint_may_say_otherwise() -> None:
    """What conflicts on one endpoint is what exists already on another."""
    answer = refuse(Conflict("x"), {Conflict: RESOURCE_ALREADY_EXISTS})
    assert answer.status == 400
    assert json.loads(answer.body)["error_code"] == "RESOURCE_ALREADY_EXISTS"


def test_the_form_is_that_of_mlflow() -> None:
    """An error has code, message, SQL state and class, as MLflow's own server gives them."""
    assert json.loads(refuse(NotFound("There is no run `x`", hint="See `noria runs list`")).body) == {
        "error_code": "RESOURCE_DOES_NOT_EXIST",
        "message": "There is no run `x`. See `noria runs list`",
        "sqlstate": "KAM00",
        "error_class": "RESOURCE_NOT_FOUND",
    }


def test_a_message_may_quote_what_no_json_holds() -> None:
    """Half a surrogate pair in a quoted value does not hide the error."""
    assert "\\ud800" in json.loads(refuse(Invalid("bad \ud800")).body)["message"]


def test_every_code_has_a_status_that_is_an_error() -> None:
    """No code is told with a status that a client takes for success."""
    assert all(status >= 400 for status in STATUS.values())
