"""What every test has: a clean environment, and real servers and processes on demand."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from noria.core import lineage
from support.browser import Browser, BrowserUnavailable, find_browser, open_browser
from support.conformance import migrated_file, migrated_postgres
from support.ports import free_port as find_free_port
from support.postgres import PostgresServer, PostgresUnavailable, running_postgres
from support.processes import Processes

LANES = ("e2e", "peers", "property")
"""Folders of `tests/` whose tests carry the marker of the same name without writing it."""

BOTH = {"database_kind": "postgres", "transport": "http"}
"""Services are tried on each database and over each transport; `make soak` tries the second of both at once, too."""

# Tests run side by side: threads of one that wait for a core in a busy loop take it from all others.
os.environ.setdefault("OMP_NUM_THREADS", "1")

HERE = {"database_kind": "sqlite", "transport": "in_process"}
"""Where all cases of a test run whose cases are alike."""

_processes_key = pytest.StashKey[Processes]()

# One example takes as long as the shared machine lets it, so a time limit for an example would only be noise.
settings.register_profile("dev", deadline=None)
# The examples of a submission are the same at each run: a failure belongs to the change that shows it.
# They are fewer, since a submission waits for them; `make test` by hand and `make soak` search further.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True, max_examples=30)
settings.register_profile(
    "soak",
    deadline=None,
    max_examples=1000,
    stateful_step_count=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave modules and tests, which live as long as the process does, out of what is searched for garbage."""
    gc.disable()
    try:
        found = yield
        gc.freeze()
    finally:
        gc.enable()
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of a lane by their folder, before `-m` chooses among them."""
    folder = Path(__file__).parent
    for item in items:
        lane = item.path.relative_to(folder).parts[0] if item.path.is_relative_to(folder) else ""
        if lane in LANES:
            item.add_marker(lane)
        if "postgres_server" in getattr(item, "fixturenames", ()):
            item.add_marker("postgres")
        if BOTH.items() <= _params(item).items():
            item.add_marker("soak")
    for item in _repeated(items):
        item.add_marker("soak")


def _params(item: pytest.Item) -> dict[str, object]:
    params: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return params


def _repeated(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """Give the cases of tests marked `alike` that are tried elsewhere than `HERE`, but for the first of each place."""
    seen: set[tuple[object, ...]] = set()
    for item in items:
        if item.get_closest_marker("alike"):
            params = _params(item)
            place = tuple(params.get(name, value) for name, value in HERE.items())
            key = (item.nodeid.partition("[")[0], *place)
            if key in seen and place != tuple(HERE.values()):
                yield item
            seen.add(key)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the output of a failed test's processes with the failure."""
    report = yield
    if report.failed and _processes_key in item.stash:
        for child in item.stash[_processes_key].started:
            report.sections.append((f"output of process `{child.name}`", child.output()))
    return report


@pytest.fixture(autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hide the user's own settings: no `NORIA_*` variable, and an empty home folder, which is returned."""
    for name in [name for name in os.environ if name.startswith("NORIA_")]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Undo what a test that starts a command in this process did to the logging of all."""
    root, noria = logging.getLogger(), logging.getLogger("noria")
    handlers, levels = list(root.handlers), (root.level, noria.level)
    yield
    # Pytest's own handlers come and go with the phases of a test: only what the test put there leaves.
    root.handlers[:] = [h for h in root.handlers if h in handlers or type(h).__module__.startswith("_pytest")]
    root.setLevel(levels[0])
    noria.setLevel(levels[1])


@pytest.fixture(autouse=True)
def nothing_left_active() -> Iterator[None]:
    """See that no run is active any more when a test ends: later tests would log to it."""
    yield
    assert lineage.recorder.get() is None


@pytest.fixture
def free_port() -> int:
    """Give a free port on 127.0.0.1; tests that need several call `support.ports.free_port`."""
    return find_free_port()


@pytest.fixture
def processes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Processes]:
    """Start real child processes; their output is shown if the test fails, and none outlives it."""
    running = Processes(tmp_path_factory.mktemp("processes"))
    request.node.stash[_processes_key] = running
    yield running
    running.end_all()


@pytest.fixture(scope="session")
def noria_command() -> tuple[str, ...]:
    """Give the installed `noria` command of the environment that runs the tests."""
    return (str(Path(sys.executable).parent / "noria"),)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Start PostgreSQL once for this test process, or skip with the reason (fail if `TEST_SERVICES=required`)."""
    try:
        with running_postgres() as server:
            yield server
    except PostgresUnavailable as reason:
        if os.environ.get("TEST_SERVICES") == "required":
            raise
        pytest.skip(f"PostgreSQL: {reason}")


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the URL of a fresh PostgreSQL database, dropped afterwards."""
    with postgres_server.fresh_database() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Give the name of a migrated PostgreSQL database to copy, since migrating takes longer than most tests."""
    with migrated_postgres(postgres_server, tmp_path_factory.mktemp("template")) as name:
        yield name


@pytest.fixture
def migrated_postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """Give the URL of a fresh, migrated PostgreSQL database, dropped afterwards."""
    with postgres_server.fresh_database(postgres_template) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a fresh, migrated database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{migrated_file(tmp_path)}"
    url: str = request.getfixturevalue("migrated_postgres_url")
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a fresh, empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'noria.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Give a page in a real browser, or skip with the reason; the test fails if the page complained of anything."""
    try:
        find_browser()
    except BrowserUnavailable as reason:
        pytest.skip(f"browser: {reason}")
    with open_browser() as opened:
        yield opened
        assert opened.complaints == []
