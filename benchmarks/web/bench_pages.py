"""Time pages over HTTP, with many runs of 20 metrics and 20 params in the store.

    python benchmarks/web/bench_pages.py --runs 100000 --folder /tmp/pages

One project holds all these runs in one experiment; 49 others hold twenty runs each. The store is filled once for a
folder. Each page is asked for by the owner and by a viewer who may see 3 of the 50 projects: some of them cold, as the
first page after the server has started, then each some dozens of times once it has settled. A page may take 50 ms
(`TARGETS`), a comparison of 200 runs a second, and the curve of a metric with 1,000,000 points 300 ms. `wall` times are
those of a client on the same machine, with one connection that stays open; `CPU` is what the server's process used for
a page, which other work on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import math
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "tracking"))

from fill_runs import fill  # type: ignore[import-not-found]  # of the tracking benchmarks

from noria.access.entities import NewUser, RoleChange, SignIn
from noria.access.projects import NewProject, Projects
from noria.access.tokens import Sessions
from noria.access.users import Users
from noria.core.clock import SystemClock
from noria.core.config import Settings
from noria.core.database.engine import Database
from noria.core.permissions import Role
from noria.core.workspace import open_context
from noria.tracking.entities import LogBatch, NewRun, RunEnd
from noria.tracking.point_entities import MetricPoint, PointColumns
from noria.tracking.search.entities import RunSearch
from noria.tracking.service import Runs

N_OTHERS = 49
RUNS_OF_OTHERS = 20
POINTS_AT_ONCE = 10_000
SETTLING_S = 10.0
"""In which a new server starts its control loop and compiles the templates, beside the pages that are asked for."""
SEEN = ("project-000", "other-00", "other-01")
TABLE = "/projects/project-000/experiments/runs"


def table(*pairs: tuple[str, str]) -> str:
    """Give the address of the table with a query."""
    return f"{TABLE}?{urlencode(pairs)}"


ALL_COLUMNS = [("columns", f"{kind}{i}") for kind in ("metrics.m", "params.p") for i in range(20)]
PAGES = {
    "overview": "/",
    "experiments": "/projects/project-000/experiments",
    "run table": TABLE,
    "table, all 40 columns": table(*ALL_COLUMNS),
    "table, by metric": table(("sort", "-metrics.m0")),
    "table, by param": table(("sort", "params.p3")),
    "table, filter": table(("filter", "metrics.m3 > 0.5")),
    "table, narrow filter": table(("filter", "metrics.m3 > 0.9 AND params.p3 = '5'")),
    "table, filter and sort": table(("filter", "tags.team = 'team-3'"), ("sort", "-metrics.m1")),
    "table, group": table(("group", "params.p1")),
    "table, folded": table(("nested", "folded")),
    "completion": f"{TABLE}/complete?{urlencode({'filter': 'params.p1 = '})}",
    "compare 200": "/projects/project-000/compare?experiment=runs",
    "models": "/projects/project-000/models",
    "data sets": "/projects/project-000/datasets",
    "endpoints": "/projects/project-000/endpoints",
    "incidents": "/projects/project-000/incidents",
    "audit": "/projects/project-000/audit",
    "search": "/search?q=r99",
}
OF_ADMINS = ("audit",)
RUN = "run"
CURVE = "curve"
COLD = ("experiments", "run table", "compare 200")
TARGETS = dict.fromkeys([*PAGES, RUN], 50.0) | {"compare 200": 1000.0, CURVE: 300.0}
"""Milliseconds at the 95th percentile."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Somebody who asks for pages."""

    name: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Warm:
    """What a page took again and again, in milliseconds; its size, and what of that was sent."""

    wall: list[float]
    cpu: float
    size_bytes: int
    sent_bytes: int


