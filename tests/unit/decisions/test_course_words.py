"""Why a remedy was chosen, and what a decision did, is told in the reader's language."""

from __future__ import annotations

import ast
import inspect
import re

import pytest

from noria.core.web.languages import Language, translations
from noria.core.web.retelling import Sentence
from noria.decisions import course_words
from noria.decisions.choice import plain
from noria.decisions.course_words import found
from noria.decisions.entities import Cause, Remedy
from noria.monitoring.sentences import FEW_ERRORS
from noria.serving.sentences import PASSED

_VALUES = {
    "text": "no reason was told",
    "cause_words": "new class",
    "remedy_words": "new model, retrain, wait",
    "subject_words": "class 0",
}
MARKED = sorted(
    {
        ast.literal_eval(node.args[0])
        for node in ast.walk(ast.parse(inspect.getsource(course_words)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "mark"
    }
)


@pytest.mark.parametrize("template", MARKED)
def test_a_sentence_is_found_again_and_has_a_translation_with_all_its_places(template: str) -> None:
    """None is taken for another one."""
    filled = template % {place: _VALUES.get(place, "0.25") for place in _places(template)}
    translated = translations(Language.SPANISH).gettext(template)

    assert course_words.retelling.find(filled).words == template
    assert translated != template
    assert _places(translated) == _places(template)


@pytest.mark.parametrize("name", [*(Cause), *(Remedy)])
def test_causes_and_remedies_are_known_by_the_names_that_sentences_give_them(name: str) -> None:
    """But for a cause of none, of which nothing is said."""
    assert name == Cause.NONE or found(plain(name)).is_known


@pytest.mark.parametrize(
    "text",
    [
        PASSED,
        FEW_ERRORS % {"share": "2.0%", "windows": "2"},
        "there is no older version",
        "Trying new model, retrain, roll back model, wait on the newest labelled rows",
        "Judged on the newest 243 labelled rows: wait 0.868, retrain 0.984, new model 0.947",
        "The cause is new class (class 0) with probability 91.2%, on 486 labelled rows since the onset",
        "The rollout ended as rolled_back: errors: The new version has answered no request yet",
    ],
)
def test_what_is_said_on_the_way_is_known_with_all_its_parts(text: str) -> None:
    """Of decisions, alerts, gates and stages alike."""
    assert _all_known(found(text))


def test_what_a_person_wrote_stays_as_it_is() -> None:
    """Nobody of ours said it."""
    assert not found("ana approved it, because she may").is_known


def _places(template: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", template))


def _all_known(sentence: Sentence) -> bool:
    nested = (value for name, value in sentence.values.items() if name in (*_VALUES, "first", "rest"))
    return sentence.is_known and all(map(_all_known, nested))
