"""What the page asks of Noria: predictions, the versions that answer, and to keep what the digit really was."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

import noria
from noria.examples.digits.page.strokes import LARGE, SMALL, draw

MAX_POINTS = 4000
"""Of a drawing: more than a hand draws, and still drawn within a tenth of a second."""

_SHARES_KEPT_S = 5.0

Point = tuple[float, float]


class Drawing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was drawn.

    Attributes
    ----------
    strokes
        Lines through points (right, down), each from 0 to 1.
    """

    strokes: list[list[Point]]


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the digit of a prediction really was."""

    prediction_id: str
    digit: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the model makes of a drawing.

    Attributes
    ----------
    digit, confidence
        The likeliest digit and its probability; None where the model tells no probabilities.
    probabilities
        By digit, of those that the model knows.
    version, about
        Which version answered, and what was said of it when it was registered.
    side, pixels
        The image that the model got: pixels along a side, and 0 (paper) to 255 (ink) of each, row by row.
    """

    digit: int
    confidence: float | None
    probabilities: dict[str, float]
    prediction_id: str
    version: int
    about: str
    side: int
    pixels: list[int]


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A version and the part of the requests that it answers, from 0 to 1."""

    version: int
    weight: float


class Asking:
    """Asks an endpoint. Called from the threads of the page's server.

    Parameters
    ----------
    workspace
        Where the endpoint and its model are.
    endpoint
        Its name.
    look_up
        Gives what `noria endpoints show ENDPOINT --json` prints.
    """

    def __init__(
        self, workspace: noria.Workspace, endpoint: str, look_up: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._workspace = workspace
        self._endpoint = noria.endpoint(endpoint, workspace=workspace)
        self._look_up = look_up
        self._lock = threading.Lock()
        self._versions: dict[int, Any] = {}
        self._shares: tuple[float, list[Share]] | None = None
        self._model = str(look_up()["endpoint"]["model"])

    @property
    def model(self) -> str:
        """The model that answers."""
        return self._model

    def predict(self, drawing: Drawing) -> Seen:
        """Ask what a drawing is.

        Raises
        ------
        noria.Invalid
            If nothing is drawn, or too much.
        noria.Unavailable
            If no model server answers.
        """
        _check(drawing)
        newest = self.shares()[0].version
        side = _side(self._version(newest))
        pixels = draw(drawing.strokes, side)
        answer = self._endpoint.predict({"x": pixels[None, :].astype(np.float32)})
        version = self._version(answer.version)
        probabilities = _by_digit(answer.probabilities, version.classes)
        digit = int(answer.predictions[0])
        return Seen(
            digit=digit,
            confidence=probabilities.get(str(digit)),
            probabilities=probabilities,
            prediction_id=answer.prediction_ids[0],
            version=answer.version,
            about=version.message,
            side=side,
            pixels=[round(each * 255) for each in pixels.tolist()],
        )

    def tell(self, told: Told) -> None:
        """Keep what a digit really was, as feedback.

        Raises
        ------
        noria.Invalid
            If it is no digit.
        noria.NoriaError
            If nobody knows the prediction, or it was told otherwise before.
        """
        if not 0 <= told.digit <= 9:
            raise noria.Invalid(f"`{told.digit}` is not a digit")
        self._endpoint.feedback({told.prediction_id: told.digit}, source="page")

    def shares(self) -> list[Share]:
        """Give which versions answer, the one with most requests first."""
        now = time.monotonic()
        with self._lock:
            if self._shares is None or now - self._shares[0] > _SHARES_KEPT_S:
                found = self._look_up()["endpoint"]["shares"]
                shares = [Share(version=int(each["version"]), weight=float(each["weight"])) for each in found]
                self._shares = (now, sorted(shares, key=lambda share: -share.weight))
            return self._shares[1]

    def _version(self, number: int) -> Any:
        with self._lock:
            if number not in self._versions:
                handle = noria.model(f"{self._model}@{number}", workspace=self._workspace)
                self._versions[number] = handle.version
            return self._versions[number]


def _check(drawing: Drawing) -> None:
    n_points = sum(len(stroke) for stroke in drawing.strokes)
    if not 0 < n_points <= MAX_POINTS:
        raise noria.Invalid(f"A drawing has from 1 to {MAX_POINTS} points, not {n_points}")
    if any(not 0.0 <= each <= 1.0 for stroke in drawing.strokes for point in stroke for each in point):
        raise noria.Invalid("A point of the drawing lies outside of it")


def _side(version: Any) -> int:
    """Give the pixels along a side of the images that a version takes.

    Raises
    ------
    noria.Invalid
        If it takes something else.
    """
    shapes = {side * side: side for side in (SMALL, LARGE)}
    wanted = version.signature.inputs
    side = shapes.get(int(wanted[0].shape[-1])) if len(wanted) == 1 else None
    if side is None:
        raise noria.Invalid(
            f"`{version.ref}` takes no images of 8 by 8 or 28 by 28",
            hint="Deploy a model of `page_pipeline:train`",
        )
    return side


def _by_digit(probabilities: Any, classes: list[Any] | None) -> dict[str, float]:
    if probabilities is None or classes is None:
        return {}
    return {str(digit): float(share) for digit, share in zip(classes, probabilities[0], strict=True)}
