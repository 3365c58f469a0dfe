"""What pages say with every estimate of quality."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark

ASSUMPTION_WORDS: Final = mark(
    "An estimate without labels, not a measurement: it supposes that labels depend on inputs as they did on the "
    "held-out rows. Concept drift, a change of just that, cannot be seen."
)

METRIC_WORDS: Final = {
    "accuracy": mark("accuracy"),
    "mae": mark("mean absolute error"),
    "roc_auc": mark("ROC AUC"),
    "f1": mark("F1"),
}
"""Names of the metrics that are estimated."""
