"""What names, references, aliases, tags and stages may be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from noria.core.errors import Conflict, Invalid, TooLarge
from noria.core.names import check_name
from noria.registry.entities import ModelVersion, ServableVersion, SourceVersion, Stage
from noria.tracking.limits import check_instant, check_key

MAX_NAME_CHARS: Final = 500
MAX_ALIAS_CHARS: Final = 255
MAX_TAG_CHARS: Final = 100_000
MAX_TEXT_CHARS: Final = 100_000
MAX_SOURCE_CHARS: Final = 10_000
_NUMBERS_END: Final = 2**31

MLFLOW_FORMAT: Final = "mlflow"
CODE_FORMATS: Final = frozenset({"python-class"})
"""Formats whose files hold code that runs when they are loaded, whatever whoever registered them says."""

_MAX_DIGITS: Final = 100
_ALIAS = re.compile(r"[\w\-]+")
_VERSION_ALIAS = re.compile(r"[vV]\d+")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


class NotServable(Conflict):
    """The version lacks something that loading and serving it needs."""

    code = "not_servable"

    def __init__(self, ref: str, missing: list[str], hint: str) -> None:
        super().__init__(
            f"`{ref}` cannot be loaded or served here: it has no {_listed(missing)}",
            hint=hint,
            details={"ref": ref, "missing": missing},
        )


class ConsentMissing(Conflict):
    """The version's files run code of their own when they are loaded, and nobody has consented to that."""

    code = "consent_missing"

    def __init__(self, version: ModelVersion) -> None:
        with_code = "a class with its code, and loading it runs that code"
        pickles = "pickles, and loading it runs whatever code they hold"
        holds = with_code if version.format in CODE_FORMATS else pickles
        super().__init__(
            f"`{version.ref}` holds {holds}",
            hint="If you trust whoever made it, let it be loaded: "
            f"`noria models consent {version.ref} --project {version.project}`",
            details={"ref": version.ref, "digest": version.digest},
        )


def files_of(version: ModelVersion) -> str:
    """Give the digest of a version's files.

    Raises
    ------
    NotServable
        If they are not in this workspace.
    """
    if version.digest is None:
        raise NotServable(version.ref, ["files in this workspace"], _mend(version))
    return version.digest


def servable(version: ModelVersion) -> ServableVersion:
    """Give the version as one that can be loaded and served.

    Raises
    ------
    NotServable
        If its files, format, signature or task are not known; the message names all that is missing.
    """
    named = {
        "files in this workspace": version.digest,
        "format that is known": version.format,
        "signature": version.signature,
        "task": version.task,
    }
    missing = [name for name, value in named.items() if value is None]
    if missing:
        raise NotServable(version.ref, missing, _mend(version))
    return ServableVersion(**msgspec.structs.asdict(version))


def check_consent(version: ModelVersion) -> None:
    """Refuse pickles that nobody has consented to load.

    Raises
    ------
    ConsentMissing
        If there is no consent, or it was given to other files.
    """
    if version.pickled:
        require_consent(version)


def require_consent(version: ModelVersion) -> None:
    """Refuse to load what is a pickle, unless somebody has consented to load these very files.

    Raises
    ------
    ConsentMissing
        If there is no consent, or it was given to other files.
    """
    if version.consent is None or version.consent.digest != version.digest:
        raise ConsentMissing(version)


def parse_model_ref(ref: str) -> tuple[str, int | str | None]:
    """Split `digits`, `digits@3` or `digits@champion` into the name and a version, an alias, or None (the newest).

    Raises
    ------
    Invalid
        If the version is not a positive number.

    Examples
    --------
    >>> parse_model_ref("digits@champion")
    ('digits', 'champion')
    """
    # The last `@` divides: a model that came through MLflow may have others in its name.
    name, at, selector = ref.rpartition("@")
    if not at:
        return ref, None
    if not selector:
        raise Invalid(f"`{ref}` ends in `@`", hint=f"Write `{name}` or `{name}@1`")
    if selector == "latest":
        return name, None
    if not selector.isdecimal():
        return name, selector
    if len(selector) > _MAX_DIGITS or int(selector) < 1:
        raise Invalid(
            f"`{selector}` in `{ref}` is not a version", hint=f"Write `{name}@1` or `{name}@latest`"
        )
    return name, int(selector)


