"""Colours of consoles."""

from __future__ import annotations

import pytest

from noria.tracking.ansi import pieces


@pytest.mark.parametrize(
    ("text", "styles"),
    [
        ("x", ""),
        ("\x1b[31mx", "ansi-red"),
        ("\x1b[91mx", "ansi-red"),
        ("\x1b[1;4;32mx", "ansi-green ansi-bold ansi-underline"),
        ("\x1b[1m\x1b[22mx", ""),
        ("\x1b[34m\x1b[39mx", ""),
        ("\x1b[3;35m\x1b[mx", ""),
        ("\x1b[38;5;196mx", "ansi-red"),
        ("\x1b[38;5;12mx", "ansi-blue"),
        ("\x1b[38;5;240mx", ""),
        ("\x1b[38;2;10;200;20mx", "ansi-green"),
        ("\x1b[48;5;196;1mx", "ansi-bold"),
        ("\x1b[38;5mx", ""),
        ("\x1b[999999999;31mx", "ansi-red"),
    ],
)
def test_colours_and_weights_are_names(text: str, styles: str) -> None:
    """Eight colours and four weights; wide colours are the nearest of the eight, and grey is the ink."""
    assert [(piece.text, piece.styles) for piece in pieces(text)] == [("x", styles)]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\x1b[2Kb", "ab"),
        ("a\x1b[10;20Hb", "ab"),
        ("a\x1b]8;;http://x\x07b\x1b]8;;\x07c", "abc"),
        ("a\x1b]0;title\x1b\\b", "ab"),
        ("a\x08\x07\x7fb\tc\nd", "ab\tc\nd"),
        ("a\x1b", "a"),
        ("a\x1b[31", "a[31"),
        ("\x1b[1m\x1b[0m", ""),
    ],
)
def test_what_a_terminal_does_not_show_is_left_out(text: str, seen: str) -> None:
    """Movements, titles, links and control characters; line ends and tabs stay."""
    assert "".join(piece.text for piece in pieces(text)) == seen


def test_neighbours_of_one_style_are_one_piece() -> None:
    """So that a long output has few elements."""
    assert len(pieces("\x1b[32ma\x1b[0m\x1b[32mb\x1b[0m" * 50)) == 1
