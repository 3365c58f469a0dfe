"""What a source becomes when it is stored."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from noria.core.errors import Invalid
from noria.data.content import TABLE_FILE, load_arrays, read_source
from noria.data.entities import DatasetKind, parse_dataset_ref


class TestArrays:
    """Arrays, alone or by name."""

    def test_an_array_is_one_file(self) -> None:
        """Its rows are counted, and its columns profiled."""
        content = read_source(np.arange(6.0).reshape(3, 2))

        assert (content.kind, content.n_rows) == (DatasetKind.ARRAYS, 3)
        assert list(content.files or {}) == ["data.npy"]
        assert content.profile is not None
        assert list(content.profile["columns"]) == ["data[0]", "data[1]"]

    @pytest.mark.parametrize(
        "array",
        [
            np.arange(5, dtype=np.uint8),
            np.array([1.5, np.nan, np.inf]),
            np.array(["a", "é", ""]),
            np.array([b"a", b"bc"]),
            np.array([True, False]),
            np.array(["2026-01-01"], dtype="datetime64[D]"),
            np.zeros((2, 0)),
            np.asfortranarray(np.arange(12).reshape(3, 4)),
            np.array(7),
        ],
        ids=lambda array: f"{array.dtype}{array.shape}",
    )
    def test_any_array_without_objects_comes_back(self, array: np.ndarray[Any, Any]) -> None:
        """Values, type and shape."""
        content = read_source({"x": array})
        back = load_arrays(iter((content.files or {}).items()))["x"]

        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)

    def test_arrays_of_different_lengths_have_no_number_of_rows(self) -> None:
        """They are stored all the same."""
        content = read_source({"x": np.zeros(3), "y": np.zeros(4)})

        assert (content.n_rows, content.profile) == (None, None)

    @pytest.mark.parametrize(
        "array", [np.array([object()]), np.array([{}, None]), np.array(["a", 1], dtype=object)]
    )
    def test_python_objects_are_refused(self, array: np.ndarray[Any, Any]) -> None:
        """Reading them back would run code."""
        with pytest.raises(Invalid, match="`x` holds Python objects"):
            read_source({"x": array})

    def test_lists_are_taken_for_arrays(self) -> None:
        """As NumPy takes them."""
        assert read_source({"x": [1, 2, 3]}).n_rows == 3

    def test_no_array_at_all(self) -> None:
        """The hint shows the form."""
        with pytest.raises(Invalid, match="empty"):
            read_source({})

    @pytest.mark.parametrize("name", ["../x", "a/b", "", "x\n"])
    def test_a_name_that_leads_out_is_refused(self, name: str) -> None:
        """It becomes the name of a file."""
        with pytest.raises(Invalid, match="array"):
            read_source({name: np.zeros(1)})


class TestFiles:
    """Paths."""

    def test_a_numpy_file_becomes_arrays(self, tmp_path: Path) -> None:
        """As the array itself would."""
        np.save(tmp_path / "x.npy", np.arange(4))
        np.savez(tmp_path / "xy.npz", x=np.zeros((2, 2)), y=np.ones(2))

        assert list(read_source(tmp_path / "x.npy").files or {}) == ["data.npy"]
        assert list(read_source(str(tmp_path / "xy.npz")).files or {}) == ["x.npy", "y.npy"]

    def test_a_numpy_file_of_objects_is_refused(self, tmp_path: Path) -> None:
        """Nothing is unpickled."""
        np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(Invalid, match="cannot be read as NumPy arrays"):
            read_source(tmp_path / "x.npy")

    @pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.parquet"])
    @pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04 broken", b"\xff\xfe\x00"])
    def test_a_file_that_is_not_what_its_name_says(self, tmp_path: Path, name: str, content: bytes) -> None:
        """Is refused by its path."""
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Invalid, match="cannot be read as") as caught:
            read_source(tmp_path / name)

        assert str(tmp_path / name) in caught.value.message

    def test_an_archive_under_the_name_of_an_array_and_the_reverse(self, tmp_path: Path) -> None:
        """Are refused: the version would hold something else than its name says."""
        np.savez(tmp_path / "a.npz", x=np.zeros(2))
        (tmp_path / "a.npz").rename(tmp_path / "a.npy")
        np.save(tmp_path / "b.npy", np.zeros(2))
        (tmp_path / "b.npy").rename(tmp_path / "b.npz")
        for name in ("a.npy", "b.npz"):
            with pytest.raises(Invalid, match=name):
                read_source(tmp_path / name)

    @pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3,4\n"])
    def test_a_broken_csv_file(self, tmp_path: Path, content: bytes) -> None:
        """Is refused by its path."""
        (tmp_path / "t.csv").write_bytes(content)
        with pytest.raises(Invalid, match=r"t\.csv` cannot be read as a table"):
            read_source(tmp_path / "t.csv")

    def test_a_table_file_is_kept_as_it_is_and_profiled(self, tmp_path: Path) -> None:
        """Bytes stay the user's; rows and columns are known."""
        (tmp_path / "t.csv").write_text("a,b\n1,x\n2,\n")
        content = read_source(tmp_path / "t.csv")

        assert (content.kind, content.folder, content.n_rows) == (DatasetKind.FILES, tmp_path / "t.csv", 2)
        assert content.profile is not None
        assert list(content.profile["columns"]) == ["a", "b"]

    def test_other_files_and_folders_are_kept_as_they_are(self, tmp_path: Path) -> None:
        """Without a number of rows."""
        (tmp_path / "note.txt").write_text("x")

        assert read_source(tmp_path / "note.txt").n_rows is None
        assert read_source(tmp_path).folder == tmp_path

    def test_a_missing_path(self, tmp_path: Path) -> None:
        """Is named."""
        with pytest.raises(Invalid, match="no file or folder"):
            read_source(tmp_path / "nope")


