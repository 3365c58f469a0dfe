"""Answered requests packed into bytes: what they have in common once, the rest in columns beside their data.

An entry is a request, or a piece of one with many rows. Its values are either the bytes of its arrays, described by a
layout that all entries of a version share, or JSON where they came as such. Many entries make two parts: `heads`, all
that is counted, looked for and ordered by, and `data`, which is unpacked for the entries that somebody reads. Both are
compressed. Python's `struct` reads them, so that the server needs no NumPy.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Annotated, Any, NamedTuple

import msgspec

from noria.core.database.schema import to_micros
from noria.core.errors import TooLarge
from noria.core.serialisation import to_json
from noria.serving.predictions import ROLES, Prediction, PredictionId
from noria.serving.tensor_data import corrupt, packed_texts, reader_of

PIECES = (256, 64, 16, 4, 1)
"""Rows of the pieces that a long request is cut into. All of one request are alike, and begin at their multiples."""

PIECE_BYTES = 1 << 20
"""A piece of more is cut smaller, as far as rows go."""

MAX_UNPACKED_BYTES = 80 << 20
"""Longest data of one batch, unpacked: some more than the longest record of a model server."""

_FORM = 1
_FORM_WITH_ROLES = 2
"""Of heads that hold more than answers: who knows nothing of roles must not take a shadow for an answer."""

_LEVEL = 1
_HASTY_LEVEL = -100
"""For what does not compress, as most decimal numbers: it takes a tenth of the time, and a byte or two more."""

_SAMPLE_BYTES = 16 << 10
_PAYS = 0.9
_JSON = -1
_LAST_US = 253_402_300_799_000_000
_MAX_ERROR = 2_000


class Entry(NamedTuple):
    """A request that was answered, or a piece of it.

    Attributes
    ----------
    id
        Of the request.
    at_us
        When it was answered, in microseconds since 1970.
    row, n_rows
        First row in the request, and how many rows.
    n_whole
        Rows of the request.
    layout
        What the data are, see `Layout`; empty where they are JSON, an object with `inputs` and `outputs` of one row.
    role
        Number of its role in `ROLES`.
    """

    id: str
    version: int
    revision: int
    at_us: int
    latency_us: int
    row: int
    n_rows: int
    n_whole: int
    layout: bytes
    data: bytes
    error: str | None = None
    role: int = 0

    @property
    def key(self) -> str:
        """By what it is known; see `key_of`."""
        return key_of(self.id, self.version, self.role, self.row, self.n_whole)


class Packed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Entries, packed."""

    heads: bytes
    data: bytes


class _Heads(msgspec.Struct, frozen=True, array_like=True):
    form: int
    ids: list[PredictionId]
    numbers: bytes
    layouts: list[bytes]
    errors: dict[int, Annotated[str, msgspec.Meta(max_length=_MAX_ERROR)]]
    positions: bytes = b""
    roles: bytes = b""


_N_COLUMNS = 9
_encoder = msgspec.msgpack.Encoder()
_heads = msgspec.msgpack.Decoder(_Heads)
_values = msgspec.json.Decoder(dict[str, dict[str, Any]])


def pack(entries: Sequence[Entry], positions: Sequence[int] = ()) -> Packed:
    """Pack entries.

    Parameters
    ----------
    positions
        Of the first row of each, where rows do not follow one another.
    """
    layouts: dict[bytes, int] = {b"": _JSON}
    places = [layouts.setdefault(entry.layout, len(layouts) - 1) for entry in entries]
    ids, versions, revisions, at, latencies, rows, n_rows, n_whole, _, data, errors, roles = zip(
        *entries, strict=True
    )
    numbers = array("q")
    for column in (versions, revisions, at, latencies, rows, n_rows, n_whole, places, map(len, data)):
        numbers.extend(column)
    heads = _Heads(
        form=_FORM_WITH_ROLES if any(roles) else _FORM,
        ids=list(ids),
        numbers=_bytes_of(numbers),
        layouts=list(layouts)[1:],
        errors={place: error[:_MAX_ERROR] for place, error in enumerate(errors) if error is not None},
        positions=_bytes_of(array("q", positions)),
        roles=bytes(roles) if any(roles) else b"",
    )
    return Packed(heads=_compressed(_encoder.encode(heads)), data=_compressed(b"".join(data)))


