"""Requests as a person writes them: `{"rows": [[5.1, 3.5], [4.9, 3.0]]}`, or rows as objects by column."""

from __future__ import annotations

from typing import Any

import msgspec

from noria.core.errors import Invalid
from noria.registry.entities import Signature
from noria.serving.modelserver.protocol import MAX_ID_LENGTH, Answered, Encoded, ReadInputs
from noria.serving.modelserver.table import decoded, of_records, of_table
from noria.serving.predictions import prediction_ids

_JSON = [("content-type", "application/json")]
_FIELDS = ("rows", "id", "parameters")
_encode = msgspec.json.Encoder().encode


class RowsAsk:
    """A request of rows: a list of them, or an object with `rows`, `id` and `parameters`."""

    def __init__(self, body: bytes) -> None:
        content = decoded(body)
        if isinstance(content, list):
            content = {"rows": content}
        if not isinstance(content, dict) or "rows" not in content or not content.keys() <= set(_FIELDS):
            raise Invalid(
                "The body has to be a list of rows, or an object with `rows`",
                hint='For example `{"rows": [[1, 2], [3, 4]]}`',
            )
        self._rows = content["rows"]
        self.id: str | None = content.get("id")
        self.parameters: dict[str, Any] = content.get("parameters") or {}
        if self.id is not None and not (isinstance(self.id, str) and len(self.id) <= MAX_ID_LENGTH):
            raise Invalid(f"`id` is a text of up to {MAX_ID_LENGTH} characters", details={"field": "id"})
        if not isinstance(self.parameters, dict):
            raise Invalid("`parameters` is an object", details={"field": "parameters"})

    def inputs(self, signature: Signature) -> ReadInputs:
        """Give the arrays that the model is asked about.

        Raises
        ------
        InputInvalid
            If they do not fit the signature; `details` names the input.
        """
        rows = self._rows
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            return of_records(rows, signature)
        return of_table(None, rows, signature)

    def reply(self, answered: Answered) -> Encoded:
        """Give all outputs by name, and the ids that feedback is given by."""
        told = {
            **{name: array.tolist() for name, array in answered.outputs.items()},
            "ids": prediction_ids(answered.identity, answered.n_rows),
            "model": answered.endpoint,
            "version": answered.version,
        }
        if self.id is not None:
            told["id"] = self.id
        return Encoded(_encode(told), _JSON)
