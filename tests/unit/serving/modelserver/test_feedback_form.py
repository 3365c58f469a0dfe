"""What labels look like on the wire, and what is said of others."""

from __future__ import annotations

import pytest

from noria.core.errors import Invalid
from noria.serving.modelserver.feedback import read_feedback


def test_labels_are_read() -> None:
    """By the id of their prediction, with or without the endpoint."""
    found = read_feedback(b'{"labels": [{"prediction_id": "a", "value": 1}], "endpoint": "digits"}')

    assert [(label.prediction_id, label.value) for label in found.labels] == [("a", 1)]
    assert found.endpoint == "digits"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"labels": [{"prediction_id": "a", "label": 1}]}', "label"),
        (b'{"labels": [{"prediction_id": "a"}]}', "value"),
        (b'{"labels": {"a": 1}}', "labels"),
        (b"nothing", "JSON"),
    ],
)
def test_another_form_is_refused_with_the_right_one(body: bytes, named: str) -> None:
    """The message names the field, and the hint shows what to send."""
    with pytest.raises(Invalid, match=named) as raised:
        read_feedback(body)

    assert '"prediction_id": "…", "value": …' in (raised.value.hint or "")