class Unpacked:
    """Heads of packed entries; `entries` gives those that are asked for.

    Parameters
    ----------
    packed
        What `pack` gave.
    first_position
        Of the first row, when the heads hold no positions.

    Raises
    ------
    Corrupt
        If these are no packed entries.
    """

    def __init__(self, packed: Packed, first_position: int = 0) -> None:
        try:
            heads = _heads.decode(_decompressed(packed.heads))
        except msgspec.DecodeError as error:
            raise corrupt(str(error)) from error
        n = len(heads.ids)
        numbers = _array_of(heads.numbers)
        known = heads.form in (_FORM, _FORM_WITH_ROLES) and len(heads.roles) in (0, n)
        if not known or not n or len(numbers) != n * _N_COLUMNS:
            raise corrupt("it has no known form")
        self._heads = heads
        self.packed = packed
        self._data: bytes | None = None
        columns = [numbers[start : start + n] for start in range(0, len(numbers), n)]
        self.ids = heads.ids
        self.roles = heads.roles or bytes(n)
        self.versions, self.revisions, self.at_us, self.latencies_us = columns[:4]
        self.rows, self.n_rows, self.n_whole, self.layout_places, self._sizes = columns[4:]
        self.positions = _array_of(heads.positions)
        if not self.positions:
            self.place(first_position)
        self.ends = array("q", accumulate(self._sizes))

    @property
    def errors(self) -> dict[int, str]:
        """Index of an entry → what the model raised."""
        return self._heads.errors

    @property
    def layouts(self) -> list[bytes]:
        """Layouts of its entries, each by its place (`layout_places`); one of -1 has JSON."""
        return self._heads.layouts

    @property
    def data(self) -> bytes:
        """Data of all entries, one after the other; each ends where `ends` says."""
        if self._data is None:
            self._data = _decompressed(self.packed.data)
        return self._data

    @property
    def n_all_rows(self) -> int:
        """Rows of all entries."""
        return sum(self.n_rows)

    @property
    def n_others(self) -> int:
        """Rows that were no answers."""
        return sum(n for n, role in zip(self.n_rows, self.roles, strict=True) if role)

    def place(self, first_position: int) -> None:
        """Let rows follow one another from a position on."""
        self.positions = array("q", accumulate(self.n_rows[:-1], initial=first_position))

    def __len__(self) -> int:
        return len(self.ids)

    def key(self, index: int) -> str:
        """By what an entry is known."""
        rows = self.rows[index], self.n_whole[index]
        return key_of(self.ids[index], self.versions[index], self.roles[index], *rows)

    def find(self, position: int) -> tuple[int, int] | None:
        """Give the index of the entry that holds a position, and the row in it."""
        index = bisect_right(self.positions, position) - 1
        row = position - self.positions[index]
        return (index, row) if index >= 0 and row < self.n_rows[index] else None

    def places(self, after: int) -> Iterator[tuple[int, int]]:
        """Give index and row of everything behind a position, in order."""
        start = max(0, bisect_right(self.positions, after) - 1)
        for index in range(start, len(self)):
            first = self.positions[index]
            for row in range(max(0, after + 1 - first), self.n_rows[index]):
                yield index, row

    def entry(self, index: int) -> Entry:
        """Give an entry with its data."""
        place = self.layout_places[index]
        if not _JSON <= place < len(self._heads.layouts):
            raise corrupt(f"it names a layout {place} that it does not have")
        end = self.ends[index]
        return Entry(
            self.ids[index],
            self.versions[index],
            self.revisions[index],
            self.at_us[index],
            self.latencies_us[index],
            self.rows[index],
            self.n_rows[index],
            self.n_whole[index],
            b"" if place == _JSON else self._heads.layouts[place],
            self.data[end - self._sizes[index] : end],
            self.errors.get(index),
            self.roles[index],
        )

    def entries(self) -> list[Entry]:
        """Give all entries with their data."""
        return [self.entry(index) for index in range(len(self))]

    def check(self) -> None:
        """Look whether everything is what it says, before it is kept.

        Raises
        ------
        Corrupt
            If it is not.
        """
        least = [(self.versions, 0), (self.revisions, 0), (self.latencies_us, 0), (self.at_us, 0)]
        least += [(self.rows, 0), (self.n_rows, 1), (self.n_whole, 1), (self._sizes, 0)]
        if any(min(column) < bound for column, bound in least) or max(self.at_us) > _LAST_US:
            raise corrupt("a number is out of its range")
        if max(self.roles) >= len(ROLES):
            raise corrupt("a role is none")
        if self._heads.positions:
            raise corrupt("it gives positions, which are given here")
        self.entry(0)
        if self.ends[-1] != len(self.data):
            raise corrupt("its data are not as long as they should be")
        known = [reader_of(layout).row_bytes for layout in self._heads.layouts]
        for index, (place, n, size) in enumerate(
            zip(self.layout_places, self.n_rows, self._sizes, strict=True)
        ):
            if place != _JSON and self.rows[index] + n > self.n_whole[index]:
                raise corrupt(f"`{self.ids[index]}` has not the rows that it says")
            if not 0 <= place < len(known) or known[place] is None:  # JSON, or texts
                self._check_entry(index)
            elif (known[place] or 0) * n != size:
                raise corrupt(f"the data of `{self.ids[index]}` are not as long as they should be")

    def _check_entry(self, index: int) -> None:
        entry = self.entry(index)
        if not entry.layout and (entry.n_rows, entry.n_whole) != (1, 1):
            raise corrupt(f"`{entry.id}` has not the rows that it says")
        values_of(entry)


