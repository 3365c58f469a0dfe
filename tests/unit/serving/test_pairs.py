"""Shadows are counted beside their answers as the rows of both say."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from noria.core.clock import SystemClock
from noria.core.workspace import InProcess, Workspace
from noria.serving.beside import Told
from noria.serving.entities import Deployment
from noria.serving.locate import endpoint_row
from noria.serving.packing import Entry, pack
from noria.serving.pairs import count_seen, read_pairs
from noria.serving.predictions import ROLES, CapturedRow, CaptureRole
from noria.serving.service import Captures, Endpoints
from noria.serving.tensor_data import Layout, TensorForm, packed_texts
from support.conformance import open_test_context, workspace_settings
from support.serving import register_version

X = TensorForm("x", "f8", [2])
LAYOUTS = {
    "classes": Layout(inputs=[X], outputs=[TensorForm("predictions", "i8")]),
    "numbers": Layout(inputs=[X], outputs=[TensorForm("sure", "f4"), TensorForm("predictions", "f8")]),
    "vectors": Layout(inputs=[X], outputs=[TensorForm("predictions", "f4", [2])]),
    "texts": Layout(inputs=[TensorForm("t", "O")], outputs=[TensorForm("predictions", "i8")]),
    "failed": Layout(inputs=[X], outputs=[]),
}


def data_of(rng: np.random.Generator, kind: str, n: int) -> bytes:
    """Give the bytes of rows whose predictions are often equal, and sometimes not finite."""
    x = rng.normal(size=(n, 2)).tobytes()
    classes = rng.integers(0, 2, n).tolist()
    return {
        "classes": x + struct.pack(f"<{n}q", *classes),
        "numbers": x + bytes(4 * n) + rng.choice([0.5, 1.5, np.nan, np.inf], n).tobytes(),
        "vectors": x + rng.choice([0.0, 1.0], (n, 2)).astype("<f4").tobytes(),
        "texts": packed_texts(rng.choice(["a", "süd"], n).tolist()) + struct.pack(f"<{n}q", *classes),
        "failed": x,
    }[kind]


def entry(rng: np.random.Generator, identity: str, role: CaptureRole, n: int) -> Entry:
    kind = str(rng.choice(list(LAYOUTS)))
    return Entry(
        id=identity,
        version=1 if role is CaptureRole.ANSWER else 2,
        revision=1,
        at_us=1_900_000_000_000_000,
        latency_us=5,
        row=0,
        n_rows=n,
        n_whole=n,
        layout=msgspec.msgpack.encode(LAYOUTS[kind]),
        data=data_of(rng, kind, n),
        error="it broke" if kind == "failed" else None,
        role=ROLES.index(role),
    )


def expected(answers: list[CapturedRow], shadows: list[CapturedRow]) -> tuple[int, ...]:
    """Count pairs row by row: all, those that agree, those that only the shadow failed at, and only the answer."""
    by_id = {row.prediction.id: row.prediction for row in answers}
    found = [0, 0, 0, 0]
    for row in shadows:
        answer, shadow = by_id.get(row.prediction.id), row.prediction
        if answer is None:
            continue
        found[0] += 1
        failed = answer.error is not None, shadow.error is not None
        same = answer.outputs.get("predictions") == shadow.outputs.get("predictions")
        found[1] += failed == (False, False) and same
        found[2] += failed == (False, True)
        found[3] += failed == (True, False)
    return tuple(found)


@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_a_recount_of_the_rows(tmp_path: Path, seed: int) -> None:
    """Single rows and requests of several, of every kind of output, in batches; without their answers they are none."""
    rng = np.random.default_rng(seed)
    sizes = {f"r{number}": int(rng.choice([1, 1, 3])) for number in range(120)}
    sent = [entry(rng, name, CaptureRole.ANSWER, n) for name, n in sizes.items() if rng.random() < 0.9]
    beside = [entry(rng, name, CaptureRole.SHADOW, n) for name, n in sizes.items()]
    place = "default", "live"
    with open_test_context(workspace_settings(tmp_path / "workspace"), SystemClock()) as context:
        register_version(Workspace(context.settings, InProcess(context), context.clock))
        context.service(Endpoints).deploy(*place, Deployment(model="digits", version=1))
        captures = context.service(Captures)
        for some in (sent[:50], sent[50:], beside[:70], beside[70:]):
            captures.append_packed(*place, pack(some))
        answers = captures.read(*place, limit=1000).items
        shadows = captures.read(*place, limit=1000, role=CaptureRole.SHADOW).items
        with context.database.read() as connection:
            found = read_pairs(connection, endpoint_row(connection, *place).pk, 2, 1)

    counted = (found.n, found.n_agreed, found.n_only_new_failed, found.n_only_old_failed)
    assert counted == expected(answers, shadows)
    assert min(counted) > 0
    assert found.n_judged == 0


def test_versions_and_revisions_are_counted_apart() -> None:
    """Of one batch."""

    def told(version: int, revision: int = 1, predicted: Any = 1) -> Told:
        return Told(version, revision, failed=False, predicted=predicted)

    pairs = [(told(1), told(2)), (told(1), told(2, predicted=0)), (told(1), told(2, 2)), (told(1), told(3))]
    found = {each[:3]: (each.stats.n, each.stats.n_agreed) for each in count_seen(pairs)}

    assert found == {(2, 1, 1): (2, 1), (2, 1, 2): (1, 1), (3, 1, 1): (1, 1)}
