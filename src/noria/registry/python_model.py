"""Models of a class of your own: what such a class has to have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from noria.registry.entities import Task


class PythonModel(ABC):
    """A model that your own code computes, for what no format of a library can hold.

    `noria.register()` keeps the files that `save` writes and the code of the module that declares the class. Loading
    it runs that code, so somebody with the right to has to consent once: `noria models consent MODEL@VERSION`. It is
    loaded by model servers and workers, never by the control server.

    Modules of the project are imported at the top of modules, not inside of functions: each version has its own code,
    and only while it is loaded can it import from there.

    Examples
    --------
    >>> import json
    >>> import noria, numpy as np
    >>> class Threshold(noria.PythonModel):
    ...     task = "classification"
    ...     def __init__(self, limit): self.limit = limit
    ...     def predict(self, inputs): return (inputs["x"][:, 0] > self.limit).astype(int)
    ...     def save(self, folder): (folder / "limit.json").write_text(json.dumps(self.limit))
    ...     @classmethod
    ...     def load(cls, folder): return cls(json.loads((folder / "limit.json").read_text()))
    >>> Threshold(0.5).predict({"x": np.array([[0.2], [0.9]])})
    array([0, 1])
    """

    task: ClassVar[Task | str | None] = None
    """`classification` or `regression`; told by the target when left out."""

    classes: ClassVar[list[Any] | None] = None
    """In the order of the probabilities; those of the target when left out."""

    @abstractmethod
    def predict(self, inputs: dict[str, Any]) -> Any:
        """Predict rows; called from several threads at once.

        Parameters
        ----------
        inputs
            Arrays by name, each of shape (n_rows, ...): `x` when the model was registered with one array.

        Returns
        -------
        ndarray or dict of ndarray
            Predictions, shape (n_rows, ...), or these as `predictions` beside others such as `probabilities`.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what `load` needs into an empty folder."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Make the model of the files that `save` wrote."""

    def features(self, inputs: dict[str, Any]) -> Any:
        """Give what the model sees of its inputs, shape (n_rows, n_features): the inputs side by side."""
        from noria.registry.runtimes.sklearn import to_matrix

        return to_matrix(list(inputs.values()))
