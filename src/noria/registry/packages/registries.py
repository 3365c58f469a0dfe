"""Speak to a registry by the distribution protocol of OCI 1.1, and to older ones by its fallbacks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import msgspec

from noria.core.errors import Forbidden, NoriaError, Unauthenticated, Unavailable
from noria.core.outbound.entities import OutboundRequest, OutboundStream
from noria.core.serialisation import to_canonical_json
from noria.registry.packages.credentials import Credentials, Keychain
from noria.registry.packages.entities import (
    INDEX_TYPE,
    MANIFEST_LIMIT_BYTES,
    MANIFEST_TYPE,
    Descriptor,
    ImageIndex,
)
from noria.registry.packages.errors import PackageAltered, PackageInvalid, PackageNotFound
from noria.registry.packages.layout import read_document, sha256
from noria.registry.packages.references import RegistryPlace

if TYPE_CHECKING:
    from noria.core.outbound.client import Outbound

_PART_BYTES: Final = 8 << 20
"""Of a blob that is sent in parts: what is held in memory at once."""
_TOLD_BYTES: Final = 64 << 10
_CHALLENGE = re.compile(r'([a-zA-Z]+)="([^"]*)"')
_ACCEPTED: Final = f"{MANIFEST_TYPE}, {INDEX_TYPE}"


class Registry:
    """One repository of a registry. Holds nothing between calls but a token.

    Parameters
    ----------
    keychain
        Credentials for the host, looked at when the registry asks for some.
    """

    def __init__(self, place: RegistryPlace, outbound: Outbound, keychain: Keychain) -> None:
        self.place = place
        self._outbound = outbound
        self._trusted = urlsplit(place.base).hostname
        self._keychain = keychain
        self._authorization: str | None = None

    def manifest(self, reference: str) -> tuple[bytes, str] | None:
        """Get a manifest by tag or digest, with its media type; None if there is none."""
        with self._call("GET", f"/manifests/{reference}", {"accept": _ACCEPTED}) as answer:
            if answer.status == 404:
                return None
            self._expect(answer, 200)
            data = _limited(answer.chunks, MANIFEST_LIMIT_BYTES, "manifest")
            kind = answer.headers.get("content-type", "").partition(";")[0]
        if reference.startswith("sha256:") and sha256(data) != reference:
            raise PackageAltered(f"`{self.place.name}` gave another manifest than `{reference}`")
        return data, kind

    def put_manifest(self, reference: str, data: bytes, media_type: str) -> bool:
        """Put a manifest; tells whether the registry lists what refers to others by itself."""
        headers = {"content-type": media_type}
        with self._call("PUT", f"/manifests/{reference}", headers, data) as answer:
            self._expect(answer, 201)
            return "oci-subject" in answer.headers

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Give the bytes of a blob as they come, no more than its descriptor says."""
        with self._call("GET", f"/blobs/{descriptor.digest}") as answer:
            self._expect(answer, 200)
            size = 0
            for chunk in answer.chunks:
                size += len(chunk)
                if size > descriptor.size:
                    break
                yield chunk
        if size != descriptor.size:
            raise PackageAltered(
                f"`{self.place.name}` gave other bytes for `{descriptor.title or descriptor.digest}`",
                hint="Pull again; if it stays so, push the package again",
            )

    def has_blob(self, digest: str) -> bool:
        """Tell whether the repository has a blob."""
        with self._call("HEAD", f"/blobs/{digest}") as answer:
            if answer.status == 404:
                return False
            self._expect(answer, 200)
            return True

    def put_blob(self, descriptor: Descriptor, chunks: Iterator[bytes]) -> None:
        """Send a blob, in parts of 8 MB."""
        with self._call("POST", "/blobs/uploads/", {"content-length": "0"}) as answer:
            self._expect(answer, 202)
            location = self._location(answer)
        sent = 0
        for part in _parts(chunks):
            headers = {
                "content-type": "application/octet-stream",
                "content-range": f"{sent}-{sent + len(part) - 1}",
            }
            with self._call("PATCH", location, headers, part) as answer:
                self._expect(answer, 202)
                location = self._location(answer)
            sent += len(part)
        with self._call("PUT", _with_digest(location, descriptor.digest), {"content-length": "0"}) as answer:
            self._expect(answer, 201)

    def referrers(self, digest: str) -> list[Descriptor]:
        """List what refers to a manifest, by the API for it or by the tag that stands in for it."""
        with self._call("GET", f"/referrers/{digest}", {"accept": INDEX_TYPE}) as answer:
            if answer.status == 200:
                data = _limited(answer.chunks, MANIFEST_LIMIT_BYTES, "list of referrers")
                return read_document(data, ImageIndex, "list of referrers").manifests
            if answer.status not in {400, 404, 405, 501}:
                self._expect(answer, 200)
        return self._tagged(digest)

    def add_referrer(self, subject: str, referrer: Descriptor) -> None:
        """Note in the tag of a manifest that something refers to it, for registries without the API."""
        others = [each for each in self._tagged(subject) if each.digest != referrer.digest]
        index = ImageIndex(schema_version=2, media_type=INDEX_TYPE, manifests=[*others, referrer])
        self.put_manifest(_tag_of(subject), to_canonical_json(index), INDEX_TYPE)

    def _tagged(self, digest: str) -> list[Descriptor]:
        found = self.manifest(_tag_of(digest))
        return read_document(found[0], ImageIndex, "list of referrers").manifests if found else []

    @contextmanager
    def _call(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Iterator[OutboundStream]:
        """Call, once more with a token if the registry asks for one."""
        challenge = None
        with self._once(method, path, headers or {}, body) as answer:
            if answer.status != 401 or self._authorization is not None:
                yield answer
                return
            challenge = answer.headers.get("www-authenticate", "")
        self._authorization = self._authorized(challenge)
        with self._once(method, path, headers or {}, body) as answer:
            yield answer

    @contextmanager
    def _once(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Iterator[OutboundStream]:
        url = path if path.startswith(("http://", "https://")) else self.place.base + path
        same = urlsplit(url).netloc == urlsplit(self.place.base).netloc
        known = {"authorization": self._authorization} if self._authorization and same else {}
        request = OutboundRequest(method=method, url=url, headers={**headers, **known}, body=body)
        with self._outbound.stream(request, trusted=self._trusted) as answer:
            yield answer

    def _authorized(self, challenge: str) -> str | None:
        scheme, _, rest = challenge.partition(" ")
        known = self._keychain.credentials
        if scheme.lower() == "basic" and known and known.basic:
            return f"Basic {known.basic}"
        if scheme.lower() != "bearer":
            return None
        told = {name.lower(): value for name, value in _CHALLENGE.findall(rest)}
        realm = told.get("realm", "")
        if urlsplit(realm).scheme != "https" and not self.place.plain:
            raise Forbidden(f"`{self.place.host}` asks for credentials to be sent without TLS")
        asked = {name: told[name] for name in ("service", "scope") if name in told}
        with self._outbound.stream(_for_token(realm, asked, known), trusted=self._trusted) as answer:
            if answer.status != 200:
                raise self._refused(answer)
            given = read_document(_limited(answer.chunks, MANIFEST_LIMIT_BYTES, "token"), _Token, "token")
        return f"Bearer {given.token or given.access_token}"

    def _expect(self, answer: OutboundStream, status: int) -> None:
        if answer.status == status:
            return
        if answer.status in {401, 403}:
            raise self._refused(answer)
        if answer.status == 404:
            raise PackageNotFound(f"`{self.place.name}` does not have it", hint="See that its name is right")
        said = _said(answer)
        if answer.status >= 500 or answer.status == 429:
            raise Unavailable(f"`{self.place.host}` answers {answer.status}{said}", hint="Try again later")
        raise PackageInvalid(f"`{self.place.host}` refuses it with {answer.status}{said}")

    def _refused(self, answer: OutboundStream) -> NoriaError:
        if self._keychain.credentials is None:
            trouble = f" ({self._keychain.trouble})" if self._keychain.trouble else ""
            return Unauthenticated(
                f"`{self.place.host}` asks who you are{_said(answer)}",
                hint=f"Sign in so that `~/.docker/config.json` has it: `docker login {self.place.host}`{trouble}",
            )
        return Forbidden(f"`{self.place.host}` does not let you{_said(answer)}")

    def _location(self, answer: OutboundStream) -> str:
        location = answer.headers.get("location")
        if not location:
            raise PackageInvalid(f"`{self.place.host}` does not say where to send a blob")
        return urljoin(f"{self.place.base}/blobs/uploads/", location)


class _Token(msgspec.Struct, frozen=True, kw_only=True):
    token: str = ""
    access_token: str = ""


def _for_token(realm: str, asked: dict[str, str], known: Credentials | None) -> OutboundRequest:
    """Ask for a token: with a password if there is one, or with a token that stands for it (OAuth 2)."""
    if known is not None and known.basic is None:
        form = {"grant_type": "refresh_token", "client_id": "noria", "refresh_token": known.secret, **asked}
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return OutboundRequest(
            method="POST", url=realm, headers=kind, body=urlencode(form).encode(), max_redirects=0
        )
    headers = {"authorization": f"Basic {known.basic}"} if known is not None else {}
    return OutboundRequest(method="GET", url=f"{realm}?{urlencode(asked)}", headers=headers, max_redirects=0)


def _tag_of(digest: str) -> str:
    return digest.replace(":", "-")


def _with_digest(location: str, digest: str) -> str:
    parts = urlsplit(location)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), ("digest", digest)])))


def _parts(chunks: Iterator[bytes]) -> Iterator[bytes]:
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        if len(gathered) >= _PART_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


def _limited(chunks: Iterator[bytes], limit_bytes: int, what: str) -> bytes:
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        if len(gathered) > limit_bytes:
            raise PackageInvalid(f"The {what} of the registry has more than {limit_bytes} bytes")
    return bytes(gathered)


def _said(answer: OutboundStream) -> str:
    """Give the first message of an error of a registry, as `: text`."""
    try:
        told = json.loads(_limited(answer.chunks, _TOLD_BYTES, "error"))
        return f": {str(told['errors'][0]['message'])[:200]}"
    except (NoriaError, ValueError, KeyError, IndexError, TypeError):
        return ""
