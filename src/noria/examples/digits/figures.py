"""What the demo measured, as `--json` writes it."""

from __future__ import annotations

import msgspec


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one run of the demo.

    Attributes
    ----------
    closed
        A remedy was chosen, tried, rolled out, promoted and recorded, without a hand.
    ended_well
        What is right for the incident was done: a remedy was closed, a person was asked for what only a person can
        mend, or for labels where there are too few, and nothing was touched, or nothing happened and nothing was done.
    cause, subject, remedy, reason
        What the decision named, and why it chose.
    version_before, version_after
        That answered at the onset, and that answers at the end.
    zeros_accuracy_before, zeros_accuracy_after
        Share of the final zeros named rightly by the version at the onset, and by the one that serves at the end; None
        where the incident is not about them.
    overall_accuracy_before, overall_accuracy_after
        The same over all final images, as they come since the onset.
    requests_failed
        Requests that the client got no answer to.
    onset_to_detection_s, onset_to_recovery_s
        From the first request of the mixed traffic to the alert, and to the new version answering every request.
    url
        Page that tells the story, while `noria up` runs on the demo's folder.
    """

    seed: int
    incident: str
    closed: bool
    ended_well: bool
    cause: str | None
    subject: str | None
    remedy: str | None
    reason: str
    version_before: int
    version_after: int
    zeros_accuracy_before: float | None
    zeros_accuracy_after: float | None
    overall_accuracy_before: float
    overall_accuracy_after: float
    requests_sent: int
    requests_failed: int
    labels_sent: int
    onset_to_detection_s: float | None
    onset_to_recovery_s: float | None
    duration_s: float
    decision_id: str | None
    url: str | None
    folder: str
