"""Arguments on their way to another process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from noria.core.clock import SystemClock
from noria.core.objects.local import LocalObjectStore
from noria.pipelines.executors.packing import (
    CARRIED_BYTES,
    ArgumentNotSendable,
    CarriedObjects,
    Packer,
    unpacked,
)
from noria.pipelines.outputs import Output
from noria.pipelines.storing import ValueStore


class Pair(NamedTuple):
    first: Any
    second: Any


@pytest.fixture
def store(tmp_path: Path) -> LocalObjectStore:
    """Give a store in a folder."""
    return LocalObjectStore(tmp_path / "objects", SystemClock())


def sent(store: LocalObjectStore, arguments: dict[str, Any], *, shares_files: bool = True) -> dict[str, Any]:
    """Pack arguments, and unpack them as another process does."""
    packer = Packer(ValueStore(store), store, shares_files=shares_files)
    packed, carried, trusted, _ = packer.pack("fit", arguments)
    other = ValueStore(CarriedObjects(lambda: store, carried))
    other.trust_digests(trusted)
    return {name: unpacked(each, other) for name, each in packed.items()}


def test_values_arrive_as_they_were_sent(store: LocalObjectStore, tmp_path: Path) -> None:
    """Plain values, arrays, what only pickle takes, and containers of them with handles and paths inside."""
    values = ValueStore(store)
    made = values.save([1, 2])
    table = np.arange(CARRIED_BYTES)
    given = {
        "plain": {"a": [1, None], "b": (2.5, "x")},
        "array": table,
        "handle": Output(made, values.load),
        "inside": [Output(made, values.load), {"path": tmp_path, "pair": Pair(Output(made, values.load), 3)}],
    }

    got = sent(store, given)

    assert got["plain"] == given["plain"]
    np.testing.assert_array_equal(got["array"], table)
    assert type(got["handle"]) is Output
    assert got["handle"].stored == made
    assert got["inside"][0].value == [1, 2]
    assert got["inside"][1]["path"] == tmp_path
    assert got["inside"][1]["pair"] == Pair([1, 2], 3)


def test_small_objects_travel_with_the_message_and_large_ones_through_the_store(
    store: LocalObjectStore,
) -> None:
    """Only what is large is in the store before the other process asks for it."""
    packer = Packer(ValueStore(store), store, shares_files=True)
    small, large = b"s" * CARRIED_BYTES, b"l" * (CARRIED_BYTES + 1)

    packed, carried, _, _ = packer.pack("fit", {"small": small, "large": large})

    digests = {name: each.stored.digest for name, each in packed.items() if each.stored is not None}
    assert (digests["small"] in carried, store.has(digests["small"])) == (True, False)
    assert (digests["large"] in carried, store.has(digests["large"])) == (False, True)


def test_paths_travel_by_content_where_files_are_not_shared(store: LocalObjectStore, tmp_path: Path) -> None:
    """The other machine gets a file of the same name and content."""
    source = tmp_path / "source.txt"
    source.write_text("one")

    got = sent(store, {"source": source}, shares_files=False)["source"]

    assert (got.value.name, got.value.read_text()) == ("source.txt", "one")


def test_what_has_no_stored_form_is_refused_by_name(store: LocalObjectStore) -> None:
    """A lock belongs to one process."""
    with pytest.raises(
        ArgumentNotSendable, match="argument `lock` of the step `fit` cannot be given"
    ) as caught:
        sent(store, {"lock": threading.Lock()})
    assert caught.value.hint is not None
