"""What can be commented on, and how each kind of thing is found.

Comments stand below the capabilities whose things they speak of. A kind is therefore a line in a table with the dotted
name of the operation that reads such a thing: its permission is who may read what is said about it, and its `NotFound`
is the refusal.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from noria.core.context import Context
from noria.core.errors import Invalid, near
from noria.core.operations import Service

_VERSION_DIGITS: Final = 15


class _Thing(Protocol):
    @property
    def id(self) -> str:
        """The id, which outlasts the name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKind:
    """A kind of thing that people speak of.

    Attributes
    ----------
    reader
        Operation that gets one: `module:Service.operation`, called with project and name, and version if it has one.
    example
        A reference, for hints.
    is_version
        Whether a reference ends with `@` and a number.
    """

    reader: str
    example: str
    is_version: bool = False


KINDS: Mapping[str, SubjectKind] = {
    "run": SubjectKind(reader="noria.tracking.service:Runs.get", example="run:ID"),
    "model": SubjectKind(
        reader="noria.registry.service:Models.version", example="model:NAME@VERSION", is_version=True
    ),
    "dataset": SubjectKind(
        reader="noria.data.service:Datasets.version", example="dataset:NAME@VERSION", is_version=True
    ),
    "endpoint": SubjectKind(reader="noria.serving.endpoints:Endpoints.get", example="endpoint:NAME"),
    "incident": SubjectKind(reader="noria.monitoring.service:Monitors.alert", example="incident:ID"),
    "record": SubjectKind(reader="noria.catalog.service:Catalog.get", example="record:ID"),
}
"""Kind in a reference → how to find such a thing."""


class SubjectInvalid(Invalid):
    """A reference names nothing that can be commented on."""

    code = "comment_subject_invalid"

    def __init__(self, ref: str) -> None:
        kind = ref.partition(":")[0]
        examples = [KINDS[kind].example] if kind in KINDS else [each.example for each in KINDS.values()]
        meant = near(kind, list(KINDS)) if kind not in KINDS else None
        lead = f"Did you mean `{meant}`? " if meant else ""
        super().__init__(
            f"`{ref[:200]}` is nothing that can be commented on",
            hint=f"{lead}Write one of {', '.join(f'`{each}`' for each in examples)}",
            details={"on": ref[:200]},
        )


def resolve_subject(context: Context, project: str, ref: str) -> str:
    """Give kind and id of what a reference means, as comments keep it.

    Raises
    ------
    SubjectInvalid
        If the reference has no such form.
    NotFound
        If the project has no such thing.
    Forbidden
        If the caller may not read it.
    """
    kind, _, name = ref.partition(":")
    found = KINDS.get(kind)
    if found is None or not name:
        raise SubjectInvalid(ref)
    return f"{kind}:{_read(context, found, project, _key(found, ref, name)).id}"


def _key(kind: SubjectKind, ref: str, name: str) -> tuple[str | int, ...]:
    if not kind.is_version:
        return (name,)
    plain, _, number = name.rpartition("@")
    if not plain or not (number.isascii() and number.isdecimal()) or len(number) > _VERSION_DIGITS:
        raise SubjectInvalid(ref)
    return (plain, int(number))


def _read(context: Context, kind: SubjectKind, project: str, key: tuple[str | int, ...]) -> _Thing:
    module, _, path = kind.reader.partition(":")
    name, _, operation = path.partition(".")
    service: type[Service] = getattr(importlib.import_module(module), name)
    thing: _Thing = getattr(context.guarded(service), operation)(project, *key)
    return thing
