"""Ed25519 keys, and envelopes (DSSE) that say who vouches for some bytes.

An envelope signs its payload together with the payload's type, in the encoding that DSSE 1.0 prescribes, so that one
document cannot be passed off as another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from noria.core.errors import ConfigInvalid, Forbidden
from noria.core.serialisation import to_canonical_json
from noria.registry.packages.entities import PackagesSection
from noria.registry.packages.errors import PackageInvalid, PackageKeyForeign, PackageSignatureWrong

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from noria.core.workspace import Workspace

KEY_FILE: Final = "signing_key.pem"
OWN: Final = "this workspace"
_PREFIX: Final = "ed25519:"
_RAW_BYTES: Final = 32
_MOST_SIGNATURES: Final = 16


class OneSignature(msgspec.Struct, frozen=True, kw_only=True):
    """A signature in an envelope, in Base64, and the name of its key."""

    sig: str
    keyid: str = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Bytes with their type and who signed them."""

    payload_type: str
    payload: str
    signatures: list[OneSignature]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """What an envelope holds, and the trusted key that signed it."""

    payload: bytes
    payload_type: str
    signed_by: str
    key_id: str


def key_id(public: str) -> str:
    """Give the short name of a public key: the first 16 digits of the SHA-256 of its bytes."""
    return hashlib.sha256(_raw(public, public)).hexdigest()[:16]


def encoded(payload: bytes, payload_type: str) -> bytes:
    """Give what is signed: the pre-authentication encoding of DSSE 1.0.

    Examples
    --------
    >>> encoded(b"hello world", "http://example.com/HelloWorld")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


class SigningKeys:
    """The key of a workspace, and those that it trusts.

    Parameters
    ----------
    path
        File of the private key, which only its owner may read; made at first use.
    trusted
        Public keys by the name of their holder.
    """

    def __init__(self, path: Path, trusted: Mapping[str, str]) -> None:
        self.path = path
        self._named = dict(trusted)

    @classmethod
    def of(cls, workspace: Workspace) -> SigningKeys:
        """Give the keys of a workspace; of a server's, the key lies in the folder of this user."""
        settings = workspace.settings
        folder = Path.home() / ".noria" if settings.is_remote else settings.folder
        return cls(folder / KEY_FILE, settings.section("packages", PackagesSection).trusted_keys)

    def public(self) -> str:
        """Give the public half of the own key, which is made if there is none yet."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        raw = self._private().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return _PREFIX + base64.b64encode(raw).decode()

    def trusted(self) -> dict[str, str]:
        """Give the public keys that are trusted, by name, the own one among them if there is one."""
        for name, public in self._named.items():
            _raw(public, name)
        own = {OWN: self.public()} if self.path.exists() else {}
        return {**own, **self._named}

    def seal(self, payload: bytes, payload_type: str) -> bytes:
        """Sign bytes, and give the envelope."""
        signature = self._private().sign(encoded(payload, payload_type))
        envelope = Envelope(
            payload_type=payload_type,
            payload=base64.b64encode(payload).decode(),
            signatures=[OneSignature(keyid=key_id(self.public()), sig=base64.b64encode(signature).decode())],
        )
        return to_canonical_json(envelope)

    def _private(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if not self.path.exists():
            _create(self.path)
        if self.path.stat().st_mode & 0o077:
            raise Forbidden(
                f"The signing key `{self.path}` can be read by others",
                hint=f"chmod 600 {self.path}; better, delete it, and trust the new one instead",
            )
        try:
            key = load_pem_private_key(self.path.read_bytes(), password=None)
        except (ValueError, TypeError) as error:
            raise ConfigInvalid(f"`{self.path}` is no private key: {error}", hint="Delete it") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigInvalid(
                f"`{self.path}` is no Ed25519 key", hint="Delete it; the next command makes one"
            )
        return key


def open_envelope(data: bytes, trusted: Mapping[str, str], what: str) -> Vouched:
    """Give what a trusted key has signed.

    Raises
    ------
    PackageInvalid
        If the bytes are no envelope.
    PackageKeyForeign
        If no trusted key is named by its signatures.
    PackageSignatureWrong
        If one is named, but did not sign these bytes.
    """
    try:
        envelope = msgspec.json.decode(data, type=Envelope)
        payload = base64.b64decode(envelope.payload, validate=True)
        signed = [(each.keyid, base64.b64decode(each.sig, validate=True)) for each in envelope.signatures]
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        raise PackageInvalid(f"The {what} cannot be read: {error}") from error
    message = encoded(payload, envelope.payload_type)
    for name, public in trusted.items():
        # The name of a key in an envelope is a hint that anybody may write; each trusted key is tried.
        if any(_fits(public, name, signature, message) for _, signature in signed[:_MOST_SIGNATURES]):
            return Vouched(
                payload=payload, payload_type=envelope.payload_type, signed_by=name, key_id=key_id(public)
            )
    named = {identity[:64] for identity, _ in signed}
    if named & {key_id(public) for public in trusted.values()}:
        raise PackageSignatureWrong(
            f"The {what} names a trusted key, but this key has not signed it",
            hint="Do not use the package; fetch it again from whoever made it",
        )
    raise PackageKeyForeign(
        f"The {what} is by the key {_listed(named)}, which this workspace does not trust",
        hint="If you trust its holder, ask them for `noria packages keys` and write the line that it prints into "
        "`[packages.trusted_keys]` of `noria.toml`",
        details={"keys": sorted(named)},
    )


def _listed(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "of nobody"


def _fits(public: str, name: str, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(_raw(public, name)).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _raw(public: str, name: str) -> bytes:
    try:
        raw = base64.b64decode(public.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raw = b""
    if not public.startswith(_PREFIX) or len(raw) != _RAW_BYTES:
        raise ConfigInvalid(
            f"The trusted key `{name}` is not a public key of Ed25519",
            hint="Write it as `noria packages keys` prints it: `ed25519:` and 44 characters",
        )
    return raw


def _create(path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, pem)
        os.fsync(fd)
    finally:
        os.close(fd)
    try:
        # A link never replaces: of two processes that begin at once, the first one's key stays.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
