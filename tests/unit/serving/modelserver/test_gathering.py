"""Requests that are predicted together: those of clients that ask again and again end up in one call."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noria.serving.modelserver.lanes import Lane

N_CLIENTS = 16


class Slow:
    """A model whose calls take as long for one row as for many; it notes how many rows each had."""

    engine = "native"

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._lock = threading.Lock()

    def predict(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        time.sleep(0.02)  # a call that takes a while; nothing is waited for
        with self._lock:
            self.sizes.append(len(inputs["x"]))
        if (inputs["x"] < 0).any():
            raise ValueError("negative")
        return {"predictions": inputs["x"] * 2}

    def features(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return inputs["x"][:, np.newaxis]


@pytest.fixture
def model() -> Slow:
    return Slow()


@pytest.fixture
def lane(model: Slow) -> Lane:
    """Give a lane that predicts together."""
    made = Lane(model)
    made.measure({"x": np.zeros(1)}, 1)
    assert made.batches
    model.sizes.clear()
    return made


async def ask(lane: Lane, threads: ThreadPoolExecutor, value: float, times: int) -> list[float]:
    found = []
    for _ in range(times):
        outputs = await lane.predict({"x": np.array([value])}, 1, threads)
        found.append(float(outputs["predictions"][0]))
    return found


def test_clients_that_ask_again_are_answered_together(lane: Lane, model: Slow) -> None:
    """After the first calls, one holds the rows of all, and each gets the answer to its own."""

    async def asked() -> list[list[float]]:
        with ThreadPoolExecutor(2) as threads:
            return await asyncio.gather(*(ask(lane, threads, float(n), 10) for n in range(N_CLIENTS)))

    answers = asyncio.run(asked())

    assert answers == [[2.0 * n] * 10 for n in range(N_CLIENTS)]
    assert sum(model.sizes) == 10 * N_CLIENTS
    assert model.sizes[0] == 1  # nobody is waited for while nothing runs
    assert max(model.sizes) == N_CLIENTS
    assert len(model.sizes) <= 13


def test_those_that_wait_are_answered_when_nobody_comes_again(lane: Lane, model: Slow) -> None:
    """The answered clients are gone: the others do not wait for them."""

    async def asked() -> list[list[float]]:
        with ThreadPoolExecutor(2) as threads:
            return await asyncio.gather(*(ask(lane, threads, float(n), 1) for n in range(N_CLIENTS)))

    answers = asyncio.run(asked())

    assert answers == [[2.0 * n] for n in range(N_CLIENTS)]
    assert model.sizes == [1, N_CLIENTS - 1]


def test_one_that_fails_fails_alone(lane: Lane) -> None:
    """While others are waited for, too."""

    async def asked() -> list[Any]:
        with ThreadPoolExecutor(2) as threads:
            some = [ask(lane, threads, value, 3) for value in (1.0, -1.0, 2.0)]
            return await asyncio.gather(*some, return_exceptions=True)

    first, failed, second = asyncio.run(asked())

    assert (first, second) == ([2.0] * 3, [4.0] * 3)
    assert isinstance(failed, ValueError)
