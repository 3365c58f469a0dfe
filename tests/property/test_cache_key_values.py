"""Fingerprints and stored forms of random values."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from noria.core.clock import SystemClock
from noria.core.objects.local import LocalObjectStore
from noria.pipelines.storing import ValueStore
from noria.pipelines.values import fingerprint

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.datetimes(),
)
arrays = st.one_of(
    npst.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.bool_]),
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    ),
    npst.arrays(np.dtype("U3"), npst.array_shapes(max_dims=1)),
)
keys = st.one_of(st.text(max_size=3), st.integers(0, 3), st.booleans())
values = st.recursive(
    st.one_of(scalars, arrays),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
        st.sets(st.one_of(st.integers(), st.text(max_size=3)), max_size=3),
    ),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    """Compare by type and content, the way a step could tell two values apart."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    # The text of a float tells zeros of both signs apart, and every NaN is one.
    return repr(one) == repr(other) if isinstance(one, float) else bool(one == other)


@given(values, values)
def test_fingerprints_are_equal_exactly_when_values_are(one: Any, other: Any) -> None:
    """Two values look the same if and only if they are, in type, content and order."""
    assert (fingerprint(one).digest == fingerprint(other).digest) == same(one, other)


@given(values)
def test_a_fingerprint_is_of_the_content(value: Any) -> None:
    """A deep copy looks like the original."""
    import copy

    assert fingerprint(copy.deepcopy(value)).digest == fingerprint(value).digest


@given(values)
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
def test_stored_values_come_back_as_they_were(value: Any) -> None:
    """Whatever a step returns, the next one gets the same value of the same type."""
    with tempfile.TemporaryDirectory() as folder:
        store = LocalObjectStore(Path(folder), SystemClock())
        stored = ValueStore(store).save(value)
        other = ValueStore(store)
        other.trust(stored)
        again = other.load(stored)

    assert same(value, again)
