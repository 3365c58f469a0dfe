"""What a worker keeps of a request, and what is handed on of it."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from noria.core.errors import Corrupt, TooLarge
from noria.core.ids import new_id
from noria.serving.modelserver.recorder import CapturedRequest, Recorder
from noria.serving.modelserver.records import by_endpoint
from noria.serving.packing import Entry, Packed, Unpacked, json_entry, pack, values_of
from support.serving import predictions

AT_US = 1_900_000_000_000_000
NUMBERS = [np.float64, np.float32, np.float16, np.int64, np.int8, np.uint64, np.bool_]


def _request(inputs: dict[str, Any], n_rows: int, **changes: Any) -> CapturedRequest:
    outputs = {"predictions": np.arange(n_rows)}
    request = CapturedRequest(
        ("default", "live", 2, 5), new_id(), AT_US, 1200, n_rows, inputs, outputs=outputs
    )
    return request._replace(**changes)


def _handed_on(*requests: CapturedRequest) -> Unpacked:
    recorder = Recorder()
    entries = by_endpoint([recorder.encode(request) for request in requests])[("default", "live")]
    unpacked = Unpacked(pack(entries), first_position=1)
    unpacked.check()
    return unpacked


def _rows(unpacked: Unpacked) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [row for entry in unpacked.entries() for row in values_of(entry)]


def _plain(array: Any) -> Any:
    """Give values as JSON has them."""
    return [
        _plain(each)
        if isinstance(each, list)
        else None
        if isinstance(each, float) and not math.isfinite(each)
        else each
        for each in (array if isinstance(array, list) else array.tolist())
    ]


@pytest.mark.parametrize("n_rows", [2, 3_000])
@pytest.mark.parametrize("kind", [*NUMBERS, np.str_])
def test_the_parts_of_a_record_are_its_bytes(kind: Any, n_rows: int) -> None:
    """Short and long arrays, also those that do not lie in one piece."""
    whole = np.arange(n_rows * 4).reshape(n_rows, 4).astype(kind)
    request = _request({"x": whole, "part": whole[:, 1:3], "turned": whole[::-1]}, n_rows)

    assert _rows(_handed_on(request)) == [
        (
            {"x": _plain(row), "part": _plain(row[1:3]), "turned": _plain(whole[-1 - n])},
            {"predictions": n},
        )
        for n, row in enumerate(whole)
    ]


@given(
    st.sampled_from(NUMBERS).flatmap(
        lambda kind: arrays.arrays(kind, st.tuples(st.integers(1, 6), st.integers(0, 3), st.integers(1, 2)))
    ),
    st.sampled_from(["<", ">"]),
    st.text(max_size=4),
)
def test_arrays_come_back_as_json_has_them(array: np.ndarray[Any, Any], order: str, text: str) -> None:
    """Of every type, byte order and shape, beside texts; what is not finite is null."""
    n_rows = len(array)
    texts = np.array([text] * n_rows, dtype=object)
    taken = array.astype(array.dtype.newbyteorder(order))
    found = _handed_on(_request({"x": taken, "name": texts}, n_rows))

    rows = [msgspec.json.decode(msgspec.json.encode(row)) for row in _rows(found)]

    assert [row[0] for row in rows] == [{"x": x, "name": text} for x in _plain(array)]
    assert [row[1]["predictions"] for row in rows] == list(range(n_rows))


def test_a_long_request_is_cut_so_that_each_row_is_found() -> None:
    """Pieces begin at multiples of their length, and know their place in the request."""
    x = np.arange(900.0).reshape(900, 1)
    names = np.array([f"row {number}" for number in range(900)])
    request = _request({"x": x, "name": names}, 900)

    found = _handed_on(_request({"x": x[:1]}, 1), request, _request({"x": x[:2]}, 2))

    assert [found.key(index) for index in range(1, 5)] == [
        f"{request.id}-{row}" for row in (0, 256, 512, 768)
    ]
    assert list(found.positions) == [1, 2, 258, 514, 770, 902]
    assert found.find(515) == (3, 1)
    assert found.find(904) is None
    assert [row[0] for row in _rows(found)][1:901] == [
        {"x": [float(number)], "name": f"row {number}"} for number in range(900)
    ]
    wide = _handed_on(_request({"x": np.zeros((10, 40_000))}, 10))
    assert list(wide.n_rows) == [1] * 10


def test_what_is_common_is_written_once_and_failures_are_told() -> None:
    """Requests of a version share a layout; one that failed says why, and has no outputs."""
    x = np.ones((1, 2))
    failed = _request({"x": x}, 1, outputs={}, error="ValueError: no")

    found = _handed_on(*[_request({"x": x}, 1) for _ in range(50)], failed)

    assert len({entry.layout for entry in found.entries()}) == 2
    assert found.errors == {50: "ValueError: no"}
    assert _rows(found)[50] == ({"x": [1.0, 1.0]}, {})
    assert {*found.latencies_us, *found.at_us} == {1200, AT_US}


def test_rarer_kinds_of_arrays_are_spelt_out() -> None:
    """A moment has no number of its own here, so such a request is kept as text."""
    at = np.array(["2030-01-01", "2030-01-02"], dtype="datetime64[D]")

    found = _handed_on(_request({"x": np.ones((2, 1))}, 2, outputs={"at": at}))

    assert [found.key(index)[-2:] for index in range(2)] == ["-0", "-1"]
    assert not any(entry.layout for entry in found.entries())


def _altered(**changes: Any) -> Packed:
    entry = json_entry(predictions(["a"])[0])
    return pack([entry._replace(**changes)])


BAD = {
    "garbage": lambda: Packed(heads=b"\x00", data=b""),
    "no rows": lambda: _altered(n_rows=0),
    "more rows than the request": lambda: _altered(layout=_layout(), n_rows=2, data=bytes(32)),
    "too little data": lambda: _altered(layout=_layout(), data=bytes(15)),
    "no layout": lambda: _altered(layout=b"\xc1"),
    "no JSON": lambda: _altered(data=b"{"),
    "an id with a space": lambda: _altered(id="a b"),
    "positions": lambda: pack([json_entry(predictions(["a"])[0])], [7]),
    "a time that there is not": lambda: _altered(at_us=1 << 62),
}


def _layout() -> bytes:
    return msgspec.msgpack.encode([[["x", "f8", [2]]], []])


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_is_not_as_it_says_is_refused(bad: Any) -> None:
    """Before it is kept: whoever reads later must find rows."""
    with pytest.raises(Corrupt):
        Unpacked(bad()).check()


def test_a_bomb_is_not_unpacked() -> None:
    """The size is asked for before memory is taken."""
    with pytest.raises(TooLarge):
        Unpacked(_altered(data=bytes(100 << 20))).check()


def test_a_record_that_is_none_is_refused() -> None:
    """One that is cut off, or of a form that comes later."""
    good = Recorder().encode(_request({"x": np.ones((1, 2))}, 1))
    for bad in (good[:20], bytes([good[0], 9]) + good[2:]):
        with pytest.raises(Corrupt):
            by_endpoint([bad])
    assert isinstance(by_endpoint([good])[("default", "live")][0], Entry)
