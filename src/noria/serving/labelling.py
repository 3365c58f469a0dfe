"""Take labels in: which stand, which contradict, which correct, and which are too many of one client."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from noria.core.key import ensure_key
from noria.serving.beside import judged, shadows_beside
from noria.serving.captured_rows import Reading
from noria.serving.corrections import Correction, count_corrections
from noria.serving.counts import Judged, add_counts, count_labels
from noria.serving.label_trust import LabelSection, LabelTrust
from noria.serving.locate import EndpointRow
from noria.serving.pairs import add_pairs, count_labelled
from noria.serving.predictions import (
    CapturedRow,
    Label,
    LabelReport,
    NewLabel,
    PastLabel,
    PastOutcome,
)
from noria.serving.tables import endpoint_keys, label_history, labels

if TYPE_CHECKING:
    from noria.core.context import Context

MOST_PAST = 20
"""Values beside the standing one that are kept of one prediction; contradictions beyond them are counted only."""

_CLIENT_CHARS = 16


class Labelling:
    """One batch of labels in one transaction; the caller holds the endpoint's lock."""

    def __init__(self, context: Context, connection: sa.Connection, place: EndpointRow) -> None:
        self._context = context
        self._connection = connection
        self._place = place
        self._now = context.clock.now()
        self._section = context.settings.section("labels", LabelSection)
        self._untrusted_keys = self._ids_of(self._section.untrusted_keys)
        self._left: dict[str, int] = {}
        self._accepted: list[dict[str, Any]] = []
        self._judged: list[Judged] = []
        self._given: dict[str, Any] = {}
        self._corrections: list[Correction] = []
        self._n_accepted = self._n_corrected = 0
        self._seen: dict[str, list[str]] = {
            "unknown": [], "duplicate": [], "conflicting": [], "mistyped": [], "capped": []
        }  # fmt: skip

    def keep(self, batch: Sequence[NewLabel]) -> LabelReport:
        """Keep labels, count those that are trusted, and report."""
        reading = Reading(self._connection, self._place.pk)
        found = reading.by_id(label.prediction_id for label in batch)
        standing = {key: row.label for key, row in found.items() if row.label is not None}
        for label in batch:
            self._keep_one(label, found.get(label.prediction_id), standing)
        self._write()
        if self._given:
            self._count(found)
        if self._corrections:
            count_corrections(self._connection, self._place, self._corrections)
        return LabelReport(accepted=self._n_accepted, corrected=self._n_corrected, **self._seen)

    def _keep_one(self, label: NewLabel, row: CapturedRow | None, standing: dict[str, Label]) -> None:
        identity = label.prediction_id
        trust, old = self._trust(label), standing.get(identity)
        if row is None:
            self._seen["unknown"].append(identity)
        elif self._is_mistyped(row, label, trust, old):
            self._seen["mistyped"].append(identity)
        elif old is not None and old.value == label.value and not _outranks(trust, old):
            self._seen["duplicate"].append(identity)
        elif trust is LabelTrust.UNTRUSTED and not self._may_give(label):
            self._seen["capped"].append(identity)
        elif old is None:
            standing[identity] = self._accept(row, label, trust)
        else:
            standing[identity] = self._replace(row, label, trust, old)

    def _is_mistyped(self, row: CapturedRow, label: NewLabel, trust: LabelTrust, old: Label | None) -> bool:
        """Tell whether a label that would stand is of another kind than its prediction; others contradict."""
        would_stand = old is None or label.corrects or _outranks(trust, old)
        return would_stand and not _same_kind(row.prediction.outputs.get("predictions"), label.value)

    def _replace(self, row: CapturedRow, label: NewLabel, trust: LabelTrust, old: Label) -> Label:
        """Put a label in the place of one that is less trusted, or that it corrects; else the old one stands."""
        self._write()  # the old one may be of this batch
        if _outranks(trust, old):
            # Under a new position, so that whoever left the other one out comes by this one.
            self._remember(row, old.value, old.source, old.trust, PastOutcome.REPLACED)
            self._connection.execute(sa.delete(labels).where(self._at(row)))
            return self._accept(row, label, trust)
        if label.corrects and trust is old.trust:
            self._remember(row, old.value, old.source, old.trust, PastOutcome.CORRECTED)
            changed = {"value": label.value, "at": label.at or self._now, "source": label.source}
            self._change(row, **changed, n_corrections=labels.c.n_corrections + 1)
            self._n_corrected += 1
            if trust is LabelTrust.TRUSTED:
                self._corrections.append(Correction(row.prediction, old.value, label.value))
            return self._standing(row, label, trust)
        self._seen["conflicting"].append(label.prediction_id)
        self._remember(row, label.value, label.source, trust, PastOutcome.REFUSED)
        self._change(row, n_contradictions=labels.c.n_contradictions + 1)
        return old

    def _accept(self, row: CapturedRow, label: NewLabel, trust: LabelTrust) -> Label:
        self._accepted.append(
            {
                "endpoint_pk": self._place.pk,
                "position": row.position,
                "value": label.value,
                "at": label.at or self._now,
                "source": label.source,
                "n_contradictions": 0,
                "trust": None if trust is LabelTrust.TRUSTED else str(trust),
                "client": self._hidden(label),
                "received_at": self._now,
            }
        )
        self._n_accepted += 1
        if trust is LabelTrust.TRUSTED:
            self._given[label.prediction_id] = label.value
            self._judged.append(judged(row.prediction, label.value))
        return self._standing(row, label, trust)

    def _write(self) -> None:
        if self._accepted:
            self._connection.execute(sa.insert(labels), self._accepted)
            self._accepted = []

    def _count(self, found: Mapping[str, CapturedRow]) -> None:
        task, given = self._place.task, self._given
        shadows = shadows_beside(self._connection, self._place, given)
        self._judged.extend(judged(shadow, given[shadow.id]) for shadow in shadows)
        add_counts(self._connection, self._place.pk, count_labels(task, self._judged))
        pairs = [
            count_labelled(task, found[shadow.id].prediction, shadow, given[shadow.id]) for shadow in shadows
        ]
        add_pairs(self._connection, self._place.pk, pairs)

    def _standing(self, row: CapturedRow, label: NewLabel, trust: LabelTrust) -> Label:
        return Label(
            prediction_id=label.prediction_id,
            value=label.value,
            at=label.at or self._now,
            source=label.source,
            position=row.position,
            trust=trust,
        )

    def _change(self, row: CapturedRow, **values: Any) -> None:
        self._connection.execute(sa.update(labels).where(self._at(row)).values(**values))

    def _at(self, row: CapturedRow) -> sa.ColumnElement[bool]:
        return sa.and_(labels.c.endpoint_pk == self._place.pk, labels.c.position == row.position)

    def _remember(
        self, row: CapturedRow, value: Any, source: str | None, trust: LabelTrust, outcome: PastOutcome
    ) -> None:
        h = label_history.c
        mine = sa.and_(h.endpoint_pk == self._place.pk, h.position == row.position)
        n_past = self._connection.execute(sa.select(sa.func.count()).where(mine)).scalar_one()
        if n_past >= MOST_PAST:
            return
        values = {
            "value": value,
            "source": source,
            "trust": str(trust),
            "outcome": str(outcome),
            "at": self._now,
        }
        self._connection.execute(
            sa.insert(label_history).values(endpoint_pk=self._place.pk, position=row.position, **values)
        )

    def _trust(self, label: NewLabel) -> LabelTrust:
        return self._section.trust(
            source=label.source, client=label.client, untrusted_key_ids=self._untrusted_keys
        )

    def _may_give(self, label: NewLabel) -> bool:
        """Count an untrusted label against what its client may give; those that name no client share one."""
        client = self._hidden(label) or ""
        if client not in self._left:
            since = self._now - timedelta(seconds=self._section.cap_period_s)
            query = sa.select(sa.func.count()).where(
                labels.c.endpoint_pk == self._place.pk,
                labels.c.client == client if client else labels.c.client.is_(None),
                labels.c.trust == str(LabelTrust.UNTRUSTED),
                labels.c.received_at > since,
            )
            given = self._connection.execute(query).scalar_one()
            self._left[client] = self._section.cap_per_client - given
        self._left[client] -= 1
        return self._left[client] >= 0

    def _hidden(self, label: NewLabel) -> str | None:
        """Give what is stored of a client: enough to tell it from others, and nothing to find a person by."""
        if label.client is None:
            return None
        key = ensure_key(self._context.settings.folder).encode()
        return hmac.new(key, f"noria labels {label.client}".encode(), hashlib.sha256).hexdigest()[
            :_CLIENT_CHARS
        ]

    def _ids_of(self, names: Sequence[str]) -> frozenset[str]:
        if not names:
            return frozenset()
        query = sa.select(endpoint_keys.c.id).where(
            endpoint_keys.c.endpoint_pk == self._place.pk, endpoint_keys.c.name.in_(names)
        )
        return frozenset(self._connection.execute(query).scalars())


def past_labels(connection: sa.Connection, endpoint_pk: int, position: int) -> list[PastLabel]:
    """Give the values beside the standing label of a row, oldest first."""
    h = label_history.c
    query = (
        sa.select(h.value, h.source, h.trust, h.outcome, h.at)
        .where(h.endpoint_pk == endpoint_pk, h.position == position)
        .order_by(h.pk)
    )
    return [
        PastLabel(
            value=row.value,
            source=row.source,
            trust=LabelTrust(row.trust),
            outcome=PastOutcome(row.outcome),
            at=row.at,
        )
        for row in connection.execute(query)
    ]


def _outranks(trust: LabelTrust, old: Label) -> bool:
    return trust is LabelTrust.TRUSTED and old.trust is LabelTrust.UNTRUSTED


def _same_kind(predicted: Any, value: Any) -> bool:
    # A request that failed predicted nothing, so any truth may stand beside it.
    return predicted is None or isinstance(predicted, str) == isinstance(value, str)
