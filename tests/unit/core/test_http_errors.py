"""How errors look over HTTP."""

from __future__ import annotations

import logging

import msgspec
import pytest

from noria.core.errors import Conflict, ErrorBody, Invalid, NoriaError, NotFound, TooLarge, Unauthenticated
from noria.core.http_errors import (
    STATUS,
    MethodNotAllowed,
    ServerFault,
    TooManyRequests,
    error_answer,
    known_error,
    status_of,
)


class VeryLarge(TooLarge):
    """A case of a case."""

    code = "very_large_in_a_test"


def test_a_class_without_a_line_has_the_status_of_the_nearest_above() -> None:
    """Capabilities need no line in the table for their own errors."""
    assert status_of(VeryLarge("x")) == 413
    assert status_of(MethodNotAllowed("x")) == 405
    assert status_of(NoriaError("x")) == 500


def test_every_status_is_one_of_an_error() -> None:
    """No error is ever sent as a success."""
    assert all(400 <= status < 600 for status in STATUS.values())


@pytest.mark.parametrize("error", [Invalid("x", hint="y", details={"a": [1, None]}), NotFound("x")])
def test_an_error_is_sent_in_the_one_form(error: NoriaError) -> None:
    """Code, message, hint and details, as JSON."""
    status, headers, body = error_answer(error)

    assert status == status_of(error)
    assert (b"content-type", b"application/json") in headers
    assert msgspec.json.decode(body, type=ErrorBody) == error.to_body()


def test_details_that_are_no_json_do_not_hide_the_error() -> None:
    """What cannot be sent is left out; the message goes."""
    _, _, body = error_answer(Conflict("x", details={"a": object()}))

    assert msgspec.json.decode(body, type=ErrorBody) == ErrorBody(code="conflict", message="x")


def test_some_errors_say_more_in_headers() -> None:
    """A missing credential names the scheme, a wait its length."""
    assert (b"www-authenticate", b"Bearer") in error_answer(Unauthenticated("x"))[1]
    assert (b"retry-after", b"7") in error_answer(TooManyRequests("x", details={"retry_after_s": 7}))[1]


def test_an_unforeseen_exception_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the exception under the number that the caller is told."""
    with caplog.at_level(logging.ERROR, "noria.http"):
        shown = known_error(ValueError("inside"))
    (record,) = caplog.records

    assert isinstance(shown, ServerFault)
    assert "inside" not in f"{shown.message}{shown.hint}{shown.details}"
    assert record.exc_info is not None
    assert vars(record)["incident"] == shown.details["incident"]
    assert known_error(shown) is shown
