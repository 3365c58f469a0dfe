"""Handles: they stand for values, and load them only when somebody looks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from noria.pipelines.cache_entities import StoredValue
from noria.pipelines.outputs import MOST_TAKEN, Output, Taken, holds_output, map_outputs, settle, taken_around


def handle(value: Any) -> Any:
    return Output(StoredValue(codec="json", digest="blake3:" + "0" * 64, size_bytes=1), lambda _: value)


def test_a_handle_is_loaded_once_and_only_when_looked_at() -> None:
    """Passing a handle around reads nothing; looking twice reads once."""
    loads: list[int] = []

    def load(_: StoredValue) -> int:
        loads.append(1)
        return 3

    output: Any = Output(StoredValue(codec="json", digest="d" * 70, size_bytes=1), load)
    passed = [output, {"a": output}, repr(output), output.digest]

    assert loads == []
    assert holds_output(passed)
    assert (output.value, output + 1, bool(output)) == (3, 4, True)
    assert loads == [1]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (lambda n: n + 1, 4),
        (lambda n: 1 + n, 4),
        (lambda n: 10 - n, 7),
        (lambda n: 2**n, 8),
        (lambda n: n**2, 9),
        (lambda n: n // 2, 1),
        (lambda n: n / 2, 1.5),
        (lambda n: 7 % n, 1),
        (lambda n: -n, -3),
        (lambda n: ~n, -4),
        (lambda n: n & 1, 1),
        (lambda n: n | 4, 7),
        (lambda n: 1 << n, 8),
        (lambda n: n < 4 <= n + 1, True),
        (lambda n: n == 3, True),
        (lambda n: n != 3, False),
        (lambda n: n > handle(2), True),
        (lambda n: [0, 1, 2, 3][n], 3),
        (lambda n: f"{n:>4}|{n}", "   3|3"),
        (lambda n: math.sqrt(n + 1), 2.0),
        (lambda n: list(range(n)), [0, 1, 2]),
        (lambda n: {3: "x"}[n], "x"),
        (lambda n: int(n) + float(n), 6.0),
        (lambda n: round(n / 7, 2), 0.43),
        (lambda n: max(n, 5), 5),
        (lambda n: sum([n, n]), 6),
        (lambda n: isinstance(n, int), True),
        (lambda n: n.bit_length(), 2),
        (lambda n: divmod(int(n), 2), (1, 1)),
    ],
)
def test_operators_and_calls_work_as_on_the_value(expression: Any, value: Any) -> None:
    """Arithmetic, comparisons, indexing, formatting and conversions give what the value gives."""
    assert expression(handle(3)) == value


def test_containers_and_arrays_behave_as_themselves() -> None:
    """Loops, membership, indices, lengths and NumPy's functions look through a handle."""
    items, array = handle([3, 1, 2]), handle(np.arange(6).reshape(2, 3))

    assert (sorted(items), len(items), 3 in items, items[handle(0)], items[1:]) == (
        [1, 2, 3],
        3,
        True,
        3,
        [1, 2],
    )
    assert [*items] == [3, 1, 2]
    assert np.mean(array) == 2.5
    assert array.shape == (2, 3)
    assert array[1, 2] == 5
    np.testing.assert_array_equal(np.ones((2, 3)) + array, np.arange(6).reshape(2, 3) + 1)
    np.testing.assert_array_equal(array @ np.ones(3), [3.0, 12.0])
    with pytest.raises(TypeError):
        items[0] = 5
    with pytest.raises(AttributeError):
        _ = items.missing


def test_what_is_called_is_the_value() -> None:
    """A function or class behind a handle is called as itself."""
    assert handle(lambda x: x + 1)(2) == 3


def test_containers_are_rebuilt_around_handles() -> None:
    """Handles inside lists, tuples and dicts are found and replaced; what holds none stays the same object."""
    plain = {"a": [1, (2,)]}
    nested = [handle(1), {"b": (handle(2), 3)}, plain]
    found = map_outputs(nested, settle)

    assert found == [1, {"b": (2, 3)}, plain]
    assert found[2] is plain
    assert map_outputs(plain, settle) is plain
    assert not holds_output(plain)


def test_what_the_body_takes_out_is_known_again_by_identity() -> None:
    """Items, attributes and what a loop gives lead to their step; equal numbers, and what is long ago, do not."""
    value = {"rows": [1, 2], "n": 7, "empty": ()}
    token = taken_around.set(taken := Taken())
    try:
        output: Any = Output(
            StoredValue(codec="json", digest="d" * 70, size_bytes=1), lambda _: value, (3, "output")
        )
        rows, n, empty = output["rows"], output["n"], output["empty"]
        assert list(taken.sources_in(rows)) == [(3, "output")]
        assert list(taken.sources_in({"a": rows, "b": [1, 2]})) == [(3, "output")]
        assert (
            list(taken.sources_in([1, 2])) == list(taken.sources_in(n)) == list(taken.sources_in(empty)) == []
        )
        for index in range(MOST_TAKEN):
            taken.note([index], (4, "output"))
        assert list(taken.sources_in(rows)) == []
    finally:
        taken_around.reset(token)
