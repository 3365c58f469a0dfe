"""Pages in a real browser: how long until somebody can use them, with many runs in the store, and beside MLflow's own.

    python benchmarks/web/bench_browser.py --folder /tmp/pages     # a store that bench_pages.py has filled
    python benchmarks/web/bench_browser.py --mlflow --runs 10000

The first opens each page in Chromium, with an empty cache and again, and takes the time until it has loaded and all
that had come is drawn, by the browser's own clock from the beginning of the navigation; it may take 500 ms. `wall` is
the same (of the second time) by the clock of the program that steers the browser, which puts scripts of its own into
each page and asks them: about 100 ms more. Beside them stands the work behind that time, which other work on the
machine hardly changes: of the page's own thread in Chromium (`Performance.getMetrics`: all tasks, and of these
styles, layout and scripts), how many nodes there are, and the CPU time of the server. The second puts the same runs
into Noria and into MLflow, opens the table of runs in both, then has it sorted by a metric: the time until the first
run of each can be seen.

MLflow is needed in an environment of its own: `make peers PEERS=mlflow` builds it.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tracking"))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import bench_mlflow  # type: ignore[import-not-found]  # of the tracking benchmarks
import bench_pages  # type: ignore[import-not-found]  # beside this one
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from support.browser import SWITCHES, find_browser

TARGET_MS = 500.0
WIDTH, HEIGHT = 1280, 800
LIMIT_MS = 180_000
METRIC = "m3"
SPENT = ("TaskDuration", "RecalcStyleDuration", "LayoutDuration", "ScriptDuration")
SETTLED_MS = 400
"""For what a page does by itself after it has loaded."""

MARK_DRAWN = """addEventListener('load', () => requestAnimationFrame(() => {
  const after = new MessageChannel();
  after.port1.onmessage = () => performance.mark('bench-drawn');
  after.port2.postMessage(0);
}))"""
"""Notes the end of the first frame after a page has loaded: a beginning of it may have been painted long before."""

USABLE = """() => Math.max(
  performance.getEntriesByName('bench-drawn')[0].startTime,
  performance.getEntriesByName('first-contentful-paint')[0].startTime,
)"""
"""Milliseconds since the navigation began, of a page that has loaded and was drawn."""

IS_USABLE = """() => performance.getEntriesByName('bench-drawn').length > 0
  && performance.getEntriesByName('first-contentful-paint').length > 0"""

Reach: TypeAlias = Callable[[Page], None]
"""Opens a page and returns when it can be used."""


def main() -> None:
    """Time pages alone, or the table of runs beside MLflow's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keeps the filled store for the next time")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--mlflow", action="store_true", help="the table of runs, beside MLflow's")
    parser.add_argument("--only", default="", help="the pages whose name contains this")
    parser.add_argument("--smoke", action="store_true", help="few runs, once: shows only that it works")
    asked = parser.parse_args()
    if asked.smoke:
        asked.runs, asked.times = 300, 1
    with tempfile.TemporaryDirectory() as scratch, chromium() as browser:
        folder = asked.folder or Path(scratch)
        if not (folder / "workspace").exists():
            bench_pages.prepare(folder / "workspace", asked.runs)
        if asked.mlflow:
            beside_mlflow(browser, folder / "workspace", Path(scratch), asked.times)
        else:
            alone(browser, folder / "workspace", asked.times, 3_000 if asked.smoke else 1_000_000, asked.only)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(SWITCHES))
        try:
            yield browser
        finally:
            browser.close()


def alone(browser: Browser, workspace: Path, times: int, n_points: int, only: str) -> None:
    """Time each page of Noria."""
    reader = bench_pages.sign_in(workspace, "owner")
    pages = {
        **{name: path for name, path in bench_pages.PAGES.items() if name != "completion"},
        bench_pages.RUN: bench_pages.run_page(workspace),
        bench_pages.CURVE: bench_pages.curve_page(workspace, n_points),
    }
    print(
        f"{'page':26}{'first':>8}{'median':>8}{'most':>8}{'wall':>8}{'work':>8}{'style':>8}{'layout':>8}{'script':>8}"
        f"{'nodes':>8}{'server':>8}  ms until it can be used; ms of work"
    )
    with bench_pages.serving(workspace) as (url, process):
        for name, path in pages.items():
            if only not in name:
                continue
            limit = bench_pages.TARGETS.get(name, 0.0)
            reach = opener(f"{url}{path}", "main h1")
            cold, warm, wall = usable(browser, reach, times, reader.token)
            over = "  over" if max(cold, statistics.median(warm)) > max(TARGET_MS, limit) else ""
            waited = f"{name:26}{cold:8.0f}{statistics.median(warm):8.0f}{max(warm):8.0f}{wall:8.0f}"
            print(f"{waited}{work(browser, process, reach, times, reader.token)}{over}", flush=True)


