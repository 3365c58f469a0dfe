"""Tokens: a place in the order of one search, as text that means nothing to those who pass it on."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

import msgspec

from noria.core.errors import Invalid
from noria.tracking.search.evaluate import MISSING, NOT_A_NUMBER, NUMBER, Fact

Place = tuple[tuple[int, Fact], ...]


class PageTokenInvalid(Invalid):
    """The token is of another search, or of none."""

    code = "page_token_invalid"


class _Token(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    mark: str
    place: list[tuple[int, str, str]]


def mark_of(*parts: Any) -> str:
    """Give a short text that differs for different searches."""
    return hashlib.blake2b(_encoder.encode(parts), digest_size=9).hexdigest()


def write_token(mark: str, place: Place) -> str:
    """Write where a page ended."""
    values = [(rank, *_written(value)) for rank, value in place]
    return base64.urlsafe_b64encode(_encoder.encode(_Token(mark=mark, place=values))).decode()


def read_token(token: str, mark: str, kinds: tuple[type, ...]) -> Place:
    """Read where a page ended.

    Parameters
    ----------
    mark
        Of the search that the token came with.
    kinds
        Types of the values that the search is ordered by.

    Raises
    ------
    PageTokenInvalid
        If it was not written for this search.
    """
    try:
        found = _decoder.decode(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
        place: Place = tuple([(rank, _read(rank, kind, text)) for rank, kind, text in found.place])
    except (binascii.Error, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise _invalid("it cannot be read") from error
    if found.mark != mark:
        raise _invalid("it belongs to another search")
    if len(place) != len(kinds) or any(map(_differs, place, kinds)):
        raise _invalid("it does not fit the order of this search")
    return place


def _written(value: Fact) -> tuple[str, str]:
    if isinstance(value, float):
        return "f", value.hex()  # exact, and infinities too
    return ("i", str(value)) if isinstance(value, int) else ("s", value or "")


def _read(rank: int, kind: str, text: str) -> Fact:
    if rank != NUMBER:
        return None
    if kind == "f":
        return float.fromhex(text)
    return int(text) if kind == "i" else text


def _differs(one: tuple[int, Fact], kind: type) -> bool:
    rank, value = one
    return rank not in (NUMBER, NOT_A_NUMBER, MISSING) or (rank == NUMBER and not isinstance(value, kind))


def _invalid(why: str) -> PageTokenInvalid:
    return PageTokenInvalid(
        f"Invalid page token: {why}", hint="Begin again without a token, or repeat the search it came with"
    )


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Token)
