"""An incident while it is open: what is known of it at the end of a window."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.decisions.replay.baseline import Baseline
from noria.decisions.replay.code_checks import CodeCheck
from noria.decisions.replay.outputs import Floats
from noria.decisions.replay.repairs import UNRELATED
from noria.decisions.replay.rows import Window
from noria.decisions.replay.watch import Inputs, Losses, Rise, Scene
from noria.decisions.replay.world import Path, World
from noria.decisions.stages.alignment import LAGGED
from noria.decisions.stages.guards import Sign
from noria.decisions.stages.moves import Moves

_MANY = 4


@dataclass(slots=True, kw_only=True)
class State:
    """A replay up to the end of a window.

    Attributes
    ----------
    seen
        Windows so far, with their scenes in `scenes`.
    path
        What was done about earlier incidents.
    faulty
        Windows whose raw rows broke their contract, repaired since or not, and by which columns (all of them where
        a repair puts estimates in): nothing may learn from them.
    known
        Columns whose breach was dealt with and is not raised again.
    mix
        How targets of training rows are distributed.
    importance
        What a shuffle of each column costs, with its standard error; None until that is asked.
    estimates
        Whether a repair puts estimates in the place of inputs.
    left
        Whether inputs that broke were left so.
    relearnt
        Whether targets were found to have to do with inputs otherwise than in training.
    """

    world: World
    baseline: Baseline
    inputs: Inputs
    losses: Losses
    block_rows: int
    mix: Moves
    path: Path = field(default_factory=Path)
    seen: list[Window] = field(default_factory=list)
    scenes: dict[int, Scene] = field(default_factory=dict)
    checks: list[CodeCheck] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)
    faulty: dict[int, frozenset[str]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    estimates: bool = False
    left: bool = False
    relearnt: bool = False
    importance: dict[str, tuple[float, float]] | None = None

    @property
    def now(self) -> int:
        """The newest window."""
        return self.seen[-1].number


@dataclass(slots=True, kw_only=True)
class Case:
    """An open incident.

    Attributes
    ----------
    announced
        Whether somebody said beforehand that a column which now looks otherwise would.
    was_serious
        Whether it was plain, or cost something, already a window ago.
    innocent
        Columns whose relations to the others broke, which cannot have caused what is lost.
    """

    onset: int
    detected: int
    rise: Rise | None = None
    n_looks: int = 0
    n_known: int = 0
    suspected: list[Sign] = field(default_factory=list)
    announced: bool = False
    was_serious: bool = False
    innocent: frozenset[str] = frozenset()

    def windows(self, state: State) -> list[Window]:
        """Windows since the onset."""
        return [window for window in state.seen if window.number >= self.onset]

    def labelled(self, state: State) -> list[tuple[Window, NDArray[np.intp]]]:
        """Windows since the onset with their labelled rows, where there are any."""
        found = [(window, window.labelled(state.now)) for window in self.windows(state)]
        return [(window, rows) for window, rows in found if len(rows)]

    def signs(self, state: State) -> list[Sign]:
        """Signs of the newest window, relations that broke among them, and columns that fell silent."""
        found = [*signs_of(state.scenes[state.now]), *self.suspected]
        return [sign for sign in found if sign.column not in self.innocent]

    def has(self, state: State, sign: Sign) -> bool:
        """Tell whether a sign is of this case: not what a column that drifts all along shows once, windows later."""
        windows = self.windows(state)
        shown = [w for w in windows if sign.column in {s.column for s in signs_of(state.scenes[w.number])}]
        drifts = sign.column in state.scenes[windows[0].number].moved and len(windows) > _MANY
        return len(shown) > 1 or not drifts

    def is_broken(self, state: State) -> bool:
        """Tell whether rows since the onset broke their contract."""
        return any(state.faulty.get(w.number, frozenset()) - self.innocent for w in self.windows(state))

    def checks(self, state: State) -> list[CodeCheck]:
        """Deployments that still rule the path."""
        return ruling(state)

    def is_plain(self, state: State) -> bool:
        """Tell whether something is wrong whatever the labels say: code that costs, or values no world would give."""
        windows = self.windows(state)
        return (
            any(check.is_harmful for check in self.checks(state))
            or any(window.number in state.errors for window in windows)
            or any(sign.hard for sign in self.signs(state))
            or (self.announced and bool(self.signs(state)))
        )

    def is_grave(self, state: State) -> bool:
        """Tell whether something is wrong plainly, or costs something, or may do so unseen for want of labels."""
        return self.is_plain(state) or self.rise is None or self.costs

    @property
    def costs(self) -> bool:
        """Tell whether more is lost than calm rows lose."""
        return self.rise is not None and self.rise.is_real

    def may_cost(self, state: State) -> bool:
        """Tell whether columns look otherwise and more is lost, though that may be chance."""
        return self.rise is not None and self.rise.rise > 0 and bool(self.signs(state))


def signs_of(scene: Scene) -> list[Sign]:
    """List the signs of a scene; a column that alone broke its relations is one."""
    look = scene.look
    marked = {sign.column for sign in scene.signs}
    if look.column is None or look.column in marked or not look.broken:
        return scene.signs
    kind = LAGGED if look.lag else UNRELATED
    says = (
        f"`{look.column}` hangs together with the other columns as before once it is moved by {look.lag} rows"
        if look.lag
        else f"`{look.column}` does not hang together with the other columns as before, which do among themselves"
    )
    sign = Sign(
        column=look.column,
        kind=kind,
        size=look.strain,
        natural=look.natural,
        sentence=says,
        values={"lag": look.lag},
    )
    return [*scene.signs, sign]


def ruling(state: State) -> list[CodeCheck]:
    """List the checks of deployments that decide what rows get now."""
    features = [check for check in state.checks if check.deployment.module is not None]
    models = [check for check in state.checks if check.deployment.model is not None]
    found = []
    if features and not (
        state.path.module is not None and features[-1].deployment.window <= state.path.module_at
    ):
        found.append(features[-1])
    if models and not (state.path.model is not None and models[-1].deployment.window <= state.path.model_at):
        found.append(models[-1])
    return found


def answers_as_trained(state: State) -> bool:
    """Tell whether the model that answers gives the answers of the one that was trained, put live again or not."""
    model = state.world.model_for(state.path)
    again = [c for c in ruling(state) if c.deployment.model is model and not c.differs and not c.error]
    return (model is state.world.model or bool(again)) and state.path.calibration is None


def losses_under(state: State, path: Path, parts: list[tuple[Window, NDArray[np.intp]]]) -> Floats:
    """Give the losses of labelled rows under a path, one window behind the other."""
    found = []
    for window, rows in parts:
        predicted, _ = state.world.answer(path, window)
        found.append(state.world.losses(window, predicted, rows))
    return np.concatenate(found) if found else np.empty(0)


def targets_of(parts: list[tuple[Window, NDArray[np.intp]]]) -> NDArray[Any]:
    """Give the targets of labelled rows."""
    return np.concatenate([window.actual[rows] for window, rows in parts]) if parts else np.empty(0)
