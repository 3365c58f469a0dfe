"""What may follow in a filter that is being typed: keys, comparators, values, `AND`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from noria.core.web.languages import mark
from noria.tracking.entities import RunStatus
from noria.tracking.known import KeyKind, KnownKeys
from noria.tracking.search.fields import METRICS, PARAMS, RUNS, TAGS
from noria.tracking.search.grammar import ATTRIBUTE, NULL_COMPARATORS, Entity

MAX_SUGGESTIONS: Final = 12

PARAM_WORDS = mark("param")
METRIC_WORDS = mark("metric")
TAG_WORDS = mark("tag")
ATTRIBUTE_WORDS = mark("of every run")
VALUE_WORDS = mark("value")

Values = Callable[[KeyKind, str, str], Iterable[str]]
"""Gives some values of a param or tag that begin with a text."""

_AND = re.compile(r"'(?:[^']|'')*'?|\"[^\"]*\"?|`[^`]*`?|\band\b", re.IGNORECASE)
_NAME = r"(?:\w+|`[^`]*`|\"[^\"]*\")(?:\.(?:\w+|`[^`]*`|\"[^\"]*\"))*"
_NAMING = re.compile(r"\s*(?P<typed>[^\s<>=!~']*|(?:\w+\.)?[`\"][^`\"]*)")
_COMPARING = re.compile(rf"\s*(?P<name>{_NAME})(?:\s+(?P<typed>[a-z ]*)|\s*(?P<sign>[<>=!]*))", re.IGNORECASE)
_VALUE = re.compile(
    rf"\s*(?P<name>{_NAME})\s*(?P<comparator>!=|<=|>=|=|<|>|\bi?like\b)\s*(?P<open>')?(?P<typed>[^']*)",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"\w+")
_KINDS = {
    **dict.fromkeys((PARAMS.name, *PARAMS.also), KeyKind.PARAMS),
    **dict.fromkeys((METRICS.name, *METRICS.also), KeyKind.METRICS),
    **dict.fromkeys((TAGS.name, *TAGS.also), KeyKind.TAGS),
}
_ENTITIES = {KeyKind.PARAMS: PARAMS, KeyKind.METRICS: METRICS, KeyKind.TAGS: TAGS}
_WORDS = {KeyKind.PARAMS: PARAM_WORDS, KeyKind.METRICS: METRIC_WORDS, KeyKind.TAGS: TAG_WORDS}
_ATTRIBUTES: Entity = next(entity for entity in RUNS.entities if entity.name == ATTRIBUTE)
_OFFERED_ATTRIBUTES = ("status", "run_name", "user_id", "start_time", "end_time", "run_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """Something that may follow.

    Attributes
    ----------
    text
        What it is called.
    filter
        The whole filter when it is taken.
    words
        What it is, to be translated; empty for comparators.
    """

    text: str
    filter: str
    words: str = ""


def key_text(kind: KeyKind, key: str) -> str:
    """Write a key as filters and orders name it.

    Examples
    --------
    >>> key_text(KeyKind.METRICS, "acc"), key_text(KeyKind.PARAMS, "model/depth")
    ('metrics.acc', 'params.`model/depth`')
    """
    return f"{kind}.{key}" if _PLAIN.fullmatch(key) else f"{kind}.`{key}`"


def value_text(value: str) -> str:
    """Write a value of a param or tag as filters do.

    Examples
    --------
    >>> value_text("it's")
    "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"


def complete(text: str, keys: KnownKeys, values: Values) -> list[Suggestion]:
    """Suggest what may stand at the end of a filter.

    Parameters
    ----------
    keys
        Those that the runs have.
    values
        Gives those of a key.
    """
    begin = _last_clause(text)
    done, clause = text[:begin], text[begin:]
    return list(_suggestions(done, clause, keys, values))[:MAX_SUGGESTIONS]


