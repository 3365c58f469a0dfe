"""Settings: where they come from, which wins, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from noria.core.config import (
    ENVIRONMENT,
    SECTIONS,
    ProjectSection,
    Section,
    Settings,
    load_settings,
)
from noria.core.errors import ConfigInvalid
from noria.monitoring.entities import MonitorSection
from noria.pipelines.schedules.entities import ScheduleSection


def section_class(name: str) -> type[Section]:
    import importlib

    module, _, attribute = SECTIONS[name].partition(":")
    cls: type[Section] = getattr(importlib.import_module(module), attribute)
    return cls


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def configure(root: Path, text: str) -> None:
    (root / "noria.toml").write_text(text)


def load(folder: Path, environ: dict[str, str] | None = None, **options: str) -> Settings:
    return load_settings(environ=environ or {}, folder=folder, **options)


class TestPrecedence:
    """An option beats the environment, which beats `noria.toml`, which beats the default."""

    def test_without_anything_the_workspace_is_in_the_home_folder(
        self, root: Path, clean_environment: Path
    ) -> None:
        """A person who configured nothing has one workspace."""
        settings = load(root)

        assert settings.workspace == str(clean_environment / ".noria")
        assert settings.database_url == f"sqlite:///{clean_environment}/.noria/noria.db"
        assert settings.objects_url == f"{clean_environment}/.noria/objects"
        assert settings.project == "default"
        assert not settings.is_remote

    def test_a_workspace_folder_above_is_found(self, root: Path) -> None:
        """Below a folder with `.noria/` every folder works in it."""
        (root / ".noria").mkdir()
        (root / "src" / "deep").mkdir(parents=True)

        assert load(root / "src" / "deep").workspace == str(root / ".noria")

    def test_a_file_called_noria_is_no_workspace(self, root: Path, clean_environment: Path) -> None:
        """Only a folder can be a workspace."""
        (root / ".noria").write_text("a note")

        assert load(root).workspace == str(clean_environment / ".noria")

    @pytest.mark.parametrize(
        ("option", "environ", "file", "expected"),
        [
            ("/o", {"NORIA_WORKSPACE": "/e"}, "/f", "/o"),
            (None, {"NORIA_WORKSPACE": "/e"}, "/f", "/e"),
            (None, {}, "/f", "/f"),
            (None, {"NORIA_WORKSPACE": ""}, "/f", "/f"),
        ],
    )
    def test_workspace(
        self, root: Path, option: str | None, environ: dict[str, str], file: str, expected: str
    ) -> None:
        """The strongest that is given names the workspace; an empty variable gives nothing."""
        configure(root, f'[workspace]\nurl = "{file}"')
        settings = load_settings(workspace=option, environ=environ, folder=root)

        assert settings.workspace == expected

    @pytest.mark.parametrize(
        ("option", "environ", "expected"),
        [("o", {"NORIA_PROJECT": "e"}, "o"), (None, {"NORIA_PROJECT": "e"}, "e"), (None, {}, "f")],
    )
    def test_project(self, root: Path, option: str | None, environ: dict[str, str], expected: str) -> None:
        """The strongest that is given names the project."""
        configure(root, '[project]\nname = "f"')

        assert load_settings(project=option, environ=environ, folder=root).project == expected

    def test_backends(self, root: Path) -> None:
        """The environment beats the file for database and object store too."""
        configure(root, '[workspace]\ndatabase = "sqlite:////f.db"\nobjects = "/f"')
        environ = {"NORIA_DATABASE": "postgresql://e", "NORIA_OBJECTS": "/e"}

        assert load(root).database_url == "sqlite:////f.db"
        assert load(root).objects_url == "/f"
        assert load(root, environ).database_url == "postgresql://e"
        assert load(root, environ).objects_url == "/e"

    def test_the_nearest_file_counts(self, root: Path) -> None:
        """A file in an inner folder hides the outer one whole."""
        configure(root, '[project]\nname = "outer"')
        (root / "inner").mkdir()
        configure(root / "inner", "")

        assert load(root / "inner").project == "default"
        assert load(root / "inner").project_root == root / "inner"

    def test_the_token_is_not_shown(self, root: Path) -> None:
        """Settings can be printed."""
        settings = load(root, {"NORIA_TOKEN": "secret-token"})

        assert settings.token == "secret-token"
        assert "secret-token" not in repr(settings)


class TestRelativePaths:
    """A relative path in the file begins at the file, so that every folder of the project means the same."""

    def test_in_the_file(self, root: Path) -> None:
        """From a folder below, workspace, database and objects are those of the project."""
        configure(root, '[workspace]\nurl = "place"\ndatabase = "sqlite:///db/n.db"\nobjects = "store"')
        (root / "below").mkdir()
        settings = load(root / "below")

        assert settings.workspace == f"{root}/place"
        assert settings.database_url == f"sqlite:///{root}/db/n.db"
        assert settings.objects_url == f"{root}/store"

    def test_in_the_environment(self, root: Path) -> None:
        """In a variable it begins at the working folder."""
        environ = {"NORIA_WORKSPACE": "w", "NORIA_DATABASE": "sqlite:///n.db", "NORIA_OBJECTS": "o"}
        settings = load(root, environ)

        assert settings.workspace == f"{root}/w"
        assert settings.database_url == f"sqlite:///{root}/n.db"
        assert settings.objects_url == f"{root}/o"

    def test_a_home_folder_is_expanded(self, root: Path, clean_environment: Path) -> None:
        """`~` means the home folder, as in a shell."""
        settings = load(root, {"NORIA_OBJECTS": "~/o"}, workspace="~/w")

        assert settings.workspace == f"{clean_environment}/w"
        assert settings.objects_url == f"{clean_environment}/o"

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "postgresql://u@h/d", "file:///o"])
    def test_other_addresses_stay_as_they_are(self, root: Path, url: str) -> None:
        """Only the file of a SQLite address is made absolute."""
        assert load(root, {"NORIA_DATABASE": url}).database_url == url


class TestServer:
    """A workspace can be a server."""

    @pytest.mark.parametrize("url", ["http://noria.example:7777", "https://noria.example/"])
    def test_an_address_is_remote(self, root: Path, url: str) -> None:
        """Its trailing slash goes, and it has no folder."""
        settings = load(root, workspace=url)

        assert settings.is_remote
        assert settings.workspace == url.rstrip("/")
        with pytest.raises(ConfigInvalid, match=r"noria\.example"):
            _ = settings.folder

    @pytest.mark.parametrize("url", ["http://", "https:///path", "http://[", "http://:80"])
    def test_an_address_without_a_host_is_refused(self, root: Path, url: str) -> None:
        """And is not taken for a folder."""
        with pytest.raises(ConfigInvalid, match="has no host"):
            load(root, workspace=url)

    def test_the_home_of_nobody_is_refused(self, root: Path) -> None:
        """A user who does not exist has no folder."""
        with pytest.raises(ConfigInvalid, match="`~no-such-user-here/w`"):
            load(root, workspace="~no-such-user-here/w")

    def test_another_scheme_is_refused(self, root: Path) -> None:
        """The error says where a database is named."""
        with pytest.raises(ConfigInvalid, match="`s3://bucket`") as caught:
            load(root, workspace="s3://bucket")

        assert "NORIA_OBJECTS" in str(caught.value.hint)


class TestWrongFile:
    """What is wrong in `noria.toml` is named, with the mend."""

    def test_an_empty_file_is_valid(self, root: Path) -> None:
        """Everything has a default."""
        configure(root, "")

        assert load(root).sections == {}

    @pytest.mark.parametrize("text", ["[project", "name = ", '[project]\nname = "a"\nname = "b"'])
    def test_broken_toml(self, root: Path, text: str) -> None:
        """The message says where the file stops being TOML."""
        configure(root, text)
        with pytest.raises(ConfigInvalid, match="not valid TOML") as caught:
            load(root)

        assert str(root / "noria.toml") in str(caught.value.hint)

    def test_bytes_that_are_no_text(self, root: Path) -> None:
        """A file in another encoding is refused."""
        (root / "noria.toml").write_bytes(b"\xff\xfe[project]")
        with pytest.raises(ConfigInvalid, match="not valid TOML"):
            load(root)

    def test_a_folder_of_the_name(self, root: Path) -> None:
        """What cannot be read is an error of the settings."""
        (root / "noria.toml").mkdir()
        with pytest.raises(ConfigInvalid, match="cannot be read"):
            load(root)

    @pytest.mark.parametrize("name", sorted(SECTIONS))
    def test_a_misspelt_section_suggests_the_near_one(self, root: Path, name: str) -> None:
        """Every section is suggested for its name with a letter too many."""
        configure(root, f"[{name}x]")
        with pytest.raises(ConfigInvalid, match=f"`{name}x`") as caught:
            load(root)

        assert caught.value.hint == f"Did you mean `{name}`?"
        assert caught.value.details == {"key": f"{name}x", "file": str(root / "noria.toml")}

    @pytest.mark.parametrize("name", sorted(SECTIONS))
    def test_a_misspelt_key_suggests_the_near_one(self, root: Path, name: str) -> None:
        """Every key of every section is suggested for its name with a letter too many."""
        keys = [field.encode_name for field in msgspec.structs.fields(section_class(name))]
        for key in keys:
            configure(root, f"[{name}]\n{key}x = 1")
            with pytest.raises(ConfigInvalid, match=rf"`{name}\.{key}x`") as caught:
                load(root)
            assert caught.value.hint == f"Did you mean `{name}.{key}`?"
        assert keys

    @pytest.mark.parametrize("name", sorted(SECTIONS))
    def test_a_key_like_no_other_lists_the_known_ones(self, root: Path, name: str) -> None:
        """Where nothing is near, the good names are listed."""
        configure(root, f"[{name}]\nzzzzzzzzzz = 1")
        with pytest.raises(ConfigInvalid) as caught:
            load(root)

        assert str(caught.value.hint).startswith("Known: ")

    @pytest.mark.parametrize("name", sorted(SECTIONS))
    def test_a_wrong_type_names_the_key(self, root: Path, name: str) -> None:
        """Whatever the type of a key, a value that cannot be it is refused by name."""
        for field in msgspec.structs.fields(section_class(name)):
            configure(root, f"[{name}]\n{field.encode_name} = 1979-05-27")
            with pytest.raises(ConfigInvalid, match=rf"\[{name}\].*{field.encode_name}"):
                load(root)

    @pytest.mark.parametrize("name", sorted(SECTIONS))
    def test_a_section_that_is_no_table(self, root: Path, name: str) -> None:
        """The hint shows the form."""
        configure(root, f"{name} = 3")
        with pytest.raises(ConfigInvalid, match="must be a table") as caught:
            load(root)

        assert f"[{name}]" in str(caught.value.hint)

    @pytest.mark.parametrize("name", sorted(SECTIONS))
    def test_every_section_has_defaults_and_documents_its_keys(self, name: str) -> None:
        """An empty section is valid, and its docstring names each key."""
        cls = section_class(name)

        assert cls() == msgspec.convert({}, cls)
        for field in msgspec.structs.fields(cls):
            assert field.encode_name in (cls.__doc__ or ""), field.encode_name

    @pytest.mark.parametrize(
        "line",
        [
            "window_rows = 0",
            "window_rows = 5000000",
            "window_s = 30",
            "segment_values = 0",
            'segments = { prices = "region" }',
            "drift_level = 0",
            "drift_level = 1.5",
            "drift_windows = 0",
            "drift_psi = -1",
            "quality_margin = 1.0",
            "labels_per_false_alarm = 0",
            "window_rows = nan",
        ],
    )
    def test_a_monitor_outside_its_ranges(self, root: Path, line: str) -> None:
        """A monitor that could never see anything, or that would never be quiet, is refused."""
        configure(root, f"[monitors]\n{line}")
        with pytest.raises(ConfigInvalid, match=line.split(maxsplit=1)[0]):
            load(root)


class TestSections:
    """Each room reads its own table."""

    def test_a_section_of_the_file(self, root: Path) -> None:
        """What the file says, with defaults for the rest."""
        configure(root, "[monitors]\nwindow_rows = 50")

        assert load(root).section("monitors", MonitorSection) == MonitorSection(window_rows=50)

    def test_a_section_that_is_not_there(self, root: Path) -> None:
        """The defaults."""
        assert load(root).section("project", ProjectSection) == ProjectSection()


class TestEnvironment:
    """Variables."""

    @pytest.mark.parametrize("name", sorted(ENVIRONMENT))
    def test_a_misspelt_variable_suggests_the_near_one(self, root: Path, name: str) -> None:
        """A letter too many is an error, not silence."""
        with pytest.raises(ConfigInvalid, match=f"`{name}S`") as caught:
            load(root, {f"{name}S": "x"})

        assert caught.value.hint == f"Did you mean `{name}`?"

    def test_a_foreign_variable_is_left_alone(self, root: Path) -> None:
        """Other programs may have variables that begin alike."""
        assert load(root, {"NORIA_XYZZY_QUUX_COLOUR": "1", "HOME": "/"}).project == "default"


class TestLists:
    """Tables of which a file may have several."""

    def test_they_come_in_their_order(self, root: Path) -> None:
        """Each with its keys and defaults; a file without any gives none."""
        assert load(root).entries("schedules", ScheduleSection) == []
        configure(
            root,
            '[[schedules]]\nname = "b"\nrun = "m:p"\n[[schedules]]\nname = "a"\nrun = "m:q"\ncatchup = 3\n',
        )
        found = load(root).entries("schedules", ScheduleSection)
        assert [(entry.name, entry.run, entry.catchup) for entry in found] == [
            ("b", "m:p", 1),
            ("a", "m:q", 3),
        ]

    @pytest.mark.parametrize(
        ("text", "said", "hint"),
        [
            ('[[schedules]]\nname = "a"\n', "missing required field `run`", "Mend"),
            ('[[schedules]]\nname = "a"\nrun = "m:p"\ncorn = ""\n', "`schedules.corn`", "`schedules.cron`"),
            ('[schedules]\nname = "a"\n', "must be a list of tables", "[[schedules]]"),
            ("[schedule]\n", "unknown key `schedule`", "`schedules`"),
            ('[[schedules]]\nname = "a"\nrun = "m:p"\noverlap = "stop"\n', "`$.overlap`", "Mend"),
        ],
    )
    def test_what_is_wrong_is_named(self, root: Path, text: str, said: str, hint: str) -> None:
        """As in the other tables: key, value, and the mend."""
        configure(root, text)
        with pytest.raises(ConfigInvalid, match=re.escape(said)) as caught:
            load(root)
        assert hint in (caught.value.hint or "")
