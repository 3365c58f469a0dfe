"""What code reads and makes, told to whoever listens."""

from __future__ import annotations

import threading

from noria.core import lineage


class Notes:
    def __init__(self) -> None:
        self.inputs_read: list[str] = []
        self.outputs: list[tuple[str, str]] = []

    def record_input(self, ref: str, digest: str) -> None:
        assert digest == "d"
        self.inputs_read.append(ref)

    def record_output(self, ref: str, digest: str) -> None:
        self.outputs.append((ref, digest))


def test_without_a_recorder_nothing_happens() -> None:
    """Code works outside of a run."""
    lineage.record_input("dataset:a@1", "d")
    lineage.record_output("model:m@1", "d")
    lineage.record_followed("dataset:a", "dataset:a@1")

    assert lineage.last_dataset() is None
    assert lineage.origin.get() is None


def test_a_recorder_hears_what_is_read_and_made() -> None:
    """In the order in which it happens, until it is taken away."""
    notes = Notes()
    token = lineage.recorder.set(notes)
    try:
        lineage.record_input("dataset:a@1", "d")
        lineage.record_input("dataset:b@2", "d")
        lineage.record_input("model:m@1", "d")
        lineage.record_output("model:m@2", "e")
        last = lineage.last_dataset()
    finally:
        lineage.recorder.reset(token)
    lineage.record_input("dataset:c@1", "d")

    assert notes.inputs_read == ["dataset:a@1", "dataset:b@2", "model:m@1"]
    assert notes.outputs == [("model:m@2", "e")]
    assert last == "b@2"


def test_a_recorder_is_not_another_threads() -> None:
    """Two runs at once in two threads do not mix."""
    notes = Notes()
    token = lineage.recorder.set(notes)
    try:
        thread = threading.Thread(target=lineage.record_input, args=("dataset:a@1", "d"))
        thread.start()
        thread.join()
    finally:
        lineage.recorder.reset(token)

    assert notes.inputs_read == []


def test_a_name_that_moves_is_told_with_where_it_led() -> None:
    """So that what was computed can be known to be old."""
    followed: list[tuple[str, str]] = []
    token = lineage.follower.set(lambda name, ref: followed.append((name, ref)))
    try:
        lineage.record_followed("dataset:a", "dataset:a@3")
    finally:
        lineage.follower.reset(token)

    assert followed == [("dataset:a", "dataset:a@3")]
