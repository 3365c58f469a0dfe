"""The step cache under random edits: never a result that a fresh run would not give, and no step again for nothing.

Programs are put together from pieces, each one way in which the result of a step can depend on what stands elsewhere:
closures, decorators, class members, registries, names bound to other things, computed imports. What a step gives is
found out by running it; no oracle knows how keys are made.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noria.core.clock import SystemClock
from noria.core.config import Settings
from noria.core.workspace import InProcess, Workspace
from noria.pipelines.fingerprint import explain, key_of, key_parts
from noria.pipelines.runner import run_pipeline
from support.conformance import migrated_file, open_test_context, workspace_settings
from support.project import UserProject, user_project


@dataclass(frozen=True, slots=True)
class Piece:
    """A way to depend on something.

    Attributes
    ----------
    own, lib
        What stands in the step's module and in the other one. `{n}` numbers the piece, `{v}` and `{w}` are values.
    expression
        What the step computes of it.
    widens
        Whether it hides what it reaches, so that unrelated code counts.
    sees_text
        Whether comments count.
    """

    own: str
    lib: str
    expression: str
    widens: bool = False
    sees_text: bool = False


PIECES = (
    Piece("K{n} = {v}", "", "K{n}"),
    Piece("K{n} = [{v}, {{'a': ({w},)}}]", "", "K{n}"),
    Piece("def f{n}(x):\n    return x * {v}", "", "f{n}(x)"),
    Piece("", "def f{n}(x):\n    return x * {v}", "lib.f{n}(x)"),
    Piece("from lib import f{n} as g{n}", "def f{n}(x):\n    return x * {v}", "g{n}(x)"),
    Piece("", "S{n} = {v}\n\ndef f{n}(x):\n    return [S{n} for _ in range(2)]", "f{n}(x)"),
    Piece(
        "def make{n}(k):\n    def f(x):\n        return x * k\n    return f\n\na{n}, b{n} = make{n}({v}), make{n}({w})",
        "",
        "(a{n}(x), b{n}(x))",
    ),
    Piece("L{n} = [lambda x: x * {v}, lambda x: x * {w}]", "", "[f(x) for f in L{n}]"),
    Piece("def f{n}(x, k={v}, *, d={w}):\n    return x * k - d", "", "f{n}(x)"),
    Piece("P{n} = functools.partial(pow, {v}, exp={w})", "", "P{n}()"),
    Piece("class A{n}:\n    k = [{v}]\n    def f(self):\n        return self.k", "", "A{n}().f()"),
    Piece("class A{n}:\n    pass\n\nA{n}.k = ({v},)\nA{n}.__len__ = lambda self: {w}", "", "(A{n}.k, len(A{n}()))"),
    Piece("def f{n}():\n    return f{n}.k\n\nf{n}.k = {v}", "", "f{n}()"),
    Piece("@dataclasses.dataclass\nclass D{n}:\n    k: int = {v}", "", "D{n}().k"),
    Piece(
        "", "M{n} = {v}\n\n@dataclasses.dataclass\nclass D{n}:\n    k: list = dataclasses.field("
        "default_factory=lambda: [M{n}])", "lib.D{n}().k",
    ),
    Piece("E{n} = enum.Enum('E{n}', {{'A': {v}}})", "", "E{n}.A.value"),
    Piece("class E{n}(enum.Enum):\n    A = V{n}", "V{n} = {v}", "E{n}.A.value"),
    Piece("N{n} = collections.namedtuple('N{n}', 'k', defaults=[{v}])", "", "N{n}().k"),
    Piece("T{n} = type('T{n}', (), {{'k': [{v}], 'f': lambda self: {w}}})", "", "(T{n}.k, T{n}().f())"),
    Piece(
        "@lib.times{n}({v})\ndef f{n}(x):\n    return x + {w}",
        "def times{n}(k):\n    def around(f):\n        @functools.wraps(f)\n        def inner(x):\n"
        "            return f(x) * k\n        return inner\n    return around",
        "f{n}(x)",
    ),
    Piece(
        "@R{n}.append\ndef f{n}(x):\n    return x * {v}\n\n@R{n}.append\ndef g{n}(x):\n    return x * {w}",
        "R{n} = []",
        "[f(x) for f in lib.R{n}]",
    ),
    Piece(
        "class B{n}:\n    known = {{}}\n    def __init_subclass__(cls):\n        B{n}.known[cls.__name__] = cls\n\n"
        "class C{n}(B{n}):\n    def f(self):\n        return {v}",
        "",
        "[kind().f() for kind in B{n}.known.values()]",
    ),
    Piece(
        "def p{n}():\n    return 'p'\n\ndef q{n}():\n    return 'q'\n\nr{n} = [p{n}, q{n}][{v} % 2]",
        "",
        "(r{n}(), p{n}(), q{n}())",
    ),
    Piece("m{n} = [statistics.mean, statistics.median][{v} % 2]", "", "m{n}([1, 2, 9 + x])"),
    Piece(
        "class C{n}(lib.A{n}):\n    def f(self):\n        return super().f() + {w}",
        "class A{n}:\n    def f(self):\n        return {v}",
        "C{n}().f()",
    ),
    Piece(
        "class A{n}:\n    def f(self):\n        return 'a'\n\nclass B{n}:\n    def f(self):\n        return 'b'\n\n"
        "class C{n}(*[(A{n}, B{n}), (B{n}, A{n})][{v} % 2]):\n    pass",
        "",
        "C{n}().f()",
    ),
    Piece(
        "def make{n}(k):\n    class L:\n        f = staticmethod(lambda: k)\n    return L\n\n"
        "X{n}, Y{n} = make{n}({v}), make{n}({w})",
        "",
        "(X{n}.f(), Y{n}.f())",
    ),
    Piece(
        "if {v} > 4:\n    def f{n}():\n        return 'large'\nelse:\n    def f{n}():\n        return 'small'", "",
        "f{n}()",
    ),
    Piece("@functools.singledispatch\ndef f{n}(x):\n    return 0\n\n@f{n}.register\ndef _(x: int):\n    return {v}", "",
          "f{n}(x)"),
    Piece("s{n} = types.SimpleNamespace(k={v}, f=lambda: {w})", "", "(s{n}.k, s{n}.f())"),
    Piece("a{n} = np.arange({v})", "", "int(a{n}.sum())"),
    Piece("G{n} = re.compile('a', [0, re.I][{v} % 2])", "", "bool(G{n}.match('A'))"),
    Piece("", "def f{n}1():\n    return {v}", "getattr(lib, 'f{n}' + str(x // x))()", widens=True),
    Piece(
        "from importlib import import_module as load{n}", "def f{n}():\n    return {v}", "load{n}('lib').f{n}()",
        widens=True,
    ),
    Piece("import math as m{n}\n\nm{n}.of_{n} = lambda: {v}", "", "m{n}.of_{n}()", widens=True),
    Piece("", "def f{n}():\n    return {v}", "pickle.loads(b'clib\\nf{n}\\n.')()", widens=True),
    Piece("def f{n}():\n    '''It gives {v}.'''", "", "f{n}.__doc__", widens=True, sees_text=True),
)  # fmt: skip

HEADER = (
    "import collections, dataclasses, enum, functools, pickle, re, statistics, types\nimport numpy as np\n"
)


@dataclass(frozen=True, slots=True)
class Program:
    """A step over some pieces; those that it does not use stand beside it.

    Attributes
    ----------
    used, unused
        Numbers of pieces with their values.
    """

    used: tuple[tuple[int, int, int], ...]
    unused: tuple[tuple[int, int, int], ...]

    def write(self, project: UserProject, seed: int) -> None:
        """Write both modules, the same program in another way for another seed."""
        noise = random.Random(seed)
        own, lib = [], []
        for n, (place, v, w) in enumerate((*self.used, *self.unused)):
            piece = PIECES[place]
            own.append(piece.own.format(n=n, v=v, w=w))
            lib.append(piece.lib.format(n=n, v=v, w=w))
        parts = [PIECES[place].expression.format(n=n) for n, (place, _, _) in enumerate(self.used)]
        work = f"@step\ndef work(x):\n    return repr([{', '.join(parts)}])"
        study = "@pipeline\ndef study(x: int = 1):\n    return work(x)"
        header = f"{HEADER}import lib\nfrom lib import *\nfrom noria import pipeline, step\n"
        project.write("lib.py", _written([HEADER, *lib], noise))
        project.write("flow.py", _written([header, *own, work, study], noise))

    @property
    def widens(self) -> bool:
        """Whether unrelated code counts."""
        return any(PIECES[place].widens for place, _, _ in (*self.used, *self.unused))

    @property
    def sees_text(self) -> bool:
        """Whether comments count."""
        return any(PIECES[place].sees_text for place, _, _ in self.used)


def _written(parts: Sequence[str], noise: random.Random) -> str:
    """Write parts one below the other with comments, blank lines and other spaces between."""
    lines = []
    for part in parts:
        lines += noise.choice(([], [""], ["", "# A remark.", ""], ['"""Text that nobody reads."""']))
        for line in part.splitlines():
            spaced = line.replace(" * ", noise.choice((" * ", "*", "  *  ")))
            lines.append(spaced + noise.choice(("", "", "  # why")) * bool(line.strip()))
    return "\n".join(lines) + "\n"


pieces = st.tuples(st.integers(0, len(PIECES) - 1), st.integers(2, 9), st.integers(2, 9))
programs = st.builds(
    Program,
    used=st.lists(pieces, min_size=1, max_size=3).map(tuple),
    unused=st.lists(pieces, max_size=2).map(tuple),
)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Program, Program]:
    """Make a program and one in which the values of one piece may be others, or change places."""
    program = draw(programs)
    group = draw(st.sampled_from(["used", "used", "unused"] if program.unused else ["used"]))
    changed = list(getattr(program, group))
    place = draw(st.integers(0, len(changed) - 1))
    number, v, w = changed[place]
    values = draw(st.sampled_from([(w, v), (v + 1, w), (v, w + 1)]))
    changed[place] = (number, *values)
    return program, replace(program, **{group: tuple(changed)})


def _look(project: UserProject, program: Program, seed: int) -> tuple[Any, str]:
    """Give the parts of the step's key, and what the step gives, as a new process would."""
    program.write(project, seed)
    work = project.load("flow").work
    parts = key_parts(work, {"x": 3}, project.root)
    return parts, work(3)


