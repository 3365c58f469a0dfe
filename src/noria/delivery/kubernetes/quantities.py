"""Amounts of processor and memory as Kubernetes writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from noria.core.errors import Invalid

MILLI: Final = Fraction(1, 1000)
_NUMBER = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([A-Za-z]*)")
_CPU_UNITS: Final = {"": Fraction(1), "m": MILLI}
_BYTE_UNITS: Final = {
    "": Fraction(1),
    **{letter: Fraction(1000**power) for power, letter in enumerate("kMGT", start=1)},
    **{f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGT", start=1)},
}
_LEAST_MEMORY: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a container asks for, and what it may have at most; as they were written."""

    request: str
    limit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Processor and memory of a container."""

    cpu: Bounds
    memory: Bounds


def read_cpu(option: str, text: str) -> Bounds:
    """Read processors as `REQUEST[:LIMIT]`; the limit is the request where none is given.

    Raises
    ------
    Invalid
        If one is no amount, less than a thousandth, or the limit is less than the request.

    Examples
    --------
    >>> read_cpu("--cpu", "500m:2")
    Bounds(request='500m', limit='2')
    """
    return _bounds(option, text, units=_CPU_UNITS, least=MILLI, example="500m:2")


def read_memory(option: str, text: str) -> Bounds:
    """Read bytes as `REQUEST[:LIMIT]`; the limit is the request where none is given.

    Raises
    ------
    Invalid
        As `read_cpu`; the least is 64Mi, in which Python alone does not fit.
    """
    return _bounds(option, text, units=_BYTE_UNITS, least=Fraction(_LEAST_MEMORY), example="512Mi:1Gi")


def read_size(option: str, text: str) -> str:
    """Read the size of a volume, such as `2Gi`.

    Raises
    ------
    Invalid
        If it is none, or less than 64Mi.
    """
    _amount(option, text, units=_BYTE_UNITS, least=Fraction(_LEAST_MEMORY), example="2Gi")
    return text


def _bounds(option: str, text: str, *, units: dict[str, Fraction], least: Fraction, example: str) -> Bounds:
    request, colon, limit = text.partition(":")
    asked = _amount(option, request, units=units, least=least, example=example)
    most = _amount(option, limit, units=units, least=least, example=example) if colon else asked
    if most < asked:
        raise Invalid(
            f"The limit `{limit}` of `{option}` is less than the request `{request}`",
            hint=f"The request stands first: `{option} {limit}:{request}`",
        )
    return Bounds(request, limit if colon else request)


def _amount(option: str, text: str, *, units: dict[str, Fraction], least: Fraction, example: str) -> Fraction:
    found = _NUMBER.fullmatch(text)
    if found is None or found[2] not in units:
        known = ", ".join(f"`{unit}`" for unit in units if unit)
        raise Invalid(
            f"`{text}` of `{option}` is no amount that Kubernetes takes",
            hint=f"A number with one of {known} or nothing behind it, such as `{option} {example}`",
        )
    amount = Fraction(found[1]) * units[found[2]]
    if amount < least:
        raise Invalid(f"`{text}` of `{option}` is too little to run", hint=f"Such as `{option} {example}`")
    return amount
