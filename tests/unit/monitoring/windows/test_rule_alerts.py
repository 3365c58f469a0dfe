"""When broken rules of the training data make an alert, and when they are kept again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from noria.monitoring.alerts.resolving import over
from noria.monitoring.entities import Alert, AlertKind, MonitorSection, Window, WindowRule
from noria.monitoring.windows.rule_alerts import keeps_rules, rules_alert

START = datetime(2030, 1, 1, tzinfo=UTC)
SURE = WindowRule(name="income: min", n_rows=200, n_broken=30, low=0.1, high=0.22, surely=True)
UNSURE = WindowRule(name="rent: max", n_rows=200, n_broken=3, low=0.002, high=0.05)
WHOLE = WindowRule(name="income: missing", n_rows=200)


def window(index: int, *rules: WindowRule, version: int = 1, n_rules: int = 4) -> Window:
    """Give a window of two hundred rows that breaks some rules."""
    at = START + timedelta(hours=index)
    return Window(
        index=index,
        version=version,
        first_position=200 * index + 1,
        last_position=200 * index + 200,
        first_at=at,
        last_at=at,
        n_rows=200,
        n_errors=0,
        drift=None,
        rules=list(rules),
        n_rules=n_rules,
    )


def test_what_is_surely_broken_is_told_at_once() -> None:
    """With the figures of the rule that most rows break for certain."""
    found = rules_alert([window(1), window(2, UNSURE, SURE)], 2, tolerated=0.01)

    assert found is not None
    assert found.kind is AlertKind.RULES
    assert found.figures["share"] == 0.15
    assert found.since == START + timedelta(hours=2)
    assert found.sentence == (
        "The rule `income: min` of the training data is broken by 30 of 200 rows, 15.0% (surely more than 10.0%); "
        "1.0% is tolerated"
    )


def test_what_may_be_chance_is_not_told() -> None:
    """A few rows tell nothing, and a share of the whole has to be broken again and again, by one version."""
    assert rules_alert([window(1, UNSURE), window(2, UNSURE)], 2, tolerated=0.01) is None
    assert rules_alert([window(1), window(2, WHOLE)], 2, tolerated=0.01) is None
    assert rules_alert([window(1, WHOLE, version=2), window(2, WHOLE)], 2, tolerated=0.01) is None
    assert rules_alert([window(2, WHOLE)], 2, tolerated=0.01) is None
    assert rules_alert([], 2, tolerated=0.01) is None

    found = rules_alert([window(1, WHOLE), window(2, WHOLE)], 2, tolerated=0.01)
    assert found is not None
    assert found.onset_position == 201
    assert found.sentence == "The rule `income: missing` of the training data is broken in 2 windows in a row"


def test_an_alert_is_over_when_rules_are_kept_for_a_while() -> None:
    """Windows that were held to no rules say nothing."""
    raised = rules_alert([window(1, SURE, WHOLE)], 1, tolerated=0.01)
    assert raised is not None
    assert raised.sentence.endswith("; so are 1 of 3 other rules")
    alert = Alert(
        **{name: getattr(raised, name) for name in raised.__struct_fields__},
        id="a",
        project="p",
        endpoint="e",
        opened_at=START,
        closed_at=None,
        closed_why=None,
    )

    def ended(*windows: Window) -> list[str]:
        return [each.why for each in over([alert], windows, None, MonitorSection(), version=1)]

    assert not keeps_rules(window(2, n_rules=0))
    assert ended(window(2), window(3, UNSURE)) == [
        "Rows have kept the rules of the training data in 2 windows in a row"
    ]
    assert ended(window(2), window(3, WHOLE)) == []
    assert ended(window(2), window(3, n_rules=0)) == []
    assert ended(window(2)) == []
