"""What holds of any text taken for a name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from noria.core.errors import Invalid
from noria.core.names import MAX_NAME_LENGTH, check_name, split_ref


@given(st.text(max_size=200))
def test_a_name_that_passes_is_safe_in_paths_addresses_and_references(text: str) -> None:
    """It is one part of a path, needs no quoting, and splits off a reference as itself."""
    try:
        name = check_name("thing", text)
    except Invalid:
        return

    assert PurePosixPath("/base", name).parent == PurePosixPath("/base")
    assert name not in (".", "..")
    assert quote(name, safe="") == name
    assert split_ref(f"{name}@7") == (name, "7")
    assert len(name) <= MAX_NAME_LENGTH


@given(st.text(max_size=150))
def test_a_proposed_name_is_a_good_one(text: str) -> None:
    """Whatever is proposed in place of a bad name passes, unless it is too long."""
    try:
        check_name("thing", text)
    except Invalid as error:
        found = re.search(r"such as `(.*)`", error.hint or "")
        if found:
            assert check_name("thing", found.group(1)) == found.group(1)
