"""Names and references."""

from __future__ import annotations

import pytest

from noria.core.errors import Invalid
from noria.core.names import check_name, split_ref


@pytest.mark.parametrize("name", ["a", "A-1", "digits_train.v2", "0", "x" * 120])
def test_a_good_name_is_given_back(name: str) -> None:
    """Letters, digits, dots, dashes and underscores."""
    assert check_name("dataset", name) == name


@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("my data", "my-data"),
        ("é/è", None),
        ("-a-", "a"),
        ("../etc", "etc"),
        ("a\n", "a"),
        ("", None),
        ("a@1", "a-1"),
    ],
)
def test_a_bad_name_is_refused_with_a_proposal(name: str, proposal: str | None) -> None:
    """What could lead out of a path or an address is refused, and a near good name is proposed if there is one."""
    with pytest.raises(Invalid, match="cannot be the name of a dataset") as caught:
        check_name("dataset", name)

    assert (f"such as `{proposal}`" if proposal else "such as") in str(caught.value.hint) or not proposal
    if proposal:
        assert check_name("dataset", proposal) == proposal


def test_a_long_name_is_refused_by_its_length() -> None:
    """The message shows the beginning, not all of it."""
    with pytest.raises(Invalid, match="121 characters") as caught:
        check_name("model", "y" * 121)

    assert len(caught.value.message) < 80


@pytest.mark.parametrize(
    ("ref", "expected"),
    [("digits", ("digits", None)), ("digits@3", ("digits", "3")), ("a@b@c", ("a", "b@c"))],
)
def test_a_reference_is_split_at_its_first_sign(ref: str, expected: tuple[str, str | None]) -> None:
    """Name and selector."""
    assert split_ref(ref) == expected


def test_a_reference_that_picks_nothing_is_refused() -> None:
    """`digits@` says that a version was meant, and not which."""
    with pytest.raises(Invalid, match="ends in `@`"):
        split_ref("digits@")
