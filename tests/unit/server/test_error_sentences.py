"""Whatever a page is refused with is told in the language of its reader."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable
from types import ModuleType
from typing import Final

import pytest

from noria.access import refusal_words as of_access
from noria.core.errors import Invalid
from noria.core.web.languages import Language, translations
from noria.data import refusal_words as of_data
from noria.data.moments import moment_of
from noria.decisions import refusal_words as of_decisions
from noria.pipelines import refusal_words as of_pipelines
from noria.pipelines.schedules.entities import ScheduleSection
from noria.pipelines.schedules.timing import timing_of
from noria.registry import refusal_words as of_registry
from noria.server import error_sentences
from noria.serving import refusal_words as of_serving
from noria.tracking import filter_sentences
from noria.tracking import refusal_words as of_tracking
from support.refusals import refusals, spoken

MODULES: Final = (
    error_sentences,
    of_access,
    of_data,
    of_decisions,
    of_pipelines,
    of_registry,
    of_serving,
    of_tracking,
)
MACHINERY: Final = (
    "noria.core.database.failures",
    "noria.core.database.kept",
    "noria.core.gate",
    "noria.core.http_errors",
    "noria.core.web.forms",
    "noria.server.action_routes",
    "noria.server.page_routes",
)
"""What stands before every page, and what says why a page cannot be made."""

UNSEEN: Final = {
    "noria.core.database.engine": "the address of the database is read before the server answers",
    "noria.core.key": "the server has read its key before it answers",
}
AS_IN_ENGLISH: Final = {"alias", "endpoint", "token"}
WRONG_TIMES: Final = ("60 * * * *", "0 24 * * *", "0 0 32 * *", "0 0 1 13 *", "0 0 * * FRY")
_VALUES: Final = {"text": "why", "known_list": "`a`, `b`"}


def marked(module: ModuleType) -> list[str]:
    """Give the texts that a module marks."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call)]
    names = {ast.literal_eval(each.args[0]) for each in calls if getattr(each.func, "id", "") == "mark"}
    return sorted(names)


def places(template: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", template))


def test_every_message_and_hint_is_known() -> None:
    """Of all that pages and their actions call: what is said there is found again, and so has a translation."""
    said = refusals(MACHINERY)
    known = (error_sentences.retelling, filter_sentences.retelling)
    unknown = [
        f"{each.where}: {each.template}"
        for each in said
        if each.where.partition(":")[0] not in UNSEEN
        and not any(words.find(text).is_known for text in spoken(each.template) for words in known)
    ]

    assert len(said) > 300
    assert unknown == []


@pytest.mark.parametrize("template", sorted({each for module in MODULES for each in marked(module)}))
def test_a_sentence_is_found_again_and_has_a_translation_with_all_its_places(template: str) -> None:
    """None is taken for another one."""
    filled = template % {place: _VALUES.get(place, "7") for place in places(template)}
    translated = translations(Language.SPANISH).gettext(template)

    assert error_sentences.retelling.find(filled).words == template
    assert translated != template or template in AS_IN_ENGLISH
    assert places(translated) == places(template)


@pytest.mark.parametrize(
    "refused",
    [
        *(
            functools.partial(moment_of, text)
            for text in ("2026-13-01", "2026-02-30", "2026-01-01T1", "0000-01-01")
        ),
        *(functools.partial(moment_of, f"2026-02-01T{text}") for text in ("25:00", "12:60", "12:00:61")),
        *(
            functools.partial(timing_of, ScheduleSection(name="s", run="m:p", cron=text))
            for text in WRONG_TIMES
        ),
    ],
)
def test_the_usual_words_of_libraries_after_a_colon_are_told_too(refused: Callable[[], object]) -> None:
    """As the installed libraries say them: none of them is left in English."""
    with pytest.raises(Invalid) as caught:
        refused()
    found = error_sentences.retelling.find(str(caught.value))

    assert found.is_known
    assert found.values["text"].is_known
