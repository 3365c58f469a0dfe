"""What strategies, states, gates and their figures are called on pages, to be translated where they are shown."""

from __future__ import annotations

from collections.abc import Mapping

from noria.core.web.languages import mark
from noria.serving.entities import RolloutStatus, Strategy

STRATEGY_WORDS: Mapping[Strategy, str] = {
    Strategy.REPLACE: mark("at once"),
    Strategy.CANARY: mark("in steps"),
    Strategy.BLUE_GREEN: mark("blue-green"),
    Strategy.SHADOW: mark("shadow"),
    Strategy.AB: mark("A/B"),
}

STRATEGY_MEANS: Mapping[Strategy, str] = {
    Strategy.REPLACE: mark("It answers every request from now on, without gates"),
    Strategy.CANARY: mark(
        "It gets growing shares of the requests, and each step has to pass the gates of `noria.toml`"
    ),
    Strategy.BLUE_GREEN: mark(
        "It predicts what the old version answers; when it passes the gates, it gets every request at once"
    ),
    Strategy.SHADOW: mark("It predicts what the old version answers, and is compared; nothing is switched"),
    Strategy.AB: mark("Both answer half of the requests, until one is shown to be better"),
}
"""What deploying by a strategy does."""

ROLLOUT_WORDS: Mapping[RolloutStatus, str] = {
    RolloutStatus.RUNNING: mark("under way"),
    RolloutStatus.PAUSED: mark("paused"),
    RolloutStatus.PROMOTED: mark("promoted"),
    RolloutStatus.ROLLED_BACK: mark("rolled back"),
    RolloutStatus.COMPARED: mark("compared"),
    RolloutStatus.FAILED: mark("failed"),
}

ROLLOUT_STATES: Mapping[RolloutStatus, tuple[str, str]] = {
    RolloutStatus.RUNNING: ("busy", "…"),
    RolloutStatus.PAUSED: ("look", "!"),
    RolloutStatus.PROMOTED: ("good", "✓"),
    RolloutStatus.ROLLED_BACK: ("look", "↩"),
    RolloutStatus.COMPARED: ("good", "="),
    RolloutStatus.FAILED: ("bad", "✕"),
}
"""State in which a status is shown, and its sign."""

GATE_WORDS: Mapping[str, str] = {
    "errors": mark("errors"),
    "latency": mark("latency"),
    "slow": mark("slow requests"),
    "predictions": mark("predictions"),
    "quality": mark("quality"),
}

FIGURE_WORDS: Mapping[str, str] = {
    "n_new": mark("new version: rows judged"),
    "n_old": mark("old version: rows judged"),
    "n_pairs": mark("rows that both versions predicted"),
    "new_share": mark("new version: share that failed"),
    "old_share": mark("old version: share that failed"),
    "n_over": mark("new version: slow requests"),
    "new_share_over": mark("new version: share of slow requests"),
    "distance": mark("largest difference of cumulative shares"),
    "agreement": mark("share of rows that both predicted alike"),
    "new_mean_ms": mark("new version: mean latency in ms"),
    "old_mean_ms": mark("old version: mean latency in ms"),
    "new_p99_ms": mark("new version: p99 latency in ms"),
    "old_p99_ms": mark("old version: p99 latency in ms"),
    "new_accuracy": mark("new version: accuracy"),
    "old_accuracy": mark("old version: accuracy"),
    "new_mean_absolute_error": mark("new version: mean absolute error"),
    "old_mean_absolute_error": mark("old version: mean absolute error"),
    "new_root_mean_squared_error": mark("new version: root mean squared error"),
    "old_root_mean_squared_error": mark("old version: root mean squared error"),
    "new_mape": mark("new version: mean relative error"),
    "old_mape": mark("old version: mean relative error"),
    "new_f1": mark("new version: F1"),
    "old_f1": mark("old version: F1"),
    "new_auc": mark("new version: AUC"),
    "old_auc": mark("old version: AUC"),
    "loss": mark("loss"),
    "lower": mark("at least"),
    "upper": mark("at most"),
    "limit": mark("allowed"),
}
