"""The addresses of the model server: which endpoint and version one names, and in which form predictions are asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from noria.serving.modelserver.answering import Ask
from noria.serving.modelserver.binary import HEADER, read_header
from noria.serving.modelserver.door import Headers
from noria.serving.modelserver.invocations import InvocationsAsk
from noria.serving.modelserver.protocol import InferAsk
from noria.serving.modelserver.routes import LoadedVersion
from noria.serving.modelserver.rows import RowsAsk

Form = Callable[[bytes, Headers, LoadedVersion], Ask]
"""Reads a body; the version is the newest that answers, whose inputs the others mostly share."""

_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer))?/?")
_ENDPOINT = re.compile(r"(?:/endpoints/([^/]+))?(/invocations|/predict)/?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What an address names.

    Attributes
    ----------
    name
        Endpoint; None for the only one.
    form
        In which predictions are asked; None for what is no question of that kind.
    about_model
        Whether it asks what a model is, or, with `ready`, whether it is ready.
    """

    name: str | None = None
    version: str | None = None
    form: Form | None = None
    about_model: bool = False
    ready: bool = False


def find_place(path: str) -> Place:
    """Read an address."""
    found = _MODEL.fullmatch(path)
    if found is not None:
        name, version, what = unquote(found[1]), found[2], found[3]
        if what == "infer":
            return Place(name=name, version=version, form=_infer)
        return Place(name=name, version=version, about_model=True, ready=what == "ready")
    found = _ENDPOINT.fullmatch(path)
    if found is not None:
        endpoint = None if found[1] is None else unquote(found[1])
        return Place(name=endpoint, form=_invocations if found[2] == "/invocations" else _rows)
    return Place()


def _infer(body: bytes, headers: Headers, newest: LoadedVersion) -> Ask:
    n_head = headers.get(HEADER)
    return InferAsk(body, None if n_head is None else read_header(n_head), newest.numbers)


def _invocations(body: bytes, headers: Headers, _newest: LoadedVersion) -> Ask:
    return InvocationsAsk(body, headers.get("content-type"))


def _rows(body: bytes, _headers: Headers, _newest: LoadedVersion) -> Ask:
    return RowsAsk(body)
