"""What the event log says of columns that somebody changes on purpose."""

from __future__ import annotations

import re
from collections.abc import Iterator

from noria.core.stats.samples import is_missing
from noria.decisions.replay.episode import Happening
from noria.decisions.replay.repairs import UNRELATED
from noria.decisions.replay.rows import Columns
from noria.decisions.stages.distances import distance
from noria.decisions.stages.guards import SCALES, Sign

_DEPLOYS = re.compile(
    r"deploy|release|rollout|roll-out|version|config|restart|patch|library|dependency", re.IGNORECASE
)
_FAULTS = re.compile(
    r"fault|fail|broken|outage|error|\bbug|incident|corrupt|stuck|wrong|\blost\b|(?:is|was|were|went|goes) down\b",
    re.IGNORECASE,
)
_BY_DESIGN = frozenset({*SCALES, "unseen", "exchanged", "spelt", "rounded", "outside", "default"})
_FEWEST_LETTERS = 4
_AS_BEFORE = 0.3


def announces(happening: Happening, columns: set[str], every: list[str]) -> bool:
    """Tell whether an event says that one of the columns was changed on purpose.

    Parameters
    ----------
    columns
        That look otherwise.
    every
        All columns: a word counts for the one column whose name has it.
    """
    said = f"{happening.subject or ''} {happening.text or ''}"
    if _FAULTS.search(f"{happening.type} {said}"):
        return False
    if happening.subject in columns or any(_says(happening.text or "", name, every) for name in columns):
        return True
    # The type of a release names a thing that was deployed, and no column that its sender changed.
    told = said if _DEPLOYS.search(happening.type) else f"{happening.type} {said}"
    return not _DEPLOYS.search(happening.type) and any(_says(told, name, every) for name in columns)


def may_be_by_design(sign: Sign, columns: Columns, known: Columns) -> bool:
    """Tell whether anybody could have meant it: another unit or other codes, but neither gaps nor a filler.

    A column that no longer hangs together with the others was shuffled, or stands on another scale; then its values lie
    elsewhere.
    """
    if sign.kind == UNRELATED:
        return distance(columns[sign.column], known[sign.column]) > _AS_BEFORE
    if sign.kind != "default" or not sign.values.get("spike"):
        return sign.kind in _BY_DESIGN
    values = columns[sign.column]
    rest = values[~is_missing(values) & (values != sign.values["value"])]
    return not len(rest) or distance(rest, known[sign.column]) > _AS_BEFORE


def _says(text: str, name: str, every: list[str]) -> bool:
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE):
        return True
    others = {word for other in every if other != name for word in _words(other)}
    own = [word for word in _words(name) if word not in others]
    return any(re.search(rf"\b{re.escape(word)}(?:e?s)?\b", text, re.IGNORECASE) for word in own)


def _words(name: str) -> Iterator[str]:
    for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name):
        if len(word) >= _FEWEST_LETTERS:
            yield word.lower()
