"""The file with the token that a model server asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from noria.core.errors import ConfigInvalid
from noria.serving.modelserver.options import closed_rights, read_token


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """With the command that closes it; one that is too short, too."""
    place = tmp_path / "token"
    place.write_text("a-token-that-is-long-enough\n")
    place.chmod(0o640)
    with pytest.raises(ConfigInvalid, match="can be read by others"):
        read_token(place)
    place.chmod(0o400)
    assert read_token(place) == "a-token-that-is-long-enough"
    place.chmod(0o600)
    place.write_text("short")
    with pytest.raises(ConfigInvalid, match="too short"):
        read_token(place)


def test_a_file_of_root_may_be_read_by_the_group_that_it_was_handed_to() -> None:
    """As Kubernetes hands a Secret to a pod, and no other right; root itself needs no group."""
    assert 0o440 & closed_rights(0, 10001) == 0
    assert all(mode & closed_rights(0, 10001) for mode in (0o444, 0o460, 0o450, 0o442))
    assert 0o440 & closed_rights(0, 0) != 0
    assert 0o440 & closed_rights(10001, 10001) != 0
