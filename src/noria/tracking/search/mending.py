"""What to write instead, when a filter or an order cannot be read: the hints of its errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from noria.core.errors import near
from noria.tracking.limits import shorten

_LIST_EXAMPLE = "Write a list as `('a', 'b')`"


def of_clauses(text: str) -> str:
    """Say what to write for a filter of which some part is no comparison."""
    words = text.upper().split()
    if "OR" in words:
        return "There is no OR: search once for each"
    if text.count("'") % 2 or text.count('"') % 2 or text.count("`") % 2:
        return "Close each quote with the one that it began with"
    if ";" in text:
        return "Leave out `;`, and join comparisons by AND"
    return (
        "Write comparisons as `name > 1` or `name = 'a'`, joined by AND, without brackets;"
        " keys that are no words stand in backticks"
    )


def of_key(entity: str, key: str, known: Sequence[str], *, is_attribute: bool) -> str | None:
    """Say what to write for a key that its entity does not have; None for what may be of another kind."""
    close = near(key, known)
    if close is not None:
        return f"Did you mean `{close}`?"
    if not known:
        return "Order by something else"
    if not is_attribute:
        return f"A {entity} has " + ", ".join(f"`{one}`" for one in known)
    return None


def of_kinds(key: str, kinds: Sequence[str]) -> str | None:
    """Say what to write for a key that is no attribute, and may be of another kind."""
    name = shorten(key) if key.isidentifier() else "acc"
    named = ", ".join(f"`{kind}.{name}`" for kind in kinds)
    return f"What is no attribute is named with its kind: {named}" if named else None


def of_entity(kind: str, spellings: Iterable[str]) -> str:
    """Say what to write for an entity that there is none of."""
    known = list(spellings)
    close = near(kind, known)
    return f"Did you mean `{close}`?" if close else "Known: " + ", ".join(f"`{one}`" for one in known)


def of_comparator(name: str, comparator: str, allowed: Sequence[str], *, numeric: bool) -> str:
    """Say what to write for a comparator that cannot stand after a name."""
    # `NOT LIKE` is near to `LIKE`, and means the contrary.
    close = None if comparator.startswith("NOT ") else near(comparator, allowed)
    return f"Did you mean `{close}`?" if close else f"Write it as `{_example(name, numeric=numeric)}`"


def of_direction(direction: str) -> str:
    """Say what to write for a direction that is none."""
    close = near(direction.lower(), ("asc", "desc"))
    return f"Did you mean `{close.upper()}`?" if close else "A key is followed by `ASC` or `DESC`"


def of_number(name: str, found: str) -> str:
    """Say what to write where a number should stand."""
    bare = found.strip("'\"")
    if bare != found and _is_number(bare):
        return f"Write the number without quotes: `{bare}`"
    return f"Compare with a number, such as `{_example(name, numeric=True)}`"


def of_text(found: str) -> str:
    """Say what to write where a text should stand."""
    return f"Write it in quotes: `'{shorten(found.strip(chr(96)))}'`"


def of_list(name: str, found: str) -> str:
    """Say what to write for a list that cannot be read."""
    return f"{_LIST_EXAMPLE} in `{name} IN (…)`, each value in quotes, instead of `{shorten(found)}`"


def without_list(name: str, listable: Sequence[str]) -> str:
    """Say what to write for a list after a name that takes none."""
    others = ", ".join(f"`{one}`" for one in listable)
    return f"Compare `{name}` with one value" + (f"; lists stand after {others}" if others else "")


def of_null(name: str, *, numeric: bool) -> str:
    """Say what to write for a question after a name that always has a value, or that is not found without one."""
    example = _example(name, numeric=numeric)
    return f"Leave it out, or compare with a value, as in `{example}`: what has no value is not found"


def _example(name: str, *, numeric: bool) -> str:
    return f"{name} > 1" if numeric else f"{name} = 'a'"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
