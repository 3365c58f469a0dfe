"""What is captured is chosen by argument and settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from noria.core.config import load_settings
from noria.core.errors import ConfigInvalid, Invalid
from noria.tracking.settings import NOTHING, Capture, TrackingSection, chosen_capture

SECTION = TrackingSection(capture=Capture(console=False))


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (None, Capture(console=False)),
        (True, Capture()),
        (False, NOTHING),
        ({"diff": False}, Capture(console=False, diff=False)),
        ({"console": True}, Capture()),
        (Capture(host=False), Capture(host=False)),
    ],
)
def test_the_argument_wins_over_the_settings(wanted: object, chosen: Capture) -> None:
    """A mapping changes what the settings say; the rest replaces it."""
    assert chosen_capture(wanted, SECTION) == chosen  # type: ignore[arg-type]


def test_what_cannot_be_captured_is_named() -> None:
    """A typing error is no silent switch."""
    with pytest.raises(Invalid, match="consol"):
        chosen_capture({"consol": False}, SECTION)
    with pytest.raises(Invalid, match="`list`"):
        chosen_capture([], SECTION)  # type: ignore[arg-type]


def test_nothing_is_nothing() -> None:
    """A switch that is added to `Capture` must be added there too."""
    assert not any(getattr(NOTHING, name) for name in Capture.__struct_fields__)


def test_the_settings_are_read_from_the_project(tmp_path: Path) -> None:
    """`[tracking]` is a table of `noria.toml`, with `[tracking.capture]` inside."""
    config = tmp_path / "noria.toml"
    config.write_text("[tracking]\npatience_s = 1\n[tracking.capture]\nenergy = false\n")
    section = load_settings(folder=tmp_path, environ={}).section("tracking", TrackingSection)

    assert (section.patience_s, section.capture) == (1.0, Capture(energy=False))
    config.write_text("[tracking]\npatience_s = -1\n")
    with pytest.raises(ConfigInvalid, match="patience_s"):
        load_settings(folder=tmp_path, environ={})
