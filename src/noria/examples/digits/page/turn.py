"""Train, deploy and show the page: the same commands that a person would type."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

import noria
from noria.examples.digits.page.asking import Asking
from noria.examples.digits.page.scans import read_mnist, small_scans
from noria.examples.digits.page.site import Site, serving
from noria.examples.house import House

ENDPOINT = "digits"
DATASET = "digits-scans"

_LOOK_EVERY_S = 0.2


def show_page(house: House, console: Console, *, data: Path | None, seed: int, port: int) -> None:
    """Show the page until Ctrl-C or SIGTERM; a folder that has an endpoint already goes on with its model.

    Parameters
    ----------
    data
        Folder with MNIST; None takes scikit-learn's small scans.
    """
    stopping = threading.Event()
    with _stopped_by_signals(stopping), house.up(), house.open() as workspace, noria.use_workspace(workspace):
        console.print(f"server, worker and model server: {house.url}")
        if not _has_endpoint(house):
            _make(house, console, data=data, seed=seed)
        site = _site(house, workspace, port)
        with serving(site):
            console.print(f"The page: {site.url}  (Ctrl-C ends it)")
            # Polars has system calls go on after a signal, so that a wait without an end would never notice it.
            while not stopping.wait(_LOOK_EVERY_S):
                pass


def _make(house: House, console: Console, *, data: Path | None, seed: int) -> None:
    scans = small_scans(seed) if data is None else read_mnist(data)
    version = noria.dataset(DATASET).add(
        {"x": scans.x, "y": scans.y, "held": scans.held}, message="MNIST" if data else "scans of scikit-learn"
    )
    console.print(f"{version.ref}: {len(scans.y)} images, {int(scans.held.sum())} of them held back")
    console.print("fitting the candidates …")
    house.run("run", "page_pipeline:train", "-p", f"dataset={version.ref}", "-p", f"seed={seed}")
    made = noria.model("digits").version
    house.run("models", "promote", made.ref, "champion")
    house.run("deploy", "digits@champion", "--to", ENDPOINT)
    console.print(f"{made.ref} answers. {made.message}")


def _site(house: House, workspace: noria.Workspace, port: int) -> Site:
    def look_up() -> dict[str, Any]:
        return house.run_json("endpoints", "show", ENDPOINT)

    try:
        return Site(Asking(workspace, ENDPOINT, look_up), noria_url=house.url or "", port=port)
    except OSError as error:
        raise noria.Invalid(
            f"Port {port} cannot be used: {error.strerror}", hint="Choose another with `--port`"
        ) from error


def _has_endpoint(house: House) -> bool:
    found: Any = house.run_json("endpoints", "list")
    return any(each["name"] == ENDPOINT for each in found["items"])


@contextlib.contextmanager
def _stopped_by_signals(stopping: threading.Event) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stopping.set()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
