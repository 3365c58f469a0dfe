"""What a run was made with: its code with what was not committed, and the packages that were installed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from noria.core.web.diffs import Diff, read_diff
from noria.core.web.pages import Page, Visit
from noria.tracking.capture import DIFF_PATH, ENVIRONMENT_PATH
from noria.tracking.entities import Run
from noria.tracking.pages_run_frame import RunContext, read_run, run_frame, run_path
from noria.tracking.permissions import READ_RUNS
from noria.tracking.run_files import find_file, read_bytes
from noria.tracking.source import MAX_DIFF_BYTES

_MAX_LOCK_BYTES = 1 << 20
_MAX_PACKAGES = 2_000
_PINNED = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")
_FROM = re.compile(r"([A-Za-z0-9._-]+) @ (\S+)(?:\s+# (\S+))?")
_COMMIT_TAG, _NAME_TAG, _REPOSITORY_TAG = (
    "mlflow.source.git.commit",
    "mlflow.source.name",
    "mlflow.source.git.repoURL",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeContext(RunContext):
    """What the page of a run's code shows.

    Attributes
    ----------
    commit
        Of the working folder; empty when it was in no repository.
    is_dirty
        Whether tracked files differed from it; None when nobody looked.
    repository
        Where the code is from, as an MLflow client told it.
    command
        The command line.
    python, host
        Version and machine.
    patch
        How tracked files differed; None when nothing was kept.
    download_url
        Gives the whole of it.
    is_known
        Whether anything is known of the code.
    """

    commit: str
    is_dirty: bool | None
    repository: str
    command: str
    python: str
    host: str
    patch: Diff | None
    download_url: str | None
    is_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An installed distribution.

    Attributes
    ----------
    origin
        Address that it was installed from; empty for an index.
    """

    name: str
    version: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentContext(RunContext):
    """What the page of a run's environment shows.

    Attributes
    ----------
    packages
        Those that the search fits.
    n_packages
        All that were installed.
    python
        Interpreter and platform, in the words of the lock.
    search
        What was looked for.
    download_url
        Gives the list as pip reads it; None when none was kept.
    """

    packages: tuple[Package, ...]
    n_packages: int
    python: str
    search: str
    download_url: str | None


def code(visit: Visit) -> CodeContext:
    """Gather what is known of the code."""
    run = read_run(visit)
    source = run.source
    file = find_file(visit, run, DIFF_PATH)
    data = read_bytes(visit, file, 0, 2 * MAX_DIFF_BYTES) if file else b""
    commit = (source.git_commit if source else None) or run.tags.get(_COMMIT_TAG, "")
    command = (source.command if source else None) or run.tags.get(_NAME_TAG, "")
    return CodeContext(
        **run_frame(visit, run, "code"),
        commit=commit,
        is_dirty=source.git_dirty if source else None,
        repository=run.tags.get(_REPOSITORY_TAG, ""),
        command=command,
        python=(source.python if source else None) or "",
        host=(source.host if source else None) or "",
        patch=read_diff(data.decode(errors="replace")) if file else None,
        download_url=visit.urls.run_file(run.project, run.id, DIFF_PATH) if file else None,
        is_known=bool(commit or command or file),
    )


def environment(visit: Visit) -> EnvironmentContext:
    """Gather the packages that were installed."""
    run = read_run(visit)
    heading, packages = _lock(visit, run)
    search = visit.parameters.get("q", "").strip().lower()
    found = [each for each in packages if search in f"{each.name} {each.version} {each.origin}".lower()]
    return EnvironmentContext(
        **run_frame(visit, run, "environment"),
        packages=tuple(found[:_MAX_PACKAGES]),
        n_packages=len(packages),
        python=heading,
        search=search,
        download_url=visit.urls.run_file(run.project, run.id, ENVIRONMENT_PATH)
        if packages or heading
        else None,
    )


def _lock(visit: Visit, run: Run) -> tuple[str, list[Package]]:
    file = find_file(visit, run, ENVIRONMENT_PATH)
    if file is None:
        return "", []
    return read_lock(read_bytes(visit, file, 0, _MAX_LOCK_BYTES).decode(errors="replace"))


def read_lock(text: str) -> tuple[str, list[Package]]:
    r"""Read what `environment_lock` wrote: its heading, and the packages.

    Examples
    --------
    >>> heading, packages = read_lock("# CPython 3.12 on Linux\nnumpy==2.1\nmine @ file:///a  # 0.1\n")
    >>> heading, [(each.name, each.version, each.origin) for each in packages]
    ('CPython 3.12 on Linux', [('numpy', '2.1', ''), ('mine', '0.1', 'file:///a')])
    """
    heading = ""
    packages = []
    for line in text.splitlines():
        if line.startswith("#"):
            heading = heading or line.removeprefix("#").strip()
        elif pinned := _PINNED.fullmatch(line.strip()):
            packages.append(Package(name=pinned[1], version=pinned[2], origin=""))
        elif placed := _FROM.fullmatch(line.strip()):
            packages.append(Package(name=placed[1], version=placed[3] or "", origin=placed[2]))
    return heading, packages


PAGES = (
    Page(path=run_path("code"), needs=READ_RUNS, template="noria.tracking/run_code.html", build=code),
    Page(
        path=run_path("environment"),
        needs=READ_RUNS,
        template="noria.tracking/run_environment.html",
        build=environment,
        query=("q",),
    ),
)
