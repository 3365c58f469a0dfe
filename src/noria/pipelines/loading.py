"""Find a pipeline by its name: `module:pipeline` or `path/file.py:pipeline`."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from noria.core.errors import Failed, Invalid, NoriaError, NotFound, near
from noria.pipelines.authoring import Pipeline, Step
from noria.pipelines.distributions import home_of
from noria.pipelines.failures import told

_OWN = str(Path(__file__).parent)


class PipelineNotFound(NotFound):
    """No module, or no pipeline in it, has this name."""

    code = "pipeline_not_found"


class NotAPipeline(Invalid):
    """What was named is something else than a pipeline."""

    code = "not_a_pipeline"


class ImportFailed(Failed):
    """The module of a pipeline raised while it was imported."""

    code = "import_failed"


class CodeSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where the code of a pipeline is.

    Attributes
    ----------
    root
        Folder of the project, from which the code can be imported.
    target
        Name that finds the pipeline again from `root`.
    snapshot
        Digest of a snapshot of `root`, if the code runs from one.
    """

    root: Path
    target: str
    snapshot: str | None = None


class LoadedPipeline(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline, and where its code is."""

    pipeline: Pipeline[..., Any]
    source: CodeSource


def load_pipeline(
    target: str, *, root: Path, folder: Path | None = None, snapshot: str | None = None
) -> LoadedPipeline:
    """Import the module and give its pipeline.

    Parameters
    ----------
    target
        `module:pipeline`, found from `folder`, then `root`, then like any import; or `path/file.py:pipeline`.
    root
        Root of the project.
    folder
        The working folder; `root` when left out.

    Raises
    ------
    PipelineNotFound
        If there is no such module or name; the hint has the near one.
    NotAPipeline
        If the name stands for something else.
    ImportFailed
        If the module raised; the message has the line.
    """
    place, _, name = target.partition(":")
    start = folder or root
    if not place or not name:
        raise PipelineNotFound(
            f"`{target}` does not name a pipeline", hint="Write `module:pipeline` or `path/file.py:pipeline`"
        )
    if place.endswith(".py"):
        return _load_file(start / place, name, root, snapshot)
    _put_first(root)
    _put_first(start)
    module = _import(place, start)
    return LoadedPipeline(
        pipeline=_find(module, name), source=CodeSource(root=root, target=target, snapshot=snapshot)
    )


def source_of(pipeline: Pipeline[..., Any], root: Path) -> CodeSource:
    """Tell where a pipeline's code is that was imported by other means."""
    function = pipeline.function
    if function.__module__ != "__main__":
        return CodeSource(root=root, target=pipeline.target)
    file = Path(function.__code__.co_filename).resolve()
    base = root if file.is_relative_to(root) else file.parent
    place = file.relative_to(base).as_posix() if file.exists() else "__main__"
    return CodeSource(root=base, target=f"{place}:{pipeline.name}")


def is_packaged_pipeline(pipeline: Pipeline[..., Any], root: Path) -> bool:
    """Tell whether a pipeline comes with an installed package rather than from the project."""
    function = pipeline.function
    return home_of(function.__module__, function.__code__.co_filename, root).packaged


def _load_file(path: Path, name: str, root: Path, snapshot: str | None) -> LoadedPipeline:
    file = path.resolve()
    if not file.is_file():
        raise PipelineNotFound(
            f"There is no file `{path}`",
            hint=_near_hint(path.name, [p.name for p in path.parent.glob("*.py")]),
        )
    base = root.resolve() if file.is_relative_to(root.resolve()) else file.parent
    relative = file.relative_to(base).with_suffix("")
    _put_first(base)
    _put_first(file.parent)
    importable = all(part.isidentifier() for part in relative.parts)
    module = _import(".".join(relative.parts) if importable else file.stem, file.parent)
    place = file.stem if file.parent == base and importable else file.relative_to(base).as_posix()
    target = f"{place}:{name}"
    return LoadedPipeline(
        pipeline=_find(module, name), source=CodeSource(root=base, target=target, snapshot=snapshot)
    )


def _put_first(folder: Path) -> None:
    text = str(folder.resolve())
    if text in sys.path:
        sys.path.remove(text)
    sys.path.insert(0, text)


def _import(name: str, folder: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise _import_failed(name, error) from error
        known = [path.stem for path in folder.glob("*.py")]
        hint = _near_hint(name, known)
        raise PipelineNotFound(f"There is no module `{name}` in `{folder}`", hint=hint) from error
    except Exception as error:
        raise _import_failed(name, error) from error


def _import_failed(name: str, error: Exception) -> ImportFailed:
    place = ""
    if isinstance(error, SyntaxError):
        place = f" at {Path(error.filename or name).name}:{error.lineno}"
    else:
        # The line that the person wrote: not that of the import machinery, nor of what refused it.
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if "importlib" not in frame.filename and not frame.filename.startswith(_OWN)
        ]
        if frames:
            place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}"
    hint = error.hint if isinstance(error, NoriaError) else None
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"pip install {error.name.partition('.')[0]}, if that is the distribution's name"
    return ImportFailed(f"Importing `{name}` failed{place}: {told(error)}", hint=hint)


def _find(module: ModuleType, name: str) -> Pipeline[..., Any]:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, Pipeline):
        return found
    if found is None:
        known = [key for key, value in vars(module).items() if isinstance(value, Pipeline)]
        raise PipelineNotFound(f"`{module.__name__}` has no pipeline `{name}`", hint=_near_hint(name, known))
    kind = "a step" if isinstance(found, Step) else f"a `{type(found).__name__}`"
    raise NotAPipeline(
        f"`{module.__name__}:{name}` is {kind}, not a pipeline",
        hint=f"Put `@pipeline` above a function that calls `{name}`"
        if isinstance(found, Step)
        else "Put `@pipeline` above it",
    )


def _near_hint(name: str, known: list[str]) -> str:
    close = near(name, known)
    if close:
        return f"Did you mean `{close}`?"
    return (
        "There are: " + ", ".join(f"`{other}`" for other in sorted(known)[:10]) if known else "There is none"
    )
