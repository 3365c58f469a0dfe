"""Names as Kubernetes takes them: labels of DNS, images, secrets, labels of objects."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from noria.core.errors import Invalid

LONGEST_LABEL: Final = 63
LONGEST_CRON_JOB: Final = 52
"""A CronJob's jobs add eleven characters to its name, and are labels too."""

OWN_LABELS: Final = ("app.kubernetes.io/", "noria/")
"""How the labels begin that we set ourselves, and by which Services find their pods."""

_LABEL = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_SECRET_KEY = re.compile(r"[A-Za-z0-9._-]+")
_LABEL_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_FOREIGN = re.compile(r"[^a-z0-9]+")
_IMAGE = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?/)?"  # host
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?"
)


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One value of a Secret that the cluster holds; manifests refer to it and never hold it."""

    name: str
    key: str


def label_of(name: str, *, limit: int = LONGEST_LABEL) -> str:
    """Give the label of DNS that stands for a name of ours.

    A name that is such a label is its own; any other is written in small letters, digits and `-`, with eight digits of
    its SHA-256 behind it, so that two names have two labels.

    Examples
    --------
    >>> label_of("iris")
    'iris'
    >>> label_of("Iris_v2.final")
    'iris-v2-final-96454559'
    """
    if _LABEL.fullmatch(name) and len(name) <= limit:
        return name
    digits = hashlib.sha256(name.encode()).hexdigest()[:8]
    plain = _FOREIGN.sub("-", name.lower()).strip("-")
    if not plain[:1].isalpha():
        plain = f"n-{plain}".rstrip("-")
    return f"{plain[: limit - 9].rstrip('-')}-{digits}"


def check_label(option: str, text: str, *, limit: int = LONGEST_LABEL) -> str:
    """Give `text` back if it is a label of DNS (RFC 1035) of at most `limit` characters; else refuse it with one."""
    if _LABEL.fullmatch(text) and len(text) <= limit:
        return text
    raise Invalid(
        f"`{text}` of `{option}` is no name that Kubernetes takes",
        hint=f"At most {limit} small letters, digits and `-`, beginning with a letter: "
        f"`{option} {label_of(text, limit=limit)}`",
    )


def check_object_name(option: str, text: str) -> str:
    """Give `text` back if an object such as a Secret may have this name."""
    if _SUBDOMAIN.fullmatch(text) and len(text) <= 253:
        return text
    raise Invalid(
        f"`{text}` of `{option}` is no name that Kubernetes takes",
        hint=f"Small letters, digits, `-` and `.`, such as `{option} {label_of(text)}`",
    )


def secret_key(option: str, text: str, *, key: str) -> SecretKey:
    """Read `NAME[:KEY]`.

    Parameters
    ----------
    key
        The key, where none is given.

    Raises
    ------
    Invalid
        If one of them is no name of a Secret or of a key in it.
    """
    name, colon, chosen = text.partition(":")
    if colon and not (_SECRET_KEY.fullmatch(chosen) and len(chosen) <= 253):
        raise Invalid(
            f"`{chosen}` of `{option}` is no key of a Secret",
            hint=f"Letters, digits, `.`, `_` and `-`, such as `{option} {name or 'noria'}:{key}`",
        )
    return SecretKey(check_object_name(option, name), chosen or key)


def is_image(text: str) -> bool:
    """Tell whether a text is a reference of an image.

    Examples
    --------
    >>> is_image("registry.example:5000/team/iris:1"), is_image("Iris"), is_image("iris 1")
    (True, False, False)
    """
    return _IMAGE.fullmatch(text) is not None


def check_image(text: str) -> str:
    """Give the reference of an image back if it says which image, now and next year.

    Raises
    ------
    Invalid
        If it is no reference, or names neither a digest nor a tag other than `latest`.
    """
    found = _IMAGE.fullmatch(text)
    if found is None:
        raise Invalid(
            f"`{text}` of `--image` is no reference of an image",
            hint="Such as `registry.example/team/iris:1` or `registry.example/team/iris@sha256:…`",
        )
    if found["digest"] is None and found["tag"] in (None, ":latest"):
        bare = text.removesuffix(":latest")
        raise Invalid(
            f"`{text}` of `--image` is another image each time that somebody pushes one",
            hint=f"Name a tag or a digest: `--image {bare}:1`, `--image {bare}@sha256:…`",
        )
    return text


def read_labels(texts: Iterable[str]) -> Mapping[str, str]:
    """Read `KEY=VALUE` labels in the order of their keys.

    Raises
    ------
    Invalid
        If one is no label, is given twice, or is one that we set ourselves.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not _is_label_key(key) or not _is_label_value(value):
            raise Invalid(
                f"`{text}` of `--label` is no label that Kubernetes takes",
                hint="Such as `--label team=ranking` or `--label example.org/cost-centre=42`; "
                "values have at most 63 letters, digits, `.`, `_` and `-`",
            )
        if key in found or key.startswith(OWN_LABELS):
            why = "is given twice" if key in found else "is set by Noria itself"
            raise Invalid(f"The label `{key}` {why}", hint=f"Leave out `--label {text}`")
        found[key] = value
    return MappingProxyType(dict(sorted(found.items())))


def _is_label_key(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    good = _LABEL_PART.fullmatch(name) is not None and len(name) <= LONGEST_LABEL
    return good and (not slash or (_SUBDOMAIN.fullmatch(prefix) is not None and len(prefix) <= 253))


def _is_label_value(text: str) -> bool:
    return not text or (_LABEL_PART.fullmatch(text) is not None and len(text) <= LONGEST_LABEL)
