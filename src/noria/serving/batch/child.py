"""A process that makes chunks: it reads numbers of chunks, a line each, and answers each with a line.

Started as `python -m noria.serving.batch.child REQUEST_FD ANSWER_FD`; the first request is the model, which it loads at
once, and the second one the work. A chunk is written while the next one is predicted, and answered when it is on the
disk. The end of the requests means that nobody wants more, or that whoever did is gone: the process ends then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import msgspec

from noria.core.errors import ErrorBody, NoriaError
from noria.registry.entities import ServableVersion

if TYPE_CHECKING:
    import polars as pl

    from noria.registry.runtimes.port import LoadedModel
    from noria.serving.batch.chunks import ChunkMaker


class ModelPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A version, and the folder of its files, which were verified."""

    folder: str
    version: ServableVersion


class Made(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer: ready to begin (`engine`), a chunk that is kept (`n_rows`), or why not."""

    engine: str | None = None
    n_rows: int = 0
    error: ErrorBody | None = None


def main() -> None:
    """Answer until the requests end."""
    request_fd, answer_fd = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(answer_fd, False)
    os.dup2(2, 1)  # what a model prints is no data
    with os.fdopen(request_fd, "rb") as requests, os.fdopen(answer_fd, "wb", buffering=0) as answers:
        _serve(requests, lambda make: answers.write(msgspec.json.encode(_tried(make)) + b"\n"))


_Answer = Callable[[Callable[[], Made]], object]
"""Answers with what something gives, or with why it raises."""


def _serve(requests: BinaryIO, answer: _Answer) -> None:
    from noria.serving.batch.chunks import ChunkMaker, Work

    wanted = next(requests, None)
    if wanted is None:
        return
    try:
        model = _loaded(msgspec.json.decode(wanted, type=ModelPlace))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other end must hear of it
        answer(partial(_raise, error))
        return
    work = next(requests, None)
    if work is not None:
        maker = ChunkMaker(msgspec.json.decode(work, type=Work), model)
        answer(lambda: Made(engine=maker.engine))
        _make(maker, map(int, requests), answer)


def _loaded(place: ModelPlace) -> LoadedModel:
    from noria.registry.runtimes.onnx import ENGINE
    from noria.registry.runtimes.port import load_model
    from noria.serving.modelserver.pinning import pin_thread

    model = load_model(Path(place.folder), place.version, fast=True)
    if model.engine != ENGINE:  # which has threads of its own, and joblib takes a while to import
        pin_thread()
    return model


def _make(maker: ChunkMaker, chunks: Iterable[int], answer: _Answer) -> None:
    """Predict chunks, and write each while the next one is predicted."""
    written: Future[object] | None = None
    with ThreadPoolExecutor(1) as writer:
        for chunk in chunks:
            keep: Callable[[], Made]
            try:
                keep = partial(_keep, maker, chunk, maker.predicted(chunk))
            except Exception as error:  # noqa: BLE001 - as above
                keep = partial(_raise, error)
            if written is not None:
                written.result()  # two chunks are held at most
            written = writer.submit(answer, keep)


def _keep(maker: ChunkMaker, chunk: int, rows: pl.DataFrame) -> Made:
    return Made(n_rows=maker.keep(chunk, rows))


def _raise(error: Exception) -> NoReturn:
    raise error


def _tried(make: Callable[[], Made]) -> Made:
    try:
        return make()
    except NoriaError as error:
        return Made(error=error.to_body())
    except Exception as error:  # noqa: BLE001 - as above
        return Made(error=ErrorBody(code="failed", message=f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    main()
