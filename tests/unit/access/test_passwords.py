"""How passwords are kept."""

from __future__ import annotations

from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from noria.access.passwords import hash_password


def test_a_password_is_kept_as_argon2id_with_a_salt_of_its_own() -> None:
    """The hash says its algorithm and cost, differs each time, and is verified by the reference implementation."""
    first, second = hash_password("correct horse"), hash_password("correct horse")
    parameters = extract_parameters(first)

    assert parameters.type is Type.ID
    assert parameters.memory_cost >= 19_456
    assert parameters.time_cost >= 2
    assert first != second
    assert PasswordHasher().verify(second, "correct horse")
