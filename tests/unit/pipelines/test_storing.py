"""Values as they are stored, and what comes back."""

from __future__ import annotations

import dataclasses
import math
import os
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from noria.core.clock import SystemClock
from noria.core.errors import Corrupt
from noria.core.objects.digests import hash_bytes
from noria.core.objects.local import LocalObjectStore
from noria.pipelines.cache_entities import StoredValue
from noria.pipelines.codecs import (
    CodecUnknown,
    OutputNotStorable,
    PickleRefused,
    decode,
    encode,
    register_codec,
)
from noria.pipelines.forms import Codec
from noria.pipelines.storing import ValueStore
from noria.pipelines.values import fingerprint


@dataclasses.dataclass
class Own:
    """A class that no distribution brings along."""

    a: int


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjectStore:
    """Give an empty object store."""
    return LocalObjectStore(tmp_path / "objects", SystemClock())


@pytest.fixture
def values(objects: LocalObjectStore) -> ValueStore:
    """Give a value store on it."""
    return ValueStore(objects)


@pytest.mark.parametrize(
    ("value", "codec"),
    [
        (None, "json"),
        (True, "json"),
        (2**80, "json"),
        (-0.0, "json"),
        (float("nan"), "json"),
        (float("-inf"), "json"),
        ("text \ud800 ñ", "json"),
        ([1, [2.0, "a"], {"b": None}], "json"),
        ({"b": 1, "a": 2}, "json"),
        (b"\x00bytes", "bytes"),
        (np.arange(6).reshape(2, 3), "npy"),
        (np.array(1.5), "npy"),
        (np.array(["a", "bc"]), "npy"),
        (np.asfortranarray(np.eye(3)), "npy"),
        (np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]), "npy"),
        (np.float32(1.5), "number"),
        (np.datetime64("2026-01-01"), "number"),
        (pl.DataFrame({"a": [1, None], "b": ["x", "y"]}), "parquet"),
        (pl.Series("a", [1.0, 2.0]), "series"),
        (LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1]), "skops"),
        ((1, "a"), "tree"),
        ({1: "a", (2, 3): [4]}, "tree"),
        ({"x": np.zeros(2), "y": {"z": (np.ones(1), None)}}, "tree"),
        ({1, 2}, "tree"),
        ([frozenset({"a"}), b"x"], "tree"),
        ([LogisticRegression(C=3.0)], "tree"),
        (Own(1), "pickle"),
        (1 + 2j, "pickle"),
        (np.array([None, "a"], dtype=object), "pickle"),
        ([Own(1)], "tree"),
    ],
)
def test_values_come_back_equal(
    objects: LocalObjectStore, values: ValueStore, value: Any, codec: str
) -> None:
    """What is stored is what is loaded, of the same types, also by another process."""
    stored = values.save(value)
    other = ValueStore(objects)
    other.trust(stored)
    again, elsewhere = values.load(stored), other.load(stored)

    assert stored.codec == codec
    assert type(again) is type(value)
    assert fingerprint(again).digest == fingerprint(elsewhere).digest == fingerprint(value).digest
    saved_again = values.save(value)
    assert (saved_again.content or saved_again.digest) == (stored.content or stored.digest)


def test_each_load_gives_a_value_of_its_own(values: ValueStore) -> None:
    """Changing what was loaded changes nothing for the next who loads it."""
    stored = values.save({"x": np.zeros(2), "names": ["a"]})
    first = values.load(stored)
    first["x"] += 1
    first["names"].append("b")
    second = values.load(stored)

    np.testing.assert_array_equal(second["x"], np.zeros(2))
    assert second["names"] == ["a"]


def test_only_pickles_are_not_portable(values: ValueStore) -> None:
    """What runs code when it is read back is marked, with the classes whose code belongs to it, also inside a list."""
    pickled, inside = values.save(Own(1)), values.save([np.zeros(1), Own(1)])
    unknown = values.save(make_pipeline(StandardScaler(), FunctionTransformer(_shift)).fit(np.eye(2)))

    assert (pickled.portable, inside.portable, unknown.portable) == (False, False, False)
    assert pickled.code == [f"{__name__}:Own"]
    assert inside.code == [f"{__name__}:Own"]
    assert f"{__name__}:_shift" in unknown.code
    assert values.save(make_pipeline(StandardScaler(), LogisticRegression())).portable


@pytest.mark.parametrize("value", [Own(1), [np.zeros(1), {"a": Own(1)}]])
def test_somebody_elses_pickle_is_never_read(objects: LocalObjectStore, value: Any) -> None:
    """Whatever is claimed of it, a pickle is read back only by who is known to have written it, also inside a tree."""
    stored = msgspec.structs.replace(ValueStore(objects).save(value), portable=True)

    with pytest.raises(PickleRefused):
        ValueStore(objects).load(stored)


def test_frames_of_odd_columns_come_back(values: ValueStore) -> None:
    """Nested and empty tables are tables too."""
    for frame in (pl.DataFrame(), pl.DataFrame({"a": [[1, 2], []]}), pl.DataFrame({"s": [{"x": 1}]})):
        assert_frame_equal(values.load(values.save(frame)), frame)


def test_files_and_folders_come_back_as_copies(values: ValueStore, tmp_path: Path) -> None:
    """A path is stored as what it leads to; loading gives the path of a new copy of the same name."""
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "x.txt").write_text("x")
    stored = [values.save(folder), values.save(folder / "sub" / "x.txt")]
    loaded = [values.load(value) for value in stored]
    (folder / "sub" / "x.txt").write_text("changed")

    assert [value.codec for value in stored] == ["folder", "file"]
    assert (loaded[0] / "sub" / "x.txt").read_text() == "x"
    assert (loaded[1].name, loaded[1].read_text()) == ("x.txt", "x")