@given(edits(), st.integers(0, 2**32), st.integers(0, 2**32))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_equal_keys_mean_equal_results(edit: tuple[Program, Program], one: int, other: int) -> None:
    """A key never stays where the result changes; it stays where only comments or what is not used changed."""
    before, after = edit
    with tempfile.TemporaryDirectory() as folder, user_project(Path(folder) / "project") as project:
        first, gave = _look(project, before, one)
        again, _ = _look(project, before, other)
        second, gives = _look(project, after, one)

    assert first.refused == second.refused == []
    if gave != gives:
        assert key_of(first) != key_of(second), explain(first, second)
    if not before.sees_text:
        assert key_of(first) == key_of(again), explain(first, again)
    if before.used == after.used and not before.widens:
        assert key_of(first) == key_of(second), explain(first, second)


@pytest.mark.parametrize("number", range(len(PIECES)))
def test_each_way_to_depend_on_something_is_seen(number: int) -> None:
    """Changing either value of any piece changes the key where it changes the result, and the result it does change."""
    programs_ = [Program(((number, v, w),), ()) for v, w in ((3, 5), (5, 3), (4, 5), (3, 6))]
    with tempfile.TemporaryDirectory() as folder, user_project(Path(folder) / "project") as project:
        looks = [_look(project, program, 0) for program in programs_]

    keys: dict[str | None, str] = {}
    for parts, gave in looks:
        assert keys.setdefault(key_of(parts), gave) == gave
    assert len({gave for _, gave in looks}) > 1