class TestFrames:
    """Polars frames."""

    def test_a_frame_is_a_parquet_file(self) -> None:
        """With rows and profile."""
        frame = pl.DataFrame({"n": [1, 2, None], "t": ["a", None, "c"]})
        content = read_source(frame)

        assert (content.kind, content.n_rows) == (DatasetKind.TABLE, 3)
        assert content.profile is not None
        assert pl.read_parquet(io.BytesIO((content.files or {})[TABLE_FILE])).equals(frame)

    def test_a_frame_of_anything_polars_knows(self) -> None:
        """Columns that cannot be profiled as numbers are profiled as texts, or as nothing; none is an error."""
        frame = pl.DataFrame(
            {
                "day": pl.date_range(pl.date(2026, 1, 1), pl.date(2026, 1, 3), eager=True),
                "list": [[1, 2], [], None],
                "struct": [{"a": 1}, {"a": 2}, None],
                "truth": [True, None, False],
                "kind": pl.Series(["a", "b", "a"], dtype=pl.Categorical),
            }
        )

        assert read_source(frame).n_rows == 3

    def test_an_empty_frame(self) -> None:
        """Has no rows and no profile."""
        content = read_source(pl.DataFrame({"a": []}))

        assert (content.n_rows, content.profile) == (0, None)


@pytest.mark.parametrize("source", [3, None, object(), [1, 2], iter([]), {1, 2}])
def test_what_no_dataset_can_be_made_of(source: object) -> None:
    """Is named with its type, and what can be given is listed."""
    with pytest.raises(Invalid, match="cannot be made of") as caught:
        read_source(source)

    assert "NumPy" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("ref", "expected"),
    [("digits", ("digits", None)), ("digits@latest", ("digits", None)), ("digits@12", ("digits", 12))],
)
def test_a_reference(ref: str, expected: tuple[str, int | None]) -> None:
    """Name and version; None is the newest."""
    assert parse_dataset_ref(ref) == expected


@pytest.mark.parametrize("ref", ["digits@0", "digits@-1", "digits@1.5", "digits@one", "digits@", "digits@²"])
def test_what_is_no_reference(ref: str) -> None:
    """What follows the sign must be a version."""
    with pytest.raises(Invalid):
        parse_dataset_ref(ref)
