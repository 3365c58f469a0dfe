"""Why an answer to a decision is refused: kept in English, told in the language of the page."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

retelling: Final = Retelling(
    mark("The decision `%(decision)s` is %(status_words)s and cannot become %(wanted_words)s"),
    mark("The decision `%(decision)s` proposes `%(remedy)s`, which a person has to carry out"),
    mark("When it is done, close the decision: `%(command)s`"),
    mark("The decision record `%(record)s` is final since %(day)s %(time)s"),
    mark("Open a new record; this one stays as evidence"),
    mark("`before` has no place in the list: `%(given)s`"),
    mark("diagnosing"),
    mark("trying"),
    mark("waiting"),
    mark("asking"),
    mark("acting"),
    mark("measuring"),
    mark("done"),
    mark("failed"),
)
"""Of messages and hints."""
