"""The cache key of a step: what its result depends on, part by part, and what differs between two keys.

A key is the BLAKE3 of the syntax trees of the step and of every function, class and module variable of the project
that it reaches, of its arguments (outputs of other steps and paths by content), of the versions of the distributions
that it reaches, and of Python's minor version. Comments, formatting, docstrings and code that the step does not reach
are not part of it. A file whose path stands as text in the code or the arguments is part of it by content, and an
environment variable whose name stands in code that reads the environment, by value.
"""

from __future__ import annotations

import glob
import inspect
import itertools
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import blake3

from noria.core.errors import NotFound, TooLarge
from noria.core.serialisation import to_canonical_json
from noria.pipelines.authoring import Step
from noria.pipelines.cache_entities import KeyPart, KeyParts
from noria.pipelines.distributions import Home, home_of, is_library, python_version
from noria.pipelines.gathering import Reach
from noria.pipelines.hidden import sees_text
from noria.pipelines.outputs import Output
from noria.pipelines.paths import digest_of_path
from noria.pipelines.reach import find_named, reach_of
from noria.pipelines.sources import digest_of_file, digest_of_tree
from noria.pipelines.values import Fingerprint, Unfingerprintable, fingerprint

KEY_VERSION = 2
"""Raised when keys or stored forms change their meaning: older entries are then never hit."""

_LOOKS_LIKE_PATH = re.compile(r"(?=[^\0\n]*[./])[^\0\n]{1,1024}")

_MOST_MATCHES = 1000

MENDS = (
    "give it as a parameter or as the output of another step, or tell its content with "
    "`noria.register_fingerprint(Type, function)`"
)


def key_parts(step: Step[..., Any], arguments: Mapping[str, Any], root: Path) -> KeyParts:
    """Gather what a call of a step depends on.

    Parameters
    ----------
    arguments
        By parameter; outputs of other steps as handles, also inside lists, tuples and dicts.
    root
        Root of the project.

    Raises
    ------
    InputMissing
        If a path among the arguments leads nowhere.
    """
    function = step.function
    home = home_of(function.__module__ or "", function.__code__.co_filename, root)
    values, refused = _fingerprints(arguments)
    try:
        reach = reach_of(function, home, _code_in(values))
    except NotFound as error:
        return KeyParts(step=identity_of(step, home), python=python_version(), refused=[error.message])
    tree, widened = _widened(reach, home)
    inputs = {name for name, value in arguments.items() if _is_input(value)}
    texts = reach.texts.union(*map(_texts_in, arguments.values()))
    return KeyParts(
        step=identity_of(step, home),
        python=python_version(),
        code=reach.code,
        constants={
            **{name: _part(found) for name, found in reach.constants.items()},
            **(_environment(texts) if reach.reads_environment else {}),
        },
        parameters={name: _part(found) for name, found in values.items() if name not in inputs},
        inputs={
            **_named_files(texts, root),
            **{name: _part(found) for name, found in values.items() if name in inputs},
        },
        bindings=reach.bindings,
        distributions=reach.distributions,
        tree=tree,
        dynamic=sorted(reach.dynamic),
        refused=[*refused, *reach.refused, *widened],
    )


