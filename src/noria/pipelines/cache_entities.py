"""What the cache of steps keeps: stored values, keys with their parts, entries and answers."""

from __future__ import annotations

from datetime import datetime

import msgspec

from noria.tracking.entities import Link

TREE_CODECS = frozenset({"tree", "file", "folder"})


"""Codecs whose stored form is a tree of files, named by the digest of its manifest."""


class StoredValue(msgspec.Struct, frozen=True, kw_only=True):
    """A step's output in the object store.

    Attributes
    ----------
    codec
        What turns its bytes back into the value.
    digest
        Of the object, or of the manifest when the value is a tree of files.
    size_bytes
        Of all its bytes.
    portable
        False when reading it back can run code: it is then reused only by the principal who wrote it.
    code
        `module:name` of the functions and classes outside of distributions that it refers to: their code belongs to
        the value.
    content
        Fingerprint of the value, where the same value can have different bytes (estimators, pickles).
    """

    codec: str
    digest: str
    size_bytes: int
    portable: bool = True
    code: list[str] = []
    content: str | None = None

    @property
    def is_tree(self) -> bool:
        """Whether the digest is that of a manifest."""
        return self.codec in TREE_CODECS


class KeyPart(msgspec.Struct, frozen=True, kw_only=True):
    """A value that a key depends on.

    Attributes
    ----------
    digest
        Of its content.
    text
        Short form for messages.
    """

    digest: str
    text: str


class KeyParts(msgspec.Struct, frozen=True, kw_only=True):
    """What a call of a step depends on.

    Attributes
    ----------
    step
        `pipeline.py:fit`.
    python
        Minor version.
    code
        Function or class of the project → digest of its syntax tree.
    constants
        Module variables, defaults and closed-over variables.
    parameters
        Arguments that are plain values.
    inputs
        Arguments that are outputs of other steps, or paths.
    bindings
        Name in the project → what it stands for, where that is not what is defined there under this name.
    distributions
        Top-level package → name and version.
    tree
        Digest of the whole project, for a step that hides what it reaches.
    dynamic
        What hides it.
    refused
        What has no fingerprint, in words; there is no key then.
    """

    step: str
    python: str
    code: dict[str, str] = {}
    constants: dict[str, KeyPart] = {}
    parameters: dict[str, KeyPart] = {}
    inputs: dict[str, KeyPart] = {}
    bindings: dict[str, str] = {}
    distributions: dict[str, str] = {}
    tree: str | None = None
    dynamic: list[str] = []
    refused: list[str] = []


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """A name whose target moves, and where it led: `dataset:digits` → `dataset:digits@2`."""

    name: str
    ref: str


class ReadFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a step read though it is not among its arguments.

    Attributes
    ----------
    path
        Of a file, relative to the project's root where it lies in it, else absolute; with `/` at its end, a folder
        whose names were listed; `$NAME` for an environment variable, `$*` for all of them.
    digest
        Of its content, 64 hex digits; `missing` or `unset` if there was none, `changed` if the step changed it then.
    """

    path: str
    digest: str


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """What a step logged to its run; a reused step logs it again.

    Attributes
    ----------
    metrics
        Key, value (as text, since JSON has no NaN) and step of each point, in their order.
    """

    metrics: list[tuple[str, str, int]] = []
    params: dict[str, str] = {}
    tags: dict[str, str | None] = {}


class NewCacheEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a finished step leaves to be reused.

    Attributes
    ----------
    followed, files
        What it read beside its arguments; it is reused only while these are as they were.
    inputs, made
        Lineage that it recorded: references and digests.
    """

    key: str
    step: str
    outputs: list[StoredValue]
    followed: list[Followed] = []
    files: list[ReadFile] = []
    inputs: list[Link] = []
    made: list[Link] = []
    logged: Logged = Logged()


class CacheEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A result that can be reused.

    Attributes
    ----------
    writer
        Who computed it, as the server established.
    run_id
        The run in which it was computed.
    """

    key: str
    writer: str
    step: str
    run_id: str
    outputs: list[StoredValue]
    followed: list[Followed] = []
    files: list[ReadFile] = []
    inputs: list[Link] = []
    made: list[Link] = []
    logged: Logged = Logged()
    created_at: datetime


class CacheAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An entry, or why there is none to reuse.

    Attributes
    ----------
    own
        Whether the caller computed it: only then may it be unpickled.
    reason
        None when nothing was ever stored under the key.
    """

    entry: CacheEntry | None = None
    own: bool = False
    reason: str | None = None
