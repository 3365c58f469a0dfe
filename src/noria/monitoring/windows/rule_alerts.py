"""When broken rules of the training data make an alert, and when that is over. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from noria.monitoring import sentences
from noria.monitoring.entities import AlertKind, NewAlert, Window, WindowRule


def rules_alert(windows: Sequence[Window], needed: int, *, tolerated: float) -> NewAlert | None:
    """Raise an alert when the newest window surely breaks a rule, or `needed` windows in a row break the same one.

    Parameters
    ----------
    windows
        The newest ones, oldest first.
    tolerated
        Share of rows that may break a rule.

    Notes
    -----
    A rule that rows break one by one is surely broken when the lower end of an exact interval is above what is
    tolerated. One of a whole (the share of missing values) has no such interval here, so it has to last.
    """
    if not windows:
        return None
    newest, series = windows[-1], list(windows)[-needed:]
    same = len(series) == needed and all(window.version == newest.version for window in series)
    lasting = set.intersection(*(_of_wholes(window) for window in series)) if same else set()
    broken = [rule for rule in newest.rules if rule.surely or rule.name in lasting]
    if not broken:
        return None
    top = max(broken, key=lambda rule: (rule.surely, rule.low or 0.0))
    first = newest if top.surely else series[0]
    return NewAlert(
        kind=AlertKind.RULES,
        version=newest.version,
        figures=_figures(top, len(broken), newest.n_rules, tolerated),
        sentence=_sentence(top, len(broken) - 1, newest.n_rules, n_windows=needed, tolerated=tolerated),
        onset_position=first.first_position,
        last_position=newest.last_position,
        since=first.first_at,
    )


def keeps_rules(window: Window) -> bool:
    """Tell whether a window was held to rules, and no rule is surely broken in it."""
    return window.n_rules > 0 and not any(rule.surely or rule.n_broken is None for rule in window.rules)


def _of_wholes(window: Window) -> set[str]:
    return {rule.name for rule in window.rules if rule.n_broken is None}


def _figures(top: WindowRule, n_broken: int, n_rules: int, tolerated: float) -> dict[str, float]:
    found = {"n_broken": float(n_broken), "n_rules": float(n_rules), "n": float(top.n_rows)}
    if top.n_broken is None or top.low is None or top.high is None:
        return found
    share = top.n_broken / top.n_rows
    return found | {"share": share, "low": top.low, "high": top.high, "tolerated": tolerated}


def _sentence(top: WindowRule, n_others: int, n_rules: int, *, n_windows: int, tolerated: float) -> str:
    if top.n_broken is None:
        told = sentences.RULE_BROKEN_IN_A_ROW % {"rule": top.name, "windows": n_windows}
    else:
        told = sentences.RULE_BROKEN % {
            "rule": top.name,
            "broken": top.n_broken,
            "all": top.n_rows,
            "share": f"{top.n_broken / top.n_rows:.1%}",
            "low": f"{top.low:.1%}",
            "tolerated": f"{tolerated:.1%}",
        }
    if not n_others:
        return told
    return sentences.OTHER_RULES % {"text": told, "broken": n_others, "others": n_rules - 1}
