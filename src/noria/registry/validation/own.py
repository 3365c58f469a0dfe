"""Suites of one's own: functions that look at the model and give a truth value or a number.

A suite is a Python file::

    import noria

    @noria.check("Older customers are approved less often", at_most=0.02)
    def age_matters_little(model, rows):
        older = rows.changed(age=rows["age"] + 10)
        return abs(model.share(older, "yes") - model.share(rows, "yes"))

It runs in a process of its own beside the model, without the credentials of whoever asked.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from noria.registry.runtimes.port import LoadedModel

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__noria_check__"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    title: str
    at_most: float | None
    at_least: float | None


def check(
    title: str = "", *, at_most: float | None = None, at_least: float | None = None
) -> Callable[[F], F]:
    """Make a function a check of a validation suite.

    Parameters
    ----------
    title
        A sentence that holds when the check passes; the function's name when left out.
    at_most, at_least
        Bounds of the number that the function gives. Without them it must give a truth value, or nothing and raise
        `AssertionError` where the model fails.

    Examples
    --------
    >>> @check("Answers vary", at_least=2)
    ... def varies(model, rows):
    ...     return len(set(model.predict(rows)))
    >>> varies.__name__
    'varies'
    """

    def marked(function: F) -> F:
        asked = _Asked(title=title or function.__name__.replace("_", " "), at_most=at_most, at_least=at_least)
        setattr(function, _MARK, asked)
        return function

    return marked


@dataclass(frozen=True, slots=True)
class Rows(Mapping[str, Any]):
    """Sample rows of the training data: inputs by name, and the target where it is known.

    Attributes
    ----------
    inputs
        Arrays of shape (n_rows, ...) by name.
    target
        Shape (n_rows,); None where no sample is kept.
    """

    inputs: Mapping[str, NDArray[Any]]
    target: NDArray[Any] | None = field(default=None)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.inputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.inputs)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(next(iter(self.inputs.values())))

    def changed(self, **columns: Any) -> Rows:
        """Give the same rows with other values in some inputs, each one value or one a row."""
        made = dict(self.inputs)
        for name, value in columns.items():
            made[name] = np.broadcast_to(np.asarray(value, dtype=None), made[name].shape).astype(
                made[name].dtype if made[name].dtype.kind not in "US" else str
            )
        return Rows(made, self.target)

    def where(self, chosen: Any) -> Rows:
        """Give the rows for which `chosen`, one truth value a row, is true."""
        kept = np.asarray(chosen)
        target = None if self.target is None else self.target[kept]
        return Rows({name: array[kept] for name, array in self.inputs.items()}, target)


class TriedModel:
    """The model, as checks of own suites call it."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded

    def predict(self, rows: Mapping[str, Any]) -> NDArray[Any]:
        """Predict rows, shape (n_rows,)."""
        return np.asarray(self._loaded.predict(dict(rows))["predictions"])

    def probabilities(self, rows: Mapping[str, Any]) -> NDArray[Any]:
        """Give the probability of each class, shape (n_rows, n_classes)."""
        return np.asarray(self._loaded.predict(dict(rows))["probabilities"])

    def share(self, rows: Mapping[str, Any], answer: Any) -> float:
        """Give the share of rows that are answered so."""
        return float(np.mean(self.predict(rows) == answer))


def run_suite(
    source: str,
    name: str,
    folder: str | None,
    loaded: LoadedModel,
    inputs: dict[str, NDArray[Any]],
    target: NDArray[Any] | None,
) -> list[dict[str, Any]]:
    """Run the checks of a suite's text, in their order.

    Parameters
    ----------
    folder
        Where modules that the suite imports are found.

    Raises
    ------
    Exception
        Whatever the text raises when it is read.
    """
    if folder is not None:
        sys.path.insert(0, folder)
    space: dict[str, Any] = {"__name__": name.removesuffix(".py"), "__file__": name}
    exec(compile(source, name, "exec"), space)  # noqa: S102 - the project's own code, in a process without credentials
    found = [each for each in space.values() if callable(each) and hasattr(each, _MARK)]
    if not found:
        raise ValueError(f"`{name}` has no function marked with `@noria.check`")
    model, rows = TriedModel(loaded), Rows(inputs, target)
    return [_run(function, name, model, rows) for function in dict.fromkeys(found)]


def _run(function: Any, suite: str, model: TriedModel, rows: Rows) -> dict[str, Any]:
    asked: _Asked = getattr(function, _MARK)
    answer: dict[str, Any] = {
        "name": f"{suite}:{function.__name__}",
        "title": asked.title,
        "at_most": asked.at_most,
        "at_least": asked.at_least,
    }
    try:
        given = function(model, rows)
    except AssertionError as error:
        return {**answer, "holds": False, "said": str(error)}
    except Exception as error:  # noqa: BLE001 - the project's code: what it raises is told
        last = traceback.extract_tb(error.__traceback__)[-1]
        return {**answer, "raised": f"{type(error).__name__}: {error} (line {last.lineno})"}
    return {**answer, **_given(given, asked)}


def _given(given: Any, asked: _Asked) -> dict[str, Any]:
    if asked.at_most is None and asked.at_least is None:
        if given is None:
            return {"holds": True}
        if isinstance(given, bool | np.bool_):
            return {"holds": bool(given)}
        return {
            "raised": f"It gave {type(given).__name__}; give a truth value, or say `at_most` or `at_least`"
        }
    try:
        return {"value": float(given)}
    except (TypeError, ValueError):
        return {"raised": f"It gave {type(given).__name__} where a number is asked for"}
