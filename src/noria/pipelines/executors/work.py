"""What travels between the process that runs a pipeline's body and those that run its steps."""

from __future__ import annotations

import struct
from typing import Literal, TypeVar

import msgspec

from noria.core.errors import ErrorBody
from noria.core.lineage import CodeOrigin
from noria.core.objects.store import ObjectInfo
from noria.pipelines.cache_entities import KeyParts, StoredValue
from noria.pipelines.entities import Resources
from noria.pipelines.executors.attempt import Made
from noria.pipelines.marks import FileMark
from noria.tracking.entities import Run

T = TypeVar("T")

_HEAD = struct.Struct(">Q")
HEAD_BYTES = _HEAD.size

OWN_FOLDERS = ("noria-steps-", "noria-node-")
"""How the names of folders begin that are made for such processes and go with them."""

BEGUN = _HEAD.pack(0)
"""Sent when an attempt begins, before its outcome: from then on its time counts."""


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a process needs to know before its first step.

    Attributes
    ----------
    workspace, project, token, database_url, objects_url
        Where it works, and as whom.
    direct
        Whether it may read and write the object store itself; the objects that it adds then enter the project when
        the step is recorded.
    root
        Root of the project; empty when the code comes out of the snapshot.
    snapshot
        Digest of the project's code.
    search_path
        Where modules are found: seen from the root of the snapshot if there is one.
    arguments, main
        Of the program, and its file if the steps are defined in it.
    modules
        Imported ahead of the first step.
    shares_files
        Whether it sees the files of the machine that the run is on.
    seal
        What tells the folder of the workspace from another one at the same place of another machine.
    """

    workspace: str
    project: str
    token: str | None
    database_url: str
    objects_url: str
    direct: bool
    root: str
    snapshot: str | None
    search_path: list[str]
    arguments: list[str]
    main: str | None
    modules: list[str]
    run: Run
    origin: CodeOrigin | None
    shares_files: bool
    seal: str | None


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """An argument of a step.

    Attributes
    ----------
    kind
        `output`: what another step made. `value`: any other value, stored. `path`: a path of this machine. The others
        are containers that hold outputs.
    stored
        Of an output or a value.
    text
        The path, or `module:name` of a named tuple.
    items
        Of a container; keys and values in turn for a dict.
    """

    kind: Literal["output", "value", "path", "list", "tuple", "named", "dict"]
    stored: StoredValue | None = None
    text: str = ""
    items: list[Packed] = []


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a step.

    Attributes
    ----------
    number
        Of the call within the run.
    module, name
        Where the step is found.
    carried
        Small objects among the arguments, by digest.
    trusted
        Digests of what may be read back though that runs code.
    marks
        Of the files of large arguments that were found right on this machine.
    inputs_read
        What the run read so far.
    resources, timeout_s
        What the attempt takes, and how long it may take.
    """

    number: int
    step: str
    module: str
    name: str
    arguments: dict[str, Packed]
    carried: dict[str, bytes]
    trusted: list[str]
    marks: dict[str, FileMark] = {}
    parts: KeyParts
    keyed: bool
    inputs_read: list[str]
    resources: Resources
    timeout_s: float | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt ended.

    Attributes
    ----------
    made
        What the step gave; when it failed, only what it told before.
    error
        Why it failed.
    carried
        Small objects among the outputs, by digest, that are not in the store yet.
    brought
        Objects that are in the store and not in the project yet.
    marks
        Of files of large values that were written or checked, for processes that see the same ones.
    ran_s
        How long it took.
    """

    made: Made
    error: ErrorBody | None = None
    carried: dict[str, bytes] = {}
    brought: list[ObjectInfo] = []
    marks: dict[str, FileMark] = {}
    ran_s: float = 0.0


def to_frame(message: msgspec.Struct) -> bytes:
    """Encode a message with its length ahead."""
    body = msgspec.msgpack.encode(message)
    return _HEAD.pack(len(body)) + body


def body_bytes(head: bytes) -> int:
    """Give the length that stands ahead of a message."""
    (length,) = _HEAD.unpack(head)
    return int(length)


def from_body(body: bytes | bytearray, type_: type[T]) -> T:
    """Decode a message without its length."""
    return msgspec.msgpack.decode(body, type=type_)
