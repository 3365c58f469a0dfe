"""Properties of artifacts: paths that lead nowhere else, folders as brute force lists them, ranges within the file."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from noria.core.database.schema import whole_metadata
from noria.interop.mlflow.artifact_files import RangeUnsatisfiable, wanted_range
from noria.interop.mlflow.artifact_paths import file_parts_of, parts_of
from noria.interop.mlflow.errors import MlflowError
from noria.tracking.limits import check_artifact_path
from noria.tracking.model_tables import loose_artifacts
from noria.tracking.shelves import Shelf, list_folder

PIECES = [
    "..",
    ".",
    "/",
    "//",
    "\\",
    "%",
    "%2e",
    "%2f",
    "%25",
    "%5c",
    "%00",
    "a",
    "b.txt",
    "#",
    "?",
    ":",
    "C:",
    "file:",
    " ",
    "é",
    "\n",
]
hostile = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(max_size=30)
name = st.text(alphabet="ab.-0/é", min_size=1, max_size=4).filter(
    lambda text: not set(text) & {"/"}
) | st.sampled_from(["a", "a.b", "a-b", "a0", "é"])
paths = st.lists(name, min_size=1, max_size=4).map("/".join)


def encoded(path: str, times: int) -> str:
    """Percent-encode a path so many times."""
    for _ in range(times):
        path = quote(path, safe="")
    return path


@given(hostile)
@example("%2525252e%2525252e/x")
@example("a/..%2f..%2fb")
def test_whatever_passes_stays_inside(path: str) -> None:
    """No text, however it is encoded, gives parts that lead out of the tree or name another place than they say."""
    try:
        parts = parts_of(path)
    except MlflowError:
        return
    joined = "/".join(parts)

    assert not {"", ".", ".."} & set(parts)
    assert not set(joined) & set("\\\0#\n")
    assert posixpath.normpath(f"/root/{joined}") == posixpath.join("/root", *parts)
    assert parts_of(joined) == parts, "what passed once passes again, as itself"


@given(
    st.sampled_from(["..", "/etc", "a/../b", "\\x", "a\0b", "C:/x", "file:///x", "a#b"]), st.integers(0, 5)
)
def test_no_number_of_encodings_hides_a_bad_path(path: str, times: int) -> None:
    """It is refused plain, encoded once, twice, and more often."""
    with pytest.raises(MlflowError, match="Invalid path"):
        parts_of(encoded(path, times))


@given(
    st.lists(st.sampled_from(["a", "b c", "é", "x.txt", "100", "m-1"]), min_size=1, max_size=4),
    st.integers(0, 3),
)
def test_good_paths_mean_the_same_however_often_they_are_encoded(parts: list[str], times: int) -> None:
    """And they are what the store takes."""
    path = "/".join(parts)

    assert file_parts_of(encoded(path, times)) == parts
    assert check_artifact_path(path) == path


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Connection]:
    """Give a database with the table of loose artifacts alone."""
    folder: Path = tmp_path_factory.mktemp("shelves")
    engine = sa.create_engine(f"sqlite:///{folder / 'shelf.db'}")
    whole_metadata().create_all(engine, [whole_metadata().tables["projects"], loose_artifacts])
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def brute_force(files: set[str], folder: str) -> list[tuple[str, bool]]:
    """List a folder by looking at every path, folders by their place with a `/` behind them."""
    prefix = f"{folder}/" if folder else ""
    found = set()
    for path in files:
        if path.startswith(prefix):
            first, slash, _ = path[len(prefix) :].partition("/")
            found.add((prefix + first, bool(slash)))
    return sorted(found, key=lambda item: (item[0] + "/" * item[1]).encode())


@given(st.sets(paths, max_size=30), st.data())
def test_folders_are_listed_as_brute_force_does(
    connection: sa.Connection, candidates: set[str], data: st.DataObject
) -> None:
    """Every folder, in pages of every size, gives each entry once and in the order of bytes."""
    files = {path for path in candidates if not any(other.startswith(f"{path}/") for other in candidates)}
    connection.execute(sa.delete(loose_artifacts))
    row = {"project_pk": 1, "digest": "", "size_bytes": 1, "at": datetime(2026, 1, 1, tzinfo=UTC)}
    if files:
        connection.execute(sa.insert(loose_artifacts), [{**row, "path": path} for path in files])
    shelf = Shelf(table=loose_artifacts, column="project_pk", key=1, project="default", owner="x")
    folder = data.draw(st.sampled_from(sorted({"", *(posixpath.dirname(path) for path in files), "none"})))
    limit = data.draw(st.integers(1, 5))
    found: list[tuple[str, bool]] = []
    after: str | None = ""
    while after is not None:
        items, after = list_folder(connection, shelf, folder, after=after, limit=limit)
        found += [(item.path, item.is_folder) for item in items]

    assert found == brute_force(files, folder)


@given(st.integers(0, 50), st.none() | st.integers(0, 60), st.none() | st.integers(0, 60))
def test_a_range_is_what_slicing_gives(size: int, first: int | None, last: int | None) -> None:
    """A part lies within the file and is what the same slice of its bytes is."""
    data = bytes(range(size))
    asked = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None:
        wanted = None if last is None else data[max(0, size - last) :] if last else b""
    elif last is not None and last < first:
        wanted = None
    else:
        wanted = data[first:] if last is None else data[first : last + 1]
    try:
        part = wanted_range({"range": asked}, size, "")
    except RangeUnsatisfiable:
        assert wanted == b""
        return
    if part is None:
        assert wanted is None
    else:
        start, length = part
        assert length > 0
        assert data[start : start + length] == wanted
