"""Cache keys: what changes them, what does not, and what a difference is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from noria.pipelines.cache_entities import KeyParts
from noria.pipelines.fingerprint import bound_arguments, explain, key_of, key_parts
from support.project import UserProject

PIPELINE = """
    import math
    from dataclasses import dataclass

    import helpers
    from helpers import double as twice
    from noria.pipelines.authoring import step

    RATE = 0.5
    UNUSED = 7


    @dataclass
    class Config:
        depth: int = 3

        def cost(self) -> float:
            return self.depth * RATE


    def unrelated(x):
        return x - 1


    @step
    def fit(x: int, c: float = 1.0) -> float:
        return twice(x) * c * RATE + helpers.offset(x) + math.pi


    @step
    def judge(config: Config) -> float:
        return config.cost()


    @step
    def hidden(name: str) -> int:
        return getattr(helpers, name)(2)


    @step
    def local(x: int) -> int:
        import helpers as h
        from helpers import double

        return h.offset(double(x))
"""

HELPERS = """
    BASE = 10


    def double(x):
        return 2 * x


    def offset(x):
        return x + BASE


    def other(x):
        return x / 3
"""

Edit = Callable[[str], str]


def parts(project: UserProject, name: str, *args: Any, **kwargs: Any) -> KeyParts:
    """Gather the key of a call in a freshly imported project."""
    step = getattr(project.load(), name)
    return key_parts(step, bound_arguments(step.signature, args, kwargs), project.root)


@pytest.fixture
def written(project: UserProject) -> UserProject:
    """Give a project of two modules."""
    project.write("pipeline.py", PIPELINE)
    project.write("helpers.py", HELPERS)
    return project


def edit(project: UserProject, path: str, old: str, new: str) -> None:
    """Replace a text that stands in a file of the project."""
    place = project.root / path
    text = place.read_text()
    assert old in text
    place.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("pipeline.py", "def unrelated(x):\n    return x - 1", "def unrelated(x):\n    return x - 2"),
        ("pipeline.py", "UNUSED = 7", "UNUSED = 8"),
        ("pipeline.py", "return twice(x)", "# a remark\n    return twice(x)"),
        ("pipeline.py", "return twice(x) * c * RATE", "return (twice( x )*c *\n        RATE)"),
        ("pipeline.py", "    return twice(x)", "    '''Fit.'''\n    return twice(x)"),
        ("pipeline.py", "@step\ndef fit", "@step(retries=2)\ndef fit"),
        ("pipeline.py", "import math\n", "import math\nimport json\n"),
        ("helpers.py", "return x / 3", "return x / 4"),
        ("helpers.py", "def double(x):", "def double(x):  # twice as much"),
        ("pipeline.py", "from helpers import double as twice", "from helpers import double as twice  # noqa"),
    ],
)  # fmt: skip
def test_edits_that_change_nothing_keep_the_key(written: UserProject, path: str, old: str, new: str) -> None:
    """Comments, formatting, docstrings and code that a step does not reach leave its key as it was."""
    before = parts(written, "fit", 2)
    edit(written, path, old, new)
    after = parts(written, "fit", 2)

    assert key_of(before) == key_of(after) is not None
    assert explain(before, after) is None


@pytest.mark.parametrize(
    ("path", "old", "new", "told"),
    [
        ("pipeline.py", "* RATE +", "* RATE -", "function `fit` in pipeline.py changed"),
        ("helpers.py", "return 2 * x", "return 3 * x", "function `double` in helpers.py changed"),
        ("helpers.py", "return x + BASE", "return x - BASE", "function `offset` in helpers.py changed"),
        ("pipeline.py", "RATE = 0.5", "RATE = 0.25", "variable `RATE` in pipeline.py was 0.5, is 0.25"),
        ("helpers.py", "BASE = 10", "BASE = 11", "variable `BASE` in helpers.py was 10, is 11"),
        ("pipeline.py", "c: float = 1.0", "c: float = 2.0", "parameter `c` was 1.0, is 2.0 (and 2 more)"),
    ],
)
def test_edits_of_what_a_step_reaches_change_the_key(
    written: UserProject, path: str, old: str, new: str, told: str
) -> None:
    """A reached function, module variable or default that changes makes another key, and is named."""
    before = parts(written, "fit", 2)
    edit(written, path, old, new)
    after = parts(written, "fit", 2)

    assert key_of(before) != key_of(after)
    assert explain(before, after) == told


def test_a_parameter_that_differs_is_told_with_both_values(written: UserProject) -> None:
    """Another parameter makes another key; the difference shows the old and the new value."""
    before, after = parts(written, "fit", 2, c=1.0), parts(written, "fit", 2, c=10.0)

    assert key_of(before) != key_of(after)
    assert explain(before, after) == "parameter `c` was 1.0, is 10.0"


def test_positional_and_keyword_arguments_are_the_same_call(written: UserProject) -> None:
    """How an argument is passed does not matter, nor whether a default is written out."""
    keys = {
        key_of(parts(written, "fit", 2)),
        key_of(parts(written, "fit", x=2, c=1.0)),
        key_of(parts(written, "fit", 2, 1.0)),
    }

    assert len(keys) == 1


def test_the_code_of_an_arguments_class_belongs_to_the_key(written: UserProject) -> None:
    """A method of a class that reaches the step only through its argument is part of the key, and what it reaches."""

    def judged() -> KeyParts:
        module = written.load()
        return key_parts(module.judge, {"config": module.Config(4)}, written.root)

    before = judged()
    edit(written, "pipeline.py", "self.depth * RATE", "self.depth + RATE")
    changed = judged()
    edit(written, "pipeline.py", "RATE = 0.5", "RATE = 0.75")
    again = judged()

    assert len({key_of(before), key_of(changed), key_of(again)}) == 3
    assert "Config.cost" in (explain(before, changed) or "")


def test_a_step_that_hides_what_it_reaches_depends_on_the_whole_project(written: UserProject) -> None:
    """With `getattr` on a computed name every edit of the project changes the key, comments excepted."""
    before = parts(written, "hidden", "double")
    edit(written, "helpers.py", "BASE = 10", "BASE = 10  # ten")
    commented = parts(written, "hidden", "double")
    edit(written, "helpers.py", "x / 3", "x / 5")
    after = parts(written, "hidden", "double")

    assert key_of(before) == key_of(commented) is not None
    assert key_of(before) != key_of(after)
    assert "getattr" in (explain(before, after) or "")


def test_imports_inside_a_step_are_followed(written: UserProject) -> None:
    """A module of the project that the step imports itself is followed as one imported above."""
    before = parts(written, "local", 2)
    edit(written, "helpers.py", "x / 3", "x / 4")
    unrelated = parts(written, "local", 2)
    edit(written, "helpers.py", "BASE = 10", "BASE = 12")
    after = parts(written, "local", 2)

    assert key_of(before) == key_of(unrelated) is not None
    assert explain(before, after) == "variable `BASE` in helpers.py was 10, is 12"


@pytest.mark.parametrize(
    ("body", "because"),
    [
        ("global COUNT\n    COUNT = n\n    return n", "sets the variable `COUNT` outside of itself"),
        ("with LOCK:\n        return n", "the variable `LOCK` of pipeline.py is a `lock`"),
        ("return next(STREAM) + n", "the variable `STREAM` of pipeline.py is a `generator`"),
    ],
)
def test_changing_state_is_refused(project: UserProject, body: str, because: str) -> None:
    """A step over state whose content cannot be read off, or that changes it, has no key, and says why."""
    project.write(
        "pipeline.py",
        f"""
