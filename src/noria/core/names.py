"""Names that people give to things, and references that pick a version of one."""

from __future__ import annotations

import re

from noria.core.errors import Invalid

MAX_NAME_LENGTH = 120
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]+")


def check_name(kind: str, name: str) -> str:
    """Give `name` back if it can stand in references, addresses and paths.

    Raises
    ------
    Invalid
        If it is empty, too long, or holds other than letters, digits, `.`, `_` and `-`.

    Examples
    --------
    >>> check_name("dataset", "digits-train")
    'digits-train'
    """
    if len(name) > MAX_NAME_LENGTH:
        raise Invalid(
            f"The {kind} name `{name[:20]}…` has {len(name)} characters",
            hint=f"Use at most {MAX_NAME_LENGTH}",
        )
    if not _NAME.fullmatch(name):
        proposal = _FOREIGN.sub("-", name).strip("-._")
        raise Invalid(
            f"`{name}` cannot be the name of a {kind}",
            hint="Use letters, digits, `.`, `_` and `-`, beginning with a letter or digit"
            + (f", such as `{proposal}`" if proposal else ""),
        )
    return name


def split_ref(ref: str) -> tuple[str, str | None]:
    """Split `name@selector`; the selector is None when there is none.

    Examples
    --------
    >>> split_ref("digits@3")
    ('digits', '3')
    >>> split_ref("digits")
    ('digits', None)
    """
    name, at, selector = ref.partition("@")
    if at and not selector:
        raise Invalid(f"`{ref}` ends in `@`", hint=f"Write `{name}` or `{name}@1`")
    return name, selector or None
