"""Ask two servers the same requests of MLflow's protocol, and tell where their answers differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from integration.interop.mlflow_requests import Step

_ID = re.compile(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_MADE_UP_NAME = re.compile(r"[a-z]+-[a-z]+-[0-9]+")
_CHOSEN = (
    "completed_time_ms",
    "create_time",
    "created_at",
    "created_time",
    "created_timestamp",
    "creation_time",
    "creation_time_ms",
    "last_update_time",
    "last_update_time_ms",
    "creation_timestamp",
    "last_updated_at",
    "last_updated_timestamp",
    "next_page_token",
)
_NEWER = ("last_seen_timestamp", "last_updated_by")
"""Keys that MLflow's server tells from 3.18 on, and Noria always."""

_SET = re.compile(r"\{([^{}]*)\}")
_REFERENCE = re.compile(r"\{([a-z0-9_]+)\}")


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    content: Any

    @property
    def error_code(self) -> str | None:
        """The code of an error; None where there is none."""
        return (
            self.content.get("error_code") if self.status >= 400 and isinstance(self.content, dict) else None
        )

    @property
    def message(self) -> str | None:
        """The message of an error; None where there is none."""
        return self.content.get("message") if self.status >= 400 and isinstance(self.content, dict) else None

    @property
    def shape(self) -> set[str]:
        """Which keys the answer has, at every depth."""
        return set(_paths(self.content, ""))


@dataclass(frozen=True)
class Difference:
    """A request that two servers answer differently."""

    step: Step
    kind: str
    left: Any
    right: Any

    def __str__(self) -> str:
        """Tell the difference in a few lines."""
        return f"{self.kind}: {self.step.name}\n    - {self.left!s:.1000}\n    + {self.right!s:.1000}"


class Caller:
    """Sends the steps to one server, and keeps what later steps refer to."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._kept: dict[str, str] = {}

    def ask(self, step: Step) -> Answer:
        """Send one request."""
        body = step.raw if step.raw is not None else None
        if body is None and step.sends is not None:
            body = json.dumps(self._filled(step.sends)).encode()
        headers = {"Content-Type": step.content_type} if body is not None and step.content_type else {}
        headers |= self._filled(step.headers)
        query = [(key, self._filled(value)) for key, value in step.query]
        path = self._filled(step.path)
        response = self._client.request(step.method, path, params=query, content=body, headers=headers)
        if response.status_code < 400:
            self._kept |= {name: _at(_content(response), path) for name, path in step.keeps.items()}
        return Answer(response.status_code, self._forgotten(_content(response)))

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return _REFERENCE.sub(lambda match: self._kept.get(match[1], match[0]), value)
        if isinstance(value, dict):
            return {key: self._filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        return value

    def _forgotten(self, value: Any) -> Any:
        """Replace the ids that this server gave by the names that they are kept under."""
        text = json.dumps(value)
        for name, kept in self._kept.items():
            if len(kept) == 32:
                text = text.replace(kept, f"<{name}>")
        return json.loads(_ID.sub("<id>", text))


def differences(left: Caller, right: Caller, steps: Iterable[Step]) -> Iterator[Difference]:
    """Ask both servers everything, and give what differs: status, error code, message, and keys of the answer."""
    for step in steps:
        one, other = left.ask(step), right.ask(step)
        if one.status != other.status:
            yield Difference(step, "status", (one.status, one.content), (other.status, other.content))
        elif one.error_code != other.error_code:
            yield Difference(step, "code", (one.error_code, one.message), (other.error_code, other.message))
        elif not says_the_same(one.message, other.message):
            yield Difference(step, "message", one.message, other.message)
        elif one.status < 400 and one.shape != other.shape:
            yield Difference(step, "keys", sorted(one.shape - other.shape), sorted(other.shape - one.shape))
        elif one.status < 400 and _settled(one.content) != _settled(other.content):
            yield Difference(step, "values", *_first_unlike(_settled(one.content), _settled(other.content)))


def says_the_same(one: str | None, other: str | None) -> bool:
    """Tell whether a message has the words of another, and perhaps a hint behind them."""
    if one is None or other is None:
        return one == other
    return _ordered(other).startswith(_ordered(one).rstrip("."))


def _ordered(message: str) -> str:
    """Put the elements of printed sets in one order."""
    return _SET.sub(lambda match: "{" + ", ".join(sorted(match[1].split(", "))) + "}", message)


def _settled(value: Any, key: str = "") -> Any:
    """Drop what each server chooses for itself: its clock, names that it makes up, tokens, orders of what has none."""
    if isinstance(value, dict):
        unordered = _UNORDERED.get(key, ())
        settled = {name: _settled(each, name) for name, each in value.items() if name not in _NEWER}
        return {
            name: sorted(each, key=_sorting_key) if name in unordered and isinstance(each, list) else each
            for name, each in settled.items()
        }
    if isinstance(value, list):
        return [_settled(each, "[]") for each in value]
    if key in _CHOSEN:
        return "…"
    if isinstance(value, float):
        return float(f"{value:.12g}")
    return "…" if isinstance(value, str) and _MADE_UP_NAME.fullmatch(value) else value


def _first_unlike(one: Any, other: Any, path: str = "") -> tuple[Any, Any]:
    """Find the innermost values that differ first."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs = [(f"{path}.{key}", one[key], other[key]) for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(f"{path}[{at}]", each, other[at]) for at, each in enumerate(one)]
    else:
        return (path, one), (path, other)
    return next(_first_unlike(left, right, where) for where, left, right in pairs if left != right)


def _sorting_key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


_UNORDERED = {
    "data": ("metrics", "params", "tags"),
    "experiment": ("tags",),
    "[]": ("tags", "request_metadata"),
    "trace_info": ("tags", "request_metadata"),
    "": ("dataset_summaries",),
    "mlflowSearchDatasets": ("datasetSummaries",),
}
"""Where an answer lists what has no order: message → its fields."""


def _content(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return {"text": response.text[:200]} if response.status_code < 400 else response.text[:200]


def _at(content: Any, path: str) -> str:
    for part in path.split("."):
        content = content[part]
    return str(content)


def _paths(value: Any, prefix: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key in _NEWER:
                continue
            yield f"{prefix}.{key}"
            yield from _paths(each, f"{prefix}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from _paths(each, f"{prefix}[]")
