"""What a form brings, field by field."""

from __future__ import annotations

import dataclasses
import enum
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
import pytest

from noria.core.errors import Invalid
from noria.core.web.forms import (
    FieldsRefused,
    FormState,
    FormView,
    Secret,
    decode_form,
    read_form,
    secret_fields,
)
from noria.core.web.languages import Language
from noria.core.web.pages import Frame
from noria.core.web.rendering import environment
from noria.core.web.urls import Urls


class Shade(enum.StrEnum):
    """A choice."""

    LIGHT = "light"
    DARK = "dark"


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One field of each kind."""

    name: Annotated[str, msgspec.Meta(min_length=2, max_length=5)]
    large: int = 0
    n: Annotated[int, msgspec.Meta(ge=1, le=9)] = 3
    share: Annotated[float, msgspec.Meta(ge=0)] | None = None
    shade: Shade | None = None
    kind: Literal["a", "b"] = "a"
    on: date | None = None
    tags: list[str] = []
    numbers: tuple[int, ...] = ()
    ticked: bool = False
    password: Secret = ""
    other: Secret | None = None


def test_texts_become_what_the_fields_are() -> None:
    """Numbers, choices, dates, boxes and lists are read from their texts."""
    sent = {
        "name": ["ana"],
        "n": ["7"],
        "share": ["0.5"],
        "shade": ["dark"],
        "kind": ["b"],
        "on": ["2026-01-31"],
        "tags": ["x", "", "y"],
        "numbers": ["1", "2"],
        "ticked": ["true"],
        "password": [" p "],
    }

    assert decode_form(Form, sent) == Form(
        name="ana",
        n=7,
        share=0.5,
        shade=Shade.DARK,
        kind="b",
        on=date(2026, 1, 31),
        tags=["x", "y"],
        numbers=(1, 2),
        ticked=True,
        password=" p ",
    )


def test_what_is_left_empty_has_its_default() -> None:
    """An empty text and an absent field leave the default; a required field is missed."""
    empty = {name: [""] for name in ("n", "share", "shade", "kind", "on", "tags", "numbers", "password")}

    assert decode_form(Form, {"name": ["ana"], **empty}) == decode_form(Form, {"name": ["ana"]})
    missed: list[dict[str, list[str]]] = [{}, {"name": [""]}, {"name": []}]
    for sent in missed:
        with pytest.raises(FieldsRefused) as refused:
            decode_form(Form, sent)
        assert refused.value.errors["name"].words == "Fill this in"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("name", "a", "Use at least 2 characters"),
        ("name", "anabel", "Use at most 5 characters"),
        ("name", "a\x07b", "This holds a character that cannot be seen"),
        ("name", "a\x00b", "This holds a character that cannot be seen"),
        ("n", "two", "This must be a whole number"),
        ("n", "1.5", "This must be a whole number"),
        ("n", "0", "This must be at least 1"),
        ("n", "10", "This must be at most 9"),
        ("n", "9" * 50, "This must be at most 9"),
        ("share", "half", "This must be a number"),
        ("share", "-1", "This must be at least 0"),
        ("share", "nan", "This must be at least 0"),
        ("share", "inf", "This must be a number"),
        ("shade", "pink", "Choose one of the list"),
        ("kind", "c", "Choose one of the list"),
        ("on", "31/1/2026", "This must be a date, such as 2026-01-31"),
        ("numbers", "x", "This does not have the right form"),
        ("ticked", "perhaps", "This does not have the right form"),
        ("large", "9" * 30, "This must be a whole number"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(name: str, value: str, told: str) -> None:
    """Each field that does not fit is named, with a sentence that says what would."""
    with pytest.raises(FieldsRefused) as refused:
        decode_form(Form, {"name": ["ana"]} | {name: [value]})
    errors = {field: error.words % error.values for field, error in refused.value.errors.items()}

    assert errors == {name: told}


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Nobody sends a form five times to learn of five errors."""
    with pytest.raises(FieldsRefused) as refused:
        decode_form(Form, {"n": ["x"], "share": ["y"], "shade": ["z"]})

    assert set(refused.value.errors) == {"name", "n", "share", "shade"}


def test_a_field_that_is_not_in_the_form_is_refused() -> None:
    """A form with other fields is not ours."""
    with pytest.raises(Invalid, match="no field `nmae`"):
        decode_form(Form, {"name": ["ana"], "nmae": ["x"]})


def test_fields_of_the_machinery_are_set_apart() -> None:
    """Token, address and confirmation are none of the action's fields."""
    sent = read_form(b"csrf=c&here=%2Fa&form=f&confirmed=yes&text=1&text=2")

    assert (sent.csrf, sent.here, sent.form, sent.confirmed) == ("c", "/a", "f", "yes")
    assert sent.pairs() == [("text", "1"), ("text", "2")]


