"""The monitor of a replay: columns, relations and loss of each window against what calm ones did."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from noria.decisions.replay.baseline import Baseline
from noria.decisions.replay.outputs import Floats
from noria.decisions.replay.rows import Columns, joined
from noria.decisions.stages.alignment import Alignment, are_dealt
from noria.decisions.stages.guards import Guard, Sign, reference_blocks
from noria.decisions.stages.moves import Moves
from noria.decisions.stages.relations import RELATED, Look, Relations
from noria.decisions.stages.repeats import Repeats
from noria.decisions.stages.swaps import SWAPPED, swapped

_ALPHA = 0.02
_LENGTHS = (1, 2, 3, 4, 6, 8, 12)
_FEWEST = 10
_POOLED = (1, 2, 4)
_HYPOTHESIS_ALPHA = 0.002
_LATELY = 4  # windows
_DEALT = 3  # windows
_CALM = 2  # windows that tell what columns are like now
_OF_VALUES = ("missing", "frozen", "spelt", "unseen")
_PLAIN = 2.0  # standard errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the inputs of one window are like.

    Attributes
    ----------
    moved
        Columns that are distributed otherwise than training rows and than calm windows, in this window or in it and
        those before it.
    """

    window: int
    signs: list[Sign]
    look: Look
    columns: Columns
    moved: frozenset[str] = frozenset()

    @property
    def drifted(self) -> bool:
        """Tell whether inputs moved."""
        return bool(self.moved)


