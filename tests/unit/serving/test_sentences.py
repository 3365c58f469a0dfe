"""Every sentence of a gate or a rollout is told in the reader's language."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

from noria.core.web.languages import Language, translations
from noria.core.web.retelling import Sentence
from noria.serving import sentences
from noria.serving.sentences import retelling

_VALUES = {
    "text": sentences.NO_REQUEST,
    "rows_words": "blocks of 5 rows of `a: b`",
    "metric_words": sentences.MAE,
    "metric": "mae",
    "positive": "x 1",
    "command": "noria rollouts approve 1",
}
_WORDS = ("text", "metric_words", "first", "rest")
_AS_IN_ENGLISH = {sentences.F1, sentences.AUC}
MARKED = sorted(
    {
        ast.literal_eval(node.args[0])
        for node in ast.walk(ast.parse(inspect.getsource(sentences)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "mark"
    }
)


@pytest.mark.parametrize("template", MARKED)
def test_a_sentence_is_found_again_and_has_a_translation_with_all_its_places(template: str) -> None:
    """None is taken for another one."""
    found = retelling.find(_filled(template))
    translated = translations(Language.SPANISH).gettext(template)

    assert found.words == template
    assert _all_known(found)
    assert translated != template or template in _AS_IN_ENGLISH
    assert _places(translated) == _places(template)


def test_reasons_of_several_gates_are_told_one_by_one() -> None:
    """What failed stands behind one another, and each has semicolons of its own."""
    failed = sentences.FAILED % dict.fromkeys(_places(sentences.FAILED), "1.0")
    slower = sentences.SLOWER % dict.fromkeys(_places(sentences.SLOWER), "2.0")
    over = sentences.OVER % dict.fromkeys(_places(sentences.OVER), "3.0")
    texts = {"errors": failed, "latency": slower, "slow": over, "predictions": sentences.NO_PREDICTION_NEW}
    said = "; ".join(sentences.GATE_FAILED[gate] % {"text": text} for gate, text in texts.items())

    found = retelling.find(sentences.UNDECIDED % {"seconds": "5", "text": said})

    assert _all_known(found)
    assert {sentences.FAILED, sentences.SLOWER, sentences.OVER, sentences.NO_PREDICTION_NEW} <= _words(found)


def test_what_a_person_wrote_stays_as_it_is() -> None:
    """Nobody of ours said it."""
    assert not retelling.find("Because; I said so").is_known


def _filled(template: str) -> str:
    return template % {place: _VALUES.get(place, "0.25") for place in _places(template)}


def _places(template: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", template))


def _all_known(sentence: Sentence) -> bool:
    parts = [value for name, value in sentence.values.items() if name in _WORDS]
    return sentence.is_known and all(map(_all_known, parts))


def _words(sentence: Sentence) -> set[str]:
    return {sentence.words}.union(*map(_words, sentence.values.values()))
