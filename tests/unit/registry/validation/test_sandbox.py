"""A model that raises, hangs, dies, eats memory or writes nonsense harms nobody but itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noria.registry.entities import Consent, Origin, ServableVersion, Signature, Task, TensorSpec
from noria.registry.validation.port import SubjectGone, SubjectRaised
from noria.registry.validation.sandbox import Sandbox

AT = datetime(2026, 1, 1, tzinfo=UTC)
MLMODEL = """flavors:
  sklearn:
    pickled_model: model.pkl
    serialization_format: cloudpickle
"""


TOLD = """
import os, sys, time

class Told:
    def predict(self, rows):
        what = float(rows[0, 0])
        if what == 1:
            raise ValueError("no such luck")
        if what == 2:
            time.sleep(600)
        if what == 3:
            os.kill(os.getpid(), 11)
        if what == 4:
            kept = []
            while len(kept) < 40:  # more than it may take, and no more than any machine has
                kept.append(bytearray(os.urandom(1 << 20)) * 32)
            time.sleep(600)
        if what == 5:
            os.write(int(sys.argv[-1]), b"\\xff" * 64)
        if what == 6:
            print("x" * 100_000)
            raise SystemExit(3)
        return rows[:, 0] * 2
"""
"""An estimator that does what the first value of its rows says."""

PICKLE = b"ctold\nTold\n(tR."


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the files of a version in MLflow's format."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "model.pkl").write_bytes(PICKLE)
    (folder / "told.py").write_text(TOLD)
    return folder


@pytest.fixture(scope="module")
def sandbox(files: Path) -> Iterator[Sandbox]:
    """Open the version in a process of its own."""
    version = ServableVersion(
        id="v",
        project="p",
        model="m",
        version=1,
        digest="sha256:0",
        format="mlflow",
        task=Task.REGRESSION,
        signature=Signature(inputs=[TensorSpec(name="x", datatype="FP64", shape=[-1, 1])], outputs=[]),
        classes=None,
        holdout=None,
        metrics={},
        origin=Origin(),
        message="",
        author="ann",
        created_at=AT,
        updated_at=AT,
        flavor="sklearn",
        pickled=True,
        consent=Consent(digest="sha256:0", ref="m@1", given_by="ann", given_at=AT),
    )
    opened = Sandbox(
        files, version, call_timeout_s=60, memory_mb=800, environ={**os.environ, "PYTHONPATH": str(files)}
    )
    yield opened
    opened.close()


def asked(value: float) -> dict[str, Any]:
    return {"x": np.full((3, 1), value)}


def test_each_end_of_a_model_is_told_and_the_next_call_is_answered(sandbox: Sandbox) -> None:
    """Raising leaves the process; dying, eating memory and writing nonsense end it, and the next one answers."""
    assert sandbox.predict(asked(7.0))["predictions"].tolist() == [14.0] * 3
    with pytest.raises(SubjectRaised, match="ValueError: no such luck"):
        sandbox.predict(asked(1))
    with pytest.raises(SubjectRaised, match="SystemExit"):
        sandbox.predict(asked(6))
    with pytest.raises(SubjectGone, match="SIGSEGV"):
        sandbox.predict(asked(3))
    with pytest.raises(SubjectGone, match="800 MB"):
        sandbox.predict(asked(4))
    with pytest.raises(SubjectGone, match="beyond all reason"):
        sandbox.predict(asked(5))

    assert sandbox.predict(asked(8.0))["predictions"].tolist() == [16.0] * 3


def test_a_model_that_hangs_is_ended(sandbox: Sandbox) -> None:
    """The call comes back when its time is over, and the process is gone."""
    sandbox.predict(asked(7.0))
    process = sandbox._process
    sandbox._timeout_s = 0.5

    with pytest.raises(SubjectGone, match=r"within 0\.5 s"):
        sandbox.predict(asked(2))

    sandbox._timeout_s = 60
    assert process is not None
    assert process._process.poll() is not None
