"""Addresses."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote

from hypothesis import given
from hypothesis import strategies as st

from noria.core.web.languages import Language
from noria.core.web.urls import Urls


def test_the_chosen_language_goes_along() -> None:
    """A reader who chose a language keeps it from page to page; one who did not gets plain addresses."""
    assert Urls(language=Language.SPANISH).decision("p", "1") == "/decisions/p/1?lang=es"
    assert Urls().decision("p", "1") == "/decisions/p/1"
    assert Urls(language=Language.ENGLISH).overview("p", after="m") == "/projects/p?after=m&lang=en"


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_name_stays_in_its_place(project: str, record: str) -> None:
    """Whatever a name holds, it neither adds a part to the path nor ends it."""
    if any("\ud800" <= letter <= "\udfff" for letter in project + record):
        return
    parts = Urls().decision(project, record).split("/")

    assert [unquote(part) for part in parts] == ["", "decisions", project, record]
    assert not set("?#\"'<> ") & set("".join(parts))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_page_in_another_language_is_the_same_page(after: str) -> None:
    """Switching the language changes nothing else of the address."""
    here = Urls(language=Language.ENGLISH).overview("p", after=after)
    path, _, query = Urls().in_language(here, Language.SPANISH).partition("?")
    found = parse_qs(query, keep_blank_values=True)

    assert path == "/projects/p"
    assert found["lang"] == ["es"]
    assert found.get("after", [""]) == [after]


def test_lists_repeat_a_parameter_and_names_stay_one_part() -> None:
    """Several runs go into one address, and a name with a slash does not split it."""
    assert Urls().compare("p", runs=["a", "b"]) == "/projects/p/compare?runs=a&runs=b"
    assert Urls().experiment("p", "x/y", filter="metrics.a > 1", after=None) == (
        "/projects/p/experiments/x%2Fy?filter=metrics.a+%3E+1"
    )