def usable(browser: Browser, reach: Reach, times: int, token: str) -> tuple[float, list[float], float]:
    """Give milliseconds by the browser's clock, with an empty cache (the middle of some) and again, and by ours."""
    cold, warm, wall = [], [], []
    for _ in range(times):
        page = open_page(browser, token)
        reach(page)
        cold.append(seen(page))
        page.goto("about:blank")
        wall.append(clock(page, reach))
        warm.append(seen(page))
        page.context.close()
    return statistics.median(cold), warm, statistics.median(wall)


def seen(page: Page) -> float:
    """Give milliseconds from the beginning of the navigation until the page had loaded and was drawn."""
    page.wait_for_function(IS_USABLE)
    return float(page.evaluate(USABLE))


def work(browser: Browser, process: psutil.Process, reach: Reach, times: int, token: str) -> str:
    """Give as text what a page that was seen before costs the browser and the server, the least of some times."""
    page = open_page(browser, token)
    reach(page)
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    found: list[dict[str, float]] = []
    for _ in range(times):
        page.goto("about:blank")
        before, used = metrics(tools), server_cpu_s(process)
        reach(page)
        page.wait_for_timeout(SETTLED_MS)
        after = metrics(tools)
        spent = {name: 1000 * (after[name] - before[name]) for name in SPENT}
        found.append(spent | {"Nodes": after["Nodes"], "server": 1000 * (server_cpu_s(process) - used)})
    page.context.close()
    return "".join(f"{min(each[name] for each in found):8.0f}" for name in (*SPENT, "Nodes", "server"))


def metrics(tools: CDPSession) -> dict[str, float]:
    """Ask Chromium what it has counted for a page."""
    return {each["name"]: each["value"] for each in tools.send("Performance.getMetrics")["metrics"]}


def server_cpu_s(process: psutil.Process) -> float:
    """Give the CPU time of the server up to now."""
    times = process.cpu_times()
    return float(times.user + times.system)


def beside_mlflow(browser: Browser, workspace: Path, scratch: Path, times: int) -> None:
    """Time the table of runs in both, as it comes and sorted by a metric."""
    if not (bench_mlflow.PEER / "mlflow").exists():
        print("MLflow is not installed: make peers PEERS=mlflow")
        return
    newest, best = (name for _, name in named_runs(workspace))
    found: dict[str, dict[str, float]] = {}
    reader = bench_pages.sign_in(workspace, "owner")
    with bench_pages.serving(workspace) as (url, _):
        plain = f"{url}{bench_pages.TABLE}"
        found["Noria"] = table_times(
            browser,
            opener(plain, row(newest)),
            opener(f"{url}{bench_pages.table(('sort', f'-metrics.{METRIC}'))}", row(best)),
            times,
            token=reader.token,
        )
    folder = scratch / "mlflow"
    folder.mkdir()
    with bench_mlflow.serving("mlflow", folder) as served:
        url = f"http://127.0.0.1:{served.port}"
        experiment = copy_runs(workspace, url, folder / "mlflow.db")
        plain = f"{url}/#/experiments/{experiment}/runs"
        order = f"?orderByKey=metrics.%60{METRIC}%60&orderByAsc=false"
        found["MLflow"] = table_times(
            browser, opener(plain, row(newest)), opener(f"{plain}{order}", row(best)), times
        )
    print(f"{'':34}{'MLflow':>10}{'Noria':>10}{'ratio':>8}  ms until the first run can be seen")
    for name, noria in found["Noria"].items():
        mlflow = found["MLflow"][name]
        print(f"{name:34}{mlflow:10.0f}{noria:10.0f}{mlflow / noria:8.1f}")


def table_times(
    browser: Browser, plain: Reach, ordered: Reach, times: int, *, token: str | None = None
) -> dict[str, float]:
    """Give what the table takes: first, again, and sorted from the table that is open."""
    cold, warm = timed(browser, plain, times, token=token)
    sorting = []
    for _ in range(times):
        # MLflow's page keeps an order in its profile, and would show the best runs first from then on.
        page = open_page(browser, token)
        plain(page)
        sorting.append(clock(page, ordered))
        page.context.close()
    return {
        "table, first time": cold,
        "table, again": statistics.median(warm),
        f"sorted by {METRIC}": statistics.median(sorting),
    }


def timed(
    browser: Browser, reach: Reach, times: int, *, token: str | None = None
) -> tuple[float, list[float]]:
    """Give milliseconds: with an empty cache, the middle of some; and then with what it has kept."""
    cold, warm = [], []
    for _ in range(times):
        page = open_page(browser, token)
        cold.append(clock(page, reach))
        page.goto("about:blank")
        warm.append(clock(page, reach))
        page.context.close()
    return statistics.median(cold), warm


