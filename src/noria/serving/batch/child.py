"""A process that makes chunks: it reads numbers of chunks, a line each, and answers each with a line.

Started as `python -m noria.serving.batch.child REQUEST_FD ANSWER_FD`; the first request is the work. The end of the
requests means that nobody wants more, or that whoever did is gone: the process ends then.
"""

from __future__ import annotations

import os
import sys

import msgspec

from noria.core.errors import ErrorBody, NoriaError


class Made(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer: ready to begin (`engine`), a chunk that was made (`n_rows`), or why not."""

    engine: str | None = None
    n_rows: int = 0
    error: ErrorBody | None = None


def main() -> None:
    """Answer until the requests end."""
    from noria.registry.runtimes.onnx import ENGINE
    from noria.serving.batch.chunks import ChunkMaker, Work
    from noria.serving.modelserver.pinning import pin_thread

    request_fd, answer_fd = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(answer_fd, False)
    os.dup2(2, 1)  # what a model prints is no data
    with os.fdopen(request_fd, "rb") as requests, os.fdopen(answer_fd, "wb", buffering=0) as answers:
        maker: ChunkMaker | None = None
        for line in requests:
            try:
                if maker is None:
                    maker = ChunkMaker(msgspec.json.decode(line, type=Work))
                    if (
                        maker.engine != ENGINE
                    ):  # which has threads of its own, and joblib takes a while to import
                        pin_thread()
                    made = Made(engine=maker.engine)
                else:
                    made = Made(n_rows=maker.make(int(line)))
            except NoriaError as error:
                made = Made(error=error.to_body())
            except Exception as error:  # noqa: BLE001 - whatever it is, the other end must hear of it
                made = Made(error=ErrorBody(code="failed", message=f"{type(error).__name__}: {error}"))
            answers.write(msgspec.json.encode(made) + b"\n")


if __name__ == "__main__":
    main()
