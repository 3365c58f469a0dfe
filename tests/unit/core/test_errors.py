"""The tree of errors, and its way over the wire and between processes."""

from __future__ import annotations

import pickle
import re

import msgspec
import pytest

from noria.core.errors import (
    ErrorBody,
    Invalid,
    NoriaError,
    NotFound,
    error_from_body,
    near,
    unknown_name,
)
from support.everything import import_everything, subclasses_of

import_everything()
CLASSES = sorted(set(subclasses_of(NoriaError)), key=lambda cls: cls.__name__)


def test_the_tree_is_large_enough_to_be_the_real_one() -> None:
    """The other tests of this file look at all classes of all rooms."""
    names = {cls.__name__ for cls in CLASSES}

    assert {
        "Invalid",
        "StorageFull",
        "DatasetVersionNotFound",
        "LookOutdated",
        "DatabaseFromTheFuture",
    } <= names
    assert len(CLASSES) > 30


def test_every_class_has_a_code_of_its_own() -> None:
    """Two classes of one code would come back as one another."""
    codes = [cls.__dict__.get("code") for cls in CLASSES]

    assert [cls.__name__ for cls, code in zip(CLASSES, codes, strict=True) if code is None] == []
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", str(code)) for code in codes)


def test_every_class_says_what_it_means() -> None:
    """Each has a sentence."""
    assert [cls.__name__ for cls in CLASSES if not (cls.__doc__ or "").strip()] == []


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_comes_back_from_the_wire_as_itself(cls: type[NoriaError]) -> None:
    """Class, message, hint and details survive JSON, whatever the class's own constructor takes."""
    sent = ErrorBody(code=cls.code, message="`x` is wrong", hint="mend `x`", details={"x": [1, None]})
    error = error_from_body(msgspec.json.decode(msgspec.json.encode(sent), type=ErrorBody))

    assert type(error) is cls
    assert str(error) == "`x` is wrong"
    assert error.to_body() == sent


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_survives_pickling(cls: type[NoriaError]) -> None:
    """Between our own processes it keeps class, message, hint and details."""
    error = error_from_body(ErrorBody(code=cls.code, message="m", hint="h", details={"a": 1}))
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - made one line above

    assert type(copy) is cls
    assert copy.to_body() == error.to_body()


def test_an_unknown_code_becomes_a_plain_error() -> None:
    """What a newer server raises is not lost, and no name from the wire is imported."""
    error = error_from_body(ErrorBody(code="os.system", message="m", hint="h", details={"a": 1}))

    assert type(error) is NoriaError
    assert (error.message, error.hint, error.details) == ("m", "h", {"a": 1})


def test_details_belong_to_one_error() -> None:
    """Changing what was passed in changes no error."""
    details = {"a": 1}
    error = Invalid("m", details=details)
    details["a"] = 2

    assert error.details == {"a": 1}
    assert Invalid("m").details == {}


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("degits", ["digits", "rankings"], "digits"),
        ("digit", ["digits"], "digits"),
        ("xyz", ["digits"], None),
        ("digits", [], None),
    ],
)
def test_near(name: str, known: list[str], expected: str | None) -> None:
    """The closest known name is given, or none if nothing is close."""
    assert near(name, known) == expected


class TestUnknownName:
    """The error for a name that is not there."""

    def test_a_near_name_is_suggested(self) -> None:
        """With the command that lists the good ones."""
        error = unknown_name("dataset", "degits", ["digits"], see="noria data list")

        assert isinstance(error, NotFound)
        assert error.message == "There is no dataset `degits`"
        assert error.hint == "Did you mean `digits`? (see `noria data list`)"
        assert error.details == {"kind": "dataset", "name": "degits"}

    def test_without_a_near_one_the_known_ones_are_listed(self) -> None:
        """At most ten, in order; the rest is said to be left out."""
        error = unknown_name("dataset", "zzz", [f"a{i:02d}" for i in range(12)])

        assert error.hint == "Known: " + ", ".join(f"`a{i:02d}`" for i in range(10)) + " …"

    def test_where_there_is_none(self) -> None:
        """That is said."""
        assert unknown_name("dataset", "zzz", []).hint == "There is none yet"
