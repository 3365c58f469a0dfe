"""Why a change of a run is refused: kept in English, told in the language of the page."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

_TEXTS: Final = (
    mark("`%(key)s` cannot be the key of a %(kind_words)s"),
    mark("Use letters, digits, spaces and `_ - . : /`, without parts that are empty or `..`"),
    mark("`%(name)s` cannot be the name of a %(kind_words)s"),
    mark("Use one line of text"),
    mark("The %(what_words)s `%(value)s` has %(n)s characters; at most %(limit)s are kept"),
    mark("Shorten it, or keep long text as an artifact"),
    mark("The %(what_words)s holds a character that cannot be stored: %(text)s"),
    mark("Remove null characters and halves of surrogate pairs"),
    mark("`%(path)s` cannot be the path of an artifact"),
    mark("Use a relative path with `/` between its parts, such as `plots/roc.png`"),
    mark("`%(ref)s` is not a reference"),
    mark("`%(digest)s` is not a digest"),
    mark("A digest is `blake3:` and 64 digits out of 0-9 and a-f; leave it empty when there is none"),
    mark("The data set `%(name)s` has no digest"),
    mark("Pass a text of 1 to 36 characters"),
)
_NUMBERS: Final = (
    mark("The %(what_words)s `%(moment)s` has no time zone"),
    mark("Use `datetime.now(UTC)` or `.astimezone()`"),
    mark("The step %(step)s of the metric `%(key)s` does not fit in 64 bits"),
    mark("Use steps between %(low)s and %(high)s"),
    mark("The time %(at)s of the metric `%(key)s` is none between the years 1 and 9999"),
    mark("Give microseconds since 1970"),
    mark("The batch has %(n)s %(what_words)s; at most %(limit)s are taken at once"),
    mark("Send it in several batches"),
)
_RUNS: Final = (
    mark("The run `%(run)s` has ended already: it is %(old_words)s, and cannot become %(new_words)s"),
    mark("Resume it first, with `%(call)s`"),
    mark("The run `%(run)s` is %(old_words)s and cannot become %(new_words)s"),
    mark("From %(old_words)s it may become: %(new_words)s"),
    mark("The run `%(run)s` cannot end at %(end)s: it started at %(start)s"),
    mark("Leave `ended_at` out for now"),
    mark("A run cannot end as `%(status)s`"),
    mark("Use `finished`, `failed` or `killed`"),
    mark("The param `%(key)s` of run `%(run)s` is `%(old)s` and cannot become `%(new)s`"),
    mark("Params never change: start another run, or log it as a tag"),
    mark("Restore it with `%(command)s`"),
    mark("Logged model with ID '%(model)s' not found."),
    mark("Invalid page token: %(text)s"),
    mark("Begin again without a token, or repeat the search it came with"),
)
_WORDS: Final = (
    mark("metric"),
    mark("param"),
    mark("tag"),
    mark("run name"),
    mark("experiment name"),
    mark("metric key"),
    mark("param key"),
    mark("tag key"),
    mark("value of the param `%(key)s`"),
    mark("value of the tag `%(key)s`"),
    mark("artifact path"),
    mark("artifact location"),
    mark("running"),
    mark("finished"),
    mark("failed"),
    mark("killed"),
    mark("scheduled"),
)

retelling: Final = Retelling(*_TEXTS, *_NUMBERS, *_RUNS, *_WORDS)
"""Of messages and hints."""