def main() -> None:
    """Fill the store if need be, and print what each page takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keeps the filled store for the next time")
    parser.add_argument("--points", type=int, default=1_000_000, help="of the curve")
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--only", help="the pages whose name contains this")
    parser.add_argument("--plain", action="store_true", help="ask for pages that are not packed")
    parser.add_argument("--smoke", action="store_true", help="few runs, twice: shows only that it works")
    asked = parser.parse_args()
    if asked.smoke:
        asked.runs, asked.times, asked.points = 300, 2, 3_000
    if asked.folder is not None:
        measure(asked, asked.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(asked, Path(folder))


def measure(asked: argparse.Namespace, folder: Path) -> None:
    """Time every page as each reader."""
    workspace = folder / "workspace"
    if not workspace.exists():
        prepare(workspace, asked.runs)
    owner, viewer = (sign_in(workspace, name) for name in ("owner", "viewer"))
    offered = {**PAGES, RUN: run_page(workspace), CURVE: curve_page(workspace, asked.points)}
    wanted = {name: path for name, path in offered.items() if (asked.only or "") in name}
    print(
        f"{asked.runs} runs\n{'page':26}{'reader':8}{'cold':>8}{'median':>8}{'p95':>8}{'CPU':>8}{'target':>8}  ms"
        f"{'page':>8}{'sent':>8}  KiB"
    )
    for reader in (owner, viewer):
        pages = {name: path for name, path in wanted.items() if reader is owner or name not in OF_ADMINS}
        # Each needs a start of the server.
        named = () if asked.smoke else COLD
        cold = {
            name: first_time(workspace, reader, path, plain=asked.plain)
            for name, path in pages.items()
            if name in named
        }
        with serving(workspace) as (url, process), asking(url, reader, plain=asked.plain) as client:
            time.sleep(0 if asked.smoke else SETTLING_S)
            for name, path in pages.items():
                report(name, reader, cold.get(name), warm_times(client, process, path, asked.times))


def report(name: str, reader: Reader, cold: float | None, warm: Warm) -> None:
    """Print what a page took."""
    p95 = statistics.quantiles(warm.wall, n=20)[-1]
    cold_text = "" if cold is None else f"{cold:.1f}"
    print(
        f"{name:26}{reader.name:8}{cold_text:>8}{statistics.median(warm.wall):8.1f}{p95:8.1f}{warm.cpu:8.1f}"
        f"{TARGETS[name]:8.0f}    "
        f"{warm.size_bytes / 1024:8.0f}{warm.sent_bytes / 1024:8.0f}{'' if p95 <= TARGETS[name] else '  over'}",
        flush=True,
    )


def asking(url: str, reader: Reader, *, plain: bool) -> httpx.Client:
    """Give a client that asks as a browser does, with a token."""
    headers = {"accept": "text/html", "authorization": f"Bearer {reader.token}"}
    headers["accept-encoding"] = "identity" if plain else "gzip, deflate, br, zstd"
    return httpx.Client(base_url=url, headers=headers, timeout=60)


def first_time(workspace: Path, reader: Reader, path: str, *, plain: bool) -> float:
    """Time a page as the first one of a new server."""
    with serving(workspace) as (url, _), asking(url, reader, plain=plain) as client:
        return timed(client, path)[0]


def warm_times(client: httpx.Client, process: psutil.Process, path: str, times: int) -> Warm:
    """Time a page again and again, after three times that do not count."""
    for _ in range(3):
        timed(client, path)
    began = process.cpu_times()
    found = [timed(client, path) for _ in range(times)]
    ended = process.cpu_times()
    used = ended.user + ended.system - began.user - began.system
    _, size_bytes, sent_bytes = found[0]
    wall = [taken for taken, _, _ in found]
    return Warm(wall=wall, cpu=1000 * used / times, size_bytes=size_bytes, sent_bytes=sent_bytes)


def timed(client: httpx.Client, path: str) -> tuple[float, int, int]:
    """Ask for a page; give milliseconds, its size, and what was sent."""
    started = time.perf_counter()
    answer = client.get(path)
    taken = 1000 * (time.perf_counter() - started)
    if answer.status_code != 200:
        sys.exit(f"{path} answers {answer.status_code}: {answer.text[:300]}")
    return taken, len(answer.content), answer.num_bytes_downloaded


def settings_of(workspace: Path) -> Settings:
    """Give the settings of the workspace that is measured."""
    return Settings(
        workspace=str(workspace),
        database_url=f"sqlite:///{workspace / 'noria.db'}",
        objects_url=str(workspace / "objects"),
        project_root=workspace,
    )


def prepare(workspace: Path, n_runs: int) -> None:
    """Fill a new workspace."""
    workspace.mkdir(parents=True)
    settings = settings_of(workspace)
    database = Database(settings.database_url)
    fill(database, n_runs, 1)
    database.dispose()
    context = open_context(settings, SystemClock())
    try:
        for at in range(N_OTHERS):
            project = f"other-{at:02}"
            context.service(Projects).create(NewProject(name=project))
            for i in range(RUNS_OF_OTHERS):
                new = NewRun(experiment="runs", name=f"r{i}", params={"p0": str(i)})
                run = context.service(Runs).create(project, new)
                point = MetricPoint(key="m0", value=i / 10, step=0, at=context.clock.now())
                context.service(Runs).finish(project, run.id, RunEnd(last=LogBatch(metrics=[point])))
        users = context.service(Users)
        users.create(NewUser(name="owner", password=password(workspace), role=Role.ADMIN))
        users.create(NewUser(name="viewer", password=password(workspace)))
        for project in SEEN:
            users.set_role("viewer", RoleChange(role=Role.VIEWER, project=project))
    finally:
        context.database.dispose()


def run_page(workspace: Path) -> str:
    """Give the page of the newest run."""
    context = open_context(settings_of(workspace), SystemClock())
    try:
        newest = RunSearch(limit=1, experiments=["runs"])
        (run,) = context.service(Runs).search("project-000", newest).items
        return f"/projects/project-000/runs/{run.id}"
    finally:
        context.database.dispose()


def curve_page(workspace: Path, n_points: int) -> str:
    """Give the page of a run's metric with so many points, which is made once."""
    context = open_context(settings_of(workspace), SystemClock())
    try:
        runs, name = context.service(Runs), f"a curve of {n_points} points"
        known = runs.search("project-000", RunSearch(filter=f"run_name = '{name}'", limit=1)).items
        run = known[0] if known else runs.create("project-000", NewRun(experiment="curves", name=name))
        if not known:
            for low in range(0, n_points, POINTS_AT_ONCE):
                steps = list(range(low, min(low + POINTS_AT_ONCE, n_points)))
                values = [math.exp(-step / n_points) + random.gauss(0, 0.05) for step in steps]
                columns = PointColumns(steps=steps, at=[step * 1_000_000 for step in steps], values=values)
                runs.log("project-000", run.id, LogBatch(points={"loss": columns}))
            runs.finish("project-000", run.id, RunEnd())
        return f"/projects/project-000/runs/{run.id}/metrics"
    finally:
        context.database.dispose()


def password(workspace: Path) -> str:
    """Give the password of the users, made once."""
    kept = workspace / "password"
    if not kept.exists():
        kept.write_text(secrets.token_hex(16))
    return kept.read_text()


def sign_in(workspace: Path, name: str) -> Reader:
    """Exchange the password for a token."""
    context = open_context(settings_of(workspace), SystemClock())
    try:
        issued = context.service(Sessions).create(SignIn(name=name, password=password(workspace)))
        return Reader(name=name, token=issued.secret)
    finally:
        context.database.dispose()


@contextmanager
def serving(workspace: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run a server of the workspace, from the first answer of `/health` on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).parent / "noria"),
        "server",
        "--port",
        str(port),
        "--workspace",
        str(workspace),
    ]
    with (workspace / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], limit_s: float = 120.0) -> None:
    """Wait for the first answer."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if process.poll() is not None:
            sys.exit("the server has ended: see server.log")
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    sys.exit("the server does not answer")


if __name__ == "__main__":
    main()
