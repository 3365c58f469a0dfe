"""Cache keys under random edits: equal exactly when nothing that the step reaches has changed.

Programs are made from a small language of functions, classes and module variables over two modules, and written out
with random comments, formatting, docstrings and order. What a step reaches is known from the program itself, without
looking at the code that was written out, so the key has a second opinion in every example.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from noria.core.clock import SystemClock
from noria.core.config import Settings
from noria.core.workspace import InProcess, Workspace
from noria.pipelines.cache_entities import KeyParts
from noria.pipelines.fingerprint import explain, key_of, key_parts
from noria.pipelines.runner import run_pipeline
from support.conformance import migrated_file, open_test_context, workspace_settings
from support.project import UserProject, user_project

Expression = tuple[Any, ...]
"""`("number", 3)`, `("argument",)`, `("variable", "V1")`, `("call", "f2", inner)`, `("method", "C1", inner)`,
`("operator", "+", left, right)`."""

N_FUNCTIONS, N_VARIABLES, N_CLASSES = 5, 3, 2
OPERATORS = ("+", "-", "*")
PARTS = {"f": "functions", "C": "methods", "V": "variables"}
SIZES = {"f": N_FUNCTIONS, "C": N_CLASSES, "V": N_VARIABLES}


@dataclass(frozen=True)
class Program:
    """A step over functions `f0`… (each calls only later ones), classes `C0`… and variables `V0`….

    Attributes
    ----------
    functions, methods
        Bodies by number; even ones stand in the step's own module, odd ones in `lib`.
    """

    step: Expression
    functions: tuple[Expression, ...]
    methods: tuple[Expression, ...]
    variables: tuple[int, ...]

    def reached(self) -> frozenset[tuple[str, Any]]:
        """Give every definition that the step reaches, with its body or value."""
        found: dict[str, Any] = {"step": self.step}
        pending = [self.step]
        while pending:
            for name in _names(pending.pop()):
                if name not in found:
                    found[name] = self._definition(name)
                    if isinstance(found[name], tuple):
                        pending.append(found[name])
        return frozenset(found.items())

    def value(self, argument: int) -> int:
        """Compute what the step gives, without writing it out."""
        return self._value(self.step, argument)

    def _definition(self, name: str) -> Any:
        return getattr(self, PARTS[name[0]])[int(name[1:])]

    def _value(self, expression: Expression, argument: int) -> int:
        kind = expression[0]
        if kind == "number":
            return int(expression[1])
        if kind == "argument":
            return argument
        if kind == "variable":
            return int(self._definition(expression[1]))
        if kind == "operator":
            left, right = self._value(expression[2], argument), self._value(expression[3], argument)
            return {"+": left + right, "-": left - right, "*": left * right}[expression[1]]
        inner = self._value(expression[2], argument)
        return self._value(self._definition(expression[1]), inner) % 1_000_003


def _names(expression: Expression) -> set[str]:
    kind = expression[0]
    if kind == "variable":
        return {expression[1]}
    if kind in ("call", "method"):
        return {expression[1], *_names(expression[2])}
    return set().union(*map(_names, expression[2:])) if kind == "operator" else set()


def expressions(first_function: int) -> st.SearchStrategy[Expression]:
    """Make expressions that call only functions from `first_function` on, so that every program ends."""
    leaves: st.SearchStrategy[Expression] = st.one_of(
        st.tuples(st.just("number"), st.integers(0, 9)),
        st.just(("argument",)),
        st.tuples(st.just("variable"), st.sampled_from([f"V{n}" for n in range(N_VARIABLES)])),
    )
    functions = [f"f{n}" for n in range(first_function, N_FUNCTIONS)]
    classes = [f"C{n}" for n in range(N_CLASSES)] if first_function == 0 else []

    def deeper(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        kinds: list[st.SearchStrategy[Expression]] = [
            st.tuples(st.just("operator"), st.sampled_from(OPERATORS), inner, inner)
        ]
        if functions:
            # More calls than operators: what is tested is what can be reached.
            kinds += 2 * [st.tuples(st.just("call"), st.sampled_from(functions), inner)]
        if classes:
            kinds.append(st.tuples(st.just("method"), st.sampled_from(classes), inner))
        return st.one_of(kinds)

    return st.recursive(leaves, deeper, max_leaves=6)


programs = st.builds(
    Program,
    step=expressions(0),
    functions=st.tuples(*(expressions(n + 1) for n in range(N_FUNCTIONS))),
    methods=st.tuples(*(expressions(2) for _ in range(N_CLASSES))),
    variables=st.tuples(*(st.integers(0, 9) for _ in range(N_VARIABLES))),
)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Program, Program]:
    """Make a program and one in which a single definition may differ, more often one that the step reaches."""
    before, after = draw(programs), draw(programs)
    names = sorted(name for name, _ in before.reached())
    every = ["step", *(f"{kind}{n}" for kind, count in SIZES.items() for n in range(count))]
    name = draw(st.sampled_from(names) | st.sampled_from(names) | st.sampled_from(every))
    if name == "step":
        return before, replace(before, step=after.step)
    part, place = PARTS[name[0]], int(name[1:])
    changed = list(getattr(before, part))
    changed[place] = getattr(after, part)[place]
    return before, replace(before, **{part: tuple(changed)})


class Writer:
    """Writes a program out, each time in another way that means the same."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def write(self, program: Program, project: UserProject) -> None:
        """Write both modules."""
        own, lib = self._definitions(program)
        step = self._function("work", program.step, ["@step"])
        decorated = "@pipeline\ndef study(n: int):\n    return work(n)\n"
        header = f"from noria import pipeline, step\n{self._noise()}import lib\nfrom lib import *\n"
        project.write("flow.py", header + "\n".join([*own, step, decorated]))
        project.write("lib.py", self._noise() + "\n".join(lib))

    def _definitions(self, program: Program) -> tuple[list[str], list[str]]:
        """Give the definitions of both modules; functions of `lib` find those of the other one by import."""
        own: list[str] = []
        lib: list[str] = []
        for number, body in enumerate(program.functions):
            (lib if number % 2 else own).append(self._function(f"f{number}", body, [], lib=bool(number % 2)))
        for number, body in enumerate(program.methods):
            method = self._function("method", body, [], first="self, ")
            lines = "\n".join(f"    {line}" for line in method.splitlines())
            own.append(f"class C{number}:\n{self._docstring('    ')}{lines}\n")
        lib += [f"V{number} = {value}{self._comment()}\n" for number, value in enumerate(program.variables)]
        unrelated = [
            f"def unrelated_{self._random.randrange(99)}(x):\n    return {self._random.randrange(99)}\n"
        ]
        own += unrelated if self._random.random() < 0.5 else []
        lib += [f"UNUSED = {self._random.randrange(99)}\n"] if self._random.random() < 0.5 else []
        for listed in (own, lib):
            self._random.shuffle(listed)
        return own, lib

    def _function(
        self, name: str, body: Expression, decorators: list[str], *, first: str = "", lib: bool = False
    ) -> str:
        # A function of `lib` reaches those of the other module by an import of its own, since they import each other.
        needed = sorted(other for other in _names(body) if lib and other[0] == "f" and not int(other[1:]) % 2)
        imports = "".join(f"    from flow import {other}\n" for other in needed)
        lines = [*decorators, f"def {name}({first}x):{self._comment()}"]
        text = "\n".join(lines) + "\n" + self._docstring("    ") + imports
        return f"{self._noise()}{text}    return {self._expression(body, lib=lib)}{self._comment()}\n"

    def _expression(self, expression: Expression, *, lib: bool) -> str:
        kind = expression[0]
        if kind == "number":
            text = str(expression[1])
        elif kind == "argument":
            text = "x"
        elif kind == "variable":
            text = expression[1]
        elif kind == "operator":
            left, right = (self._expression(part, lib=lib) for part in expression[2:])
            text = f"({left}{self._space()}{expression[1]}{self._space()}{right})"
        else:
            called = f"{expression[1]}().method" if kind == "method" else expression[1]
            text = f"({called}({self._space()}{self._expression(expression[2], lib=lib)}) % 1_000_003)"
        return f"({text})" if self._random.random() < 0.2 else text

    def _space(self) -> str:
        return self._random.choice(["", " ", "  ", "\n        ", " # why\n        "])

    def _comment(self) -> str:
        return self._random.choice(["", "  # a remark", "  #"])

    def _noise(self) -> str:
        return self._random.choice(["", "\n\n\n", "# more remarks\n", '"""Text that nobody reads."""\n'])

    def _docstring(self, indent: str) -> str:
        return self._random.choice(
            ["", f'{indent}"""What it is for."""\n', f"{indent}'''Another\n\n{indent}text.'''\n"]
        )