def check_model_name(name: str, *, field: str = "name") -> str:
    """Give `name` back if a model may be called so: any text that is no path and holds neither `/` nor `:`.

    Models that Noria itself makes have plainer names (`core.names.check_name`); this is what clients of MLflow know.

    Parameters
    ----------
    field
        What the message calls it when it is empty.

    Examples
    --------
    >>> check_model_name("Größe, monthly")
    'Größe, monthly'
    """
    if not name.strip():
        raise Invalid(f"Missing value for required parameter '{field}'.")
    if "/" in name or ":" in name:
        raise Invalid(f"Invalid model name '{_shown(name)}'. Names cannot contain '/' or ':'.")
    if name in (".", ".."):
        raise Invalid(
            f"Invalid value {json.dumps(name)} for parameter '{field}' supplied: Names may be treated as files in "
            "certain cases, and must not resolve to other names when treated as such. "
            f"This name would resolve to {name!r}"
        )
    _check_text("name", name, MAX_NAME_CHARS)
    return name


def check_alias(alias: str) -> str:
    """Give `alias` back if `model@alias` cannot be taken for a version.

    Raises
    ------
    Invalid
        If it is a number, `latest`, of the form `v1`, or no name.

    Examples
    --------
    >>> check_alias("champion")
    'champion'
    """
    if not alias:
        raise Invalid("An alias cannot be empty", hint="Use a word, such as `champion`")
    if alias.isdecimal():
        raise Invalid(
            f"`{_shown(alias)}` cannot be an alias: `model@{_shown(alias)}` is a version",
            hint="Use a word, such as `champion`",
        )
    if alias.lower() == "latest":
        raise Invalid(
            f"`{alias}` cannot be an alias: `model@latest` is the newest version",
            hint="Use another word, such as `champion`",
        )
    if _VERSION_ALIAS.fullmatch(alias):
        raise Invalid(
            f"`{_shown(alias)}` cannot be an alias: it reads as a version",
            hint="Use a word, such as `champion`",
        )
    if not _ALIAS.fullmatch(alias):
        # Names with dots are aliases of Noria's own.
        check_name("alias", alias)
    _check_text("Registered model alias name", alias, MAX_ALIAS_CHARS)
    return alias


def check_metrics(metrics: dict[str, float]) -> None:
    """Refuse metrics that are NaN or infinite: a version is compared by them."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Invalid(
                f"The metric `{name}` of the version is {value}", hint="Register finite numbers only"
            )


def check_tags(tags: Mapping[str, str | None]) -> None:
    """Refuse tags whose key is no tidy name, and keys and values that are too long."""
    for key, value in tags.items():
        check_key("tag", key)
        _check_text("value", value or "", MAX_TAG_CHARS)


def check_description(text: str | None) -> None:
    """Refuse a description that is too long or cannot be stored."""
    _check_text("description", text or "", MAX_TEXT_CHARS)


def check_source(new: SourceVersion) -> None:
    """Refuse what cannot be said of a version."""
    _check_text("source", new.source, MAX_SOURCE_CHARS)
    for what, text in (("run_id", new.run_id), ("run_link", new.run_link), ("model_id", new.model_id)):
        _check_text(what, text or "", MAX_SOURCE_CHARS)
    _check_text("location", new.location or "", MAX_SOURCE_CHARS)
    if new.number is not None and not 1 <= new.number < _NUMBERS_END:
        raise Invalid(f"`{new.number}` cannot be the number of a version", hint="Count from 1")
    check_instant("creation of the version", new.created_at)
    check_description(new.description)
    check_tags(new.tags)


def parse_stage(text: str) -> Stage:
    """Read a stage, in any case.

    Examples
    --------
    >>> parse_stage("production").value
    'Production'
    """
    for stage in Stage:
        if stage.value.lower() == text.lower():
            return stage
    raise Invalid(
        f"Invalid Model Version stage: {_shown(text)}. Value must be one of None, Staging, Production, Archived."
    )


def check_archiving(stage: Stage, given: str) -> None:
    """Refuse to archive what stands in a stage that is not in use."""
    if not stage.is_active:
        raise Invalid(
            "Model version transition cannot archive existing model versions because "
            f"'{_shown(given)}' is not an Active stage. Valid stages are ['Staging', 'Production']"
        )


def _check_text(what: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise TooLarge(f"'{what}' exceeds the maximum length of {limit} characters")
    if _UNSTORABLE.search(text):
        raise Invalid(
            f"The {what} {_shown(text)!a} holds a character that cannot be stored",
            hint="Remove null characters and halves of surrogate pairs",
        )


def _shown(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and no " + parts[-1]


def _mend(version: ModelVersion) -> str:
    if version.digest is None:
        return f"Its source is `{version.source}`: log the model to this workspace and register it from there"
    if version.format is None:
        return "Register a folder that a model was saved to, with its `MLmodel` file"
    return "Log the model with a signature (`infer_signature(x, model.predict(x))`) and register it again"
