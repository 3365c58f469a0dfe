"""Figures, tables, images and texts become files that others read."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image

from noria.core.errors import Invalid
from noria.tracking.media import dict_file, figure_file, image_file, read_table, table_file, text_file

mpl.use("Agg")


@pytest.fixture
def drawn() -> Iterator[Any]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([1, 2, 3])
    yield figure
    plt.close(figure)


@pytest.mark.parametrize(
    ("name", "path", "start"),
    [
        ("roc", "roc.png", b"\x89PNG"),
        ("plots/roc.svg", "plots/roc.svg", b"<?xml"),
        ("roc.PDF", "roc.pdf", b"%PDF"),
        ("v1.2 roc", "v1.2 roc.png", b"\x89PNG"),
    ],
)
def test_a_figure_of_matplotlib_is_drawn_as_its_name_says(
    drawn: Any, name: str, path: str, start: bytes
) -> None:
    """PNG unless the ending says otherwise; axes will do for their figure."""
    assert figure_file(name, drawn).path == path
    assert figure_file(name, drawn).data.startswith(start)
    assert figure_file(name, drawn.axes[0]).path == path


def test_a_figure_of_plotly_is_json_or_a_page() -> None:
    """The JSON can be opened by Plotly again; the page stands on its own."""
    import plotly.graph_objects as go
    import plotly.io as pio

    figure = go.Figure(go.Scatter(x=np.arange(3), y=[1, 2, 3]))
    made = figure_file("curve", figure)
    page = figure_file("curve.html", figure)

    assert (made.path, page.path) == ("curve.json", "curve.html")
    assert list(pio.from_json(made.data.decode()).data[0].y) == [1, 2, 3]
    assert b"<html" in page.data


def test_steps_give_paths_that_sort() -> None:
    """A figure, table or image of each epoch has its place."""
    assert image_file("sample", np.zeros((2, 2)), step=7).path == "sample/00000007.png"
    assert table_file("errors.csv", [{"a": 1}], step=12).path == "errors/00000012.csv"


@pytest.mark.parametrize("figure", [object(), "roc.png", None, {"a": 1}])
def test_what_is_no_figure_is_refused(figure: Any) -> None:
    """The error names the figure and its type."""
    with pytest.raises(Invalid, match=f"`roc` is a `{type(figure).__name__}`"):
        figure_file("roc", figure)


def test_a_format_that_fits_no_figure_is_refused(drawn: Any) -> None:
    """The error lists those that do."""
    with pytest.raises(Invalid, match=r"\.html") as caught:
        figure_file("roc.html", drawn)
    assert caught.value.hint is not None
    assert "`.svg`" in caught.value.hint


ROWS = [{"name": "a", "score": 0.5, "n": 1}, {"name": "é", "score": None, "n": 2}]
FRAME = pl.DataFrame(ROWS)


@pytest.mark.parametrize("ending", ["", ".parquet", ".json", ".csv"])
@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        tuple(ROWS),
        {"name": ["a", "é"], "score": [0.5, None], "n": np.array([1, 2])},
        FRAME,
        pd.DataFrame(ROWS),
    ],
    ids=["rows", "tuple", "columns", "polars", "pandas"],
)
def test_a_table_comes_back(rows: Any, ending: str) -> None:
    """Whatever it was given as, and in each format."""
    made = table_file(f"errors{ending}", rows)
    plain = isinstance(rows, (dict, list, tuple))
    found = read_table(made.path, made.data)

    assert made.path == f"errors{ending or ('.json' if plain else '.parquet')}"
    assert found.columns == ["name", "score", "n"]
    assert found.select("name", "n").rows() == [("a", 1), ("é", 2)]
    assert found["score"][0] == 0.5
    assert found["score"][1] is None or np.isnan(found["score"][1])


def test_a_table_in_json_is_one_that_mlflow_reads() -> None:
    """Its form is the one of `mlflow.load_table`."""
    made = table_file("errors", [{"a": np.int64(1)}, {"b": [1, 2]}])

    assert json.loads(made.data) == {"columns": ["a", "b"], "data": [[1, None], [None, [1, 2]]]}


@pytest.mark.parametrize("rows", [[1, 2], "abc", object(), {"a": [1], "b": [1, 2]}, [{"a": 1}, 2]])
@pytest.mark.parametrize("ending", ["", ".parquet"])
def test_what_is_no_table_is_refused(rows: Any, ending: str) -> None:
    """Nothing is made of half a table."""
    with pytest.raises(Invalid, match="`errors"):
        table_file(f"errors{ending}", rows)


def test_an_empty_table_is_one() -> None:
    """A model without errors has no rows to show."""
    made = table_file("errors", [])

    assert read_table(made.path, made.data).shape == (0, 0)


def test_images_of_every_kind_are_kept(tmp_path: Path) -> None:
    """Arrays are encoded, Pillow's drawn, and files kept as they are."""
    picture = Image.new("RGB", (3, 2), (255, 0, 0))
    path = tmp_path / "photo.jpeg"
    picture.save(path)

    assert Image.open(io.BytesIO(image_file("a", np.zeros((2, 3, 3))).data)).size == (3, 2)
    assert image_file("b", picture).path == "b.png"
    assert Image.open(io.BytesIO(image_file("b.jpg", picture).data)).format == "JPEG"
    assert image_file("c", path) == ("c.jpeg", path.read_bytes())
    with pytest.raises(Invalid, match="cannot be read"):
        image_file("d", tmp_path / "missing.png")


def test_texts_and_dicts_are_kept() -> None:
    """A text without an ending is plain; a dict is JSON."""
    assert text_file("note", "é") == ("note.txt", "é".encode())
    assert text_file("model.md", "x").path == "model.md"
    assert json.loads(dict_file("params", {"a": [1, 2.5, None]}).data) == {"a": [1, 2.5, None]}
    with pytest.raises(Invalid, match="`note` is a `int`"):
        text_file("note", 3)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="no form in JSON"):
        dict_file("params", {"a": object()})


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", ""])
def test_paths_stay_in_the_run(name: str) -> None:
    """Every kind of file is checked at the door."""
    with pytest.raises(Invalid):
        text_file(name, "x")
    with pytest.raises(Invalid):
        dict_file(name, {})
    with pytest.raises(Invalid):
        table_file(name, [])
    with pytest.raises(Invalid):
        image_file(name, np.zeros((1, 1)))


def test_no_plotting_library_is_imported_for_others() -> None:
    """Who logs no figure pays for none."""
    heavy = ["matplotlib", "plotly", "pandas", "polars", "numpy", "PIL"]
    script = (
        "import sys, noria.tracking.media, noria.tracking.client\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
