"""Signs of a column and of its relations, on constructed values; and what the remedy benchmark may import."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noria.decisions.stages.decomposition import Sides, decomposition, mix_dispersion
from noria.decisions.stages.guards import Guard, Sign, reference_blocks
from noria.decisions.stages.relations import Relations

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "remedies"


def gamma(seed: int, n: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).gamma(2, 2, n)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("rescaled", lambda v: v * 1000),
        ("mapped", lambda v: v * 1.8 + 32),
        ("flipped", lambda v: -v),
        ("frozen", lambda v: np.full(len(v), v[0])),
        ("missing", lambda v: np.where(np.arange(len(v)) % 3 == 0, np.nan, v)),
        ("default", lambda v: np.where(np.arange(len(v)) % 3 == 0, -999.0, v)),
        ("repeat", lambda v: np.repeat(v[::10], 10)[: len(v)]),
        ("rounded", np.round),
    ],
)
def test_a_column_of_numbers_shows_one_sign(kind: str, change: object) -> None:
    """Each fault is told by its finest name; the values as they are by none."""
    guard = Guard("x", gamma(0, 2000), reference_blocks(2000, 300))
    values = gamma(1, 300)

    assert not guard.signs(values)
    assert [sign.kind for sign in guard.signs(change(values))] == [kind]  # type: ignore[operator]


def volts(seed: int, n: int) -> NDArray[np.float64]:
    """Draw what hardly varies and lies far from 0, but for a few gaps that read as 0."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < 0.01, 0.0, rng.normal(240, 3, n))


def test_what_hardly_varies_is_in_another_unit_if_it_varies_by_as_much_less() -> None:
    """Its quantiles stand in one ratio under any shift, so the ratio has to be large and hold for its width too."""
    guard = Guard("x", volts(0, 2000), reference_blocks(2000, 300))

    (sign,) = guard.signs(volts(1, 300) / 1000)
    assert (sign.kind, sign.hard) == ("rescaled", True)
    assert sign.values["slope"] == pytest.approx(0.001, rel=0.02)
    assert "rescaled" not in {sign.kind for sign in guard.signs(volts(1, 300) + 700)}


def test_a_few_values_in_another_unit_lie_outside() -> None:
    """Prices in thousands lie between 0 and the least price there was; prices that fell by half do not."""
    rng = np.random.default_rng(0)
    guard = Guard("price", rng.lognormal(6, 0.7, 3000), reference_blocks(3000, 200))
    values = rng.lognormal(6, 0.7, 200)
    thousands = np.where(np.arange(200) % 5 == 0, values / 1000, values)

    assert [sign.kind for sign in guard.signs(thousands)] == ["outside"]
    assert guard.signs(np.where(thousands < values, values / 1e6, values))[0].hard
    assert "outside" not in {sign.kind for sign in guard.signs(values / 2)}


