"""Signed notes of the chain's head, kept outside the database in `<workspace>/audit/`.

Whoever can write to the database alone can compute a new chain, or cut off its end. They cannot sign: the key is a
0600 file in the workspace folder.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from noria.core.errors import Corrupt
from noria.core.serialisation import to_canonical_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FOLDER = "audit"
CHECKPOINTS_FILE = "checkpoints.jsonl"
KEY_FILE = "signing-key"

_PURPOSE = b"noria event log checkpoint 1\n"
"""Signed with each note, so that the key's signatures cannot be taken for anything else."""

_TAIL_BYTES = 4096
_KEY_BYTES = 32


class CheckpointBroken(Corrupt):
    """A line of the checkpoints is not what was signed."""

    code = "checkpoint_broken"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The chain's head at an instant."""

    position: int
    hash: str
    at: datetime


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    position: int
    hash: str
    at: datetime
    signature: str


class Checkpoints:
    """The file of checkpoints of a workspace folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._path = self._folder / CHECKPOINTS_FILE

    def append(self, checkpoint: Checkpoint) -> None:
        """Sign and write a checkpoint, unless one as far was written meanwhile; it is on disk when this returns."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        signature = self._signing_key().sign(_signed_bytes(checkpoint)).hex()
        line = _Line(
            position=checkpoint.position, hash=checkpoint.hash, at=checkpoint.at, signature=signature
        )
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            last = self.last()
            if last is not None and last.position >= checkpoint.position:
                return
            os.ftruncate(descriptor, _end_of_whole_lines(descriptor))
            os.lseek(descriptor, 0, os.SEEK_END)
            os.write(descriptor, msgspec.json.encode(line) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def last(self) -> Checkpoint | None:
        """Give the newest checkpoint, unverified, without reading the others."""
        try:
            with self._path.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - _TAIL_BYTES))
                whole, _, _ = stream.read().rpartition(b"\n")
        except FileNotFoundError:
            return None
        line = whole.rpartition(b"\n")[2]
        return _decode(line)[0] if line else None

    def read(self) -> Iterator[Checkpoint]:
        """Give the checkpoints in the order of writing, each with its signature checked.

        A last line without an end is what a killed writer left and is passed over.

        Raises
        ------
        CheckpointBroken
            If a line is not a checkpoint, or not signed by this workspace's key.
        """
        from cryptography.exceptions import InvalidSignature

        try:
            stream = self._path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            public = self._existing_key().public_key()
            for number, raw in enumerate(stream, start=1):
                if not raw.endswith(b"\n"):
                    return
                try:
                    checkpoint, signature = _decode(raw)
                    public.verify(bytes.fromhex(signature), _signed_bytes(checkpoint))
                except (msgspec.DecodeError, ValueError, InvalidSignature) as error:
                    raise CheckpointBroken(
                        f"Line {number} of `{self._path}` is not a checkpoint that this workspace signed",
                        hint="Compare it with a backup of the file",
                        details={"line": number},
                    ) from error
                yield checkpoint

    def _signing_key(self) -> Ed25519PrivateKey:
        path = self._folder / KEY_FILE
        if not path.exists():
            _create_key(path)
        return self._existing_key()

    def _existing_key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        path = self._folder / KEY_FILE
        try:
            return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
        except (FileNotFoundError, ValueError) as error:
            raise CheckpointBroken(
                f"The signing key `{path}` of the checkpoints is missing or damaged",
                hint="Restore it from a backup; without it the checkpoints prove nothing",
            ) from error


def _create_key(path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, Ed25519PrivateKey.generate().private_bytes_raw())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        # A link never replaces: of two processes that start at once, the first one's key stays.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _signed_bytes(checkpoint: Checkpoint) -> bytes:
    return _PURPOSE + to_canonical_json(checkpoint)


def _decode(line: bytes) -> tuple[Checkpoint, str]:
    found = msgspec.json.decode(line, type=_Line)
    return Checkpoint(position=found.position, hash=found.hash, at=found.at), found.signature


def _end_of_whole_lines(descriptor: int) -> int:
    """Find where a line that a killed writer began has to be cut off."""
    size = os.fstat(descriptor).st_size
    begin = max(0, size - _TAIL_BYTES)
    tail = os.pread(descriptor, _TAIL_BYTES, begin)
    return begin + tail.rfind(b"\n") + 1
