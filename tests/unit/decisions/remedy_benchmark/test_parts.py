"""The tuning part and the test part share nothing but how episodes are made and judged."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from pathlib import Path

import dealing
import pytest
from episodes import Plan, Source

FOLDER = Path(dealing.__file__).parent
DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
KINDS = ("data", "models", "injectors")


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["tuning", "test"])
def test_a_module_of_a_part_imports_no_other_part(kind: str, part: str) -> None:
    other = "test" if part == "tuning" else "tuning"
    reached, waiting = set(), [f"{kind}_{part}"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        beside = {n for n in imports(FOLDER / f"{name}.py") if (FOLDER / f"{n}.py").is_file()}
        waiting += sorted(beside - reached)
    assert reached - {f"{kind}_{part}"} <= {"episodes"}
    assert not any(name.endswith(f"_{other}") for name in reached)


def test_nothing_else_imports_a_part_by_name() -> None:
    parts = {f"{kind}_{part}" for kind in KINDS for part in ("tuning", "test", "smoke")}
    for file in FOLDER.glob("*.py"):
        assert not imports(file) & parts, file.name


def test_injectors_share_no_name_and_no_text() -> None:
    """A function that stands in both files, under whatever name, would be the same injector."""
    bodies = []
    for part in ("tuning", "test"):
        tree = ast.parse((FOLDER / f"injectors_{part}.py").read_text())
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        bodies.append({ast.dump(ast.Module(body=f.body[1:] or f.body, type_ignores=[])) for f in functions})
    assert not bodies[0] & bodies[1]
    one, other = (
        {
            f.__name__
            for found in importlib.import_module(f"injectors_{part}").INJECTORS.values()
            for f in found
        }
        for part in ("tuning", "test")
    )
    assert not one & other


def test_model_families_share_no_estimator() -> None:
    """What a family's text takes from scikit-learn to predict with is of one part only."""
    found = []
    for part in ("tuning", "test"):
        text = (FOLDER / f"models_{part}.py").read_text()
        found.append(set(re.findall(r"\b\w+(?:Classifier|Regressor|Regression|Ridge)\b|\bRidge\b", text)))
    assert all(found)
    assert not found[0] & found[1]


def test_data_sets_are_disjoint() -> None:
    found = []
    for part in ("tuning", "test"):
        text = (FOLDER / f"data_{part}.py").read_text()
        found.append({*re.findall(r'data / "([\w-]+)/', text), *re.findall(r"\bload_\w+", text)})
    assert all(found)
    assert not found[0] & found[1]


def dealt(part: str, n: int, delay: int | None = 0) -> list[Plan]:
    if not DATA.is_dir():
        pytest.skip("the data sets are not beside the repository")
    return dealing.plans(part, DATA, n=n, delay=delay, first_seed=1)


@pytest.mark.parametrize("part", ["tuning", "test"])
def test_episodes_are_dealt_as_described(part: str) -> None:
    """30 % without an incident, 15 % with two causes, 5 % of drift left untouched, half with a deployment."""
    plans = dealt(part, 400)
    kinds = Counter(plan.causes if len(plan.causes) == 1 else ("two",) for plan in plans)
    assert kinds[("none",)] == 120
    assert kinds[("two",)] == 60
    assert kinds[("natural",)] == 20
    assert all(plan.source.ordered for plan in plans if plan.causes == ("natural",))
    assert not any(plan.source.ordered for plan in plans if plan.causes == ("none",))
    assert 160 <= sum(bool(plan.decoy) for plan in plans) <= 240
    injectors = importlib.import_module(f"injectors_{part}").INJECTORS
    used = {injector.__name__ for plan in plans for _, injector in plan.injectors}
    assert used == {injector.__name__ for found in injectors.values() for injector in found}
    assert {plan.level for plan in plans} == {0, 1, 2}
    assert len({plan.source.name for plan in plans}) >= 4
    assert len({plan.model for plan in plans}) >= 2
    for plan in plans:
        assert len({dealing.GROUPS[cause] for cause, _ in plan.injectors}) == len(plan.injectors)


def test_fewer_episodes_are_the_beginning_of_more() -> None:
    assert [p.name for p in dealt("tuning", 20)] == [p.name for p in dealt("tuning", 40)][:20]


def test_late_labels_leave_a_horizon_after_them() -> None:
    one, late, never = (dealt("tuning", 1, delay)[0].n_windows for delay in (0, 7, None))
    assert late == one + 7
    assert never == one


def test_a_part_names_its_sources() -> None:
    if not DATA.is_dir():
        pytest.skip("the data sets are not beside the repository")
    for part in ("tuning", "test"):
        sources: list[Source] = importlib.import_module(f"data_{part}").sources(DATA)
        assert any(source.ordered for source in sources)
        assert any(source.n_classes >= 4 for source in sources)
        for source in sources:
            assert source.frame.null_count().sum_horizontal()[0] == 0, source.name
            assert source.target in source.frame.columns


@pytest.mark.parametrize("part", ["tuning", "test"])
def test_every_source_leaves_windows_from_which_something_can_be_told(part: str) -> None:
    for plan in {plan.source.name: plan for plan in dealt(part, 200, 7)}.values():
        n = plan.source.frame.height
        left = n - min(plan.n_reference, int(0.4 * n))
        assert left // plan.n_windows >= 40, plan.source.name
