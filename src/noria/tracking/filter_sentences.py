"""What is wrong with a filter, and what mends it: kept in English, told in the reader's language."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

_MESSAGES: Final = (
    mark("Invalid clause(s) in filter string: %(text)s"),
    mark("Search filter contained multiple expression '%(text)s'. Provide AND-ed expression list."),
    mark("The filter has %(n)s clauses"),
    mark("Invalid %(entity)s key '%(key_words)s' specified. Valid keys are '%(text)s'"),
    mark("Invalid comparator '%(sign_words)s' not one of '%(text)s'"),
    mark("Invalid entity type '%(entity_words)s'. Valid values are %(text)s"),
    mark("Invalid comparison clause. Expected 'Identifier' found '%(text)s'"),
    mark("IS NULL / IS NOT NULL is only supported for tags and params, not for '%(entity)s' '%(text)s'"),
    mark("Expected numeric value type for numeric attribute: %(key)s. Found %(text)s"),
    mark("Expected numeric value type for %(entity)s. Found %(text)s"),
    mark(
        "Parameter value is either not quoted or unidentified quote types used for string value %(text)s. Use either "
        "single or double quotes."
    ),
    mark("Expected a quoted string value for attributes. Got value %(text)s"),
    mark("Expected a quoted string value for %(entity)s (e.g. 'my-value'). Got value %(text)s"),
    mark("While parsing a list in the query, expected %(text)s"),
)
_HINTS: Final = (
    mark("Did you mean `%(name)s`?"),
    mark("There is no OR: search once for each"),
    mark("Close each quote with the one that it began with"),
    mark("Leave out `;`, and join comparisons by AND"),
    mark(
        "Write comparisons as `name > 1` or `name = 'a'`, joined by AND, without brackets; keys that are no words "
        "stand in backticks"
    ),
    mark("Give at most %(n)s"),
    mark("The name stands on the left, the value on the right"),
    mark("Known: %(known_list)s"),
    mark("A %(entity)s has %(known_list)s"),
    mark("What is no attribute is named with its kind: %(known_list)s"),
    mark("Write it as `%(example)s`"),
    mark("Leave it out, or compare with a value, as in `%(example)s`: what has no value is not found"),
    mark("Write the number without quotes: `%(number)s`"),
    mark("Compare with a number, such as `%(example)s`"),
    mark("Write it in quotes: `%(value)s`"),
    mark("Write a list as `%(example)s` in `%(place)s`, each value in quotes, instead of `%(text)s`"),
    mark("Compare `%(name)s` with one value; lists stand after %(known_list)s"),
    mark("Compare `%(name)s` with one value"),
)

retelling: Final = Retelling(*_MESSAGES, *_HINTS)
"""Of messages and hints about filters."""
