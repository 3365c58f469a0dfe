"""`noria data drift`."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from noria.cli.main import main
from noria.core.workspace import open_workspace
from noria.data.client import dataset
from support.conformance import workspace_settings

RNG = np.random.default_rng(3)
BEFORE = {"size": RNG.normal(size=300), "kind": ["a", "b", "c"] * 100, "<b>": RNG.normal(size=300)}
AFTER = {"size": RNG.normal(2, size=200), "kind": ["a", "<i>"] * 100, "<b>": RNG.normal(size=200)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a workspace with two versions of a data set, and the tables as files."""
    place = tmp_path_factory.mktemp("drift")
    pl.DataFrame(BEFORE).write_parquet(place / "before.parquet")
    pl.DataFrame(AFTER).write_csv(place / "after.csv")
    with open_workspace(workspace_settings(place)) as workspace:
        for name in ("before.parquet", "after.csv"):
            dataset("sales", workspace=workspace).add(place / name)
    return place


def compared(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    assert main(["data", "drift", *map(str, arguments), "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_files_and_versions_say_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever form they lie in; files need no workspace."""
    of_files = compared(capsys, folder / "before.parquet", folder / "after.csv")
    of_versions = compared(capsys, "sales@1", "sales", "-w", folder)

    assert {column["name"] for column in of_files["columns"] if column["drifted"]} == {"size", "kind"}
    assert of_versions["columns"] == of_files["columns"]
    assert (of_versions["reference"], of_versions["n_current"]) == ("sales@1", 200)


def test_a_terminal_shows_both_distributions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And one sentence that sums up."""
    files = [str(folder / "before.parquet"), str(folder / "after.csv")]
    assert main(["data", "drift", *files, "--together"]) == 0
    said = capsys.readouterr()
    (line,) = (line for line in said.out.splitlines() if line.split()[:1] == ["size"])

    assert "2 of 3 columns differ" in said.err
    assert line.split()[1:3] == ["drifted", "ks"]
    assert len(re.findall("[▁▂▃▄▅▆▇█]+ *[▁▂▃▄▅▆▇█]*", line)) >= 2
    assert "`kind` has new values in 50.0% of the rows: `<i>`" in said.out
    assert "AUC of 0.9" in said.out


def test_columns_and_limits_can_be_chosen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column that is not there is refused with a near name."""
    files = [folder / "before.parquet", folder / "after.csv"]
    found = compared(capsys, *files, "-c", "size", "--least-psi", "50")

    assert [(column["name"], column["differs"], column["drifted"]) for column in found["columns"]] == [
        ("size", True, False)
    ]
    assert main(["data", "drift", *map(str, files), "-c", "siz"]) == 1
    assert "size" in capsys.readouterr().err


class Tags(HTMLParser):
    """What a document is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize(("lang", "said"), [("en", "drifted"), ("es", "ha derivado")])
def test_the_report_is_one_file_that_loads_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, lang: str, said: str
) -> None:
    """No script, no link, no address; what users wrote is text, and every column is drawn."""
    target = tmp_path / "report.html"
    compared(capsys, folder / "before.parquet", folder / "after.csv", "--html", target, "--lang", lang)
    text = target.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    names = [tag for tag, _ in tags.found]

    assert said in text
    assert f'lang="{lang}"' in text
    assert not {"script", "link", "img", "iframe", "form", "b", "i"} & set(names)
    assert not any(
        key in {"src", "href", "style"} or key.startswith("on") for _, attrs in tags.found for key in attrs
    )
    assert names.count("svg") == 3
    assert "&lt;i&gt;" in text
    assert "url(" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.parquet", "before.parquet"], "There is no file"),
        (["before.parquet", "after.csv", "--lang", "fr"], "`en`, `es`"),
        (["before.parquet", "after.csv", "--level", "2"], "between 0 and 1"),
        (["sales@7", "sales@1", "-w", "."], "7"),
        (["before.parquet", "after.csv", "--html", "no/such/folder.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    """A file that is not there, a language nobody speaks, a level that is none, an unknown version."""
    monkeypatch.chdir(folder)

    assert main(["data", "drift", *arguments]) in {1, 2}
    assert said in capsys.readouterr().err