READING = """
@step
def read(data, n: int) -> str:
    with open("side" + str(n % 2) + ".txt") as file:
        side = file.read()
    names = sorted(path.name for path in Path("many").iterdir())
    return repr([data.read_text(), side, names, os.environ.get("_".join(["STEP", "CACHE"]))])


@pipeline
def whole(data: Path, x: int = 1) -> dict:
    return {"read": read(data, x), "work": work(x)}
"""

actions = st.lists(
    st.tuples(
        st.sampled_from(["code", "data", "side", "many", "environment", "parameter", "noise", "nothing"]),
        st.integers(0, 2),
    ),
    min_size=2,
    max_size=5,
)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated database to copy."""
    return migrated_file(tmp_path_factory.mktemp("template"))


@given(programs, actions, st.integers(0, 2**32))
@settings(
    max_examples=max(4, settings().max_examples // 12),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_a_run_gives_what_a_fresh_one_would(
    migrated: Path, program: Program, history: list[tuple[str, int]], seed: int
) -> None:
    """Whatever was edited (code, data, files, the environment, parameters), results are those of a fresh run."""
    with _opened(migrated) as (project, workspace):
        x = 1
        for turn, (kind, value) in enumerate([("nothing", 0), *history]):
            if kind == "parameter":
                x = 1 + value
            program = _act(project, program, kind, value)
            program.write(project, seed + (turn if kind == "noise" else 0))
            flow = project.root / "flow.py"
            flow.write_text(f"import os\nfrom pathlib import Path\n{flow.read_text()}{READING}")
            module = project.load("flow")
            result = run_pipeline(workspace, module.whole, {"data": "data.txt", "x": x})
            fresh = {"read": module.read.function(Path("data.txt"), x), "work": module.work.function(x)}

            assert {name: output.value for name, output in result.outputs.items()} == fresh, kind
            again = run_pipeline(workspace, project.load("flow").whole, {"data": "data.txt", "x": x})
            told = [step.reason for step in again.steps if step.status != "reused"]
            assert told == [], told


def _act(project: UserProject, program: Program, kind: str, value: int) -> Program:
    """Change one thing."""
    if kind == "code":
        number, v, w = program.used[0]
        return replace(program, used=((number, v + value, w), *program.used[1:]))
    if kind == "data":
        project.write("data.txt", str(value))
    elif kind == "side":
        project.write("side1.txt", str(value))
    elif kind == "many":
        project.write(f"many/{value}.txt", "")
    elif kind == "environment":
        os.environ["STEP_CACHE"] = str(value)
    return program


@contextmanager
def _opened(migrated: Path) -> Iterator[tuple[UserProject, Workspace]]:
    """Give a project, which is the working folder, and a workspace."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, user_project(Path(folder) / "project") as project:
        (Path(folder) / "noria.db").write_bytes(migrated.read_bytes())
        for name in ("data.txt", "side0.txt", "side1.txt", "many/a.txt"):
            project.write(name, "0")
        made = workspace_settings(Path(folder))
        chosen = Settings(
            workspace=made.workspace,
            database_url=made.database_url,
            objects_url=made.objects_url,
            project_root=project.root,
        )
        os.chdir(project.root)
        try:
            with open_test_context(chosen, SystemClock()) as context:
                yield project, Workspace(chosen, InProcess(context), SystemClock())
        finally:
            os.chdir(before)
            os.environ.pop("STEP_CACHE", None)
