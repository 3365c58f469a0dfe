"""Limits on what runs hold."""

from __future__ import annotations

import pytest

from noria.core.errors import Invalid, TooLarge
from noria.tracking.entities import Link, LogBatch
from noria.tracking.limits import (
    check_artifact_path,
    check_batch,
    check_key,
    check_length,
    check_link,
    check_ref,
    check_title,
)


@pytest.mark.parametrize(
    "key", ["a", "val/accuracy", "layer.0:w-x_y z", "größe", "k" * 250, ".hidden", "a..b"]
)
def test_good_keys_pass(key: str) -> None:
    """Letters of any script, digits, spaces and `_ - . : /` make a key."""
    assert check_key("metric", key) == key


@pytest.mark.parametrize(
    "key", ["", " ", "/a", "a/", "a//b", "..", "a/../b", "a\n", "a\x00", "a?b", "a`b", "k" * 251, "\ud800"]
)
def test_bad_keys_are_refused(key: str) -> None:
    """What could not stand in an address or a filter is refused, with the kind of thing it was for."""
    with pytest.raises(Invalid, match="metric"):
        check_key("metric", key)


@pytest.mark.parametrize("path", ["a", "a/b.txt", "plots/é è.png", "..a", "a..b/c"])
def test_good_paths_pass(path: str) -> None:
    """Relative paths with `/` are paths of artifacts."""
    assert check_artifact_path(path) == path


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", ".", "./a", "..", "a/../b", "a\\b", "a\x00", "a\nb", "p" * 501]
)
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    """A path that is absolute, leaves its folder or is not in its one form is refused."""
    with pytest.raises(Invalid, match="artifact"):
        check_artifact_path(path)


@pytest.mark.parametrize("ref", ["dataset:digits@2", "model:digits@champion", "object:blake3:00", "x:é/ü"])
def test_references_have_a_kind(ref: str) -> None:
    """A reference is `kind:rest`."""
    assert check_ref(ref) == ref


@pytest.mark.parametrize(
    "ref", ["", "digits", ":x", "Dataset:x", "dataset:", "dataset:a b", "d:" + "x" * 500]
)
def test_other_texts_are_no_references(ref: str) -> None:
    """Anything else is refused."""
    with pytest.raises(Invalid):
        check_ref(ref)


def test_a_link_has_a_digest_or_none() -> None:
    """The digest of a link is a whole one, or empty."""
    check_link(Link(ref="dataset:a@1"))
    check_link(Link(ref="dataset:a@1", digest="blake3:" + "0" * 64))
    with pytest.raises(Invalid, match="`blake3:0`"):
        check_link(Link(ref="dataset:a@1", digest="blake3:0"))


@pytest.mark.parametrize("text", ["a\x00b", "half \ud800 pair"])
def test_text_that_no_database_holds_is_refused(text: str) -> None:
    """Null characters and lone surrogates are named before anything is written."""
    with pytest.raises(Invalid, match="cannot be stored"):
        check_length("value", text, 100)


def test_messages_cut_what_is_long() -> None:
    """A message names the value, not all of its million characters."""
    with pytest.raises(TooLarge) as caught:
        check_title("run", "x" * 1_000_000)

    assert len(caught.value.message) < 200
    assert "1000000" in caught.value.message


@pytest.mark.parametrize(
    "batch",
    [
        LogBatch(params={f"p{i}": "" for i in range(1_001)}),
        LogBatch(tags={f"p{i}": "" for i in range(1_001)}),
        LogBatch(inputs=[Link(ref=f"object:{i}") for i in range(1_001)]),
        LogBatch(artifacts={f"{i}": "blake3:" + "0" * 64 for i in range(1_001)}),
    ],
)
def test_batches_are_bounded(batch: LogBatch) -> None:
    """A batch of too many entries says how many it may have."""
    with pytest.raises(TooLarge, match="at most 1000"):
        check_batch(batch)
