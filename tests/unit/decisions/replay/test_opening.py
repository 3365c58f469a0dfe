"""When an incident begins, and when another takes its place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from noria.decisions.replay.case import Case
from noria.decisions.replay.opening import is_overtaken, opened
from noria.decisions.replay.watch import Rise, Scene
from noria.decisions.stages.guards import Sign
from noria.decisions.stages.relations import Look


def soft(column: str) -> Sign:
    return Sign(column=column, kind="outside", size=0.1, natural=0.0, sentence="", values={"far": 0.0})


def state(*scenes: tuple[set[str], list[str]], known: frozenset[str] = frozenset()) -> Any:
    """Give windows 0, 1, … by the columns that moved, and those that show a sign."""
    return SimpleNamespace(
        now=len(scenes) - 1,
        seen=[SimpleNamespace(number=number) for number in range(len(scenes))],
        scenes={
            number: Scene(
                window=number,
                signs=[soft(name) for name in signs],
                look=Look(),
                columns={},
                moved=frozenset(moved),
            )
            for number, (moved, signs) in enumerate(scenes)
        },
        errors={},
        known=known,
        checks=[],
        path=SimpleNamespace(module=None, model=None, module_at=-1, model_at=-1),
        losses=SimpleNamespace(since=lambda _: None),
    )


@pytest.mark.parametrize(
    ("signs", "known", "expected"),
    [
        (["b"], frozenset(), True),
        (["a"], frozenset(), False),
        (["b"], frozenset({"b"}), False),
        ([], frozenset(), False),
    ],
)
def test_a_sign_of_a_column_that_did_nothing_takes_the_place_of_drift(
    signs: list[str], known: frozenset[str], expected: bool
) -> None:
    """Not that of the column that drifts, nor one that was dealt with."""
    seen = state((set(), []), ({"a"}, []), ({"a"}, []), ({"a"}, signs), known=known)

    assert is_overtaken(seen, Case(onset=1, detected=1), None) is expected
    assert not is_overtaken(seen, Case(onset=1, detected=1, was_serious=True), None)
    assert not is_overtaken(seen, Case(onset=3, detected=3), None)


def test_a_loss_that_began_later_takes_the_place_too() -> None:
    """What was looked into cost nothing, and something since then does."""
    seen = state((set(), []), ({"a"}, []), ({"a"}, []))
    rise = Rise(since=2, rise=0.2, low=0.1, high=0.3, n=200)

    assert is_overtaken(seen, Case(onset=1, detected=1), rise)
    assert not is_overtaken(seen, Case(onset=2, detected=2), rise)


def test_an_incident_begins_where_what_is_seen_was_seen_first() -> None:
    """Without a break; signs tell before drift, drift before the loss."""
    rise = Rise(since=1, rise=0.2, low=0.1, high=0.3, n=200)
    seen = state((set(), ["b"]), (set(), []), ({"a"}, []), ({"a"}, ["b"]), ({"a"}, ["b"]))

    assert opened(seen, rise).onset == 3
    assert opened(state((set(), []), ({"a"}, []), ({"a"}, [])), rise).onset == 1
    assert opened(state((set(), []), (set(), []), (set(), [])), rise).onset == 1
    assert opened(state((set(), []), (set(), [])), None).onset == 1


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ([({"a"}, ["a"])], False),
        ([({"a"}, ["a"]), ({"a"}, ["a"])], True),
        ([({"a"}, []), ({"a"}, ["a", "b"])], False),
    ],
)
def test_what_a_drifting_column_shows_once_is_not_what_began(
    last: list[tuple[set[str], list[str]]], expected: bool
) -> None:
    """Many windows later; a column that did not drift shows what it shows."""
    seen = state((set(), []), *[({"a"}, [])] * 5, *last)
    case = Case(onset=1, detected=1)

    assert case.has(seen, soft("a")) is expected
    assert case.has(seen, soft("b"))
    assert Case(onset=5, detected=5).has(seen, soft("a"))
