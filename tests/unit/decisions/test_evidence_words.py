"""What stages find and what is noted of candidates is told in the reader's language."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from noria.core.web.languages import Language, translations
from noria.core.web.retelling import Sentence
from noria.decisions import evidence_words
from noria.decisions.choice import UNTRIED
from noria.decisions.entities import SCHEME_WORDS
from noria.decisions.evidence_words import retelling
from noria.decisions.stages.contract import contract
from noria.decisions.stages.events import Change, events
from noria.decisions.stages.guards import Guard, reference_blocks
from noria.decisions.stages.new_class import new_class
from noria.decisions.stages.reality import reality
from noria.decisions.stages.replay import replay
from noria.decisions.stages.versions import versions
from noria.registry.golden import GoldenDifference

_NESTED = ("text", "first", "rest")
_VALUES = {
    "text": "The model has no classes",
    "name": "x 1",
    "value": "a; b",
    "day": "2030-01-01",
    "difference_words": "code, parameters",
    "subject_words": "step flows.py:scaled",
}
MARKED = sorted(
    {
        ast.literal_eval(node.args[0])
        for node in ast.walk(ast.parse(inspect.getsource(evidence_words)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "mark"
    }
)


@pytest.mark.parametrize("template", MARKED)
def test_a_sentence_is_found_again_and_has_a_translation_with_all_its_places(template: str) -> None:
    """None is taken for another one."""
    found = retelling.find(_filled(template))
    translated = translations(Language.SPANISH).gettext(template)

    assert found.words == template
    assert translated != template
    assert _places(translated) == _places(template)


def test_what_stages_say_is_known() -> None:
    """The stages themselves say it, with figures as they come."""
    said = [found.sentence for found in _findings()]

    assert len(said) > 15
    assert [sentence for sentence in said if not _all_known(retelling.find(sentence))] == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("rescaled", lambda v: v * 1000),
        ("mapped", lambda v: v * 1.8 + 32),
        ("flipped", lambda v: -v),
        ("frozen", lambda v: np.full(len(v), v[0])),
        ("missing", lambda v: np.where(np.arange(len(v)) % 3 == 0, np.nan, v)),
        ("default", lambda v: np.where(np.arange(len(v)) % 3 == 0, -999.0, v)),
        ("repeat", lambda v: np.repeat(v[::10], 10)[: len(v)]),
        ("rounded", np.round),
    ],
)
def test_what_guards_say_is_known(kind: str, change: Any) -> None:
    """Each sign of a column, and several behind one another."""
    values = np.random.default_rng(1).gamma(2, 2, 300)
    guard = Guard("x", np.random.default_rng(0).gamma(2, 2, 2000), reference_blocks(2000, 300))
    (sign,) = guard.signs(change(values))

    assert sign.kind == kind
    assert _all_known(retelling.find(sign.sentence))
    assert _all_known(retelling.find(f"{sign.sentence}; {sign.sentence}; 3 of 300 rows failed"))


@pytest.mark.parametrize("words", SCHEME_WORDS.values())
def test_what_is_noted_of_a_candidate_is_known(words: str) -> None:
    """The ways to train, what a person would carry out, and what memory takes away."""
    note = f"version 4, trained {words} (digits:v2); the project's policy forbids it"

    assert _all_known(retelling.find(note))
    assert _all_known(retelling.find(UNTRIED))


def _findings() -> Iterator[Any]:
    for right, n, reference_n in ((160, 200, 500), (19_000, 20_000, 20_000), (17, 20, 500), (5, 5, 9)):
        yield reality(_scores(right, n), reference=0.95, reference_n=reference_n, tolerable=0.02)
    start = datetime(2030, 1, 1, tzinfo=UTC)
    times = [start + timedelta(minutes=index) for index in range(120)]
    rng = np.random.default_rng(0)
    fell = [float(v) for v in (*(rng.random(60) < 0.95), *(rng.random(60) < 0.4))]
    for text in ("version 7 was deployed", None):
        changes = [] if text is None else [Change(at=times[59], text=text, version=7)] * 2
        yield events(fell, times, changes, slack=timedelta(minutes=5), rng=np.random.default_rng(1))
    yield events(fell[:3], times[:3], [], slack=timedelta(0), rng=rng)
    same = GoldenDifference(
        n_rows=200, largest_feature_error=0.0, feature=None, n_flips=0, largest_output_error=0.0
    )
    other = GoldenDifference(
        n_rows=200, largest_feature_error=1.0, feature=3, n_flips=9, largest_output_error=1.0
    )
    yield from (replay(same), replay(other), replay(None))
    yield versions(_scores(60, 100), {1: _scores(90, 100)})
    yield versions(_scores(90, 100), {1: _scores(60, 100)})
    for labels in (["a"] * 100, ["a"] * 60 + ["c"] * 40):
        yield new_class(labels, _scores(60, 100), ["a", "b"])
    reference = {name: rng.normal(size=500) for name in ("x", "y z")}
    for change in (lambda v: v, lambda v: np.full(len(v), 7.0), lambda v: v * 1000.0):
        current = {**reference, "y z": change(rng.normal(size=300)), "x": rng.normal(size=300)}
        yield contract(reference, current, n_rows=300, n_errors=3)
    yield contract(None, {}, n_rows=0)


def _scores(n_right: int, n: int) -> list[float]:
    return [1.0] * n_right + [0.0] * (n - n_right)


def _filled(template: str) -> str:
    return template % {place: _VALUES.get(place, "0.25") for place in _places(template)}


def _places(template: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", template))


def _all_known(sentence: Sentence) -> bool:
    """Tell whether a sentence and those in it are ours; classes with their numbers of labels are the user's."""
    parts = [value for name, value in sentence.values.items() if name in _NESTED]
    return sentence.is_known and all(_all_known(part) for part in parts if not part.words.startswith("`c` ("))
