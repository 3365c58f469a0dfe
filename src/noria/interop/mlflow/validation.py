"""MLflow's rules on what may be logged, with its wording. They come before the store's own rules, which are wider.

Values that are too long are cut, as MLflow's server does unless it is told otherwise.
"""

from __future__ import annotations

import functools
import posixpath
import re
from typing import Final

from noria.interop.mlflow.decoding import invalid_value
from noria.interop.mlflow.errors import invalid

MAX_KEY_CHARS: Final = 250
MAX_PARAM_CHARS: Final = 6_000
MAX_TAG_CHARS: Final = 8_000
MAX_EXPERIMENT_TAG_CHARS: Final = 20_000
MAX_EXPERIMENT_NAME_CHARS: Final = 500

_KEY = re.compile(r"[/\w.\- :]*\n?")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}\n?")
_BAD_CHARACTER = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:)"
    " and slashes (/)."
)


@functools.lru_cache(maxsize=4096)
def fault_of_key(key: str) -> str | None:
    """Say why a text cannot be the key of a metric, param or tag, or None if it can.

    Examples
    --------
    >>> fault_of_key("val/accuracy") is None
    True
    >>> fault_of_key("a//b")[-32:]
    "This name would resolve to 'a/b'"
    """
    if not _KEY.fullmatch(key):
        return _BAD_CHARACTER
    resolved = posixpath.normpath(key)
    if resolved != key or resolved == "." or resolved.startswith(("..", "/")):
        return (
            "Names may be treated as files in certain cases, and must not resolve to other names"
            f" when treated as such. This name would resolve to {resolved!r}"
        )
    return None


def check_key(key: str, path: str) -> None:
    """Refuse what cannot be the key of a metric, param or tag."""
    fault = fault_of_key(key)
    if fault is not None:
        raise invalid(invalid_value(path, key, fault))


def check_length(what: str, text: str, limit: int) -> None:
    """Refuse a text that is too long."""
    if len(text) > limit:
        raise invalid(f"'{what}' exceeds the maximum length of {limit} characters")


def check_param(key: str, value: str, path: str = "") -> str:
    """Check a param, and give the value that is kept."""
    if fault_of_key(key) is not None or len(key) > MAX_KEY_CHARS:
        check_key(key, joined(path, "key"))
        check_length("Param key", key, MAX_KEY_CHARS)
    return value[:MAX_PARAM_CHARS]


def check_tag(key: str, value: str, path: str = "") -> str:
    """Check a tag of a run, and give the value that is kept."""
    if fault_of_key(key) is not None or len(key) > MAX_KEY_CHARS:
        check_key(key, joined(path, "key"))
        check_length(joined(path, "key"), key, MAX_KEY_CHARS)
    return value[:MAX_TAG_CHARS]


def check_experiment_tag(key: str, value: str) -> None:
    """Check a tag of an experiment; nothing of it is cut."""
    check_key(key, "key")
    check_length("key", key, MAX_KEY_CHARS)
    check_length("value", value, MAX_EXPERIMENT_TAG_CHARS)


def check_experiment_name(name: str) -> None:
    """Refuse a name that is empty or too long."""
    if not name:
        raise invalid(f"Invalid experiment name: '{name}'")
    check_length("name", name, MAX_EXPERIMENT_NAME_CHARS)


def check_run_id(run_id: str) -> None:
    """Refuse what cannot be the id of a run."""
    if not _RUN_ID.fullmatch(run_id):
        raise invalid(invalid_value("run_id", run_id))


def joined(path: str, name: str) -> str:
    """Give the path of a field within an element.

    Examples
    --------
    >>> joined("tags[3]", "key"), joined("", "key")
    ('tags[3].key', 'key')
    """
    return f"{path}.{name}" if path else name
