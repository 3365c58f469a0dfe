"""Events that announce a change of a column, and such that do not."""

from __future__ import annotations

import numpy as np
import pytest

from noria.decisions.replay.announcing import announces, may_be_by_design
from noria.decisions.replay.episode import Happening
from noria.decisions.replay.repairs import UNRELATED
from noria.decisions.stages.guards import Sign

COLUMNS = ["price", "distance_km", "distance_left", "weight_kg", "carrier"]


@pytest.mark.parametrize(
    ("kind", "subject", "text", "column", "announced"),
    [
        ("source change", "price", "values will be given per hundred", "price", True),
        ("release", "billing", "billing 3.0: price is given in cents", "price", True),
        ("deploy", "orders-feed", "Price reported in cents", "price", True),
        ("note", None, "weights are reported in grams", "weight_kg", True),
        ("schema", None, "PRICE changes to EUR; slow down expected", "price", True),
        ("note", None, "distances are reported in metres", "distance_km", False),  # of two columns
        ("deploy", "model server", "routine release", "price", False),
        ("outage", "price", "the feed was down", "price", False),
        ("note", "price", "wrong values since the morning", "price", False),
        ("note", None, "priceless", "price", False),
    ],
)
def test_announcements(kind: str, subject: str | None, text: str, column: str, announced: bool) -> None:
    """The text or the subject names the column, and speaks of no fault."""
    happening = Happening(window=3, type=kind, subject=subject, text=text)

    assert announces(happening, {column}, COLUMNS) is announced


def sign(kind: str, **values: object) -> Sign:
    return Sign(column="price", kind=kind, size=0.5, natural=0.0, sentence="", values=dict(values))


def test_a_filler_is_no_design() -> None:
    """One value in half of the rows, the others as ever, was meant by nobody; all values moved may be."""
    known = {"price": np.random.default_rng(1).normal(50, 10, 500)}
    filled = {"price": np.where(np.arange(300) % 2 == 0, -999.0, known["price"][:300])}
    moved = {"price": np.where(np.arange(300) % 2 == 0, 640.0, known["price"][:300] * 2.2 + 500)}

    assert not may_be_by_design(sign("default", value=-999.0, spike=True), filled, known)
    assert may_be_by_design(sign("default", value=640.0, spike=True), moved, known)


def test_what_lies_elsewhere_may_be_another_scale() -> None:
    """A column that lost its relations was shuffled if its values lie where they did."""
    rng = np.random.default_rng(2)
    known = {"price": rng.gamma(2, 10, 500)}

    assert may_be_by_design(sign(UNRELATED), {"price": known["price"][:200] / 250}, known)
    assert not may_be_by_design(sign(UNRELATED), {"price": rng.permutation(known["price"])}, known)


@pytest.mark.parametrize(
    ("kind", "may"),
    [("rescaled", True), ("unseen", True), ("missing", False), ("frozen", False), ("lagged", False)],
)
def test_kinds(kind: str, may: bool) -> None:
    """Units and codes are changed on purpose; gaps, silence and delays are not."""
    assert may_be_by_design(sign(kind), {}, {}) is may