@pytest.mark.parametrize("body", [b"a", b"a=%ff", "a=ñ".encode(), b"&".join([b"a=1"] * 5001)])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    """What cannot be read is an error, not an empty form."""
    with pytest.raises(Invalid, match="cannot be read"):
        read_form(body)


def test_passwords_are_known_by_their_type() -> None:
    """`Secret` marks a password, alone and where it may be left out."""
    assert secret_fields(Form) == {"password", "other"}


def view(state: FormState | None = None) -> FormView:
    return FormView(action="/x", name="", csrf="token", here="/", state=state)


def test_a_form_shows_what_was_typed() -> None:
    """A fresh form has the defaults; one that came back has what was typed, also where that was nothing."""
    typed = view(FormState(action="/x", values={"name": ("ana",), "tags": ("x",), "note": ("",)}))

    assert view().value("name", "ben") == "ben"
    assert view().value("name", None) == ""
    assert typed.value("name", "ben") == "ana"
    assert typed.value("note", "a default") == ""
    assert typed.value("absent", "a default") == ""
    assert [typed.has("tags", tag, True) for tag in "xy"] == [True, False]
    assert view().has("tags", "x", True)


def test_a_state_belongs_to_one_form() -> None:
    """Of several forms on a page only the one that was sent comes back filled in."""
    state = FormState(action="/x", form="second", values={"name": ("ana",)})
    frame = Frame(
        language=Language.ENGLISH,
        languages=tuple(Language),
        urls=Urls(),
        here="/",
        caller="",
        release="",
        form=state,
    )

    assert frame.form_view("/x", "second").value("name") == "ana"
    assert frame.form_view("/y", "second").value("name") == "ana"  # a button of its own sent it to /x
    assert frame.form_view("/x").value("name") == ""
    assert frame.form_view("/x", "first").value("name") == ""
    unnamed = dataclasses.replace(frame, form=dataclasses.replace(state, form=""))
    assert unnamed.form_view("/x").value("name") == "ana"
    assert unnamed.form_view("/y").value("name") == ""


FIELDS = """{% from "noria.core.web/_forms.html" import area, check, choice, text %}
{{ text(f, "name", "Name", value=default) }}{{ text(f, "password", "P", type="password", value=default) }}
{{ area(f, "note", "Note", value=default, hint="Why") }}{{ choice(f, "shade", "Shade", [("light", default)]) }}
{{ check(f, "ticked", default, value=default) }}"""
HOSTILE = "\"><script>alert(1)</script>'`<b>`"


def fields(state: FormState | None = None, default: str = "x", **more: Any) -> str:
    """Show one field of each kind."""
    return environment(Language.SPANISH).from_string(FIELDS).render(f=view(state), default=default, **more)


def test_fields_escape_what_they_show() -> None:
    """Whatever was typed, stands there now or is the default, is text."""
    typed = dict.fromkeys(("name", "password", "note", "shade", "ticked"), (HOSTILE,))
    state = FormState(action="/x", values=typed, current=dict.fromkeys(typed, HOSTILE))
    for html in (fields(state, HOSTILE), fields(None, HOSTILE)):
        assert "<script" not in html
        assert "<b>" not in html


def test_a_field_says_what_is_wrong_to_everyone() -> None:
    """The error is in the reader's language and tied to its field; what stands there now is told too."""
    try:
        decode_form(Form, {"name": ["a"]})
    except FieldsRefused as refused:
        errors = refused.errors
    html = fields(FormState(action="/x", errors=errors, current={"note": "theirs"}))

    assert "Use al menos 2 caracteres" in html
    assert 'aria-invalid="true" aria-describedby=" field-name-note" type="text"' in html
    assert 'id="field-name-note"' in html
    assert 'aria-describedby="field-note-hint field-note-note"' in html
    assert "<q>theirs</q>" in html


def test_a_password_is_never_shown() -> None:
    """A password field comes back empty, whatever stands in the state."""
    state = FormState(action="/x", values={"password": ("hunter2",)})

    assert "hunter2" not in fields(state)


def test_a_form_after_a_question_is_known_by_its_own_name() -> None:
    """What asks in between says which form it asks about; a form that says its own name is that."""
    assert read_form(b"form=bulk&run=a").form == "bulk"
    assert read_form(b"of_form=bulk&run=a").form == "bulk"
    assert read_form(b"form=undo&of_form=bulk").form == "undo"
    assert read_form(b"of_form=bulk&run=a").fields == {"run": ("a",)}