class Inputs:
    """Watches raw columns and how they hang together."""

    def __init__(self, reference: Columns, block_rows: int) -> None:
        self.reference = reference
        n = len(next(iter(reference.values()))) if reference else 0
        blocks = reference_blocks(n, block_rows) if n else []
        guards = [Guard(name, values, blocks) for name, values in reference.items()]
        # A column that always leaves its own past, such as a counter or a date, tells nothing about its contract.
        self._guards = [guard for guard in guards if guard.is_steady]
        steady = {
            name: reference[name] for name in reference if name in {guard.name for guard in self._guards}
        }
        self._steady = steady
        self.relations = Relations(steady, blocks)
        self._moves = Moves(steady, blocks)
        self._repeats = Repeats(reference, blocks)
        self._alignment = Alignment(steady, blocks)
        self.tells_copies = True
        self._n_looks = 0
        self._left_to_learn = 0
        self._recent: list[Columns] = []
        self._waiting: list[Scene] = []
        self._calm: list[Columns] = []

    def see(self, window: int, columns: Columns) -> Scene:
        """Look at the next window."""
        self._n_looks += 1
        if self._n_looks == 1 and are_dealt(self.reference, columns):
            self._left_to_learn = _DEALT
        if self._left_to_learn:
            # What rows that follow one another are like, training rows dealt at random do not tell.
            self._left_to_learn -= 1
            scene = self.look_at(window, columns)
            self.learn(scene)
            return _but(scene, [sign for sign in scene.signs if sign.kind in _OF_VALUES])
        if self._n_looks == 1:
            # How live rows come may differ from how training rows were drawn: what no live row ever did otherwise is
            # no news, unless no world does it.
            scene = self.look_at(window, columns)
            plain = [sign for sign in scene.signs if sign.hard]
            if not plain:
                self.learn(scene)
            return _but(scene, plain)
        self._recent = [*self._recent, columns][-max(_POOLED) :]
        moved: set[str] = set()
        for length in _POOLED:
            if length <= len(self._recent):
                moved |= self._moves.moved(
                    joined(self._recent[-length:]), n_looks=self._n_looks * len(_POOLED)
                ).keys()
        return self._scene(window, columns, frozenset(moved))

    def look_at(self, window: int, columns: Columns, *, is_one: bool = True) -> Scene:
        """Look at rows of a window, or of several up to it: these may have rows in common without any fault."""
        moved = frozenset(self._moves.moved(columns, n_looks=max(self._n_looks, 1)))
        return self._scene(window, columns, moved, is_one=is_one)

    def _scene(self, window: int, columns: Columns, moved: frozenset[str], *, is_one: bool = True) -> Scene:
        look = self.relations.look({name: columns[name] for name in self.relations.encoding.names}, moved)
        signs = [sign for guard in self._guards for sign in guard.signs(columns[guard.name])]
        hard = {sign.column for sign in signs if sign.hard}
        exchanged = swapped(
            self._steady,
            columns,
            moved | {sign.column for sign in signs},
            strain=self.relations.strain_of,
            lately=joined(self._calm) if self._calm else None,
        )
        if exchanged:
            both = {name for sign in exchanged for name in (sign.column, sign.values[SWAPPED])}
            others = [sign for sign in signs if sign.hard and sign.column not in both]
            return Scene(
                window=window,
                signs=[*exchanged, *others],
                look=Look(strained=look.strained),
                columns=columns,
                moved=moved,
            )
        kept = [sign for sign in signs if sign.hard or self._alone(sign.column, look, moved - hard)]
        late = [] if kept else self._alignment.signs(columns)
        if late:
            # A column that came with other rows strains the relations of others too.
            look = Look(strained=look.strained)
            kept += late
        # Columns that stand still or are gone make rows alike by themselves.
        copied = self._repeats.sign(columns) if is_one and not kept and self.tells_copies else None
        kept += [copied] if copied is not None else []
        return Scene(window=window, signs=kept, look=look, columns=columns, moved=moved)

    def _alone(self, name: str, look: Look, moved: frozenset[str]) -> bool:
        """Tell whether a column changed by itself rather than with the world."""
        if look.column == name:
            return True
        if self.relations.related(name) > RELATED:
            return name in look.strained and (look.column is None or look.column not in moved)
        return not moved - {name}

    def shows(self, columns: Columns, name: str) -> bool:
        """Tell whether a column shows a fault by itself or in its relations."""
        guard = next((guard for guard in self._guards if guard.name == name), None)
        if guard is None or guard.signs(columns[name]):
            return True
        look = self.relations.look({name: columns[name] for name in self.relations.encoding.names})
        return look.column == name or any(sign.column == name for sign in self._alignment.signs(columns))

    def calm(self, scene: Scene) -> None:
        """Take a calm window as natural, once the next two were calm as well."""
        self._calm = [*self._calm, scene.columns][-_CALM:]
        self._waiting.append(scene)
        if len(self._waiting) > 2:
            self.learn(self._waiting.pop(0))

    def stirred(self) -> None:
        """Forget the windows that were to be learnt from."""
        self._waiting.clear()

    def forget_copies(self) -> None:
        """Look for copies of rows no more: a column that is estimated, or lost, makes rows alike by itself."""
        self.tells_copies = False

    def restart(self) -> None:
        """Pool no window so far with later ones."""
        self._recent.clear()

    def learn(self, scene: Scene, *, slack: float = 1.0) -> None:
        """Take a window as natural."""
        for guard in self._guards:
            guard.accept(guard.measure(scene.columns[guard.name]), slack=slack)
        self.relations.accept(scene.columns, slack=slack)
        self._moves.accept(scene.columns, slack=slack)
        self._repeats.accept(scene.columns)


