"""What the README shows is what happens."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load_tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.smoke
def test_the_transcript_is_true(tmp_path: Path) -> None:
    """Each command of the README, run in an empty folder, prints what the README says."""
    tool = load_tool("run_readme")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (written,) = tool.TRANSCRIPT.findall(readme)
    found = tool.replay(readme, tmp_path.resolve())

    assert tool.normalised(found) == tool.normalised(written)


def test_every_make_target_that_the_documents_name_exists() -> None:
    """`make X` in README and CONTRIBUTING is a target of the Makefile, and each target is named there."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", makefile, re.MULTILINE))
    documents = "".join(
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")
    )
    named = set(re.findall(r"(?:`|^    )make ([a-z0-9-]+)", documents, re.MULTILINE))

    assert named <= targets
    assert targets - named <= {"help", "clean"}


def test_ci_calls_the_test_command_of_the_readme() -> None:
    """`.ci/run` runs `make check` and `make test`, and the README names both."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert "test" in re.findall(r"\bmake[^\n]*\b(test|check)\b", script)
