"""Settings: one typed object, built once at the surface and passed in.

Precedence, strongest first: command-line option, environment variable, `noria.toml`, default. An empty `noria.toml`
is valid; a key that nobody declared is an error that names the closest one.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from noria.core.errors import ConfigInvalid, near

CONFIG_FILE = "noria.toml"
WORKSPACE_FOLDER = ".noria"
DATABASE_FILE = "noria.db"
DEFAULT_PROJECT = "default"

ENVIRONMENT = {
    "NORIA_WORKSPACE": "folder or `http(s)://` address of the workspace",
    "NORIA_DATABASE": "server side: `sqlite:///…` or `postgresql://…`",
    "NORIA_OBJECTS": "server side: folder or bucket (`s3://…`, `gs://…`, `az://…`) of the object store",
    "NORIA_PROJECT": "project that commands and the SDK work in",
    "NORIA_TOKEN": "API token for a server workspace",
    "NORIA_MAIL_PASSWORD": "server side: password of the user that `[mail]` names",
    "NORIA_NOTIFY_SECRET": "`whsec_…`: what `noria run` signs the calls of `[notify]` with, for a server workspace",
    "NORIA_COMMAND": "command that tasks of exported DAGs call instead of `noria`; Noria itself does not read it",
    "NORIA_DEBUG": "`1` shows the traceback of an error that nobody foresaw",
}


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a table in `noria.toml`; every key has a default.

    Subclasses repeat the class options, since the type checker does not inherit them.
    """


class ProjectSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[project]`: which project this folder belongs to.

    Attributes
    ----------
    name
        Project that commands and the SDK work in.
    """

    name: str = DEFAULT_PROJECT


class WorkspaceSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[workspace]`: where things are kept.

    Attributes
    ----------
    url
        Folder or `http(s)://` address.
    database, objects
        Server side: database URL, and folder or bucket of the object store.

    Notes
    -----
    Relative paths begin at the folder of this file; in environment variables and options, at the working folder.
    """

    url: str | None = None
    database: str | None = None
    objects: str | None = None


SECTIONS: dict[str, str] = {
    "project": "noria.core.config:ProjectSection",
    "workspace": "noria.core.config:WorkspaceSection",
    "server": "noria.server.entities:ServerSection",
    "gc": "noria.server.upkeep:GcSection",
    "outbound": "noria.core.outbound.entities:OutboundSection",
    "mail": "noria.core.outbound.mail:MailSection",
    "jobs": "noria.pipelines.job_entities:JobSection",
    "notify": "noria.pipelines.run_notices:NotifySection",
    "tracking": "noria.tracking.settings:TrackingSection",
    "validation": "noria.registry.validation.entities:ValidationSection",
    "packages": "noria.registry.packages.entities:PackagesSection",
    "rollouts": "noria.serving.rollouts.steps:RolloutSection",
    "labels": "noria.serving.label_trust:LabelSection",
    "monitors": "noria.monitoring.entities:MonitorSection",
    "alerts": "noria.monitoring.receivers.entities:AlertSection",
    "decisions": "noria.decisions.entities:DecisionSection",
    "data": "noria.data.quality.settings:DataSection",
    "openlineage": "noria.interop.openlineage.entities:OpenLineageSection",
}
"""Table in `noria.toml` → the class that types it, as a dotted name: nothing is imported before it is used."""

LISTS: dict[str, str] = {"schedules": "noria.pipelines.schedules.entities:ScheduleSection"}
"""Tables of which a file may have several, each under `[[name]]`, as a dotted name too; their keys may be required."""

AROUND_RUNS: dict[str, str] = {"openlineage": "noria.interop.openlineage.around:telling"}
"""Table in `noria.toml` → what stands around a command that runs pipelines, if the file has that table."""

X = TypeVar("X", bound=Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that was configured, resolved.

    Attributes
    ----------
    workspace
        Absolute folder path, or `http(s)://host`.
    database_url
        `sqlite:///…` inside the folder unless told otherwise. Unused when the workspace is a server.
    objects_url
        Folder of the object store, or `s3://bucket/prefix`, `gs://…`, `az://…`.
    project
        Name of the project worked in.
    project_root
        Folder of the `noria.toml` that was read, else the working folder.
    token
        API token for a server workspace.
    mail_password
        Of the user that `[mail]` names.
    notify_secret
        What calls of `[notify]` are signed with, instead of a secret made of the workspace key.
    """

    workspace: str
    database_url: str
    objects_url: str
    project: str = DEFAULT_PROJECT
    project_root: Path = Path()
    token: str | None = field(default=None, repr=False)
    mail_password: str | None = field(default=None, repr=False)
    notify_secret: str | None = field(default=None, repr=False)
    sections: Mapping[str, Section] = field(default_factory=dict)
    lists: Mapping[str, tuple[Section, ...]] = field(default_factory=dict)

    @property
    def is_remote(self) -> bool:
        """Tell whether the workspace is a server rather than a folder."""
        return self.workspace.startswith(("http://", "https://"))

    @property
    def folder(self) -> Path:
        """Folder of the workspace.

        Raises
        ------
        ConfigInvalid
            If the workspace is a server.
        """
        if self.is_remote:
            raise ConfigInvalid(
                f"This needs a workspace folder, but the workspace is the server `{self.workspace}`",
                hint="Set `NORIA_WORKSPACE` to a folder",
            )
        return Path(self.workspace)

    def section(self, name: str, type_: type[X]) -> X:
        """Give a table of `noria.toml`, or its defaults when the file does not have it."""
        found = self.sections.get(name)
        return found if isinstance(found, type_) else type_()

    def entries(self, name: str, type_: type[X]) -> list[X]:
        """Give the tables that stand under `[[name]]` in `noria.toml`, in their order."""
        return [found for found in self.lists.get(name, ()) if isinstance(found, type_)]


