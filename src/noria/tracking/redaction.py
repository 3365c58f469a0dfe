"""Replace secrets in what is captured without being asked: command lines, diffs, console output, messages of errors.

Found are values of options and assignments whose name speaks of a secret, passwords in addresses, bearer tokens,
tokens of known shapes, private keys in PEM, and the values of the environment's own secrets wherever they stand.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote, unquote, urlsplit

HIDDEN = "***"

_SENSITIVE = (
    r"[\w.-]{0,99}(?:passw(?:or)?d|passphrase|secret|token(?!s|iz)|credential"
    r"|api[_-]?key|access[_-]?key|private[_-]?key)[\w.-]{0,99}"
)
_SECRET_OPTION = re.compile(rf"-{{1,2}}{_SENSITIVE}", re.IGNORECASE)
_QUOTED = r"\"[^\"\n]*\"?|'[^'\n]*'?"
_ASSIGNED = rf"((?:^|[\s,;&?\"'{{(\[])[-+]{{0,2}}{_SENSITIVE}[\"']?\s*[=:]\s*)"
_ASSIGNMENT = re.compile(rf"{_ASSIGNED}(?:{_QUOTED}|[^\s,;&}}]+)", re.IGNORECASE)
_LITERAL = re.compile(rf"{_ASSIGNED}(?:[rbuf]{{0,2}}(?:{_QUOTED}))", re.IGNORECASE)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://)[^/\s@]+@", re.IGNORECASE)
# A digit or a padding must be in it: "a basic understanding" is no credential.
_BEARER = re.compile(r"\b((?:bearer|basic)\s+)(?=[\w.~+/-]*[0-9=])[\w.~+/=-]{8,}", re.IGNORECASE)
_SHAPES = re.compile(
    r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sk-[\w-]{16,}|xox[abprs]-[\w-]{10,}"
    r"|hf_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_PEM_END = re.compile(r"-----END [A-Z ]*PRIVATE KEY-----")
_PEM = re.compile(rf"({_PEM_BEGIN.pattern}).*?(?:{_PEM_END.pattern}|\Z)", re.DOTALL)

_SECRET_VARIABLE = re.compile(rf"{_SENSITIVE}|.*_(?:key|pwd|pat|auth)", re.IGNORECASE)
_LEAST_VALUE_CHARS = 6
"""A shorter value (`1`, `true`) stands in ordinary text too often to be looked for."""

_CODE = (
    ".py",
    ".pyi",
    ".ipynb",
    ".r",
    ".jl",
    ".js",
    ".ts",
    ".java",
    ".scala",
    ".c",
    ".cc",
    ".cpp",
    ".h",
    ".rs",
)


def redact(text: str) -> str:
    """Replace what looks like a secret in free text.

    Examples
    --------
    >>> redact("postgresql://ana:pw@db/runs password=hunter2")
    'postgresql://***@db/runs password=***'
    """
    return _ASSIGNMENT.sub(rf"\1{HIDDEN}", _redact_shapes(text))


def redact_code(text: str) -> str:
    """Replace secrets in a program: there `token = next(tokens)` is no secret, and `token = "s3cr3t"` is.

    Examples
    --------
    >>> redact_code('token = next(tokens); password = "hunter2"')
    'token = next(tokens); password = ***'
    """
    return _LITERAL.sub(rf"\1{HIDDEN}", _redact_shapes(text))


def _redact_shapes(text: str) -> str:
    text = _PEM.sub(rf"\1{HIDDEN}", text)
    text = _USERINFO.sub(rf"\1{HIDDEN}@", text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    return _SHAPES.sub(HIDDEN, text)


def redact_command(arguments: Sequence[str]) -> str:
    """Join a command line, without the values of options that name a secret.

    Examples
    --------
    >>> redact_command(["train.py", "--lr", "0.1", "--api-key", "abc123"])
    'train.py --lr 0.1 --api-key ***'
    """
    shown: list[str] = []
    hide_next = False
    for argument in arguments:
        hidden = hide_next and not argument.startswith("-")
        shown.append(HIDDEN if hidden else _quote(redact(argument)))
        hide_next = _SECRET_OPTION.fullmatch(argument) is not None
    return " ".join(shown)


def _quote(argument: str) -> str:
    return argument if HIDDEN in argument else shlex.quote(argument)


class Redactor:
    """Replaces secrets, those of an environment among them.

    Parameters
    ----------
    environ
        Values of variables whose names speak of a secret, and passwords in addresses, are hidden wherever they stand.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        found = {form for value in _secret_values(environ) for form in _forms(value)}
        longest_first = sorted(found, key=lambda value: (-len(value), value))
        self._values = re.compile("|".join(map(re.escape, longest_first))) if found else None

    def text(self, text: str) -> str:
        """Redact free text."""
        return redact(self._hide_values(text))

    def code(self, text: str) -> str:
        """Redact a program, where only literals are secrets."""
        return redact_code(self._hide_values(text))

    def command(self, arguments: Sequence[str]) -> str:
        """Redact and join a command line."""
        return redact_command([self._hide_values(argument) for argument in arguments])

    def diff(self, diff: str) -> str:
        """Redact what `git diff` printed; in programs only literals, so that most diffs still apply."""
        return "".join(
            redact_code(part) if is_code else redact(part)
            for is_code, part in _files_of(self._hide_values(diff))
        )

    def _hide_values(self, text: str) -> str:
        return text if self._values is None else self._values.sub(HIDDEN, text)


class LineRedactor:
    """Redacts the lines of a stream one after the other; a private key goes over several of them."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._in_key = False

    def lines(self, lines: Iterable[str]) -> list[str]:
        """Redact further lines."""
        return list(self._redacted(lines))

    def _redacted(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if self._in_key:
                self._in_key = _PEM_END.search(line) is None
                continue
            begins = _PEM_BEGIN.search(line)
            self._in_key = begins is not None and _PEM_END.search(line, begins.end()) is None
            yield self._redactor.text(line)


def _secret_values(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        if _SECRET_VARIABLE.fullmatch(name):
            yield from (line.strip() for line in value.splitlines())
        elif "://" in value and "@" in value:
            yield from _passwords(value)


def _passwords(address: str) -> Iterator[str]:
    try:
        password = urlsplit(address).password
    except ValueError:
        return
    if password:
        yield from (password, unquote(password))


def _forms(value: str) -> Iterator[str]:
    if len(value) >= _LEAST_VALUE_CHARS:
        yield value
        yield quote(value, safe="")


def _files_of(diff: str) -> Iterator[tuple[bool, str]]:
    """Cut a diff into its files; tells of each whether it is a program."""
    for part in re.split(r"(?m)^(?=diff --git )", diff):
        name = part.partition("\n")[0].rstrip('"').lower()
        yield name.endswith(_CODE), part
