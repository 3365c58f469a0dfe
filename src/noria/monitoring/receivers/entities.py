"""Receivers of alerts, and the settings of both."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

import msgspec

from noria.core.config import Section
from noria.core.errors import NotFound, near
from noria.monitoring.entities import AlertKind

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
Seconds = Annotated[float, msgspec.Meta(ge=0, le=30 * 86_400)]


class ReceiverForm(enum.StrEnum):
    """What a receiver is sent.

    `mail` plain text; `webhook` JSON, signed as the specification Standard Webhooks has it; `slack` and `teams` what
    their incoming webhooks take.
    """

    MAIL = "mail"
    WEBHOOK = "webhook"
    SLACK = "slack"
    TEAMS = "teams"


class Receiver(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[alerts.receivers.NAME]`: somebody who is told of alerts.

    Attributes
    ----------
    to
        `mailto:ana@example.org`, or the `https://` address of a webhook.
    form
        What is sent there; without it mail to addresses of mail, and a signed webhook otherwise.
    kinds
        Kinds of alert that are told; empty for all.
    projects
        Projects whose alerts are told; empty for all.
    after_s
        Seconds for which alerts have to stand open before this one is told: for whoever comes second.
    """

    to: str
    form: ReceiverForm | None = None
    kinds: tuple[AlertKind, ...] = ()
    projects: tuple[str, ...] = ()
    after_s: Seconds = 0.0

    @property
    def sent_as(self) -> ReceiverForm:
        """The form, also where it is left out."""
        if self.form is not None:
            return self.form
        return ReceiverForm.MAIL if self.to.startswith("mailto:") else ReceiverForm.WEBHOOK


def unknown_receiver(name: str, known: Iterable[str]) -> NotFound:
    """Build the error for a receiver that the settings do not have: with the near name, and the key to write.

    Examples
    --------
    >>> print(unknown_receiver("on call", ["team"]).hint)
    Known: `team`; another one is a table `[alerts.receivers."on call"]` with `to = "mailto:…"` in `noria.toml`
    """
    names = sorted(known)
    close = near(name, names)
    listed = ", ".join(f"`{each}`" for each in names[:10]) + (" …" if len(names) > 10 else "")
    key = name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    first = f"Did you mean `{close}`?" if close else f"Known: {listed};" if names else "There is none yet;"
    mend = f'nother one is a table `[alerts.receivers.{key}]` with `to = "mailto:…"` in `noria.toml`'
    hint = f"{first} {'A' if close else 'a'}{mend}"
    return NotFound(f"There is no receiver `{name}`", hint=hint, details={"kind": "receiver", "name": name})


class AlertSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[alerts]`: who is told of alerts, and when.

    Attributes
    ----------
    receivers
        By name.
    wait_s
        Seconds that the first alert of a group waits for others of the same cause; one that is over by then is not
        told.
    again_s
        Fewest seconds between two notices about one group while it is open.
    settle_s
        Seconds for which all alerts of a group have to be over before the group is; one that comes back meanwhile
        is no news.
    lost_after_s
        Seconds without a sign of life of any model server of an endpoint that make an alert.
    unwatched_after_s
        Seconds for which a look at an endpoint may wait for a worker, or fail again and again, before that makes one.
    """

    receivers: dict[str, Receiver] = msgspec.field(default_factory=dict)
    wait_s: Seconds = 10.0
    again_s: Seconds = 300.0
    settle_s: Seconds = 300.0
    lost_after_s: Annotated[float, msgspec.Meta(ge=10, le=30 * 86_400)] = 60.0
    unwatched_after_s: Annotated[float, msgspec.Meta(ge=30, le=30 * 86_400)] = 600.0


class ReceiverStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver, and how the notices to it fare.

    Attributes
    ----------
    place
        Address of mail, or scheme and host: the whole address of a webhook may be a secret.
    n_waiting
        Notices that are to be tried again.
    last_error
        Of the newest notice that was not sent at once.
    """

    name: str
    form: ReceiverForm
    place: str
    kinds: list[AlertKind]
    projects: list[str]
    after_s: float
    n_sent: int = 0
    n_waiting: int = 0
    n_failed: int = 0
    sent_at: datetime | None = None
    last_error: str | None = None


class ReceiverList(msgspec.Struct, frozen=True, kw_only=True):
    """Receivers by name."""

    items: list[ReceiverStanding]


class ReceiverSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What calls of a webhook are signed with."""

    name: str
    secret: str


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which receivers are sent a trial message.

    Attributes
    ----------
    receiver
        Only this one; all when left out.
    """

    receiver: str | None = None


class TrialOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a trial message; no error means that the receiver took it."""

    receiver: str
    form: ReceiverForm
    error: str | None = None


class TrialOutcomes(msgspec.Struct, frozen=True, kw_only=True):
    """What became of trial messages, by receiver."""

    items: list[TrialOutcome]