def load_settings(
    *,
    workspace: str | None = None,
    project: str | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Read options, environment and `noria.toml` into one settings object.

    Parameters
    ----------
    workspace, project
        Command-line options; they win over everything.
    environ
        Environment to read; the process's own by default.
    folder
        Where to look for `noria.toml` and `.noria/`, upwards; the working folder by default.

    Raises
    ------
    ConfigInvalid
        If a key or variable is unknown or has a wrong type; the message names it.
    """
    env = os.environ if environ is None else environ
    start = (folder or Path.cwd()).resolve()
    _refuse_misspelt_variables(env)
    config_path = _find_upwards(start, CONFIG_FILE)
    sections, lists = _read_config(config_path) if config_path else ({}, {})
    root = config_path.parent if config_path else start
    place = sections.get("workspace")
    declared = place if isinstance(place, WorkspaceSection) else WorkspaceSection()
    chosen = workspace or env.get("NORIA_WORKSPACE")
    location = _resolve_workspace(chosen, declared.url, root, start)
    named = sections.get("project")
    remote = location.startswith(("http://", "https://"))
    inside = "" if remote else location
    return Settings(
        workspace=location,
        database_url=_database(env.get("NORIA_DATABASE"), start)
        or _database(declared.database, root)
        or f"sqlite:///{inside}/{DATABASE_FILE}",
        objects_url=_objects(env.get("NORIA_OBJECTS"), start)
        or _objects(declared.objects, root)
        or f"{inside}/objects",
        project=project
        or env.get("NORIA_PROJECT")
        or (named.name if isinstance(named, ProjectSection) else DEFAULT_PROJECT),
        project_root=root,
        token=env.get("NORIA_TOKEN") or None,
        mail_password=env.get("NORIA_MAIL_PASSWORD") or None,
        notify_secret=env.get("NORIA_NOTIFY_SECRET") or None,
        sections=sections,
        lists=lists,
    )


def _refuse_misspelt_variables(env: Mapping[str, str]) -> None:
    for name in env:
        if name.startswith("NORIA_") and name not in ENVIRONMENT:
            close = near(name, ENVIRONMENT)
            if close:
                raise ConfigInvalid(
                    f"The environment variable `{name}` is not one that Noria reads",
                    hint=f"Did you mean `{close}`?",
                )


def _find_upwards(start: Path, name: str) -> Path | None:
    for folder in (start, *start.parents):
        if (folder / name).exists():
            return folder / name
    return None


def _resolve_workspace(chosen: str | None, declared: str | None, root: Path, start: Path) -> str:
    if chosen:
        return _absolute(chosen, start)
    if declared:
        return _absolute(declared, root)
    found = _find_upwards(start, WORKSPACE_FOLDER)
    return str(found) if found and found.is_dir() else str(Path.home() / WORKSPACE_FOLDER)


def _absolute(location: str, base: Path) -> str:
    if location.startswith(("http://", "https://")):
        return _address(location)
    if "://" in location:
        raise ConfigInvalid(
            f"The workspace `{location}` is neither a folder nor an `http(s)://` address",
            hint="The database is named by `NORIA_DATABASE`, the object store by `NORIA_OBJECTS`",
        )
    return _place(location, base)


def _address(url: str) -> str:
    try:
        has_host = bool(urlsplit(url).hostname)
    except ValueError:
        has_host = False
    if not has_host:
        raise ConfigInvalid(
            f"The workspace `{url}` has no host", hint="Write an address such as `http://127.0.0.1:7777`"
        )
    return url.rstrip("/")


def _place(path: str, base: Path) -> str:
    try:
        return str((base / Path(path).expanduser()).resolve())
    except (RuntimeError, OSError) as error:  # an unknown `~user`; a name that the file system refuses
        raise ConfigInvalid(f"`{path}` cannot be a folder: {error}", hint="Write the path in full") from error


def _database(url: str | None, base: Path) -> str | None:
    """Make the file of a SQLite URL absolute, so that every folder of a project reaches the same one."""
    scheme, separator, path = (url or "").partition("sqlite:///")
    if scheme or not separator or not path or path.startswith(("/", ":")):
        return url or None
    return f"sqlite:///{(base / path).resolve()}"


def _objects(url: str | None, base: Path) -> str | None:
    if not url or "://" in url:
        return url or None
    return _place(url, base)


def _read_config(path: Path) -> tuple[dict[str, Section], dict[str, tuple[Section, ...]]]:
    import tomllib  # most commands find no file

    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"`{path.name}` is not valid TOML: {error}", hint=f"Mend `{path}`") from error
    except OSError as error:
        raise ConfigInvalid(f"`{path}` cannot be read: {error.strerror}") from error
    lists = {name: _read_list(path, name, value) for name, value in raw.items() if name in LISTS}
    return {name: _read_section(path, name, value) for name, value in raw.items() if name not in LISTS}, lists


def _read_section(path: Path, name: str, value: Any) -> Section:
    if name not in SECTIONS:
        raise _unknown_key(path, "", name, [*SECTIONS, *LISTS])
    if not isinstance(value, dict):
        raise ConfigInvalid(
            f"`{name}` in `{path.name}` must be a table", hint=f"Write `[{name}]` above its keys"
        )
    return _read_table(path, name, SECTIONS[name], value)


def _read_list(path: Path, name: str, value: Any) -> tuple[Section, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ConfigInvalid(
            f"`{name}` in `{path.name}` must be a list of tables",
            hint=f"Write `[[{name}]]` above the keys of each",
        )
    return tuple(_read_table(path, name, LISTS[name], entry) for entry in value)


def _read_table(path: Path, name: str, dotted: str, value: dict[str, Any]) -> Section:
    module, _, attribute = dotted.partition(":")
    type_: type[Section] = getattr(importlib.import_module(module), attribute)
    fields = [f.encode_name for f in msgspec.structs.fields(type_)]
    for key in value:
        if key not in fields:
            raise _unknown_key(path, f"{name}.", key, fields)
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise ConfigInvalid(
            f"`[{name}]` in `{path.name}` is wrong: {error}", hint=f"Mend `{path}`"
        ) from error


def _unknown_key(path: Path, table: str, key: str, known: list[str]) -> ConfigInvalid:
    close = near(key, known)
    listed = ", ".join(f"`{table}{name}`" for name in known)
    hint = f"Did you mean `{table}{close}`?" if close else f"Known: {listed}"
    return ConfigInvalid(
        f"`{path.name}` has the unknown key `{table}{key}`",
        hint=hint,
        details={"key": f"{table}{key}", "file": str(path)},
    )
