"""Models of a class of the project: files that it wrote itself, and the code that declares it.

Loading one runs that code. It is loaded after a consent only, and never in the control server.
"""

from __future__ import annotations

import importlib
import inspect
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Corrupt, Failed, Invalid, NoriaError, TooLarge
from noria.core.serialisation import to_json
from noria.pipelines.sources import python_files
from noria.registry.entities import ServableVersion, Task, TensorSpec
from noria.registry.python_model import PythonModel
from noria.registry.rules import require_consent
from noria.registry.runtimes.port import Arrays, DistributionMissing, Keeper
from noria.registry.runtimes.requirements import requirements_of_code

FILE: Final = "python_class.json"
FILES: Final = "files"
CODE: Final = "code"

_MAX_CODE_BYTES: Final = 64 * 1024 * 1024
_MAIN: Final = "__main__"

_importing = threading.Lock()  # the table of imported modules is one for the process


class Declared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `python_class.json` says.

    Attributes
    ----------
    module, name
        Of the class.
    packaged
        Whether it comes with an installed distribution, so that no code is kept.
    requirements
        What to install for a module that its code imports, by the module's name.
    """

    module: str
    name: str
    packaged: bool = False
    requirements: dict[str, str] = {}


class PythonClassModel:
    """An object of a class of the project's."""

    format: ClassVar[str] = "python-class"
    distributions: ClassVar[tuple[str, ...]] = ("numpy",)
    engine = "native"

    def __init__(self, model: PythonModel) -> None:
        self._model = model

    @property
    def kind(self) -> str:
        """Name of the class."""
        return type(self._model).__name__

    @property
    def task(self) -> Task | None:
        """What the class says it is for."""
        said = self._model.task
        return None if said is None else Task(said)

    @property
    def classes(self) -> list[Any] | None:
        """What the class says."""
        known = self._model.classes
        return None if known is None else list(known)

    @classmethod
    def save(cls, model: Any, folder: Path, inputs: list[TensorSpec]) -> PythonClassModel:  # noqa: ARG003
        """Write its files and its code, and make it again of these."""
        declared, base = _declared(type(model))
        (folder / FILES).mkdir()
        model.save(folder / FILES)
        if not declared.packaged:
            _copy_code(base, folder / CODE)
        (folder / FILE).write_bytes(to_json(declared))
        return cls(_made(folder, f"the {declared.name}"))

    @classmethod
    def load(cls, folder: Path, version: ServableVersion) -> PythonClassModel:
        """Run the code of a version and make its model.

        Raises
        ------
        ConsentMissing
            If nobody has consented to run this very code.
        DistributionMissing
            If the code imports what is not installed.
        """
        require_consent(version)
        return cls(_made(folder, version.ref))

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Ask the object; an array alone is its predictions."""
        found = self._model.predict(dict(inputs))
        if not isinstance(found, dict):
            return {"predictions": np.asarray(found)}
        if "predictions" not in found:
            raise Invalid(f"`{self.kind}.predict` gave {sorted(found)}, and no `predictions`")
        return {str(name): np.asarray(array) for name, array in found.items()}

    def features(self, inputs: Arrays) -> NDArray[Any]:
        """Ask the object."""
        return np.asarray(self._model.features(dict(inputs)))


def _declared(cls: type[Any]) -> tuple[Declared, Path]:
    """Tell where a class is declared, and the folder from which its module is imported."""
    if "<locals>" in cls.__qualname__:
        raise Invalid(
            f"`{cls.__qualname__}` is declared inside of a function, where nothing can import it from",
            hint="Declare it at the top of a module of the project",
        )
    try:
        file = Path(inspect.getfile(cls)).resolve()
    except (TypeError, OSError):
        file = Path()
    if not file.is_file():
        raise Invalid(
            f"`{cls.__name__}` is declared in no file, and its code could not be kept",
            hint="Move it from the notebook or prompt to a module of the project",
        )
    module = file.stem if cls.__module__ == _MAIN else cls.__module__
    depth = module.count(".") + (file.name == "__init__.py")
    base = file.parents[depth]
    packaged = any(part in ("site-packages", "dist-packages") for part in file.parts)
    needed = {} if packaged else requirements_of_code(base)
    return Declared(module=module, name=cls.__qualname__, packaged=packaged, requirements=needed), base


def _copy_code(base: Path, target: Path) -> None:
    files = python_files(base)
    size = sum(path.stat().st_size for path in files)
    if size > _MAX_CODE_BYTES:
        raise TooLarge(f"The code below `{base}` is {size >> 20} MB, which is more than a project's")
    for path in files:
        if path.is_symlink():
            continue
        place = target / path.relative_to(base)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _made(folder: Path, ref: str) -> PythonModel:
    declared = _read(folder)
    code = None if declared.packaged else folder / CODE
    with _importing, _importable(code):
        try:
            found: Any = importlib.import_module(declared.module)
            for part in declared.name.split("."):
                found = getattr(found, part)
            if not (isinstance(found, type) and issubclass(found, PythonModel)):
                raise Corrupt(f"`{declared.module}:{declared.name}` of {ref} is no class of models")
            return found.load(folder / FILES)
        except NoriaError:
            raise
        except ModuleNotFoundError as error:
            name = (error.name or declared.module).partition(".")[0]
            raise DistributionMissing(ref, name, declared.requirements.get(name, name)) from error
        except Exception as error:
            # All of them: what the code does is its maker's choice.
            raise Failed(
                f"The code of {ref} raised while it was loaded: {type(error).__name__}: {error}"
            ) from error


def _read(folder: Path) -> Declared:
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Declared)
    except (OSError, msgspec.DecodeError) as error:
        raise Corrupt(f"The model has no `{FILE}` that can be read", hint="Register it again") from error


@contextmanager
def _importable(code: Path | None) -> Iterator[None]:
    """Let modules be imported from a folder, and be forgotten after: another version has others of the same names."""
    if code is None:
        yield
        return
    own = {path.stem if path.is_file() else path.name for path in code.iterdir()}
    hidden = _take_away(own)
    wrote = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # the folder holds what its digest says, and nothing else
    sys.path.insert(0, str(code))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(code))
        sys.dont_write_bytecode = wrote
        _take_away(own)
        sys.modules.update(hidden)


def _take_away(own: set[str]) -> dict[str, Any]:
    names = [name for name in sys.modules if name.partition(".")[0] in own]
    return {name: sys.modules.pop(name) for name in names}


if TYPE_CHECKING:
    _runtime: type[Keeper] = PythonClassModel