def test_a_meter_that_rests_for_longer_is_at_rest() -> None:
    """Nothing runs most of the night: more zeros in a row are no fault, a reading that stays is one."""
    rng = np.random.default_rng(0)

    def read(n: int, rests: float) -> NDArray[np.float64]:
        runs = np.repeat(rng.random(n // 10) > rests, 10)
        return np.where(runs, np.round(rng.gamma(2, 2, n), 2), 0.0)

    guard = Guard("kitchen", read(3000, 0.5), reference_blocks(3000, 300))
    stuck = read(300, 0.5)
    stuck[stuck > 0] = np.repeat(stuck[stuck > 0][::20], 20)[: (stuck > 0).sum()]

    assert "repeat" not in {sign.kind for sign in guard.signs(read(300, 0.9))}
    assert [sign.kind for sign in guard.signs(stuck)] == ["repeat"]


@pytest.mark.parametrize(("spread", "is_spike"), [(0.0, True), (0.7, False)])
def test_a_filler_stands_alone_among_the_values(spread: float, is_spike: bool) -> None:
    """One value in a third of the rows is a filler; a meter that rests about a level has those beside it as well."""
    rng = np.random.default_rng(0)
    guard = Guard("power", np.round(rng.gamma(4, 10, 3000)), reference_blocks(3000, 300))
    values = np.round(rng.gamma(4, 10, 300))
    values[::2] = np.round(120 + rng.normal(0, spread, 150))

    found = [sign for sign in guard.signs(values) if sign.kind == "default"]

    assert [sign.hard for sign in found] == [is_spike]


@pytest.mark.parametrize(("kind", "names"), [("spelt", " U v w"), ("exchanged", "wuv"), ("unseen", "uvz")])
def test_a_column_of_codes_shows_one_sign(kind: str, names: str) -> None:
    """Another spelling, exchanged codes, and codes that were never there."""
    rng = np.random.default_rng(0)
    codes = np.array(list("uvw"), dtype=object)
    then = rng.choice(codes, 2000, p=[0.6, 0.3, 0.1])
    after = names.split(" ")[1:] if names.startswith(" ") else list(names)
    table = dict(zip("uvw", after, strict=True))
    now = np.array([table[code] for code in rng.choice(codes, 300, p=[0.6, 0.3, 0.1])], dtype=object)

    found = Guard("c", then, reference_blocks(2000, 300)).signs(now)

    assert [sign.kind for sign in found] == [kind]


def test_codes_that_begin_once_for_all_rows_may_begin_again() -> None:
    """Training rows saw two seasons, the second from between two of the blocks on: a third is no fault."""
    seasons = np.repeat(np.array(["winter", "spring"], dtype=object), [1130, 870])
    first_only = np.repeat(np.array(["winter"], dtype=object), 2000)
    summer = np.full(100, "summer", dtype=object)

    assert not Guard("season", seasons, reference_blocks(2000, 100)).is_steady
    assert [s.kind for s in Guard("season", first_only, reference_blocks(2000, 100)).signs(summer)] == [
        "unseen"
    ]


def test_what_blocks_always_did_is_no_sign() -> None:
    """A column that stands still for whole blocks in training may stand still."""
    months = np.repeat(np.arange(10.0), 200)

    guard = Guard("month", months, reference_blocks(2000, 200))

    assert "frozen" not in [sign.kind for sign in guard.signs(np.full(200, 4.0))]


def world(seed: int, n: int) -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    b = a + 0.5 * rng.normal(size=n)
    return {"a": a, "b": b, "c": a + b + rng.normal(size=n), "d": rng.normal(size=n)}


class TestRelations:
    """One column at fault, or a world that moved."""

    relations = Relations(world(0, 2000), reference_blocks(2000, 400))

    def test_rows_that_were_shuffled_and_rows_that_came_late(self) -> None:
        """The column is named, and the rows by which it came late are counted."""
        live = world(1, 400)
        shuffled = live | {"b": np.random.default_rng(2).permutation(live["b"])}
        late = live | {"b": np.roll(live["b"], 3)}

        assert not self.relations.look(live).strained
        assert (self.relations.look(shuffled).column, self.relations.look(shuffled).broken) == ("b", True)
        assert (self.relations.look(late).column, self.relations.look(late).lag) == ("b", 3)

    def test_a_world_in_which_some_rows_became_frequent(self) -> None:
        """No column's relation to the others is broken, whichever values became frequent."""
        live = world(1, 2000)
        for kept in (live["b"] > 0.5, np.abs(live["c"]) > 1.5, live["a"] + live["b"] < -1):
            look = self.relations.look({name: values[kept] for name, values in live.items()})

            assert not look.broken

    def test_a_column_is_as_related_as_the_others_explain_it(self) -> None:
        """The share of its variance that the others explain: much of `b`, nothing of `d`."""
        assert self.relations.related("b") > 0.7
        assert self.relations.related("d") < 0.05

    def test_codes_do_not_explain_themselves(self) -> None:
        """A column of codes that nothing tells is related to nothing; exchanged codes strain what they tell."""
        rng = np.random.default_rng(5)

        def drawn(n: int) -> dict[str, NDArray[Any]]:
            kind = rng.integers(3, size=n)
            return {
                "kind": np.array(["dry", "mist", "rain"], dtype=object)[kind],
                "wet": kind + rng.normal(0, 0.6, n),
                "dark": kind + rng.normal(0, 0.9, n),
                "lot": rng.choice(np.array(["a", "b", "c"], dtype=object), n),
            }

        relations = Relations(drawn(2000), reference_blocks(2000, 200))
        live = drawn(200)
        table = {"dry": "rain", "rain": "mist", "mist": "dry"}
        wrong = {**live, "kind": np.array([table[code] for code in live["kind"]], dtype=object)}

        assert relations.related("lot") < 0.1
        assert relations.related("kind") > 0.3
        assert relations.look(live).strained == frozenset()
        assert relations.look(wrong).column == "kind"

    def test_a_shuffle_would_be_seen_of_related_columns_only(self) -> None:
        """Of `b`, which follows the others, and not of `d`, which stands alone, nor of a column that is unknown."""
        assert self.relations.would_show("b", 400)
        assert not self.relations.would_show("d", 400)
        assert not self.relations.would_show("e", 400)


@pytest.mark.parametrize("verdict", ["none", "covariate", "label", "concept"])
def test_the_part_that_moved_is_named(verdict: str) -> None:
    """Inputs, classes, or classes given inputs, each changed alone."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6000, 3))
    y = (x[:, 0] + x[:, 1] + 0.7 * rng.normal(size=6000) > 0).astype(int)
    live = np.arange(6000) >= 3000
    kept = np.ones(6000, dtype=bool)
    if verdict == "covariate":
        kept = ~live | (x[:, 2] + x[:, 0] > 0.8)
    if verdict == "label":
        kept = ~live | (y == 1) | (rng.random(6000) < 0.15)
    if verdict == "concept":
        y = np.where(live & (x[:, 2] > 0), 1 - y, y)
    wrong = ((x[:, 0] + x[:, 1] > 0).astype(int) != y).astype(float)
    before, after = ~live, live & kept

    found = decomposition(
        Sides(
            reference=x[before],
            current=x[after],
            reference_loss=wrong[before],
            loss=wrong[after],
            reference_labels=y[before].astype(str),
            labels=y[after].astype(str),
            labelled=np.arange(int(after.sum())),
        )
    )

    assert found.verdict == verdict


@pytest.mark.parametrize("verdict", ["label", "concept"])
def test_where_rows_cannot_be_told_apart_the_answers_tell(verdict: str) -> None:
    """Columns of little weight each: with another mix of classes the answers move, with other labels they stay."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6000, 8))
    share = 1 / (1 + np.exp(-0.9 * x.sum(axis=1) / np.sqrt(8)))
    y = (rng.random(6000) < share).astype(int)
    live = np.arange(6000) >= 4200
    kept = ~live | (y == 1) | (rng.random(6000) < 0.4)
    if verdict == "concept":
        kept, y = np.ones(6000, dtype=bool), np.where(live & (rng.random(6000) < 0.4), 1, y)
    loss = np.abs(y - share)
    before, after = ~live, live & kept
    answers = np.column_stack([1 - share, share])

    found = decomposition(
        Sides(
            reference=x[before],
            current=x[after],
            reference_loss=loss[before],
            loss=loss[after],
            reference_labels=y[before].astype(str),
            labels=y[after].astype(str),
            labelled=np.arange(int(after.sum())),
            moved=False,
            reference_answers=answers[before],
            answers=answers[after],
        )
    )

    assert (found.verdict == "label") == (verdict == "label")
    assert (found.figures["followed"] > found.figures["implied"] / 2) == (verdict == "label")


@pytest.mark.parametrize("is_shifted", [True, False])
def test_a_mix_of_many_classes_is_told_by_few_rows(is_shifted: bool) -> None:
    """Ten classes in a window of 160 rows: half of them rarer is more than chance; a window as ever is not."""
    rng = np.random.default_rng(2)
    y = rng.integers(10, size=3000)
    x = rng.normal(size=(3000, 6)) + rng.normal(size=(10, 6))[y] * 2
    live = np.arange(3000) >= 2500
    kept = live & ((y >= 5) | (rng.random(3000) < 0.3)) if is_shifted else live
    after = np.flatnonzero(kept)[:160]

    found = decomposition(
        Sides(
            reference=x[~live],
            current=x[after],
            reference_loss=rng.random(2500),
            loss=rng.random(len(after)),
            reference_labels=y[~live].astype(str),
            labels=y[after].astype(str),
            labelled=np.arange(len(after)),
        )
    )

    assert (found.verdict == "label") == is_shifted


def test_labels_of_blocks_that_differ_by_themselves_are_dispersed() -> None:
    """Draws from one mix vary as chance does; blocks with shares of their own vary more."""
    rng = np.random.default_rng(3)
    blocks = [np.arange(start, start + 100) for start in range(0, 4000, 100)]
    alike = (rng.random(4000) < 0.5).astype(str)
    own = (rng.random(4000) < np.repeat(rng.uniform(0.2, 0.8, 40), 100)).astype(str)

    assert 1 <= mix_dispersion(alike, blocks) < 1.5
    assert mix_dispersion(own, blocks) > 5


def test_the_parts_of_the_benchmark_share_nothing() -> None:
    """What thresholds are tuned on never imports what figures are reported on, nor the other way round."""
    for path in BENCHMARK.glob("*_tuning.py"):
        other = path.name.replace("_tuning", "_test")
        for one, far in ((path, "_test"), (BENCHMARK / other, "_tuning")):
            tree = ast.parse(one.read_text())
            named = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
            named += [
                alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
            ]
            assert named
            assert not [name for name in named if far in name]
    assert len(list(BENCHMARK.glob("*_test.py"))) == len(list(BENCHMARK.glob("*_tuning.py"))) == 3


def test_what_blocks_did_beyond_their_past_is_natural() -> None:
    """A column that goes on to what was never there, as months do, is no fault when it does so again."""
    months = np.repeat(np.arange(1.0, 9.0), 100).astype(int).astype(str).astype(object)
    guard = Guard("month", months, reference_blocks(len(months), 50))

    assert guard.signs(np.full(50, "9", dtype=object)) == []
    shuffled = np.random.default_rng(0).permutation(months)
    mixed = np.where(np.arange(50) % 2, "9", shuffled[:50]).astype(object)
    steady = Guard("month", shuffled, reference_blocks(len(shuffled), 50))
    assert "unseen" in {sign.kind for sign in steady.signs(mixed)}


@pytest.mark.parametrize(("n_rows", "is_hard"), [(52, False), (250, True)])
def test_a_lag_of_few_rows_is_no_sure_sign(n_rows: int, is_hard: bool) -> None:
    """So many lags of so many columns are tried that one fits a few rows by chance."""
    lag = Sign(
        column="x", kind="lagged", size=0.5, natural=0.0, sentence="", values={"lag": -6, "rows": n_rows}
    )

    assert lag.hard is is_hard