def _but(scene: Scene, signs: list[Sign]) -> Scene:
    """Give a scene of which nothing else than some signs counts."""
    return replace(scene, signs=signs, look=Look(), moved=frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Losses of the labelled rows of a window."""

    window: int
    rows: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """A rise of the loss above what calm rows lose.

    Attributes
    ----------
    low, high
        Of the rise, at a level that holds at any time.
    """

    since: int
    rise: float
    low: float
    high: float
    n: int

    @property
    def is_real(self) -> bool:
        """Tell whether it is more than chance."""
        return self.low > 0


@dataclass(slots=True)
class Losses:
    """Watches the loss of labelled rows, with intervals that hold however often one looks.

    The level of each look is alpha / (k (k + 1)) over all looks k, shared among the lengths of the past that are
    looked at (a union bound over time; Waudby-Smith and Ramdas (2023) call it stitching by spending).
    """

    mean: float
    variance: float
    n_reference: int
    between: float
    allowance: float
    n_looks: int = 0
    _scored: dict[int, Scored] = field(default_factory=dict)

    @classmethod
    def of(cls, baseline: Baseline) -> Losses:
        """Begin with what held-out training rows lose."""
        rows = baseline.rows
        return cls(
            mean=baseline.mean,
            variance=float(rows.var()),
            n_reference=len(rows),
            between=baseline.between,
            allowance=baseline.allowance,
        )

    def add(self, scored: Scored) -> None:
        """Take losses of a window in the place of earlier ones."""
        if len(scored.rows):
            self._scored[scored.window] = scored

    def reset(self, mean: float, since: int, n: int) -> None:
        """Begin anew after a window, with another normal that n rows tell."""
        if n and mean > self.mean:
            self.mean, self.n_reference = mean, min(self.n_reference, n)
        self._scored = {window: scored for window, scored in self._scored.items() if window > since}

    def rise(self) -> Rise | None:
        """Give the surest rise over the newest labelled windows, if there are labels."""
        windows = sorted(self._scored)
        self.n_looks += 1
        alpha = _ALPHA / (self.n_looks * (self.n_looks + 1) * len(_LENGTHS))
        alpha = max(alpha, 1e-6)
        found: list[tuple[float, Rise]] = []
        for length in _LENGTHS:
            if length > len(windows):
                break
            newest = windows[-length:]
            rise = self._over(newest, alpha)
            if rise is not None:
                found.append((rise.low, rise))
        return max(found, key=lambda entry: entry[0])[1] if found else None

    def since(self, window: int) -> Rise | None:
        """Give the rise since a window that something else named: one question, so one level."""
        windows = [each for each in sorted(self._scored) if each >= window]
        return self._over(windows, _HYPOTHESIS_ALPHA) if windows else None

    def _over(self, windows: list[int], alpha: float) -> Rise | None:
        """Hold windows against what training rows lose, and against the live windows before, where these are enough."""
        rows = np.concatenate([self._scored[window].rows for window in windows])
        if len(rows) < _FEWEST:
            return None
        spread = max(float(rows.var()), self.variance)
        own = spread / len(rows) + self.between**2 / len(windows)
        se = math.sqrt(own + self.variance / self.n_reference)
        rise = float(rows.mean()) - self.mean - self.allowance
        half = quantile(alpha / 2, len(rows)) * se
        found = Rise(since=windows[0], rise=rise, low=rise - half, high=rise + half, n=len(rows))
        before = [scored.rows for window, scored in self._scored.items() if window < windows[0]]
        # A season may lie above the one before, so what is only more than lately is no rise.
        if len(before) < _LATELY or rise < _PLAIN * se:
            return found
        calm = np.concatenate(before)
        se = math.sqrt(own + self.variance / len(calm) + self.between**2 / len(before))
        rise = float(rows.mean() - calm.mean())
        half = quantile(alpha / 2, len(rows)) * se
        lately = Rise(since=windows[0], rise=rise, low=rise - half, high=rise + half, n=len(rows))
        return max(found, lately, key=lambda each: each.low)


def quantile(alpha: float, n: int) -> float:
    """Give Student's quantile for a mean of n rows."""
    from scipy.stats import t

    return float(t.isf(alpha, max(n - 1, 2)))


def interval_of(values: Any, *, level: float = 0.95) -> tuple[float, float]:
    """Give Student's interval of a mean."""
    rows = np.asarray(values, dtype=np.float64)
    if len(rows) < 2:
        return float("nan"), float("nan")
    half = quantile((1 - level) / 2, len(rows)) * float(rows.std(ddof=1)) / math.sqrt(len(rows))
    return float(rows.mean()) - half, float(rows.mean()) + half
