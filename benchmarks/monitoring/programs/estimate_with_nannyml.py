"""Estimate quality without labels with NannyML, for `bench_estimated.py`: CBPE of classes, DLE of numbers.

estimate_with_nannyml.py FILE reads an .npz of held-out rows and of windows of equal length, and prints a JSON line:
for each metric the estimates of the windows, and their sampling errors, of which NannyML draws three to each side.
"""

from __future__ import annotations

import json
import sys
import warnings

import nannyml
import numpy as np
import pandas as pd

METRICS = ["accuracy", "f1", "roc_auc"]


def main() -> None:
    """Read, estimate, print."""
    warnings.simplefilter("ignore")
    held = dict(np.load(sys.argv[1], allow_pickle=False))
    size = int(held.pop("size"))
    made = _classes(held, size) if "held_scores" in held else _numbers(held, size)
    print(json.dumps(made))


def _classes(held: dict[str, np.ndarray], size: int) -> dict[str, list[list[float]]]:
    n_classes = held["held_scores"].shape[1]
    known, live = (
        pd.DataFrame({f"p{c}": held[f"{part}_scores"][:, c] for c in range(n_classes)}).assign(
            answer=held[f"{part}_predicted"]
        )
        for part in ("held", "live")
    )
    known["truth"] = held["held_labels"]
    is_binary = n_classes == 2
    estimator = nannyml.CBPE(
        metrics=METRICS,
        y_pred_proba="p1" if is_binary else {c: f"p{c}" for c in range(n_classes)},
        y_true="truth",
        y_pred="answer",
        problem_type="classification_binary" if is_binary else "classification_multiclass",
        chunk_size=size,
    ).fit(known)
    return _told(estimator.estimate(live), METRICS)


def _numbers(held: dict[str, np.ndarray], size: int) -> dict[str, list[list[float]]]:
    names = [f"x{i}" for i in range(held["held_x"].shape[1])]
    known, live = (
        pd.DataFrame(held[f"{part}_x"], columns=names).assign(answer=held[f"{part}_predicted"])
        for part in ("held", "live")
    )
    known["truth"] = held["held_labels"]
    estimator = nannyml.DLE(
        feature_column_names=names, y_pred="answer", y_true="truth", metrics=["mae"], chunk_size=size
    ).fit(known)
    return _told(estimator.estimate(live), ["mae"])


def _told(found: object, metrics: list[str]) -> dict[str, list[list[float]]]:
    frame = found.filter(period="analysis").to_df()  # type: ignore[attr-defined]
    return {name: frame[name][["value", "sampling_error"]].to_numpy(dtype=float).tolist() for name in metrics}


if __name__ == "__main__":
    main()
