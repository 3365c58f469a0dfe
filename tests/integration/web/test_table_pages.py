"""The pages of a table that grew by appends."""

from __future__ import annotations

from noria.core.context import Context
from noria.core.workspace import InProcess, Workspace
from noria.data.client import dataset
from support.pages import Reader


def test_a_table_tells_its_versions_and_files(reader: Reader, context: Context) -> None:
    """List, table and version show rows, messages and files; a version without a profile is no error."""
    workspace = Workspace(context.settings, InProcess(context), context.clock)
    trips = dataset("trips", workspace=workspace)
    trips.append({"day": [1, 2], "n": [3, 5]}, message="January")
    trips.append({"day": [3], "n": [7]})
    data = "/projects/default/datasets"
    listed, one = reader.text(data), reader.text(f"{data}/trips")
    version = reader.text(f"{data}/trips/versions/2")

    assert "trips append 1 rows v2 table 3" in listed
    assert "v1 January table 2" in one
    assert "part-000000000001-" in version
    assert "_delta_log/" in version