def bound_arguments(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Give the arguments of a call by parameter, with the defaults filled in.

    Raises
    ------
    TypeError
        If they do not fit, as a plain call would raise.
    """
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def key_of(parts: KeyParts) -> str | None:
    """Give the key, 64 hex digits; None if a part has no fingerprint."""
    if parts.refused:
        return None
    document = {
        "version": KEY_VERSION,
        "step": parts.step,
        "python": parts.python,
        "code": parts.code,
        "constants": _digests(parts.constants),
        "bindings": parts.bindings,
        "parameters": _digests(parts.parameters),
        "inputs": _digests(parts.inputs),
        "distributions": parts.distributions,
        "tree": parts.tree,
    }
    return blake3.blake3(to_canonical_json(document)).hexdigest()


def explain(before: KeyParts, after: KeyParts) -> str | None:
    """Say in words what differs between two keys of a step; None if nothing does.

    The nearest cause comes first: parameters, then inputs, code, variables, distributions, Python.

    Examples
    --------
    >>> one = KeyParts(step="p.py:fit", python="3.11", parameters={"c": KeyPart(digest="1", text="1.0")})
    >>> two = KeyParts(step="p.py:fit", python="3.11", parameters={"c": KeyPart(digest="2", text="10.0")})
    >>> explain(one, two)
    'parameter `c` was 1.0, is 10.0'
    """
    found = [
        *_changed_values("parameter", before.parameters, after.parameters),
        *_changed_inputs(before.inputs, after.inputs),
        *_changed_code(before.code, after.code),
        *_changed_values("variable", before.constants, after.constants),
        *_changed_versions(before.distributions, after.distributions),
    ]
    found = found or _changed_bindings(before.bindings, after.bindings)
    if before.python != after.python:
        found.append(f"Python was {before.python}, is {after.python}")
    if not found and before.tree != after.tree:
        found.append(f"the project changed, and the step hides what it reaches ({_listed(after.dynamic)})")
    if not found:
        return None
    return found[0] if len(found) == 1 else f"{found[0]} (and {len(found) - 1} more)"


def _texts_in(value: Any) -> set[str]:
    if type(value) is str:
        return {value}
    if type(value) in (list, tuple, dict):
        return set().union(*map(_texts_in, value.values() if type(value) is dict else value))
    return set()


def _named_files(texts: Iterable[str], root: Path) -> dict[str, KeyPart]:
    """Fingerprint the files whose paths stand as text, seen from the working folder and from the root."""
    found = {}
    for text in texts:
        if not _LOOKS_LIKE_PATH.fullmatch(text):
            continue
        if "*" in text:
            found.update(_matched_files(text, root))
            continue
        # Asked for every text in the code, and hardly ever is there a file: links are resolved only then.
        for named in dict.fromkeys((text, os.path.join(root, text))):  # noqa: PTH118
            place = os.path.realpath(named) if os.path.isfile(named) else ""  # noqa: PTH113
            if place and not is_library(place):
                found[text] = KeyPart(digest=digest_of_path(Path(place)), text=text)
                break
    return found


def _matched_files(pattern: str, root: Path) -> dict[str, KeyPart]:
    """Fingerprint the files that a pattern stands for, as Polars takes one."""
    if pattern.rpartition("/")[2].startswith("."):
        return {}  # a regular expression
    for folder in dict.fromkeys((str(Path.cwd()), str(root))):
        names = sorted(itertools.islice(glob.iglob(pattern, root_dir=folder), _MOST_MATCHES))  # noqa: PTH207 - lazy
        places = {name: Path(folder, name) for name in names}
        told = [[name, digest_of_path(place)] for name, place in places.items() if place.is_file()]
        if told:
            return {pattern: KeyPart(digest=blake3.blake3(to_canonical_json(told)).hexdigest(), text=pattern)}
    return {}


def _environment(texts: Iterable[str]) -> dict[str, KeyPart]:
    # The values may be secrets: only their digests are kept.
    return {
        f"environment:{name}": KeyPart(digest=fingerprint(os.environ[name]).digest, text="<set>")
        for name in texts
        if name in os.environ
    }


def _fingerprints(arguments: Mapping[str, Any]) -> tuple[dict[str, Fingerprint], list[str]]:
    values, refused = {}, []
    for name, value in arguments.items():
        try:
            values[name] = fingerprint(value)
        except Unfingerprintable as error:
            refused.append(f"the argument `{name}` is {error}")
    return values, refused


def _code_in(values: Mapping[str, Fingerprint]) -> tuple[Any, ...]:
    found = [thing for value in values.values() for thing in value.code]
    return (*found, *(find_named(name) for value in values.values() for name in value.named))


def _widened(reach: Reach, home: Home) -> tuple[str | None, list[str]]:
    """Hash the whole project, with its modules that lie elsewhere, for a step that hides what it reaches."""
    if not reach.dynamic:
        return None, []
    with_text = sees_text(reach.dynamic)
    try:
        outside = [(name, digest_of_file(place, with_text=with_text)) for name, place in reach.elsewhere]
        inside = digest_of_tree(home.tree, with_text=with_text)
    except TooLarge as error:
        return None, [
            f"the step hides what it reaches ({_listed(sorted(reach.dynamic))}), and {error.message}"
        ]
    return blake3.blake3(to_canonical_json([inside, outside])).hexdigest() if outside else inside, []


def _is_input(value: Any) -> bool:
    if type(value) is Output or isinstance(value, Path):
        return True
    return type(value) in (list, tuple, dict) and _holds_input(value)


def _holds_input(value: Any) -> bool:
    return any(map(_is_input, value.values() if isinstance(value, dict) else value))


def identity_of(step: Step[..., Any], home: Home) -> str:
    """Name a step by its place: `pipeline.py:fit`."""
    function = step.function
    origin = home.origin(function.__module__ or "", function.__code__.co_filename)
    return f"{origin.name}:{function.__qualname__}"


def _part(found: Fingerprint) -> KeyPart:
    return KeyPart(digest=found.digest, text=found.text)


def _digests(parts: Mapping[str, KeyPart]) -> dict[str, str]:
    return {name: part.digest for name, part in parts.items()}


def _changed_values(kind: str, before: Mapping[str, KeyPart], after: Mapping[str, KeyPart]) -> list[str]:
    found = []
    for name in _names(before, after):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            found.append(f"{kind} `{_short(name)}` is {'new' if old is None else 'gone'}")
        elif old.digest != new.digest:
            told = f" was {old.text}, is {new.text}" if old.text != new.text else " changed"
            found.append(f"{kind} `{_short(name)}`{_place(name)}{told}")
    return found


def _changed_inputs(before: Mapping[str, KeyPart], after: Mapping[str, KeyPart]) -> list[str]:
    changed = [name for name in _names(before, after) if before.get(name) != after.get(name)]
    return [f"input `{name}` has other content" for name in changed]


def _changed_code(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    names = [name for name in _names(before, after) if before.get(name) != after.get(name)]
    # A method that changed says more than its class.
    names = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
    found = []
    for name in names:
        change = "is new" if name not in before else "is gone" if name not in after else "changed"
        found.append(f"function `{_short(name)}`{_place(name)} {change}")
    # A function that changed explains why others came or went.
    return sorted(found, key=lambda text: not text.endswith("changed"))


def _changed_versions(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    changed = [name for name in _names(before, after) if before.get(name) != after.get(name)]
    return [f"`{name}` was {before.get(name, 'unused')}, is {after.get(name, 'unused')}" for name in changed]


def _changed_bindings(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    found = []
    for name in _names(before, after):
        old, new = (names.get(name, "what it says").partition(" ")[0] for names in (before, after))
        if before.get(name) != after.get(name):
            told = "stands for something else" if old == new else f"stood for `{old}`, stands for `{new}`"
            found.append(f"`{_short(name)}`{_place(name)} {told}")
    return found


def _names(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return sorted(before.keys() | after.keys())


def _short(name: str) -> str:
    return name.rpartition(":")[2]


def _place(name: str) -> str:
    place = name.rpartition(":")[0]
    return f" in {place}" if place else ""


def _listed(constructs: list[str]) -> str:
    shown = ", ".join(constructs[:3])
    return f"{shown} …" if len(constructs) > 3 else shown
