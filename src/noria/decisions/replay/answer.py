"""The answer of a replay."""

from __future__ import annotations

import msgspec

from noria.decisions.entities import Cause, Remedy


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A remedy that was looked at; `gain` and `interval` are null when it could not be judged."""

    remedy: Remedy
    gain: float | None
    interval: tuple[float, float] | None
    cost: float
    admissible: bool
    note: str


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong, and what was done.

    Attributes
    ----------
    onset_window, detected_window
        When it is estimated to have begun, and when it was noticed.
    subject
        Column, step, version or segment concerned.
    abstained
        Whether it was left to a person, or to more labels.
    """

    onset_window: int
    detected_window: int
    causes: dict[Cause, float]
    subject: str | None
    remedy: Remedy
    candidates: list[Tried]
    abstained: bool
    reason: str


class WindowSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A window as the monitor saw it: the metric on labels that became known, and what was raised."""

    window: int
    n: int
    n_labelled: int
    metric: float | None
    interval: tuple[float, float] | None
    alerts: list[str]


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Metric of a window with the actions and without, on every label that the recording has."""

    window: int
    without: float | None
    with_actions: float | None = msgspec.field(name="with")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a replay says. `value` is the loss saved within the horizons, net of costs."""

    windows: list[WindowSeen]
    incidents: list[Incident]
    quality: list[Quality]
    value: float