import threading
from noria.pipelines.authoring import step

COUNT = 0
LOCK = threading.Lock()
STREAM = (n for n in range(3))


@step
def work(n: int) -> int:
    {body}
""",
    )
    found = parts(project, "work", 1)

    assert key_of(found) is None
    assert because in found.refused[0]


def test_closures_are_fingerprinted(project: UserProject) -> None:
    """A step made in a function depends on the variables that it closes over."""
    project.write(
        "pipeline.py",
        """
        from noria.pipelines.authoring import step


        def scaled(factor):
            @step
            def scale(x):
                return x * factor

            return scale


        twice, thrice = scaled(2), scaled(3)
        """,
    )
    module = project.load()
    first, second, same = (
        key_parts(step, {"x": 1}, project.root) for step in (module.twice, module.thrice, module.scaled(2))
    )

    assert key_of(first) == key_of(same) is not None
    assert explain(first, second) == "variable `scaled.<locals>.scale.factor` in pipeline.py was 2, is 3"


def test_a_function_replaced_at_run_time_is_what_counts(written: UserProject) -> None:
    """A function that was replaced after the import makes another key: the live one is followed."""
    module = written.load()
    before = key_parts(module.fit, {"x": 1, "c": 1.0}, written.root)
    module.helpers.offset = module.unrelated
    after = key_parts(module.fit, {"x": 1, "c": 1.0}, written.root)

    assert key_of(before) != key_of(after)


def test_a_file_edited_after_the_import_does_not_pass_for_what_runs(written: UserProject) -> None:
    """Code in memory keeps a key of its own once its file says something else."""
    module = written.load()
    edit(written, "helpers.py", "return 2 * x", "return 5 * x")
    stale = key_parts(module.fit, {"x": 1, "c": 1.0}, written.root)
    fresh = parts(written, "fit", 1)

    assert key_of(stale) not in (None, key_of(fresh))


def test_distributions_enter_by_version_when_they_are_reached(project: UserProject) -> None:
    """The version of a distribution that a step reaches is part of its key; one that it does not reach is not."""
    project.write(
        "pipeline.py",
        """
        import msgspec
        import numpy as np
        from noria.pipelines.authoring import step


        @step
        def total(n: int) -> float:
            return float(np.arange(n).sum())
        """,
    )
    found = parts(project, "total", 3)

    import numpy as np

    assert found.distributions == {"numpy": f"numpy {np.__version__}"}


def test_decorated_and_dispatched_functions_are_followed(project: UserProject) -> None:
    """Wrappers do not hide the function inside them: caches, `functools.wraps`, single dispatch, partial."""
    template = """
        import functools
        from noria.pipelines.authoring import step


        def logged(function):
            @functools.wraps(function)
            def wrapper(*args):
                return function(*args)

            return wrapper


        @functools.lru_cache
        def cached(x):
            return x + {0}


        @logged
        def wrapped(x):
            return x + {1}


        @functools.singledispatch
        def dispatched(x):
            return x


        @dispatched.register
        def _(x: int):
            return x + {2}


        def added(a, b):
            return a + b + {3}


        addition = functools.partial(added, 1)


        @step
        def work(n: int) -> int:
            return cached(n) + wrapped(n) + dispatched(n) + addition(n)
        """
    keys = []
    for numbers in [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 0, 0)]:
        project.write("pipeline.py", template.format(*numbers))
        keys.append(key_of(parts(project, "work", 1)))

    assert None not in keys
    assert keys[0] == keys[-1]
    assert len(set(keys)) == 5


def test_packages_inside_the_root_are_not_the_project(project: UserProject) -> None:
    """A virtual environment in the project's folder is no part of the project: its packages count by version."""
    project.write("site-packages/vendored.py", "def f(x):\n    return x")
    project.write(
        "pipeline.py",
        """
        import sys
        sys.path.append(__file__.replace("pipeline.py", "site-packages"))
        import vendored
        sys.path.pop()
        from noria.pipelines.authoring import step


        @step
        def work(n: int) -> int:
            return vendored.f(n)
        """,
    )
    found = parts(project, "work", 1)

    assert list(found.code) == ["pipeline.py:work"]
    assert found.distributions == {"vendored": "vendored of unknown version"}


