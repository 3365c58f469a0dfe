"""Read options of `noria image`, each checked."""

from __future__ import annotations

from collections.abc import Iterable

from noria.core.errors import Invalid, near
from noria.core.names import split_ref
from noria.delivery.images.containerfiles import KNOWN_EXTRAS
from noria.delivery.kubernetes.names import is_image, label_of


def read_image(option: str, text: str) -> str:
    """Read the reference of an image that is built upon; it stands in a line of a Containerfile.

    Raises
    ------
    Invalid
        If it is none.
    """
    if not is_image(text):
        raise Invalid(
            f"`{text}` of `{option}` is no reference of an image",
            hint=f"Such as `{option} registry.example/team/base:1`",
        )
    return text


def read_extras(names: Iterable[str]) -> tuple[str, ...]:
    """Read names of extras, each once, in their order.

    Raises
    ------
    Invalid
        If Noria has no such extra.
    """
    chosen = tuple(sorted(set(names)))
    for name in chosen:
        if name not in KNOWN_EXTRAS:
            close = near(name, KNOWN_EXTRAS)
            hint = (
                f"Did you mean `{close}`?"
                if close
                else f"One of {', '.join(f'`{each}`' for each in KNOWN_EXTRAS)}"
            )
            raise Invalid(f"Noria has no extra `{name}`", hint=hint)
    return chosen


def tag_of(ref: str) -> str:
    """Propose a name for the image of a version: small letters, digits and `-`, and the version as its tag."""
    model, version = split_ref(ref)
    return f"{label_of(model)}:{version or '1'}"
