"""What the workspace key vouches for in forms and cookies: that a form is ours, and that what we gave comes back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

_NONCE_BYTES = 12


class Seals:
    """Makes and checks marks of a workspace.

    Parameters
    ----------
    key
        The workspace key.
    now
        Gives the present instant.
    """

    def __init__(self, key: str, now: Callable[[], datetime]) -> None:
        self._key = key.encode()
        self._now = now

    def form_token(self, holder: str, *, page: str) -> str:
        """Give what each form of a reader carries (against requests that other sites make in the reader's name).

        Parameters
        ----------
        holder
            Whose forms: something of the session, or the name of the caller who has none.
        page
            Address of the page that the form stands on. Each has another token, since pages are packed: how short a
            page becomes that repeats a guess out of its address tells nothing of the token at the next address. The
            same page has the same token, so that a page that looks again finds nothing new.

        References
        ----------
        Gluck, Y., Harris, N., Prado, A. (2013). BREACH: reviving the CRIME attack.
        """
        nonce = hmac.digest(self._subkey("page"), page.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return self._form_token(nonce[:_NONCE_BYTES], holder, self._now())

    def is_form_token(self, token: str, holder: str) -> bool:
        """Tell whether a form was made for this reader, today or yesterday."""
        try:
            nonce = base64.urlsafe_b64decode(token)[:_NONCE_BYTES]
        except ValueError:
            return False
        made = [self._form_token(nonce, holder, self._now() - timedelta(days=ago)) for ago in (0, 1)]
        # Both are compared whatever the first comparison gives.
        same = [hmac.compare_digest(token.encode(), each.encode()) for each in made]
        return any(same)

    def close(self, text: str, purpose: str) -> str:
        """Encrypt a text that a browser keeps for us, in letters, digits, `-` and `_`.

        Parameters
        ----------
        purpose
            What it is for; it opens for nothing else.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        until = int(self._now().timestamp()).to_bytes(8, "big")
        closed = AESGCM(self._subkey("seal")).encrypt(nonce, until + text.encode(), purpose.encode())
        return base64.urlsafe_b64encode(nonce + closed).decode().rstrip("=")

    def open(self, closed: str, purpose: str, *, life: timedelta) -> str | None:
        """Give the text that was closed for a purpose; None when it is not ours, or older than `life`."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            sealed = base64.urlsafe_b64decode(closed + "=" * (-len(closed) % 4))
            nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            opened = AESGCM(self._subkey("seal")).decrypt(nonce, body, purpose.encode())
        except (ValueError, InvalidTag):
            return None
        age_s = self._now().timestamp() - int.from_bytes(opened[:8], "big")
        return opened[8:].decode() if age_s <= life.total_seconds() else None

    def _form_token(self, nonce: bytes, holder: str, at: datetime) -> str:
        said = nonce + f"{at.date().isoformat()} {holder}".encode("utf-8", "surrogatepass")
        return base64.urlsafe_b64encode(
            nonce + hmac.digest(self._subkey("form"), said, hashlib.sha256)
        ).decode()

    def _subkey(self, use: str) -> bytes:
        return hmac.digest(self._key, f"noria pages {use}".encode(), hashlib.sha256)