def clock(page: Page, reach: Reach) -> float:
    """Give milliseconds until a page can be used."""
    began = time.perf_counter()
    reach(page)
    return 1000 * (time.perf_counter() - began)


def open_page(browser: Browser, token: str | None) -> Page:
    """Open an empty page in a profile of its own."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    page = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, extra_http_headers=headers
    ).new_page()
    page.set_default_timeout(LIMIT_MS)
    page.add_init_script(MARK_DRAWN)
    return page


def opener(address: str, selector: str) -> Reach:
    """Give what opens an address and waits for what is looked for, and for all that the page loads before it works."""

    def reach(page: Page) -> None:
        answer = page.goto(address, wait_until="load", timeout=LIMIT_MS)
        if answer is None or not answer.ok:
            raise SystemExit(f"{address} answers {answer and answer.status}")
        page.locator(selector).first.wait_for(state="visible")

    return reach


def row(name: str) -> str:
    """Select the name of a run."""
    return f':text-is("{name}")'


def named_runs(workspace: Path) -> list[tuple[str, str]]:
    """Give id and name of the newest run, and of the one with the highest value of the metric."""
    with closing(sqlite3.connect(workspace / "noria.db")) as store:
        newest = store.execute(f"{RUNS} order by r.started_at desc, r.pk desc limit 1").fetchone()
        best = store.execute(
            "select r.id, r.name from metric_latest m join runs r on r.pk = m.run_pk"
            " where m.experiment_pk in (select x.pk from experiments x join projects p on p.pk = x.project_pk"
            " where p.name = 'project-000') and m.key_pk = (select pk from tracking_keys where key = ?)"
            " and m.is_nan = 0 and r.deleted_at is null order by m.value desc limit 1",
            (METRIC,),
        ).fetchone()
    return [newest[:2], best[:2]]


RUNS = (
    "select r.id, r.name, r.status, r.started_at, r.ended_at, r.pk from runs r join projects p on p.pk = r.project_pk"
    " where p.name = 'project-000' and r.deleted_at is null"
)


def copy_runs(workspace: Path, url: str, target: Path) -> str:
    """Put the runs of Noria's store into MLflow's, straight into its tables, and give the experiment's id."""
    made = httpx.post(f"{url}/api/2.0/mlflow/experiments/create", json={"name": "runs"}, timeout=120)
    experiment = str(made.json()["experiment_id"])
    with (
        closing(sqlite3.connect(workspace / "noria.db")) as store,
        closing(sqlite3.connect(target, timeout=60)) as other,
    ):
        runs = store.execute(RUNS).fetchall()
        ids = {pk: run_id for run_id, *_, pk in runs}
        put(other, "runs", [run_of(run, experiment) for run in runs])
        names = [{"key": "mlflow.runName", "value": run[1], "run_uuid": run[0]} for run in runs]
        put(other, "tags", names)
        keyed = "select v.run_pk, k.key, v.value from {} v join tracking_keys k on k.pk = v.key_pk"
        metrics = [
            {"key": k, "value": v, "timestamp": 0, "run_uuid": ids[pk], "step": 0, "is_nan": False}
            for pk, k, v in store.execute(keyed.format("metric_latest"))
            if pk in ids
        ]
        put(other, "metrics", metrics)
        put(other, "latest_metrics", metrics)
        params = store.execute(keyed.format("run_params"))
        put(
            other, "params", [{"key": k, "value": v, "run_uuid": ids[pk]} for pk, k, v in params if pk in ids]
        )
        other.commit()
    return experiment


def run_of(run: tuple[Any, ...], experiment: str) -> dict[str, Any]:
    """Give a run as a row of MLflow's table."""
    run_id, name, status, started, ended, _ = run
    return {
        "run_uuid": run_id,
        "name": name,
        "source_type": "LOCAL",
        "source_name": "",
        "entry_point_name": "",
        "user_id": "u",
        "status": status.upper(),
        "start_time": started // 1000,
        "end_time": (ended or started) // 1000,
        "source_version": "",
        "lifecycle_stage": "active",
        "artifact_uri": f"mlflow-artifacts:/{experiment}/{run_id}/artifacts",
        "experiment_id": int(experiment),
    }


def put(store: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    """Insert rows, all with the same columns."""
    names = list(rows[0])
    marks = ",".join("?" * len(names))
    store.executemany(
        f"insert into {table} ({','.join(names)}) values ({marks})",
        [tuple(each[name] for name in names) for each in rows],
    )


if __name__ == "__main__":
    if shutil.which("chromium") is None and not any(map(shutil.which, ("chromium-browser", "google-chrome"))):
        sys.exit("No Chromium is installed: apt-get install chromium")
    main()
