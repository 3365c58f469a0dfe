"""From the alert to the outcome."""

from __future__ import annotations

from noria.catalog.service import Catalog
from noria.decisions.entities import Cause, DecisionStatus, Remedy
from noria.monitoring.service import Monitors
from noria.registry.service import Models
from support.decisions import PROJECT, Incident, blobs


def test_a_new_class_is_learned_and_goes_out(incident: Incident) -> None:
    """Labels of an unknown class lead to a retraining that is tried, deployed, measured and written down."""
    incident.answer(*blobs(100, [0, 1, 2], seed=1))
    positions = incident.answer(*blobs(120, [0, 1, 2, 3], seed=2))
    alert = incident.alarm(positions[0])
    incident.decide(alert)

    found = incident.decision()
    record = incident.context.service(Catalog).get(PROJECT, found.record_id)
    assert found.status is DecisionStatus.DONE, found.reason
    assert (found.cause, found.remedy) == (Cause.NEW_CLASS, Remedy.RETRAIN)
    assert record.closed_at is not None
    assert record.choice == "retrain"
    version = incident.context.service(Models).version(PROJECT, "customers", found.target_version or 0)
    assert version.classes == [0, 1, 2, 3]
    assert incident.context.service(Monitors).alerts(PROJECT, open_only=True).items == []
