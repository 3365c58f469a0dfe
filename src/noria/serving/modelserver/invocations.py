"""Requests as `mlflow models serve` takes them: split, records, instances, inputs, CSV.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/
"""

from __future__ import annotations

from typing import Any

import msgspec

from noria.core.errors import Invalid
from noria.core.gate import ContentTypeRefused
from noria.registry.entities import Signature
from noria.serving.modelserver.protocol import Answered, Encoded, ReadInputs
from noria.serving.modelserver.table import decoded, of_columns, of_csv, of_records, of_table

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")

_JSON = [("content-type", "application/json")]
_encode = msgspec.json.Encoder().encode


class InvocationsAsk:
    """A request in one of MLflow's forms.

    Parameters
    ----------
    content_type
        `text/csv`, or JSON.
    """

    id: str | None = None

    def __init__(self, body: bytes, content_type: str | None) -> None:
        kind = (content_type or "").partition(";")[0].strip().lower()
        self.parameters: dict[str, Any] = {}
        if kind == "text/csv":
            self._form, self._given = "csv", body
            return
        if kind not in ("", "application/json"):
            raise ContentTypeRefused(
                f"This takes no body of the type `{kind[:100]}`",
                hint="Send `application/json` or `text/csv`",
            )
        content = decoded(body)
        forms = [form for form in FORMS if form in content] if isinstance(content, dict) else []
        if len(forms) != 1:
            raise Invalid(
                "The body has to be an object with one of " + ", ".join(f"`{form}`" for form in FORMS),
                hint='For example `{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}`',
            )
        self._form, self._given = forms[0], content[forms[0]]
        params = content.get("params")
        if params is not None and not isinstance(params, dict):
            raise Invalid("`params` is an object", details={"field": "params"})
        self.parameters = params or {}

    def inputs(self, signature: Signature) -> ReadInputs:
        """Give the arrays that the model is asked about.

        Raises
        ------
        InputInvalid
            If they do not fit the signature; `details` names the input.
        """
        given = self._given
        if self._form == "csv":
            return of_csv(given, signature)
        if self._form == "dataframe_split":
            return _of_split(given, signature)
        if self._form == "inputs" and isinstance(given, dict):
            return of_columns(given, signature)
        if isinstance(given, list) and given and isinstance(given[0], dict):
            return of_records(given, signature)
        if self._form == "dataframe_records":
            raise Invalid("`dataframe_records` is a list of objects", details={"field": "dataframe_records"})
        return of_table(None, given, signature)

    def reply(self, answered: Answered) -> Encoded:
        """Give the predictions alone, as MLflow does; the id of the request stands in a header."""
        return Encoded(_encode({"predictions": answered.outputs["predictions"].tolist()}), _JSON)


def _of_split(given: Any, signature: Signature) -> ReadInputs:
    columns = given.get("columns") if isinstance(given, dict) else None
    if not isinstance(given, dict) or "data" not in given:
        raise Invalid("`dataframe_split` has `columns` and `data`", details={"field": "dataframe_split"})
    if columns is not None and not (
        isinstance(columns, list) and all(isinstance(name, str) for name in columns)
    ):
        raise Invalid("`columns` are names", details={"field": "dataframe_split.columns"})
    return of_table(columns, given["data"], signature)
