"""Windows of inputs that are vectors: one verdict for the whole, beside those of their numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from noria.core.stats.profiles import profile_table
from noria.monitoring.entities import AlertKind, ColumnDrift, MonitorSection, Window
from noria.monitoring.reference import Reference
from noria.monitoring.windows.alerting import drift_alert
from noria.monitoring.windows.layout import lay_out
from noria.monitoring.windows.vectors import FEWEST_DIMENSIONS, FEWEST_REFERENCE, FEWEST_ROWS, vectors_of
from noria.registry.entities import Signature, TensorSpec
from noria.serving.predictions import CapturedRow, Prediction
from support.windows import BEGIN, Kept, version_of

N_ROWS = 200
SETTINGS = MonitorSection(window_rows=N_ROWS, segments={"prices": ["region"]})


def signature(n_dimensions: int) -> Signature:
    return Signature(
        inputs=[
            TensorSpec(name="text", datatype="FP32", shape=[-1, n_dimensions]),
            TensorSpec(name="region", datatype="BYTES", shape=[-1]),
        ],
        outputs=[TensorSpec(name="predictions", datatype="INT64", shape=[-1])],
    )


def vectors(seed: int, n_rows: int, n_dimensions: int, shift: float = 0.0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, 1)) * 0.1 + rng.normal(size=(n_rows, n_dimensions)) + shift


def reference_of(n_dimensions: int, n_rows: int = 800) -> Reference:
    rows = vectors(0, n_rows, n_dimensions)
    columns: dict[str, Any] = {f"text[{j}]": rows[:, j] for j in range(n_dimensions)}
    columns["region"] = np.array(["north", "south"])[np.arange(n_rows) % 2]
    return Reference(version=version_of(signature(n_dimensions)), columns=columns, baseline=None)


def rows_of(values: NDArray[np.float64], first: int = 1, missing: int = 0) -> list[CapturedRow]:
    return [
        CapturedRow(
            position=first + n,
            prediction=Prediction(
                id=f"p{first + n}",
                version=1,
                at=BEGIN + timedelta(seconds=first + n),
                inputs={
                    "text": None if n < missing else value.tolist(),
                    "region": ("north", "south")[n % 2],
                },
                outputs={"predictions": 0},
                error=None,
            ),
            label=None,
        )
        for n, value in enumerate(values)
    ]


def windows_of(*batches: NDArray[np.float64], missing: int = 0, n_dimensions: int) -> list[Window]:
    layout = lay_out(reference_of(n_dimensions), "prices", segment_columns=["region"])
    kept = Kept(SETTINGS, lambda _: layout)
    kept.look(rows_of(np.concatenate(batches), missing=missing))
    return [window for _, window in sorted(kept.windows.items())]


def whole(window: Window) -> ColumnDrift | None:
    assert window.drift is not None
    return next((column for column in window.drift.columns if column.name == "text"), None)


def test_a_shift_spread_over_all_numbers_is_told_of_the_vector() -> None:
    """No number of it has drifted, and three windows of it are an alert that names the vector; also in a segment."""
    shifted = [vectors(seed, N_ROWS, 128, shift=0.12) for seed in (1, 2, 3)]
    windows = windows_of(*shifted, n_dimensions=128)
    found = whole(windows[-1])
    alert = drift_alert(windows, 3)

    assert len(windows) == 3
    assert found is not None
    assert (found.test, found.drifted) == ("mean", True)
    assert found.psi > SETTINGS.drift_psi
    assert windows[-1].drift is not None
    assert [column.name for column in windows[-1].drift.columns if column.drifted] == ["text"]
    assert {part.segment for part in windows[-1].parts if part.drifted} >= {
        "region = north",
        "region = south",
    }
    assert alert is not None
    assert (alert.kind, alert.figures["psi"]) == (AlertKind.DRIFT, found.psi)
    assert "`text`" in alert.sentence


def test_quiet_windows_are_quiet() -> None:
    """Forty of them, of a vector that hangs together; in whichever piece it came, a window is judged the same."""
    batches = [vectors(seed, N_ROWS, 48) for seed in range(100, 140)]
    layout = lay_out(reference_of(48), "prices")
    kept = Kept(replace(SETTINGS, segments={}), lambda _: layout)
    for n, batch in enumerate(batches):
        kept.look(
            rows_of(batch, first=1 + n * N_ROWS)[: N_ROWS // 3],
            rows_of(batch, first=1 + n * N_ROWS)[N_ROWS // 3 :],
        )
    judged = [window for _, window in sorted(kept.windows.items())]
    together = [window for _, window in sorted(_at_once(batches, layout).items())]

    assert len(judged) == 40
    assert not [window.index for window in judged if window.drifted]
    assert [window.drift for window in judged] == [window.drift for window in together]


def _at_once(batches: list[NDArray[np.float64]], layout: Any) -> dict[int, Window]:
    kept = Kept(replace(SETTINGS, segments={}), lambda _: layout)
    kept.look(rows_of(np.concatenate(batches)))
    return kept.windows


def test_missing_vectors_are_told_by_their_numbers_and_the_rest_is_compared() -> None:
    """Half of the rows have none."""
    (window,) = windows_of(vectors(1, N_ROWS, 40), missing=N_ROWS // 2, n_dimensions=40)
    assert window.drift is not None
    missing = [column for column in window.drift.columns if column.test == "missing"]

    assert missing
    assert window.drift.n_columns == 40 + 2  # its numbers, the whole, and the region


@pytest.mark.parametrize(
    ("n_dimensions", "n_missing"),
    [(FEWEST_DIMENSIONS - 1, 0), (40, N_ROWS - FEWEST_ROWS + 1)],
    ids=["short", "missing"],
)
def test_what_is_no_vector_or_has_few_is_not_compared_as_one(n_dimensions: int, n_missing: int) -> None:
    """A short array is a row of columns; of few vectors nothing is said."""
    (window,) = windows_of(
        vectors(1, N_ROWS, n_dimensions, shift=1), missing=n_missing, n_dimensions=n_dimensions
    )
    assert window.drift is not None
    assert window.drift.n_columns == n_dimensions + 1


def test_a_reference_of_few_rows_compares_numbers_alone() -> None:
    """It does not tell how they hang together."""
    layout = lay_out(reference_of(40, n_rows=FEWEST_REFERENCE - 1), "prices")

    assert layout.vectors[""] == ()
    assert len(layout.profile.columns) == 41


def test_numbers_of_which_few_rows_decide_the_mean_are_left_out_of_the_whole() -> None:
    """Rare ones and those with long tails; where most are such, nothing is told of the whole."""
    rows = vectors(3, 1000, 80)
    rows[:, :10] = rows[:, :10] > 2
    rows[:, 10:20] **= 5
    columns: dict[str, Any] = {f"text[{j}]": rows[:, j] for j in range(80)}
    profile = profile_table(columns)
    (vector,) = vectors_of(signature(80), columns, profile)
    rows[:, 20:45] **= 5

    assert vector.columns == tuple(f"text[{j}]" for j in range(20, 80))
    assert vectors_of(signature(80), columns, profile) == ()
