"""Why steps ran is told in Spanish: what two keys of a step differ by is found again by its words."""

from __future__ import annotations

from typing import Any

import pytest

from noria.core.web.languages import Language
from noria.core.web.rendering import environment
from noria.pipelines.cache_entities import KeyPart, KeyParts
from noria.pipelines.fingerprint import explain
from noria.pipelines.reason_sentences import retelling

BEFORE = KeyParts(
    step="p.py:fit",
    python="3.11",
    parameters={"c": KeyPart(digest="1", text="1.0"), "old": KeyPart(digest="1", text="0")},
    inputs={"x": KeyPart(digest="a", text="")},
    code={"p.py:fit": "1", "p.py:gone": "1"},
    constants={"p.py:LIMIT": KeyPart(digest="1", text="two words")},
    distributions={"numpy": "2.0"},
)


@pytest.mark.parametrize(
    ("change", "spanish"),
    [
        ({"parameters": {**BEFORE.parameters, "c": KeyPart(digest="2", text="10.0")}}, "el parámetro"),
        ({"parameters": {"c": BEFORE.parameters["c"]}}, "ya no está"),
        ({"inputs": {"x": KeyPart(digest="b", text="")}}, "tiene otro contenido"),
        ({"code": {"p.py:fit": "2", "p.py:gone": "1"}}, "cambió"),
        ({"code": {"p.py:fit": "2"}}, "(y 1 más)"),
        ({"constants": {"p.py:LIMIT": KeyPart(digest="2", text="three more words")}}, "la variable"),
        ({"distributions": {"numpy": "2.1"}}, "era 2.0, es 2.1"),
        ({"python": "3.12"}, "Python era 3.11, es 3.12"),
    ],
)
def test_what_changed_is_told_in_spanish(change: dict[str, Any], spanish: str) -> None:
    """Parameters, inputs, code, variables, distributions and Python, alone or several at once."""
    fields = {name: getattr(BEFORE, name) for name in BEFORE.__struct_fields__}
    said = explain(BEFORE, KeyParts(**{**fields, **change}))
    assert said is not None
    found = retelling.find(said)
    shown = str(environment(Language.SPANISH).filters["told"](found))

    assert found.is_known, said
    assert spanish in shown
