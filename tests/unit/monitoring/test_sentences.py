"""Every sentence of an alert is told in the reader's language."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

from noria.core.web.languages import Language, translations
from noria.core.web.retelling import Sentence
from noria.monitoring import sentences
from noria.monitoring.sentences import retelling

_VALUES = {
    "segment": "region = north",
    "segment_list": "`a`, `b = c`",
    "text": "Accuracy",
    "measure": "accuracy",
    "server": "http://127.0.0.1:8080",
    "top": "x 1",
}


def words() -> list[tuple[str, str]]:
    """Give all words by their names."""
    named = [(name, value) for name, value in vars(sentences).items() if isinstance(value, str)]
    return [(name, value) for name, value in named if name.isupper() and "__" not in name]


def test_no_words_are_left_out() -> None:
    """What `mark` gathered is what is found again: a sentence that is added is told too."""
    marked = {
        ast.literal_eval(node.args[0])
        for node in ast.walk(ast.parse(inspect.getsource(sentences)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "mark"
    }

    assert marked >= {value for _, value in words()}
    assert all(retelling.find(_filled(each)).is_known for each in marked)


@pytest.mark.parametrize(("name", "template"), words())
def test_a_sentence_is_found_again_and_has_a_translation_with_all_its_places(
    name: str, template: str
) -> None:
    """None is taken for another one."""
    found = retelling.find(_filled(template))
    translated = translations(Language.SPANISH).gettext(template)

    assert found.words == template, name
    assert translated != template
    assert _places(translated) == _places(template)
    assert _all_known(found)


def _filled(template: str) -> str:
    return template % {place: _VALUES.get(place, "0.25") for place in _places(template)}


def _places(template: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", template))


def _all_known(sentence: Sentence) -> bool:
    return all(value.is_known for name, value in sentence.values.items() if name in ("text", "measure"))
