"""Secrets of webhooks as they are stored: encrypted, so that a copy of the database does not hold them.

The key is made of the workspace key, which lies in a file of its own that only the owner can read. Each secret is
bound to its webhook: moved to another row, it cannot be read.
"""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

from noria.core.errors import Corrupt
from noria.core.key import ensure_key

_VERSION = "v1:"
_NONCE_BYTES = 12
_PURPOSE = b"noria: secrets of webhooks"


class SecretUnreadable(Corrupt):
    """The stored secret of a webhook cannot be decrypted."""

    code = "secret_unreadable"

    def __init__(self, webhook_id: str) -> None:
        super().__init__(
            f"The secret of the webhook `{webhook_id}` cannot be read with the key of this workspace",
            hint="The file `key` is another one than when it was set; set the secret again",
            details={"webhook": webhook_id},
        )


class SecretBox:
    """Encrypts and decrypts with the key of a workspace (AES-256-GCM; the key by HKDF, RFC 5869).

    Parameters
    ----------
    folder
        Of the workspace.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def seal(self, webhook_id: str, secret: str) -> str:
        """Give what may be stored of a secret."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._key()).encrypt(nonce, secret.encode(), webhook_id.encode())
        return _VERSION + base64.b64encode(nonce + sealed).decode()

    def open(self, webhook_id: str, stored: str) -> str:
        """Give the secret back.

        Raises
        ------
        SecretUnreadable
            If it was sealed with another key, for another webhook, or is damaged.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            data = base64.b64decode(stored.removeprefix(_VERSION), validate=True)
            plain = AESGCM(self._key()).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], webhook_id.encode())
        except (InvalidTag, ValueError) as error:
            raise SecretUnreadable(webhook_id) from error
        return plain.decode()

    def _key(self) -> bytes:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE)
        return derive.derive(ensure_key(self._folder).encode())
