"""What the demo measured, as `--json` writes it."""

from __future__ import annotations

import msgspec


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one run of the demo.

    Attributes
    ----------
    closed
        A remedy was chosen, tried, rolled out, promoted and recorded, without a hand.
    zeros_accuracy_before, zeros_accuracy_after
        Share of the final zeros named rightly by the first version, and by the one that serves at the end.
    overall_accuracy_before, overall_accuracy_after
        The same over the final images of all digits, in their natural mix.
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
    cause: str | None
    remedy: str | None
    zeros_accuracy_before: float
    zeros_accuracy_after: float
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