def parts_of(project: UserProject, program: Program, seed: int, argument: int = 1) -> KeyParts:
    """Write a program out and give the parts of its step's key, as a new process would."""
    Writer(seed).write(program, project)
    module = project.load("flow")
    return key_parts(module.work, {"x": argument}, project.root)


@given(edits(), st.integers(0, 2**32), st.integers(0, 2**32))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_the_key_changes_exactly_with_what_the_step_reaches(
    edit: tuple[Program, Program], one_seed: int, other_seed: int
) -> None:
    """However code is written out, two keys are equal if and only if everything that is reached is equal."""
    before, after = edit
    with tempfile.TemporaryDirectory() as folder, user_project(Path(folder) / "project") as project:
        one, other = parts_of(project, before, one_seed), parts_of(project, after, other_seed)

    assert key_of(one) is not None
    assert key_of(other) is not None
    assert (key_of(one) == key_of(other)) == (before.reached() == after.reached())
    assert (explain(one, other) is None) == (key_of(one) == key_of(other))


@given(programs, st.integers(0, 9), st.integers(0, 9), st.integers(0, 2**32))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_the_key_changes_exactly_with_the_arguments(
    program: Program, one: int, other: int, seed: int
) -> None:
    """The same code with another argument has another key, and the difference names both values."""
    with tempfile.TemporaryDirectory() as folder, user_project(Path(folder) / "project") as project:
        first = parts_of(project, program, seed, one)
        second = parts_of(project, program, seed + 1, other)

    assert (key_of(first) == key_of(second)) == (one == other)
    if one != other:
        assert explain(first, second) == f"parameter `x` was {one}, is {other}"


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a migrated database to copy."""
    return migrated_file(tmp_path_factory.mktemp("template"))


@given(st.lists(st.tuples(edits(), st.integers(0, 2), st.integers(0, 2**32)), min_size=2, max_size=4))
@settings(
    max_examples=max(8, settings().max_examples // 12),
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)
def test_a_cached_run_gives_what_a_fresh_one_would(
    migrated: Path, history: list[tuple[tuple[Program, Program], int, int]]
) -> None:
    """Through any history of edits and arguments the result is right, and a step runs only if it is new."""
    runs = [(program, argument, seed) for edit, argument, seed in history for program in edit]
    assume(len(runs) <= 8)
    seen: set[Any] = set()
    with tempfile.TemporaryDirectory() as folder, user_project(Path(folder) / "project") as project:
        (Path(folder) / "noria.db").write_bytes(migrated.read_bytes())
        settings_ = _settings(Path(folder), project.root)
        with open_test_context(settings_, SystemClock()) as context:
            workspace = Workspace(settings_, InProcess(context), SystemClock())
            for program, argument, seed in runs:
                Writer(seed).write(program, project)
                result = run_pipeline(workspace, project.load("flow").study, {"n": argument})
                (step,) = result.steps
                known = (program.reached(), argument)

                assert result.outputs["output"].value == program.value(argument)
                assert (step.status == "reused") == (known in seen)
                seen.add(known)


def _settings(folder: Path, root: Path) -> Settings:
    made = workspace_settings(folder)
    return Settings(
        workspace=made.workspace,
        database_url=made.database_url,
        objects_url=made.objects_url,
        project_root=root,
    )
