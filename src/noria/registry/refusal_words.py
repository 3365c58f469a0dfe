"""Why a change of a model is refused: kept in English, told in the language of the page."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

_NAMES: Final = (
    mark("There is a model `%(name)s` already"),
    mark("Choose another name, or see it: `%(command)s`"),
    mark("An alias cannot be empty"),
    mark("Use a word, such as `champion`"),
    mark("Use another word, such as `champion`"),
    mark("`%(alias)s` cannot be an alias: `%(ref)s` is a version"),
    mark("`%(alias)s` cannot be an alias: `model@latest` is the newest version"),
    mark("`%(alias)s` cannot be an alias: it reads as a version"),
    mark("'%(what_words)s' exceeds the maximum length of %(n)s characters"),
    mark("The %(what_words)s %(text)s holds a character that cannot be stored"),
    mark("Choose one of the list"),
)
_LIVES: Final = (
    mark("`%(ref)s` cannot come back: its files were let go of when it was deleted"),
    mark("Register it again from the run that made it"),
    mark("`%(name)s` has no deleted version %(version)s"),
    mark("See those that can come back: `%(command)s`"),
    mark("No deleted model of `%(project)s` has the id `%(model)s`"),
    mark("Invalid Model Version stage: %(stage)s. Value must be one of None, Staging, Production, Archived."),
    mark(
        "Model version transition cannot archive existing model versions because '%(stage)s' is not an Active stage. "
        "Valid stages are ['Staging', 'Production']"
    ),
    mark("`%(ref)s` cannot be loaded or served here: it has no %(what_words)s"),
    mark("`%(ref)s` holds a class with its code, and loading it runs that code"),
    mark("`%(ref)s` holds pickles, and loading it runs whatever code they hold"),
    mark("If you trust whoever made it, let it be loaded: `%(command)s`"),
    mark("`%(ref)s` does not name a step"),
    mark("Write `step:RUN/POSITION`; positions begin at 0"),
)
_VALIDATION: Final = (
    mark("Own suites need the snapshot of the project that they are in"),
    mark("The note is longer than %(n)s characters"),
    mark("Have one made: `%(command)s`"),
    mark("`%(ref)s` may not become `%(alias)s`: %(text)s"),
    mark("Try `%(command)s`"),
)

retelling: Final = Retelling(*_NAMES, *_LIVES, *_VALIDATION)
"""Of messages and hints."""
