"""Fragments of released versions become sections of the changelog; those of the present version stay."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parents[3] / "tools" / "gather_changelog.py"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gather_changelog", TOOL)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, found)  # where dataclasses look for their module
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


def commit(project: Path, day: str, files: dict[str, str]) -> None:
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    who = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(project), "add", "-A"], check=True)
    subprocess.run(
        ["git", "-C", str(project), *who, "commit", "-qm", "c", "--date", f"{day}T12:00:00Z"],
        check=True,
        env={"GIT_COMMITTER_DATE": f"{day}T12:00:00Z", "PATH": "/usr/bin:/bin:/usr/local/bin"},
    )


def version(number: str) -> dict[str, str]:
    return {"src/noria/_version.py": f'__version__ = "{number}"\n'}


def test_released_fragments_are_gathered(tool: ModuleType, project: Path) -> None:
    """Versions come the newest first, kinds in their order, and a second paragraph stays with its item."""
    commit(project, "2026-01-01", {**version("0.1.0"), "changelog.d/README.md": "how\n"})
    commit(project, "2026-01-02", {"changelog.d/a.fixed.md": "A was [wrong](../docs/a.md).\n"})
    commit(project, "2026-01-03", {"changelog.d/b.added.md": "B.\n\n    code\n"})
    commit(project, "2026-02-01", {**version("0.10.0"), "changelog.d/c.added.md": "C.\n"})
    commit(project, "2026-03-01", {**version("0.11.0"), "changelog.d/d.added.md": "D.\n"})

    assert tool.main(project) == 0

    text = (project / "CHANGELOG.md").read_text()
    assert text.index("## 0.10.0 (2026-02-01)") < text.index("## 0.1.0 (2026-01-03)")
    assert text.index("- B.\n\n      code") < text.index("- A was [wrong](docs/a.md).")
    assert "D." not in text
    assert sorted(path.name for path in (project / "changelog.d").iterdir()) == ["README.md", "d.added.md"]


def test_earlier_sections_stay(tool: ModuleType, project: Path) -> None:
    """What was gathered before stands below, unchanged, and a second run adds nothing."""
    commit(project, "2026-01-01", {**version("0.1.0"), "changelog.d/a.added.md": "A.\n"})
    commit(project, "2026-01-02", version("0.2.0"))
    tool.main(project)
    first = (project / "CHANGELOG.md").read_text()
    commit(project, "2026-01-03", {"changelog.d/b.added.md": "B.\n"})
    commit(project, "2026-01-04", version("0.3.0"))

    tool.main(project)
    second = (project / "CHANGELOG.md").read_text()
    tool.main(project)

    assert second.endswith(first.removeprefix(tool.HEAD))
    assert second.index("## 0.2.0") < second.index("## 0.1.0")
    assert (project / "CHANGELOG.md").read_text() == second


def test_a_fragment_without_a_kind_is_refused(
    tool: ModuleType, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written then."""
    commit(project, "2026-01-01", {**version("0.1.0"), "changelog.d/a.news.md": "A.\n"})

    assert tool.main(project) == 1

    assert "added, changed, fixed" in capsys.readouterr().err
    assert not (project / "CHANGELOG.md").exists()
