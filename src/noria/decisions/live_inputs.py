"""Columns of live rows held against the training sample, window by window: guards, relations, contract. Worker only.

It feeds the stages that a replay feeds too. Live rows since the onset are cut into windows, the newest last; a sign
counts that shows in half of the newest windows or more.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.case import Arrays, Case, Rows
from noria.decisions.replay.case import signs_of
from noria.decisions.replay.outputs import texts
from noria.decisions.replay.repairs import UNRELATED
from noria.decisions.replay.watch import Inputs, Scene
from noria.decisions.stages.alignment import LAGGED
from noria.decisions.stages.contract import STAGE, breaches, contract
from noria.decisions.stages.finding import LACKS, Finding
from noria.decisions.stages.guards import Sign
from noria.decisions.stages.new_class import FEWEST as FEWEST_OF_A_CLASS

CORRUPT = frozenset(
    {"missing", "outside", "default", "frozen", "repeat", "rounded", "spelt", UNRELATED, LAGGED}
)
"""Signs that no design explains."""

FEWEST_ROWS = 20
_NEWEST = 6
_SHARE_OF_REFERENCE = 4
_SHOWN = 5
_KEPT = 20
_SIGN_OF_BREACH = {"missing": "missing", "frozen": "frozen", "absurd": "outside", "rescaled": "rescaled"}


class LiveInputs:
    """Watches the columns of a case."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._since = case.since
        self.reference = numbers_and_codes(case.reference_columns() or {})

    @cached_property
    def block_rows(self) -> int:
        """Rows of a window: a quarter of the training sample, or all since the onset when there are fewer."""
        return max(FEWEST_ROWS, min(len(self._since), self._n_reference // _SHARE_OF_REFERENCE))

    @cached_property
    def inputs(self) -> Inputs:
        """What the columns always did: in training, and in calm live windows before the onset.

        A window that shows signs itself is not calm: it may be of an earlier incident, or of this one, since the onset
        is an estimate; for that the window just before it is left out as well.
        """
        made = Inputs(self.reference, self.block_rows)
        calm = self._case.rows.before(self._case.onset_position)
        for part in self._windows(calm)[:-1]:
            scene = made.look_at(0, part)
            if not signs_of(scene):
                made.learn(scene)
        return made

    @cached_property
    def scenes(self) -> list[Scene]:
        """What the newest windows since the onset are like."""
        windows = self._windows(self._since)[-_NEWEST:]
        return [self.inputs.look_at(number, part) for number, part in enumerate(windows)]

    @cached_property
    def signs(self) -> list[Sign]:
        """What half of the newest windows show and no calm one did; the surest first."""
        if not self.reference or len(self._since) < FEWEST_ROWS:
            return []
        counts: dict[tuple[str, str], int] = {}
        newest: dict[tuple[str, str], Sign] = {}
        for scene in self.scenes:
            for sign in signs_of(scene):
                if sign.kind in (UNRELATED, LAGGED) and not self._are_known_classes:
                    continue
                key = sign.column, sign.kind
                counts[key] = counts.get(key, 0) + 1
                newest[key] = sign
        lasting = [newest[key] for key, n in counts.items() if n >= max(1, len(self.scenes) // 2)]
        known = {sign.column for sign in lasting}
        lasting += [sign for sign in self._breached if sign.column not in known]
        return sorted(
            lasting, key=lambda s: (s.kind not in CORRUPT, not s.hard, -counts.get((s.column, s.kind), 0))
        )

    @cached_property
    def finding(self) -> Finding:
        """Say whether the columns keep the contract of the training rows."""
        plain = self._plain
        if plain.verdict == LACKS or not self.signs:
            return plain
        corrupt = any(sign.kind in CORRUPT for sign in self.signs)
        told = "; ".join(_sentence(sign) for sign in self.signs[:_SHOWN])
        failed = f"; {self._case.n_errors} of {self._case.n_rows} rows failed" if self._case.n_errors else ""
        signs = [
            {
                "column": s.column,
                "kind": s.kind,
                "size": s.size,
                "natural": s.natural,
                **_plain_values(s.values),
            }
            for s in self.signs[:_KEPT]
        ]
        return Finding(
            stage=STAGE,
            verdict="corrupt" if corrupt else "changed",
            sentence=told + failed,
            figures={**plain.figures, "signs": signs},
            subject=f"column {self.signs[0].column}",
        )

    def columns(self, rows: Rows) -> Arrays:
        """Give rows as the guards take them."""
        found = numbers_and_codes(self._case.columns(rows)) if len(rows) else {}
        return {name: found[name] for name in self.reference if name in found}

    @cached_property
    def _plain(self) -> Finding:
        """Test the columns one by one against the training sample, whatever their past."""
        return contract(
            self._case.reference_columns(),
            self._case.columns(self._since) if len(self._since) else {},
            n_rows=self._case.n_rows,
            n_errors=self._case.n_errors,
        )

    @cached_property
    def _are_known_classes(self) -> bool:
        """Tell whether labels show that the rows are of classes that the model knows.

        Rows of a new class hang together in another way; without labels that looks like one broken column.
        """
        labels = self._since.labelled.labels
        if len(labels) < FEWEST_ROWS:
            return False
        if not self._case.is_classification:
            return True
        known = set(texts(self._case.version.classes or ()).tolist())
        return sum(label not in known for label in texts(labels).tolist()) < FEWEST_OF_A_CLASS

    @property
    def _breached(self) -> list[Sign]:
        """Give what the contract alone found as signs."""
        if self._plain.verdict not in ("corrupt", "changed"):
            return []
        reference = self._case.reference_columns() or {}
        current = self._case.columns(self._since)
        sure = {(found["column"], found["kind"]) for found in self._plain.figures["breaches"]}
        return [
            Sign(
                column=name,
                kind=_SIGN_OF_BREACH.get(breach.kind, "unseen"),
                size=breach.figure,
                natural=0.0,
                sentence=breach.sentence,
                values={"slope": breach.figure, "offset": 0.0} if breach.kind == "rescaled" else {},
            )
            for name in reference
            if name in current
            for breach in breaches(name, reference[name], current[name])
            if (name, breach.kind) in sure
        ]

    def _windows(self, rows: Rows) -> list[Arrays]:
        columns = self.columns(rows)
        size, n = self.block_rows, len(rows)
        starts = range(n % size if n > size else 0, max(n - size, 0) + 1, size) if n >= FEWEST_ROWS else ()
        return [{name: column[at : at + size] for name, column in columns.items()} for at in starts]

    @property
    def _n_reference(self) -> int:
        return len(next(iter(self.reference.values()))) if self.reference else 0


def numbers_and_codes(columns: Mapping[str, NDArray[Any]]) -> Arrays:
    """Give columns as numbers (missing or infinite: NaN) or as objects (missing: None)."""
    found: Arrays = {}
    for name, column in columns.items():
        if column.dtype.kind in "iufb":
            numbers = column.astype(np.float64)
            found[name] = np.where(np.isfinite(numbers), numbers, np.nan)
        else:
            codes = column.astype(object)
            codes[is_missing(column)] = None
            found[name] = codes
    return found


def factor_of(sign: Sign) -> float | None:
    """Give the ratio in which a column stands to what it was, where it is another unit."""
    return float(sign.values["slope"]) if sign.kind == "rescaled" and "slope" in sign.values else None


def _sentence(sign: Sign) -> str:
    factor = factor_of(sign)
    if factor is None or "times what it was" in sign.sentence:
        return sign.sentence
    return f"{sign.sentence}, {factor:.4g} times what it was"


def _plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if isinstance(value, (bool, int, float, str))}
