"""Read `.dvc` files, `dvc.lock` and `dvc.yaml`. They come from outside: nothing in them is believed unchecked."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from noria.core.errors import NoriaError
from noria.core.objects.paths import check_path
from noria.interop.dvc.entities import DvcRepositoryInvalid, Output, Passed

LIMIT_BYTES: Final = 32 * 1024 * 1024
"""Largest of these files that is read."""

LOCK, STAGES, SUFFIX = "dvc.lock", "dvc.yaml", ".dvc"

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_NOT_CACHED: Final = "it is kept in git, not in DVC's cache"


def is_read(path: str) -> bool:
    """Tell whether a file of the repository says what DVC keeps."""
    name = posixpath.basename(path)
    return name in {LOCK, STAGES} or (name.endswith(SUFFIX) and name != SUFFIX)


def read_outputs(files: Mapping[str, bytes], commit: str) -> tuple[list[Output], list[Passed]]:
    """Read what one state of a repository keeps.

    Parameters
    ----------
    files
        By path, all for which `is_read` is true.
    commit
        For the report.

    Returns
    -------
    tuple
        What is kept, in the order of paths, and what cannot be imported, with the reason.
    """
    found: dict[str, Output] = {}
    passed: list[Passed] = []
    for path in sorted(files):
        if path.endswith(STAGES):
            continue
        try:
            for output in _outputs_of(path, files):
                if isinstance(output, Output):
                    found[output.path] = output
                else:
                    passed.append(Passed(path=output[0], commit=commit, why=output[1]))
        except NoriaError as error:
            passed.append(Passed(path=path, commit=commit, why=error.message))
    return [found[path] for path in sorted(found)], passed


def _outputs_of(path: str, files: Mapping[str, bytes]) -> Iterator[Output | tuple[str, str]]:
    folder = posixpath.dirname(path)
    content = _mapping(path, files[path])
    if not path.endswith(LOCK):
        yield from _each(content, _below(folder, content.get("wdir")), frozenset())
        return
    stages = content.get("stages", {}) if "schema" in content else content
    definitions = _definitions(posixpath.join(folder, STAGES), files)
    for name, stage in stages.items() if isinstance(stages, dict) else ():
        if isinstance(stage, dict):
            definition = definitions.get(str(name).partition("@")[0], {})
            yield from _each(stage, _below(folder, definition.get("wdir")), _uncached(definition))


def _each(
    stage: Mapping[str, Any], folder: str, uncached: frozenset[str]
) -> Iterator[Output | tuple[str, str]]:
    outs = stage.get("outs", [])
    for out in outs if isinstance(outs, list) else ():
        if not isinstance(out, dict) or not isinstance(out.get("path"), str):
            yield folder, "an output has no path"
            continue
        shown = posixpath.normpath(posixpath.join(folder, out["path"]))
        why = _obstacle(out, shown, out["path"] in uncached)
        if why:
            yield shown, why
        else:
            yield Output(path=shown, md5=out["md5"], executable=out.get("isexec") == "true")


def _obstacle(out: Mapping[str, Any], path: str, uncached: bool) -> str:
    """Say why an output cannot be imported; empty if it can."""
    if uncached or out.get("cache") == "false":
        return _NOT_CACHED
    if "://" in out["path"]:
        return "it lies outside the repository"
    try:
        check_path(path)
    except NoriaError as error:
        return error.message
    md5 = out.get("md5")
    if md5 is None:
        kinds = ", ".join(f"`{key}`" for key in ("etag", "checksum", "files") if key in out)
        return (
            f"it is known by {kinds}, and only what has an MD5 can be verified"
            if kinds
            else "it has no MD5 yet"
        )
    return "" if isinstance(md5, str) and _MD5.fullmatch(md5) else f"`{str(md5)[:50]}` is no MD5"


def _definitions(path: str, files: Mapping[str, bytes]) -> Mapping[str, Any]:
    """Give the stages of a `dvc.yaml` by name; none where it is missing or cannot be read."""
    try:
        stages = _mapping(path, files.get(path, b"")).get("stages", {})
    except DvcRepositoryInvalid:
        return {}
    plain = stages if isinstance(stages, dict) else {}
    # A stage that is made for each item of a list stands one level lower.
    return {
        str(name): stage.get("do", stage) if isinstance(stage, dict) else {} for name, stage in plain.items()
    }


def _uncached(definition: Any) -> frozenset[str]:
    if not isinstance(definition, dict):
        return frozenset()
    found = set()
    for kind in ("outs", "metrics", "plots"):
        listed = definition.get(kind, [])
        for item in listed if isinstance(listed, list) else ():
            if isinstance(item, dict):
                found |= {
                    str(path)
                    for path, options in item.items()
                    if isinstance(options, dict) and options.get("cache") == "false"
                }
    return frozenset(found)


def _below(folder: str, wdir: Any) -> str:
    if not isinstance(wdir, str) or "${" in wdir:
        return folder
    return posixpath.normpath(posixpath.join(folder, wdir)) if wdir not in ("", ".") else folder


def _mapping(path: str, data: bytes) -> dict[str, Any]:
    import yaml

    if len(data) > LIMIT_BYTES:
        raise DvcRepositoryInvalid(f"`{path}` has {len(data)} bytes; the limit is {LIMIT_BYTES}")
    # Every scalar stays text: an MD5 of digits alone is no number. Nothing is made of tags.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        content = yaml.load(data, Loader=loader)  # noqa: S506 - either loader makes text, lists and mappings
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DvcRepositoryInvalid(f"`{path}` cannot be read as YAML: {line}") from error
    if content in (None, ""):
        return {}
    if not isinstance(content, dict):
        raise DvcRepositoryInvalid(f"`{path}` is not a file of DVC")
    return content
