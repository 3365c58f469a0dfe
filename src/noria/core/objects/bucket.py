"""A place in a bucket of S3, Google Cloud Storage or Azure: bytes by key. The only module that knows obstore.

Credentials, region and endpoint come from the provider's own environment variables (`AWS_ACCESS_KEY_ID`,
`AWS_ENDPOINT_URL`, …), never from Noria's settings, which are shown and shared.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias
from urllib.parse import urlsplit

from noria.core.errors import ConfigInvalid, NoriaError, StorageFull, Unavailable

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import ObjectStore as Backend

SCHEMES = ("s3", "gs", "az")
PART_BYTES = 8 * 1024 * 1024
"""Of a large upload; providers take at least 5 MiB and at most 10,000 parts."""

MAX_PARTS = 9_000
_PARTS_AT_ONCE = 2  # with `PART_BYTES`, what an upload holds in memory

Body: TypeAlias = bytes | BinaryIO | Iterator[bytes]

# Long enough for a part on a slow line, short enough that a request of a user does not hang on a storage that is away.
_CLIENT: ClientConfig = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=120)}
_RETRY: RetryConfig = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_FULL = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"})
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_PAST_END = ("416 ", "Invalid range")
_NO_CREDENTIALS = ("169.254.169.254", "metadata.google.internal", "redential")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a bucket tells of a key.

    Attributes
    ----------
    modified_at
        By the bucket's clock, often in whole seconds.
    tag
        What changes with the bytes.
    """

    key: str
    size_bytes: int
    modified_at: datetime
    tag: str


class Bucket(Protocol):
    """Bytes by key. A put appears whole or not at all, and every later call of anybody sees it.

    Every method may raise `Unavailable`, also when the bucket does not exist or refuses the credentials.
    """

    @property
    def url(self) -> str:
        """Where it is, for messages."""
        ...

    def put(self, key: str, body: Body, *, size_bytes: int) -> None:
        """Store bytes under a key, in place of what was there; what reading `body` raises passes through."""
        ...

    def head(self, key: str) -> Stored | None:
        """Look a key up."""
        ...

    def read(self, key: str, *, start: int, length: int) -> tuple[bytes, Stored] | None:
        """Give up to `length` bytes from `start`, none past the end; None if the key is not there."""
        ...

    def list(self, prefix: str) -> Iterator[Stored]:
        """Give what lies below a folder, in the order of the keys."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Remove keys; one that is not there is no error."""
        ...

    def sign_puts(self, keys: Sequence[str], *, ttl_s: float) -> Sequence[str]:
        """Give for each key an address to which anybody may PUT its bytes for `ttl_s` seconds."""
        ...