@pytest.mark.parametrize(
    "body",
    [
        "return eval('helpers.double')(n)",
        "exec('n = n + 1')\n    return n",
        "return globals()['unrelated'](n)",
        "return vars(helpers)['double'](n)",
        "import importlib\n    return importlib.import_module('helpers').double(n)",
        "import sys\n    return sys.modules['helpers'].double(n)",
        "return helpers.__dict__['double'](n)",
        "return operator.attrgetter('double')(helpers)(n)",
        "return (lambda m: m.double(n))(helpers)",
        "return [f for f in Base.__subclasses__()][0].run(n)",
        "helpers.double = unrelated\n    return helpers.double(n)",
        "setattr(helpers, 'double', unrelated)\n    return helpers.double(n)",
        "return getattr(helpers, 'dou' + 'ble')(n)",
        "m = helpers\n    return m.double(n)",
    ],
)
def test_dynamic_constructs_widen_the_key(project: UserProject, body: str) -> None:
    """Each construct of the documented list makes a step depend on the whole project."""
    project.write("helpers.py", HELPERS)
    project.write(
        "pipeline.py",
        f"""
import operator
import helpers
from noria.pipelines.authoring import step

class Base:
    pass

def unrelated(n):
    return n

@step
def work(n: int) -> int:
    {body}
""",
    )
    before = parts(project, "work", 1)
    edit(project, "helpers.py", "x / 3", "x / 7")
    after = parts(project, "work", 1)

    assert key_of(before) is not None
    assert key_of(before) != key_of(after)
    assert before.dynamic


