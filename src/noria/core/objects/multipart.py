"""Uploads in parts that go from the client to the bucket and pass no byte through the server until they are complete.

The parts of an upload are keys below `staging/`, each with a signed address to which its bytes are PUT. Completing
reads them in order and puts them as one object, since an object's digest is known only then. Uploads that nobody
completes are swept by the garbage collection after a day.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec
from blake3 import blake3

from noria.core.errors import Invalid, NotFound
from noria.core.objects.bucket import MAX_PARTS, Bucket, Stored
from noria.core.objects.bucket_layout import STAGING
from noria.core.objects.bucket_store import PIECE_BYTES, BucketObjectStore
from noria.core.objects.store import ObjectInfo, ObjectStore

UPLOAD_TTL_S = 6 * 3600.0
"""How long the addresses of the parts are good."""

MOST_PARTS = MAX_PARTS
_ID = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}")

Parts: TypeAlias = Sequence[tuple[int, str]]
"""Numbers of parts with the entity tags that their uploads were answered with."""


class PartAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a part is PUT.

    Attributes
    ----------
    number
        From 1.
    headers
        To be sent along.
    """

    number: int
    url: str
    headers: dict[str, str] = {}


class StartedUpload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that waits for its parts."""

    upload_id: str
    parts: list[PartAddress]


class UploadNotFound(NotFound):
    """There is no such upload: it is complete, was given up, or belongs to another place."""

    code = "upload_not_found"

    def __init__(self, upload_id: str) -> None:
        super().__init__(
            f"There is no unfinished upload `{upload_id[:100]}` here",
            hint="Start a new one; unfinished uploads are kept for a day",
        )


class PartsInvalid(Invalid):
    """The parts of an upload are not those that were announced."""

    code = "parts_invalid"


class MultipartUploads(Protocol):
    """Takes objects in parts past the server."""

    def create(self, place: str, *, n_parts: int) -> StartedUpload:
        """Begin an upload.

        Parameters
        ----------
        place
            What the upload is for; completing it for another place is refused.
        n_parts
            1 to `MOST_PARTS`.

        Raises
        ------
        Invalid
            For another number of parts.
        """
        ...

    def complete(
        self, place: str, upload_id: str, parts: Parts, *, limit_bytes: int | None = None
    ) -> ObjectInfo:
        """Put the parts together, in the order of their numbers, as one object of the store.

        Raises
        ------
        UploadNotFound
        PartsInvalid
            If a part is named twice, is not there, or is not the one that the tag was given for.
        TooLarge
            If they have more than `limit_bytes` together.
        """
        ...

    def abort(self, place: str, upload_id: str) -> None:
        """Give an upload up; one that is not there is no error."""
        ...


class BucketUploads:
    """Uploads into the bucket of a store."""

    def __init__(self, store: BucketObjectStore) -> None:
        self._store = store
        self._bucket: Bucket = store.bucket

    def create(self, place: str, *, n_parts: int) -> StartedUpload:
        """Begin an upload."""
        if not 1 <= n_parts <= MOST_PARTS:
            raise Invalid(
                f"An upload cannot have {n_parts} parts",
                hint=f"Choose from 1 to {MOST_PARTS}; make parts larger",
            )
        upload_id = f"{secrets.token_hex(16)}-{_mark(place)}"
        numbers = range(1, n_parts + 1)
        urls = self._bucket.sign_puts(
            [_part_key(upload_id, number) for number in numbers], ttl_s=UPLOAD_TTL_S
        )
        headers = {"x-ms-blob-type": "BlockBlob"} if self._bucket.url.startswith("az://") else {}
        parts = [
            PartAddress(number=number, url=url, headers=headers)
            for number, url in zip(numbers, urls, strict=True)
        ]
        return StartedUpload(upload_id=upload_id, parts=parts)

    def complete(
        self, place: str, upload_id: str, parts: Parts, *, limit_bytes: int | None = None
    ) -> ObjectInfo:
        """Put the parts together."""
        _require_place(place, upload_id)
        found = {stored.key: stored for stored in self._bucket.list(f"{STAGING}/{upload_id}")}
        if not found:
            raise UploadNotFound(upload_id)
        chosen = [_checked(found, upload_id, number, tag) for number, tag in _in_order(parts)]
        stored = self._store.put(self._joined(chosen), limit_bytes=limit_bytes)
        self._bucket.delete(list(found))
        return stored

    def abort(self, place: str, upload_id: str) -> None:
        """Give an upload up."""
        _require_place(place, upload_id)
        self._bucket.delete([stored.key for stored in self._bucket.list(f"{STAGING}/{upload_id}")])

    def _joined(self, parts: list[Stored]) -> Iterator[bytes]:
        for part in parts:
            for start in range(0, part.size_bytes, PIECE_BYTES):
                found = self._bucket.read(part.key, start=start, length=PIECE_BYTES)
                if found is None or found[1].tag != part.tag:
                    raise PartsInvalid(f"The part `{part.key.rpartition('/')[2]}` changed while it was read")
                yield found[0]


def multipart_uploads(objects: ObjectStore) -> MultipartUploads | None:
    """Give the uploads past the server of a store, or None if its kind has none."""
    return BucketUploads(objects) if isinstance(objects, BucketObjectStore) else None


def _mark(place: str) -> str:
    """Give what ties an upload to a place: whoever guesses it still lacks the random half of the id."""
    return blake3(place.encode()).hexdigest(length=8)


def _require_place(place: str, upload_id: str) -> None:
    if _ID.fullmatch(upload_id) is None or upload_id.rpartition("-")[2] != _mark(place):
        raise UploadNotFound(upload_id)


def _part_key(upload_id: str, number: int) -> str:
    return f"{STAGING}/{upload_id}/{number:05d}"


def _in_order(parts: Parts) -> Parts:
    numbers = [number for number, _ in parts]
    if not numbers or len(set(numbers)) < len(numbers):
        raise PartsInvalid("The parts of the upload are none, or one of them is named twice")
    return sorted(parts)


def _checked(found: dict[str, Stored], upload_id: str, number: int, tag: str) -> Stored:
    stored = found.get(_part_key(upload_id, number))
    if stored is None:
        raise PartsInvalid(
            f"The part {number} of the upload was not sent", hint="Send it, then complete again"
        )
    if tag.strip('"') != stored.tag.strip('"'):
        raise PartsInvalid(
            f"The part {number} of the upload has the tag `{stored.tag}`, not `{tag}`", hint="Send it again"
        )
    return stored


if TYPE_CHECKING:
    _proof: type[MultipartUploads] = BucketUploads
