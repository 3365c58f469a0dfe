"""Pages packed on their way to a browser: by zstd where it takes that, by gzip otherwise.

Pages alone. A stream of events has to arrive at once, downloads are ranges of bytes that are mostly packed already, and
programs on the same machine or network gain nothing from smaller JSON. Whoever packs a page tells who listens how long
it is: so a form's token is another one at each address (`core/web/seals`), and cannot be guessed letter by letter.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, Final

import zstandard
from litestar.config.compression import CompressionConfig
from litestar.middleware import DefineMiddleware
from litestar.middleware.compression import CompressionMiddleware

from noria.core.web.assets import LEAST_PACKED_BYTES

if TYPE_CHECKING:
    from litestar.middleware.compression.facade import CompressionFacade

_ZSTD_LEVEL: Final = 1
"""On pages of runs as small as gzip's sixth level, in a quarter of its time."""

_GZIP_LEVEL: Final = 4


class ZstdCompression:
    """Packs the body of an answer by zstd (RFC 8878)."""

    __slots__ = ("_packer",)

    encoding: ClassVar[str] = "zstd"

    def __init__(self, buffer: BytesIO, compression_encoding: str, config: CompressionConfig) -> None:  # noqa: ARG002 - the protocol's signature
        self._packer: Any = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).stream_writer(buffer, closefd=False)

    def write(self, body: bytes) -> None:
        """Pack some bytes, and give what there is of them."""
        self._packer.write(body)
        self._packer.flush()

    def close(self) -> None:
        """End the frame."""
        self._packer.close()


PACKED_PAGES: Final = DefineMiddleware(
    CompressionMiddleware,
    config=CompressionConfig(
        backend="zstd",
        compression_facade=ZstdCompression,
        gzip_fallback=True,
        gzip_compress_level=_GZIP_LEVEL,
        minimum_size=LEAST_PACKED_BYTES,
    ),
)
"""Of the routes of pages."""

if TYPE_CHECKING:
    _: type[CompressionFacade] = ZstdCompression