def test_files_that_code_names_are_inputs(project: UserProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that stands as text in the code, in a module variable or in an argument counts by its content."""
    monkeypatch.chdir(project.root)
    for name in ("one.csv", "two.csv", "three.csv", "four.csv"):
        project.write(name, "1")
    project.write(
        "pipeline.py",
        """
        from noria.pipelines.authoring import step

        PLACE = "two.csv"


        @step
        def read(path: str, more: dict) -> str:
            return open("one.csv").read() + open(PLACE).read() + open(path).read()
        """,
    )

    def found() -> KeyParts:
        return parts(project, "read", "three.csv", {"a": ["four.csv"]})

    keys = {key_of(found())}
    for name in ("one.csv", "two.csv", "three.csv", "four.csv"):
        before = found()
        project.write(name, "changed")
        after = found()
        keys.add(key_of(after))
        assert explain(before, after) == f"input `{name}` has other content"

    assert len(keys) == 5


def test_files_that_a_pattern_stands_for_are_inputs(
    project: UserProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pattern that stands as text counts by the names and contents of the files that it stands for."""
    monkeypatch.chdir(project.root)
    project.write("many/a.csv", "1")
    project.write(
        "pipeline.py",
        """
        from noria.pipelines.authoring import step


        @step
        def read(n: int) -> object:
            import polars

            return polars.read_csv("many/*.csv").height + len(__import__("re").findall(".*", "a"))
        """,
    )
    found = [parts(project, "read", 1)]
    for name, text in (("many/b.csv", "1"), ("many/a.csv", "2"), ("many/c.txt", "1")):
        project.write(name, text)
        found.append(parts(project, "read", 1))

    assert [set(one.inputs) for one in found] == [{"many/*.csv"}] * 4
    assert len({key_of(one) for one in found}) == 3
    assert explain(found[0], found[1]) == "input `many/*.csv` has other content"


def test_the_root_must_be_a_project(project: UserProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that depends on everything below a folder that is no project is refused instead of hashed for hours."""
    from noria.pipelines import sources

    project.write("helpers.py", HELPERS)
    project.write("pipeline.py", PIPELINE)
    monkeypatch.setattr(sources, "MOST_FILES", 1)
    found = parts(project, "hidden", "double")

    assert key_of(found) is None
    assert "more than 1 Python files" in found.refused[0]
