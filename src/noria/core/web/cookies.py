"""The cookies of pages: what they are called, how they are read, and how one is set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

SESSION_COOKIE = "noria_session"
NOTICE_COOKIE = "noria_notice"
LANGUAGE_COOKIE = "noria_language"

_SAFE_VALUE = re.compile(r"[A-Za-z0-9._~+/=-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """A cookie to set: no script reads it, and other sites' forms do not bring it.

    Attributes
    ----------
    value
        Letters, digits and `._~+/=-`; empty to take the cookie back.
    life
        How long the browser keeps it; None until it is closed.
    is_strict
        Whether even a link from another site leaves it at home.
    """

    name: str
    value: str
    life: timedelta | None = None
    is_strict: bool = False

    def header(self, *, secure: bool) -> str:
        """Give the value of `Set-Cookie`.

        Parameters
        ----------
        secure
            Whether the browser came by https, and must not send the cookie by anything else.

        Examples
        --------
        >>> Cookie(name="noria_language", value="es").header(secure=True)
        'noria_language=es; Path=/; HttpOnly; SameSite=Lax; Secure'
        """
        if not _SAFE_VALUE.fullmatch(self.value):
            raise ValueError(f"The cookie `{self.name}` cannot hold this value")
        parts = [f"{self.name}={self.value}", "Path=/"]
        life = self.life if self.value else timedelta()
        if life is not None:
            parts.append(f"Max-Age={int(life.total_seconds())}")
        parts += ["HttpOnly", f"SameSite={'Strict' if self.is_strict else 'Lax'}"]
        return "; ".join([*parts, "Secure"] if secure else parts)


def read_cookie(header: str | None, name: str) -> str | None:
    """Give the value of a cookie in the header `Cookie`, the first of its name; None when it is not there.

    Examples
    --------
    >>> read_cookie("a=1; noria_session=xyz", "noria_session"), read_cookie(None, "a"), read_cookie("a=", "a")
    ('xyz', None, None)
    """
    for part in (header or "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value or None
    return None
