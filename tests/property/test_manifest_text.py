"""Manifests as YAML: what is written is what is read, by a reader of YAML 1.1."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from noria.delivery.kubernetes.names import label_of
from noria.delivery.kubernetes.text import to_yaml
from support.manifests import TRICKS

VALUES = st.sampled_from(TRICKS) | st.text() | st.integers() | st.booleans()
DOCUMENTS = st.dictionaries(
    st.sampled_from(TRICKS) | st.text(max_size=20), VALUES | st.lists(VALUES, max_size=3), max_size=4
)


@given(document=DOCUMENTS)
def test_every_text_is_read_as_it_was_written(document: dict[str, Any]) -> None:
    """Whatever stands in a manifest, as a key or as a value, is the same text or number when it is read."""
    assert yaml.safe_load(to_yaml([document])) == document


@given(text=st.text(max_size=200))
def test_every_name_has_a_label_of_its_own(text: str) -> None:
    """A name that is no label of DNS gets one, and keeps it when it is asked for again."""
    label = label_of(text, limit=52)
    assert label_of(label, limit=52) == label
    assert 1 <= len(label) <= 52
    assert label.strip("abcdefghijklmnopqrstuvwxyz0123456789-") == ""
    assert label[0].isalpha()
    assert label[-1] != "-"
