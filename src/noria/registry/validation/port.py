"""The model that is tried, as checks see it: calls that come back, or an error that says how they did not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


class SubjectRaised(Exception):
    """The model raised, and can be called again."""


class SubjectGone(Exception):
    """The model's process is no more: it hung, died or took too much.

    Parameters
    ----------
    words, values
        What happened, for the report.
    """

    def __init__(self, words: str, **values: str | int | float) -> None:
        super().__init__(words % values if values else words)
        self.words, self.values = words, values


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAnswer:
    """What a check of an own suite gave: a truth value or a number with its bounds, or what it raised."""

    name: str
    title: str
    value: float | None = None
    holds: bool | None = None
    at_most: float | None = None
    at_least: float | None = None
    said: str = ""
    raised: str = ""


class Subject(Protocol):
    """A model in a process of its own. Each call may raise `SubjectRaised` or `SubjectGone`."""

    @property
    def engine(self) -> str:
        """What computes the predictions."""
        ...

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Predict rows."""
        ...

    def features(self, inputs: Arrays) -> NDArray[Any]:
        """Give what the last step of the model sees."""
        ...

    def timed(self, inputs: Arrays, calls: int) -> list[float]:
        """Predict rows again and again, and give the seconds of each call."""
        ...

    def growth_mb(self, inputs: Arrays, calls: int) -> float:
        """Predict rows again and again, and give by how much the process has grown."""
        ...

    def peak_mb(self) -> float:
        """Give the largest resident memory of the process so far."""
        ...

    def restart(self) -> None:
        """Load the model anew, in another process."""
        ...

    def own(self, source: str, name: str, folder: str | None, data: Arrays, target: Any) -> list[OwnAnswer]:
        """Run the checks of an own suite beside the model."""
        ...