def _last_clause(text: str) -> int:
    """Find where the last clause begins: behind the last `AND` that stands outside quotes."""
    return max((found.end() for found in _AND.finditer(text) if found[0].lower() == "and"), default=0)


def _suggestions(done: str, clause: str, keys: KnownKeys, values: Values) -> Iterator[Suggestion]:
    before = f"{done} " if done else ""
    naming = _NAMING.fullmatch(clause)
    if naming is not None:
        yield from _keys(before, naming["typed"], keys)
        return
    comparing = _COMPARING.fullmatch(clause)
    if comparing is not None:
        typed = comparing["sign"] or (comparing["typed"] or "").strip()
        found = list(_comparators(before, comparing["name"], typed))
        if found and not any(one.text == typed.upper() for one in found):
            yield from found
            return
    valued = _VALUE.fullmatch(clause)
    if valued is not None and not _is_whole(valued):
        yield from _values(before, valued, values)
    elif comparing is None:
        yield Suggestion(text="AND", filter=f"{done}{clause.rstrip()} AND ")


def _is_whole(valued: re.Match[str]) -> bool:
    """Tell whether a value without quotes ends in a space: a number that was typed."""
    typed = valued["typed"]
    return valued["open"] is None and bool(typed.strip()) and typed.endswith(" ")


def _keys(before: str, typed: str, keys: KnownKeys) -> Iterator[Suggestion]:
    wanted = re.sub(r"[`\"]", "", typed).lower()
    offered = [(name, name, ATTRIBUTE_WORDS) for name in _OFFERED_ATTRIBUTES]
    for kind in (KeyKind.METRICS, KeyKind.PARAMS, KeyKind.TAGS):
        offered += [(f"{kind}.{key}", key_text(kind, key), _WORDS[kind]) for key in keys.of(kind)]
    ranked = sorted(
        (_rank(name.lower(), wanted), place)
        for place, (name, _, _) in enumerate(offered)
        if wanted in name.lower()
    )
    for _, place in ranked:
        _, text, words = offered[place]
        yield Suggestion(text=text, filter=f"{before}{text} ", words=words)


def _rank(name: str, wanted: str) -> int:
    """Put first what begins so, then keys that do, then the rest."""
    return 0 if name.startswith(wanted) else 1 if name.partition(".")[2].startswith(wanted) else 2


def _comparators(before: str, name: str, typed: str) -> Iterator[Suggestion]:
    for comparator in _allowed(name):
        if comparator.startswith(typed.upper()):
            end = " AND " if comparator in NULL_COMPARATORS else " ("[: 2 if comparator.endswith("IN") else 1]
            yield Suggestion(text=comparator, filter=f"{before}{name} {comparator}{end}")


def _allowed(name: str) -> tuple[str, ...]:
    kind, key = _split(name)
    if kind is not None:
        return _ENTITIES[kind].comparators
    return next((one.allowed for one in _ATTRIBUTES.fields if key in (one.key, *one.also)), ())


def _values(before: str, valued: re.Match[str], values: Values) -> Iterator[Suggestion]:
    kind, key = _split(valued["name"])
    beginning = valued["typed"] if valued["open"] else valued["typed"].strip()
    stem = f"{before}{valued['name']} {valued['comparator']} "
    if kind is None:
        known = [status.value.upper() for status in RunStatus] if key == "status" else []
        found = [value for value in known if value.startswith(beginning.upper())]
    else:
        found = [] if kind is KeyKind.METRICS else list(values(kind, key, beginning))
    for value in found:
        yield Suggestion(text=value_text(value), filter=f"{stem}{value_text(value)} ", words=VALUE_WORDS)


def _split(name: str) -> tuple[KeyKind | None, str]:
    """Take a name apart: the kind of its key, or None for an attribute; and the key without quotes."""
    first, _, key = name.partition(".")
    kind = _KINDS.get(first.lower())
    if kind is None or not key:
        return None, (key or first).strip('`"')
    return kind, key.strip('`"')