def test_copies_of_files_go_with_the_store(objects: LocalObjectStore, tmp_path: Path) -> None:
    """The folder of copies is removed when nobody can ask for them any more."""
    values = ValueStore(objects)
    (tmp_path / "x.txt").write_text("x")
    place: Path = values.load(values.save(tmp_path / "x.txt"))
    existed = place.exists()
    del values

    assert existed
    assert not place.exists()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ((n for n in range(3)), "only once"),
        (iter([1]), "only once"),
        (lambda: 1, "lambda"),
        (threading.Lock(), "cannot pickle"),
        (Path("nowhere"), "does not exist"),
        ([Path(__file__)], "stay behind"),
        (Own(Path(__file__)), "stay behind"),  # type: ignore[arg-type]
        ({"deep": [threading.Lock()]}, "cannot pickle"),
    ],
)
def test_what_has_no_stored_form_is_refused(values: ValueStore, value: Any, told: str) -> None:
    """The error names the type and the reason, and the hint says what to return instead."""
    with pytest.raises(OutputNotStorable, match=told) as caught:
        values.save(value)

    assert caught.value.hint


def test_a_value_that_holds_itself_is_refused(values: ValueStore) -> None:
    """A list inside itself is no data."""
    circle: list[Any] = []
    circle.append(circle)

    with pytest.raises(OutputNotStorable, match="itself"):
        values.save(circle)


def test_damaged_bytes_are_not_loaded(objects: LocalObjectStore, values: ValueStore, tmp_path: Path) -> None:
    """Bytes that changed in the store are an error, not a value."""
    stored = values.save(np.arange(1000))
    (path,) = [
        file
        for file in (tmp_path / "objects").rglob("*")
        if stored.digest.endswith(file.name) and file.is_file()
    ]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    with pytest.raises(Corrupt):
        ValueStore(objects).load(stored)


def test_a_registered_codec_is_asked_first() -> None:
    """A form that was registered stores its type as plain data; without it the value cannot be read."""
    register_codec(
        Codec(
            name="own",
            takes=lambda value: type(value) is Own,
            encode=lambda value: str(value.a).encode(),
            decode=lambda data: Own(int(data)),
        )
    )
    try:
        encoded = encode(Own(7))
        again = decode("own", encoded.data)
    finally:
        from noria.pipelines import codecs

        del codecs._registered["own"]

    assert (encoded.codec, encoded.portable, again) == ("own", True, Own(7))
    with pytest.raises(CodecUnknown, match="`own`"):
        decode("own", encoded.data)


def test_small_values_stay_in_memory(objects: LocalObjectStore) -> None:
    """A value that was just made is handed on without reading it back."""
    counted = _Counting(objects)
    values = ValueStore(counted)
    stored = values.save([1, 2, 3])

    assert values.load(stored) == [1, 2, 3]
    assert counted.n_reads == 0
    assert math.isclose(ValueStore(counted).load(stored)[0], 1)
    assert counted.n_reads == 1


def _shift(x: Any) -> Any:
    return x + 1


class _Counting:
    """An object store that counts what is read."""

    def __init__(self, objects: LocalObjectStore) -> None:
        self._objects = objects
        self.n_reads = 0

    def get(self, digest: str, *, limit_bytes: int) -> bytes:
        self.n_reads += 1
        return self._objects.get(digest, limit_bytes=limit_bytes)

    def open(self, digest: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        self.n_reads += 1
        return self._objects.open(digest, start=start, length=length)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def missing(self, digests: Collection[str]) -> set[str]:
        return self._objects.missing(digests)


def test_a_stored_value_says_whether_it_is_a_tree() -> None:
    """Trees are named by the digest of a manifest, whose files must be kept too."""
    kinds = {
        codec: StoredValue(codec=codec, digest="d", size_bytes=1).is_tree
        for codec in ("json", "tree", "file", "folder")
    }

    assert kinds == {"json": False, "tree": True, "file": True, "folder": True}


def test_small_values_reach_the_disk_together_at_the_end(
    objects: LocalObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store of values that is flushed waits for the disk then, for every object it made, and not value by value."""
    flushed: set[int] = set()
    fsync = os.fsync

    def noting(fd: int) -> None:
        flushed.add(os.fstat(fd).st_ino)
        fsync(fd)

    objects.put_bytes(b"the first one, with which the store's own folders are made")
    monkeypatch.setattr(os, "fsync", noting)
    together = ValueStore(objects, flushes=True)
    stored = [together.save(value) for value in (1, "two", [3, np.arange(4)], 1)]
    assert not flushed
    assert [ValueStore(objects).load(one) for one in stored[:2]] == [1, "two"]

    together.flush([])
    places = [path for path in (objects.root / "objects").rglob("*") if path.is_file()]
    assert len(places) == 6  # two values; a list's structure, its array, and the list of both; the one before
    places.remove(
        objects._layout.path(hash_bytes(b"the first one, with which the store's own folders are made"))
    )
    assert {path.stat().st_ino for path in places} <= flushed
    assert {path.parent.stat().st_ino for path in places} <= flushed

    flushed.clear()
    ValueStore(objects).save(5)
    assert flushed  # who flushes nothing in the end has each value on disk at once
