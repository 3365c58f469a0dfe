"""Repairs as data: which are found for a fault, and when they are due no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from noria.decisions.mapping import is_mended, ways
from noria.decisions.stages.guards import Sign
from noria.serving.repairs.applying import Repairer, changed
from noria.serving.repairs.entities import Bad, ByEstimate, ByExchange, ByLine, ByTable, ColumnRepair

Columns = dict[str, Any]
RNG = np.random.default_rng(5)


def rows(n: int = 400, seed: int = 0) -> Columns:
    """Draw a column `a` that hangs together with `b` and `c`, and codes."""
    rng = np.random.default_rng(seed)
    b, c = rng.normal(50.0, 10.0, n), rng.normal(0.0, 1.0, n)
    codes = rng.choice(np.array(["x", "y", "z"], dtype=object), n, p=[0.6, 0.3, 0.1])
    return {"a": 2 * b + 5 * c + rng.normal(0.0, 1.0, n) + 20.0, "b": b, "c": c, "code": codes}


KNOWN = rows()


def found(kind: str, column: str, current: Columns, **values: Any) -> list[ColumnRepair]:
    sign = Sign(column=column, kind=kind, size=1.0, natural=0.0, sentence="", values=values)
    return ways(sign, KNOWN, current, shows=lambda _: False)


def applied(repair: ColumnRepair, current: Columns) -> Any:
    arrays = {
        name: np.asarray(["" if v is None else v for v in column]) if column.dtype == object else column
        for name, column in current.items()
    }
    return Repairer([repair])(arrays)[0][repair.column]


@pytest.mark.parametrize("factor", [1000.0, 0.01, 60.0])
def test_another_unit_is_found_and_taken_back(factor: float) -> None:
    """The first way is the line; what it gives is what was meant, within a hundredth."""
    meant = rows(200, seed=1)
    repair = found("rescaled", "a", {**meant, "a": meant["a"] * factor}, slope=factor, offset=0.0)[0]

    assert isinstance(repair.change, ByLine)
    assert applied(repair, {**meant, "a": meant["a"] * factor}) == pytest.approx(meant["a"], rel=0.02)


def test_new_codes_of_the_same_shares_are_put_back() -> None:
    """As many new codes as are gone are matched by how often they come."""
    meant = rows(600, seed=2)
    names = {"x": "11", "y": "22", "z": "33"}
    sent = np.array([names[v] for v in meant["code"]], dtype=object)
    repair = found("unseen", "code", {**meant, "code": sent})[0]

    assert isinstance(repair.change, ByTable)
    assert applied(repair, {**meant, "code": sent}).tolist() == meant["code"].tolist()


def test_a_lost_column_is_estimated_from_those_that_go_with_it() -> None:
    """The estimates explain nearly all of a column that hangs together with others."""
    meant = rows(300, seed=3)
    sent = np.full(300, 70.0)
    repair = found("frozen", "a", {**meant, "a": sent})[-1]
    error = applied(repair, {**meant, "a": sent}) - meant["a"]

    assert isinstance(repair.change, ByEstimate)
    assert repair.change.bad is Bad.ALL
    assert np.std(error) < 0.15 * np.std(meant["a"])


def test_missing_codes_become_the_commonest() -> None:
    """Where nothing else is known of a text."""
    meant = rows(100, seed=4)
    sent = np.where(np.arange(100) % 3 == 0, None, meant["code"])
    repair = found("missing", "code", {**meant, "code": sent})[-1]

    assert set(applied(repair, {**meant, "code": sent})[::3]) == {"x"}


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        ("rescaled", lambda a: a * 100.0),
        ("frozen", lambda a: np.full(len(a), 70.0)),
        ("missing", lambda a: np.where(np.arange(len(a)) % 2 == 0, np.nan, a)),
    ],
)
def test_a_repair_is_due_until_the_sender_is_right_again(kind: str, broken: Any) -> None:
    """Broken rows never end it; rows as in training do, once there are enough of them."""
    now = rows(300, seed=6)
    values = {"slope": 100.0, "offset": 0.0} if kind == "rescaled" else {}
    repair = found(kind, "a", {**now, "a": broken(now["a"])}, **values)[0 if kind == "rescaled" else -1]
    later = rows(320, seed=7)

    def mended(sent: Any, n: int) -> bool:
        columns = {name: later[name][:n] for name in ("a", "b", "c")} | {"a": sent[:n]}
        seen = {**columns, "a": changed(repair, columns["a"], columns)}
        return is_mended(repair, columns["a"], seen)

    assert not mended(broken(later["a"]), 320)
    assert mended(later["a"], 320)
    assert not mended(later["a"], 20)


def test_nothing_is_found_for_a_column_that_nobody_knows() -> None:
    """Rows may lack what training had."""
    assert found("missing", "gone", rows(50)) == []


def test_swapped_columns_are_exchanged_until_the_sender_is_right() -> None:
    """One repair for both, and nothing else; it is due while what was sent lies further off than what was seen."""
    meant = rows(200, seed=3)
    sent = {**meant, "b": meant["c"], "c": meant["b"]}
    [repair] = found("swapped", "b", sent, swapped="c")

    assert repair.change == ByExchange(other="c")
    assert applied(repair, sent).tolist() == meant["b"].tolist()
    assert not is_mended(repair, sent["b"], meant)
    assert is_mended(repair, meant["b"], sent)
