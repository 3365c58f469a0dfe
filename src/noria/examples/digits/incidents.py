"""What can go wrong in the demo: for each incident, what the model takes, who gets which role, and what changes."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noria.examples.digits.kinds import Incident
from noria.examples.digits.roles import (
    N_TRAINING,
    Images,
    Part,
    Roles,
    assign,
    assign_mixed,
    assign_shifted,
)

Inputs = dict[str, NDArray[np.float64]]
Make = Callable[[Images], Inputs]
Change = Callable[[Iterator[Inputs]], Iterator[Inputs]]
Relabel = Callable[[int], int]

SIDE = 8
BROKEN = "column_5"
UNIT = 64.0
FRESH_EVERY = 10
EXCHANGED = {4: 9, 9: 4}
COMMON = (1, 5, 8)
_N_MEASURED = 700


class Ending(enum.StrEnum):
    """With what the story is over: a remedy that was measured, a question to a person, or nothing."""

    REMEDY = "decision.finished"
    QUESTION = "decision.asked"
    NOTHING = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One incident.

    Attributes
    ----------
    title, onset
        In a sentence: the whole, and what begins.
    roles
        Deals out the images by a seed.
    inputs
        Turns images, shape (n, 64), into what the model takes, each of shape (n, ...).
    change
        What the inputs of live requests become from the onset on.
    relabel
        What the true label is from the onset on.
    only
        The one candidate that the pipeline fits; all of them where it is empty.
    releases
        Whether a damaged version is deployed at the onset.
    may_ask
        Whether more labels may be asked for in the end: there are too few images for a trial that is sure to decide.
    labelled_share
        Of the requests after the onset, while there are images left to label.
    """

    title: str
    onset: str
    roles: Callable[[int], Roles]
    inputs: Make
    ending: Ending
    change: Change | None = None
    relabel: Relabel | None = None
    only: str = ""
    releases: bool = False
    may_ask: bool = False
    labelled_share: float = 0.5


def pixels(images: Images) -> Inputs:
    """Give the 64 grey levels of each image as one input."""
    return {"x": images}


def rows(images: Images) -> Inputs:
    """Give the ink in each row of the image: `row_1` to `row_8`."""
    return _named("row", images.reshape(-1, SIDE, SIDE).sum(axis=2))


def rows_and_columns(images: Images) -> Inputs:
    """Give the ink in each row and column of the image: `row_1` to `row_8`, `column_1` to `column_8`."""
    return {**rows(images), **_named("column", images.reshape(-1, SIDE, SIDE).sum(axis=1))}


def in_another_unit(requests: Iterator[Inputs]) -> Iterator[Inputs]:
    """Send `column_5` as a share of 64 where it was a sum of grey levels."""
    return ({**inputs, BROKEN: inputs[BROKEN] / UNIT} for inputs in requests)


def joined_as_of(requests: Iterator[Inputs]) -> Iterator[Inputs]:
    """Take `column_5` from a table that gets every tenth image only, joined as of the last one there."""
    last: NDArray[np.float64] | None = None
    for number, inputs in enumerate(requests):
        if last is None or number % FRESH_EVERY == 0:
            last = inputs[BROKEN]
        yield {**inputs, BROKEN: last}


def exchanged(digit: int) -> int:
    """Give the label after 4 and 9 changed places."""
    return EXCHANGED.get(digit, digit)


def damaged(part: Part) -> Part:
    """Give training images of which an export exchanged the labels 4 and 9."""
    return Part(part.x, np.array([exchanged(int(digit)) for digit in part.y]))


def _named(stem: str, values: Images) -> Inputs:
    return {f"{stem}_{index + 1}": values[:, index] for index in range(values.shape[1])}


def _mixed(seed: int) -> Roles:
    return assign_mixed(seed, n_training=N_TRAINING)


def _measured(seed: int) -> Roles:
    return assign_mixed(seed, n_training=_N_MEASURED)


SCENES = {
    Incident.NEW_DIGIT: Scene(
        title="A model meets a digit that it never saw",
        onset="traffic turns to all ten digits",
        roles=assign,
        inputs=pixels,
        ending=Ending.REMEDY,
    ),
    Incident.NONE: Scene(
        title="Nothing happens to a model",
        onset="traffic stays what it was: the digits 1 to 9",
        roles=lambda seed: assign(seed, zeros=False),
        inputs=pixels,
        ending=Ending.NOTHING,
    ),
    Incident.UNIT_CHANGE: Scene(
        title="An input changes its unit",
        onset=f"`{BROKEN}` now comes as a share of {UNIT:.0f} where it was a sum of grey levels",
        roles=_measured,
        inputs=rows_and_columns,
        ending=Ending.QUESTION,
        only="support vectors",
        change=in_another_unit,
    ),
    Incident.BROKEN_JOIN: Scene(
        title="An input is joined wrongly",
        onset=f"the table of `{BROKEN}` now gets every {FRESH_EVERY}th image only, and is joined as of the last one",
        roles=_measured,
        inputs=rows_and_columns,
        ending=Ending.QUESTION,
        only="support vectors",
        change=joined_as_of,
    ),
    Incident.BAD_RELEASE: Scene(
        title="A bad version is released",
        onset="version 2 is deployed at once; in its training data an export exchanged the labels 4 and 9",
        roles=_mixed,
        inputs=pixels,
        ending=Ending.REMEDY,
        releases=True,
    ),
    Incident.LABEL_SHIFT: Scene(
        title="The mix of digits changes",
        onset=f"nine of ten images are now of the digits {', '.join(map(str, COMMON))}",
        roles=lambda seed: assign_shifted(seed, common=COMMON),
        inputs=rows,
        ending=Ending.REMEDY,
        may_ask=True,
        labelled_share=0.9,
    ),
    Incident.CONCEPT: Scene(
        title="The meaning of the images changes",
        onset="who labels now calls a 4 a 9 and a 9 a 4; the images stay what they were",
        roles=_mixed,
        inputs=pixels,
        ending=Ending.REMEDY,
        only="support vectors",
        relabel=exchanged,
    ),
}
