"""Requests of many rows: their rows are shared out among cores that have nothing else to do."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from noria.registry.entities import Signature
from noria.registry.runtimes.onnx_conversion import put_beside
from noria.registry.runtimes.port import load_model
from noria.registry.runtimes.sklearn import FILE, SklearnModel, save_estimator
from noria.registry.signatures import infer_signature
from noria.serving.modelserver.lanes import Lane, Outputs
from support.model_versions import made_version

ROW_S = 0.0003
N_MEASURED = 32
"""Rows of the calls by which a lane learns how long one takes."""


class Writing:
    """A model that writes to what it is given."""

    def __init__(self, engine: str) -> None:
        self.engine = engine

    def predict(self, inputs: Mapping[str, NDArray[Any]]) -> Outputs:
        inputs["x"][:] = 0.0
        return {"predictions": inputs["x"]}


def test_a_model_may_write_to_what_it_is_given() -> None:
    """What lies in the body of a request is copied for it, and stays; an engine that only reads is given the body."""
    given = np.frombuffer(np.ones(3).tobytes())
    found = Lane(Writing("native")).run({"x": given}, 3)  # type: ignore[arg-type]

    assert found["predictions"].tolist() == [0.0, 0.0, 0.0]
    assert given.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        Lane(Writing("onnxruntime")).run({"x": given}, 3)  # type: ignore[arg-type]


class Counting:
    """A model that notes how many rows each call had.

    Parameters
    ----------
    together
        Calls that wait for one another, as they can only if they run at the same time.
    """

    engine = "onnxruntime"

    def __init__(self, *, goes_apart: bool = True, together: int = 1) -> None:
        self.goes_apart = goes_apart
        self.sizes: list[int] = []
        self.held_up_s = 0.0
        self._meeting = threading.Barrier(together, timeout=60)

    def predict(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if self.held_up_s:
            time.sleep(self.held_up_s)
        if len(inputs["x"]) == N_MEASURED:
            time.sleep(ROW_S * N_MEASURED)  # a call that takes a while; nothing is waited for
        elif len(inputs["x"]) > 1:
            self._meeting.wait()
        self.sizes.append(len(inputs["x"]))
        if (inputs["x"] < 0).any():
            raise ValueError("negative")
        return {"predictions": inputs["x"] * 2, "twice": np.stack([inputs["x"]] * 2, axis=1)}

    def features(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return inputs["x"][:, np.newaxis]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as made:
        yield made


def lane_of(model: Counting, n_cores: int) -> Lane:
    """Give a lane that knows how long a row takes."""
    made = Lane(model, n_cores)
    made.measure({"x": np.zeros(1)}, 1)
    assert not made.batches
    model.sizes.clear()
    return made


def ask(lane: Lane, threads: ThreadPoolExecutor, *sizes: int) -> list[Outputs]:
    """Ask for so many rows each at once."""

    async def asked() -> list[Outputs]:
        return await asyncio.gather(
            *(lane.predict({"x": np.arange(n, dtype=float)}, n, threads) for n in sizes)
        )

    return asyncio.run(asked())


@pytest.mark.parametrize(("n_cores", "n_rows"), [(2, 101), (3, 1000), (4, 1000)])
def test_rows_are_shared_out_and_come_back_in_order(
    threads: ThreadPoolExecutor, n_cores: int, n_rows: int
) -> None:
    """Each core gets as many rows as the next, at the same time, and the answer is that of one call."""
    model = Counting(together=n_cores)
    lane = lane_of(model, n_cores)
    assert not lane.is_quick(n_rows)

    (outputs,) = ask(lane, threads, n_rows)

    assert np.array_equal(outputs["predictions"], np.arange(n_rows) * 2.0)
    assert outputs["twice"].shape == (n_rows, 2)
    assert len(model.sizes) == n_cores
    assert sum(model.sizes) == n_rows
    assert max(model.sizes) - min(model.sizes) <= 1


@pytest.mark.parametrize(
    ("goes_apart", "n_cores", "n_rows"), [(False, 4, 1000), (True, 1, 1000), (True, 4, 1)]
)
def test_rows_stay_together(threads: ThreadPoolExecutor, goes_apart: bool, n_cores: int, n_rows: int) -> None:
    """One call answers where the model does not allow another, there is one core, or the rows take too little."""
    model = Counting(goes_apart=goes_apart)

    ask(lane_of(model, n_cores), threads, n_rows)

    assert model.sizes == [n_rows]


def test_requests_that_come_at_once_get_no_more_parts_than_there_are_cores(
    threads: ThreadPoolExecutor,
) -> None:
    """While one is at work on all cores, another is computed as a whole."""
    model = Counting()

    ask(lane_of(model, 2), threads, 200, 300)

    assert sorted(model.sizes) == [100, 100, 300]


@pytest.mark.parametrize("n_rows", [20, 1000])
def test_what_one_part_raises_the_request_raises(threads: ThreadPoolExecutor, n_rows: int) -> None:
    """Wherever the row is, no part is left behind, and the next request is answered."""
    model = Counting()
    lane = lane_of(model, 2)

    async def asked(place: int) -> None:
        x = np.zeros(n_rows)
        x[place] = -1
        await lane.predict({"x": x}, n_rows, threads)

    for place in (0, n_rows - 1):
        with pytest.raises(ValueError, match="negative"):
            asyncio.run(asked(place))
    assert model.sizes == [n_rows // 2] * 4
    (outputs,) = ask(lane, threads, n_rows)
    assert len(outputs["predictions"]) == n_rows


def test_a_call_that_was_held_up_once_does_not_make_the_model_slow(threads: ThreadPoolExecutor) -> None:
    """Requests after it are answered as before, in one piece, and in the event loop."""
    model = Counting()
    lane = lane_of(model, 4)
    one = {"x": np.zeros(1)}
    model.held_up_s = 0.5
    lane.run(one, 1)
    model.held_up_s = 0.0

    assert lane.is_quick(1)
    ask(lane, threads, 1)
    assert model.sizes == [1, 1]


def test_a_model_that_has_become_slow_is_noticed(threads: ThreadPoolExecutor) -> None:
    """Within a few dozen calls it is not run in the event loop any more; a single row stays whole all the same."""
    model = Counting()
    lane = lane_of(model, 4)
    model.held_up_s = 0.02
    for _ in range(50):
        lane.run({"x": np.zeros(1)}, 1)

    assert not lane.is_quick(1)
    model.sizes.clear()
    ask(lane, threads, 1)
    assert model.sizes == [1]


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestRegressor(60, random_state=0),
        GradientBoostingRegressor(n_estimators=40, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
    ids=["forest", "boosting", "linear"],
)
def test_an_estimator_in_onnx_gives_the_same_bits_in_parts(
    estimator: Any, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    """The ONNX form of an estimator answers rows in parts as it answers them in one call."""
    random = np.random.default_rng(5)
    x = random.integers(0, 20, size=(400, 6)).astype(float)
    estimator.fit(x, (x[:, 0] + x[:, 1] > 20).astype(int))
    bare = SklearnModel(estimator, Signature(inputs=infer_signature({"x": x}, {}).inputs, outputs=[]))
    signature = infer_signature({"x": x}, bare.predict({"x": x}))
    save_estimator(estimator, tmp_path / FILE)
    put_beside(bare, signature, {"x": x}, tmp_path)
    model = load_model(tmp_path, made_version(signature), fast=True)
    assert model.engine == "onnxruntime"
    lane = Lane(model, 3)
    lane.measure({"x": x}, len(x))
    many = {"x": random.integers(-3, 25, size=(6_001, 6)) * 0.75}

    async def asked() -> Outputs:
        return await lane._in_parts(many, 6_001, 3, threads)

    in_parts, whole = asyncio.run(asked()), model.predict(many)
    assert in_parts.keys() == whole.keys()
    assert all(np.array_equal(in_parts[name], whole[name]) for name in whole)
