"""The errors that Noria raises, the same class on both sides of the wire.

::

    NoriaError                 anything Noria refuses or fails to do
    ├── Invalid                the input is wrong; sending it again cannot help
    │   ├── ConfigInvalid      a setting, environment variable or `noria.toml` is wrong
    │   └── TooLarge           the input is larger than a stated limit
    ├── NotFound               what was named does not exist where we looked
    ├── Conflict               the state of the thing does not allow this now
    │   └── Locked             another process holds what this one needs
    ├── Unauthenticated        no valid credential came with the request
    ├── Forbidden              the caller is known and may not do this
    ├── Corrupt                stored bytes are not what they were when written
    ├── Unavailable            something needed does not answer; trying again may help
    │   └── StorageFull        no room is left to write
    └── Failed                 the user's own code raised, or an inner step failed

A capability subclasses a branch where callers must tell its case apart. HTTP status and exit code come from
tables at the surfaces; this module knows neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """The one JSON form of an error, on every route and in `--json` output."""

    code: str
    message: str
    hint: str | None = None
    details: dict[str, Any] = {}


class NoriaError(Exception):
    """Anything that Noria refuses or fails to do.

    Parameters
    ----------
    message
        One sentence that names the value, without a full stop.
    hint
        The command, key or call that mends it.
    details
        Facts for programs: JSON values only.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    _classes: ClassVar[dict[str, type[NoriaError]]] = {}

    def __init_subclass__(cls) -> None:
        """Enter each class that declares a code of its own into the closed table of the wire."""
        super().__init_subclass__()
        if "code" in cls.__dict__:
            NoriaError._classes[cls.code] = cls

    def __init__(
        self, message: str, *, hint: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = dict(details or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling between our own processes, with hint and details."""
        return (error_from_body, (self.to_body(),))

    def to_body(self) -> ErrorBody:
        """Give the wire form of this error."""
        return ErrorBody(code=self.code, message=self.message, hint=self.hint, details=self.details)


class Invalid(NoriaError):
    """The input is wrong; sending it again cannot help."""

    code = "invalid"


class ConfigInvalid(Invalid):
    """A setting, environment variable or `noria.toml` is wrong."""

    code = "config_invalid"


class TooLarge(Invalid):
    """The input is larger than a stated limit."""

    code = "too_large"


class NotFound(NoriaError):
    """What was named does not exist where we looked."""

    code = "not_found"


class Conflict(NoriaError):
    """The state of the thing does not allow this now."""

    code = "conflict"


class Locked(Conflict):
    """Another process holds what this one needs."""

    code = "locked"


class Unauthenticated(NoriaError):
    """No valid credential came with the request."""

    code = "unauthenticated"


class Forbidden(NoriaError):
    """The caller is known and may not do this."""

    code = "forbidden"


class Corrupt(NoriaError):
    """Stored bytes are not what they were when written."""

    code = "corrupt"


class Unavailable(NoriaError):
    """Something needed does not answer; trying again may help."""

    code = "unavailable"
    retryable = True


class StorageFull(Unavailable):
    """No room is left to write."""

    code = "storage_full"


class Failed(NoriaError):
    """The user's own code raised, or an inner step failed."""

    code = "failed"


def error_from_body(body: ErrorBody) -> NoriaError:
    """Raise-ready error of the class that the other side raised.

    The class is found by code in the closed table of loaded subclasses; a code that this process does not know
    becomes a plain `NoriaError` with everything that was sent.
    """
    cls = NoriaError._classes.get(body.code, NoriaError)
    error = cls.__new__(cls)
    NoriaError.__init__(error, body.message, hint=body.hint, details=body.details)
    return error


def near(name: str, known: Iterable[str]) -> str | None:
    """Give the known name closest to `name`, or None when nothing is close.

    Examples
    --------
    >>> near("degits", ["digits", "rankings"])
    'digits'
    >>> near("xyz", ["digits"]) is None
    True
    """
    import difflib  # for mistakes alone

    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown_name(kind: str, name: str, known: Iterable[str], *, see: str | None = None) -> NotFound:
    """Build the `NotFound` for a name that is not among the known ones, with the near name in the hint.

    Parameters
    ----------
    kind
        What the name stands for: "dataset", "model".
    see
        A command that lists the good names.
    """
    names = sorted(known)
    close = near(name, names)
    if close:
        hint = f"Did you mean `{close}`?"
    elif names:
        hint = "Known: " + ", ".join(f"`{n}`" for n in names[:10]) + (" …" if len(names) > 10 else "")
    else:
        hint = "There is none yet"
    if see:
        hint += f" (see `{see}`)"
    return NotFound(f"There is no {kind} `{name}`", hint=hint, details={"kind": kind, "name": name})