def values_of(entry: Entry) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Give inputs and outputs of each row, by name; a number that is not finite is None."""
    if not entry.layout:
        try:
            found = _values.decode(entry.data)
            return [(found["inputs"], found["outputs"])]
        except (msgspec.DecodeError, KeyError) as error:
            raise corrupt(str(error)) from error
    inputs, outputs = reader_of(entry.layout).columns(entry.data, entry.n_rows)
    return [
        ({name: column[row] for name, column in inputs}, {name: column[row] for name, column in outputs})
        for row in range(entry.n_rows)
    ]


def cut(entry: Entry) -> list[Entry]:
    """Cut a request that is long into pieces."""
    size = next(size for size in PIECES if size == 1 or size * len(entry.data) <= PIECE_BYTES * entry.n_rows)
    if entry.n_rows <= size:
        return [entry]
    tensors = reader_of(entry.layout).parts(entry.data, entry.n_rows)
    return [
        _piece(entry, tensors, start, min(size, entry.n_rows - start))
        for start in range(0, entry.n_rows, size)
    ]


def json_entry(prediction: Prediction) -> Entry:
    """Give a prediction as an entry of JSON."""
    return Entry(
        id=prediction.id,
        version=prediction.version,
        revision=prediction.revision,
        at_us=to_micros(prediction.at),
        latency_us=prediction.latency_us,
        row=prediction.row,
        n_rows=1,
        n_whole=1,
        layout=b"",
        data=to_json({"inputs": prediction.inputs, "outputs": prediction.outputs}),
        error=prediction.error,
        role=ROLES.index(prediction.role),
    )


def key_of(identity: str, version: int, role: int, row: int, n_whole: int) -> str:
    """Give by what an entry is known: the id of its first prediction, and who else than the answer it is of.

    Examples
    --------
    >>> key_of("a", 3, 0, 0, 1), key_of("a", 3, 0, 64, 100), key_of("a", 3, 1, 64, 100)
    ('a', 'a-64', 'a~3-64')
    """
    of = f"{identity}~{version}" if role else identity
    return of if n_whole == 1 else f"{of}-{row}"


def _piece(entry: Entry, tensors: list[tuple[bytes | list[str], int]], start: int, n: int) -> Entry:
    parts = [(tensor[start * size : (start + n) * size]) for tensor, size in tensors]
    data = b"".join(part if isinstance(part, bytes) else packed_texts(part) for part in parts)
    return entry._replace(row=entry.row + start, n_rows=n, data=data)


def _bytes_of(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _array_of(data: bytes) -> array[int]:
    if len(data) % 8:
        raise corrupt("its numbers are cut off")
    numbers = array("q", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _compressed(data: bytes) -> bytes:
    import zstandard

    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    if len(data) > 4 * _SAMPLE_BYTES:
        middle = (len(data) - _SAMPLE_BYTES) // 2
        if len(compressor.compress(data[middle : middle + _SAMPLE_BYTES])) > _PAYS * _SAMPLE_BYTES:
            compressor = zstandard.ZstdCompressor(level=_HASTY_LEVEL)
    return compressor.compress(data)


def _decompressed(data: bytes) -> bytes:
    import zstandard

    try:
        # Asked first: much memory is taken at the word of these few bytes.
        size_bytes = zstandard.frame_content_size(data)
        if size_bytes > MAX_UNPACKED_BYTES:
            raise TooLarge(
                f"Packed requests of {size_bytes} bytes cannot be kept", hint="Send fewer at a time"
            )
        if size_bytes < 0:
            raise corrupt("it does not say how long it is")
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise corrupt(str(error)) from error