class ObstoreBucket:
    """A bucket through obstore.

    Parameters
    ----------
    backend
        A store of `obstore.store`.
    """

    def __init__(self, backend: Backend, url: str) -> None:
        self._backend: Any = backend
        self._url = url

    @property
    def url(self) -> str:
        """Where it is, for messages."""
        return self._url

    def put(self, key: str, body: Body, *, size_bytes: int) -> None:
        """Store bytes under a key, in parts if they are many."""
        import obstore

        part_bytes = max(PART_BYTES, -(-size_bytes // MAX_PARTS))
        with self._errors():
            obstore.put(
                self._backend,
                key,
                body,
                use_multipart=size_bytes > part_bytes,
                chunk_size=part_bytes,
                max_concurrency=_PARTS_AT_ONCE,
            )

    def head(self, key: str) -> Stored | None:
        """Look a key up."""
        import obstore

        with self._errors():
            try:
                return _stored(obstore.head(self._backend, key))
            except FileNotFoundError as error:
                self._require_bucket(error)
                return None

    def read(self, key: str, *, start: int, length: int) -> tuple[bytes, Stored] | None:
        """Give a part of the bytes."""
        import obstore
        from obstore.exceptions import GenericError

        with self._errors():
            try:
                found = obstore.get(self._backend, key, options={"range": (start, start + max(1, length))})
                return bytes(found.bytes())[:length], _stored(found.meta)
            except FileNotFoundError as error:
                self._require_bucket(error)
                return None
            except GenericError as error:
                if not any(sign in str(error) for sign in _PAST_END):
                    raise
                stored = self.head(key)
                return None if stored is None else (b"", stored)

    def list(self, prefix: str) -> Iterator[Stored]:
        """Give what lies below a folder."""
        import obstore

        with self._errors():
            batches = iter(obstore.list(self._backend, prefix, chunk_size=1000))
        while True:
            with self._errors():
                batch = next(batches, None)
            if batch is None:
                return
            yield from map(_stored, batch)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove keys."""
        import obstore

        if keys:
            with self._errors(), contextlib.suppress(FileNotFoundError):
                obstore.delete(self._backend, list(keys))

    def sign_puts(self, keys: Sequence[str], *, ttl_s: float) -> Sequence[str]:
        """Give addresses to PUT to."""
        import obstore

        with self._errors():
            signed: Sequence[str] = obstore.sign(self._backend, "PUT", list(keys), timedelta(seconds=ttl_s))
            return signed

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except BaseError as error:
            raise bucket_error(self._url, str(error)) from error
        except FileNotFoundError as error:
            self._require_bucket(error)
            raise

    def _require_bucket(self, error: FileNotFoundError) -> None:
        if any(sign in str(error) for sign in _NO_BUCKET):
            raise bucket_error(self._url, str(error)) from error


def open_bucket(url: str, *, environ: Mapping[str, str] = os.environ) -> ObstoreBucket:
    """Make a bucket of an address; nothing is asked of the provider yet.

    Parameters
    ----------
    url
        `s3://bucket/prefix`, `gs://bucket/prefix` or `az://account/container/prefix`.
    environ
        Looked into for an endpoint without TLS, which has to be allowed.

    Raises
    ------
    ConfigInvalid
        If obstore is not installed, or the address or a variable of the provider makes no sense.
    """
    if urlsplit(url).scheme not in SCHEMES or not urlsplit(url).netloc:
        raise ConfigInvalid(
            f"The object store `{url}` is neither a folder nor a bucket",
            hint="Set `NORIA_OBJECTS` to a folder, or to `s3://bucket/prefix`, `gs://…` or `az://…`",
        )
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise ConfigInvalid(
            f"The object store `{url}` needs the package `obstore`", hint="pip install 'noria[s3]'"
        ) from error
    plain = any(environ.get(name, "").startswith("http://") for name in _ENDPOINTS)
    client: Any = {**_CLIENT, "allow_http": plain}
    try:
        backend = from_url(url.rstrip("/"), client_options=client, retry_config=_RETRY)
    except (BaseError, ValueError) as error:
        raise ConfigInvalid(
            f"The object store `{url}` cannot be used: {_first_line(str(error))}",
            hint="See the provider's environment variables, such as `AWS_ENDPOINT_URL` and `AWS_REGION`",
        ) from error
    return ObstoreBucket(backend, url.rstrip("/"))


def bucket_error(url: str, text: str) -> NoriaError:
    """Give the error of this house for what a provider answered.

    Parameters
    ----------
    text
        Of obstore's exception; its first line has the request and the answer.
    """
    found = _CODE.search(text)
    code = found.group(1) if found else ""
    details = {"place": url, "code": code}
    if any(sign in text for sign in _NO_BUCKET):
        return Unavailable(
            f"There is no bucket for `{url}`", hint="Make it, or mend `NORIA_OBJECTS`", details=details
        )
    if code in _FULL:
        return StorageFull(f"No room is left in `{url}`: {code}", hint="Make room in it", details=details)
    if "403 Forbidden" in text or "401 Unauthorized" in text or any(sign in text for sign in _NO_CREDENTIALS):
        return Unavailable(
            f"`{url}` does not take these credentials: {code or _first_line(text)}",
            hint="Set `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, where needed, `AWS_ENDPOINT_URL`",
            details=details,
        )
    return Unavailable(
        f"`{url}` does not answer as it should: {code or _first_line(text)}",
        hint="See that the address in `AWS_ENDPOINT_URL` can be reached, and try again",
        details=details,
    )


def _first_line(text: str) -> str:
    line = text.partition("\n")[0]
    return line.rpartition(" - ")[2] or line


def _stored(meta: Any) -> Stored:
    return Stored(
        key=meta["path"],
        size_bytes=meta["size"],
        modified_at=meta["last_modified"],
        tag=meta["e_tag"] or "",
    )


if TYPE_CHECKING:
    _proof: type[Bucket] = ObstoreBucket
