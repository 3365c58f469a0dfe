"""Opening a workspace: folder or server, in process, for the SDK's calls."""

from __future__ import annotations

import contextlib
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.access.projects import Projects
from noria.core.clock import ManualClock, SystemClock
from noria.core.config import Settings, load_settings
from noria.core.control.lock import WorkspaceLock
from noria.core.database.migrate import DatabaseFromTheFuture
from noria.core.errors import ConfigInvalid, Conflict, Forbidden, Invalid
from noria.core.workspace import (
    InProcess,
    OverHttp,
    Workspace,
    current_workspace,
    make_folder,
    open_context,
    open_workspace,
    use_workspace,
)
from support.conformance import workspace_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return workspace_settings(tmp_path / "workspace")


@pytest.fixture
def workspace(settings: Settings) -> Iterator[Workspace]:
    with open_workspace(settings) as opened:
        yield opened


def test_a_new_folder_becomes_a_workspace(workspace: Workspace, settings: Settings) -> None:
    """Its owner's alone, with a key, a database and the project `default`."""
    assert isinstance(workspace.backend, InProcess)
    assert stat.S_IMODE(settings.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((settings.folder / "key").stat().st_mode) == 0o600
    assert workspace.project == "default"
    assert [project.name for project in workspace.service(Projects).list().items] == ["default"]


def test_opening_it_again_finds_what_is_there(settings: Settings) -> None:
    """Nothing is made twice."""
    with open_workspace(settings) as first:
        stored = first.objects().put_bytes(b"kept")
    with open_workspace(settings) as second:
        assert second.objects().get(stored.digest, limit_bytes=10) == b"kept"


def test_the_clock_is_the_one_that_was_passed_in(settings: Settings) -> None:
    """A replay is told the time."""
    clock = ManualClock(SystemClock().now())
    with open_workspace(settings, clock=clock) as opened:
        assert opened.clock is clock


def test_a_server_is_reached_over_http(tmp_path: Path) -> None:
    """Without asking it anything yet, and without making a folder."""
    settings = load_settings(workspace="http://127.0.0.1:9", environ={}, folder=tmp_path)
    with open_workspace(settings) as opened:
        assert isinstance(opened.backend, OverHttp)
    assert list(tmp_path.iterdir()) == []


def test_the_note_of_a_server_that_died_is_not_believed(settings: Settings) -> None:
    """A folder whose server no longer holds the lock is opened in process."""
    with open_workspace(settings):
        pass
    lock = WorkspaceLock(settings.folder)
    lock.acquire()
    lock.publish("http://127.0.0.1:9")
    note = (settings.folder / "server.json").read_bytes()
    with open_workspace(settings) as beside_a_server:
        over_http = isinstance(beside_a_server.backend, OverHttp)
    lock.release()
    (settings.folder / "server.json").write_bytes(note)
    with open_workspace(settings) as after_its_death:
        in_process = isinstance(after_its_death.backend, InProcess)

    assert (over_http, in_process) == (True, True)


def test_a_place_where_no_folder_can_be(tmp_path: Path) -> None:
    """A file in the way is the caller's to mend."""
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigInvalid, match="cannot be made") as caught:
            make_folder(place)
        assert "NORIA_WORKSPACE" in str(caught.value.hint)


def test_an_object_store_that_is_no_folder(settings: Settings, tmp_path: Path) -> None:
    """Is refused if it is no bucket either; `file://` is a folder."""
    import dataclasses

    with pytest.raises(ConfigInvalid, match="ftp://host"):
        open_context(dataclasses.replace(settings, objects_url="ftp://host/x"), SystemClock())
    filed = dataclasses.replace(settings, objects_url=f"file://{tmp_path}/there")
    with open_workspace(filed) as opened:
        opened.objects().put_bytes(b"x")

    assert (tmp_path / "there" / "objects").is_dir()


def test_a_key_that_others_can_read_stops_it(settings: Settings) -> None:
    """Before anything is served with it."""
    with open_workspace(settings):
        pass
    (settings.folder / "key").chmod(0o644)
    with pytest.raises(Forbidden, match="can be read by others"):
        open_workspace(settings)


def test_a_database_from_the_future_stops_it(settings: Settings) -> None:
    """With the command, and without a leak: the file can be removed and opened anew."""
    import sqlalchemy as sa

    context = open_context(settings, SystemClock())
    with context.database.write() as connection:
        connection.execute(sa.text("insert into alembic_version values ('core_0999')"))
    context.database.dispose()
    with pytest.raises(DatabaseFromTheFuture, match="core_0999"):
        open_workspace(settings)


class TestCurrent:
    """The workspace of the SDK's calls."""

    def test_inside_the_block_it_is_the_one_that_was_given(self, workspace: Workspace) -> None:
        """The inner one of two, and the outer one again afterwards, also when the block raises."""
        other = Workspace(workspace.settings, workspace.backend, workspace.clock)
        with use_workspace(workspace):
            with contextlib.suppress(KeyError), use_workspace(other):
                inner = current_workspace()
                raise KeyError("in the middle")
            outer = current_workspace()

        assert (inner, outer) == (other, workspace)

    def test_another_thread_does_not_see_it(
        self, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two requests at once do not mix."""
        monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / "another"))
        seen: list[str] = []
        with use_workspace(workspace):
            thread = threading.Thread(target=lambda: seen.append(load_settings().workspace))
            thread.start()
            thread.join()

        assert seen == [str(tmp_path / "another")]


def test_errors_of_services_are_those_of_the_tree(workspace: Workspace) -> None:
    """In process as over the wire."""
    from noria.access.projects import NewProject

    projects = workspace.service(Projects)
    with pytest.raises(Conflict, match="`default`"):
        projects.create(NewProject(name="default"))
    with pytest.raises(Invalid):
        projects.create(NewProject(name="a/b"))
