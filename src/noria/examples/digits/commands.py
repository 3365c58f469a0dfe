"""`noria demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noria.examples.digits.kinds import Incident

app = typer.Typer(help="Watch a model go wrong in production and be put right")


@app.command()
def demo(
    seed: Annotated[int, typer.Option("--seed", help="Deals out the images; any whole number.", min=0)] = 0,
    incident: Annotated[Incident, typer.Option("--incident", help="What goes wrong.")] = Incident.NEW_DIGIT,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the figures to FILE (`-`: stdout).")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", metavar="DIR", help="Where it takes place; made here. Default: `noria-demo`."
        ),
    ] = None,
    page: Annotated[
        bool, typer.Option("--page", help="Show a web page to draw digits on instead, until Ctrl-C.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="With `--page`: a folder with MNIST to learn from."),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", help="With `--page`: where the page is; 0 takes any.", min=0, max=65535)
    ] = 8765,
) -> None:
    """Watch a model go wrong in production and be put right.

    A model is trained on the digits 1 to 9, then gets zeros too, and the wheel turns by itself. `--incident` lets
    something else go wrong: an input's unit, a join, a release, the mix of digits, or what they mean.

    With `--page`, a model of all ten digits answers on a web page, where you draw them and say what they were.
    """
    if page:
        _show_page(folder, data=data, seed=seed, port=port)
        return
    import msgspec
    from rich.console import Console

    import noria
    from noria.examples.digits.screen import Screen
    from noria.examples.digits.story import Story
    from noria.examples.house import House, new_folder

    if folder is not None and folder.exists():
        raise noria.Invalid(
            f"The folder `{folder}` exists already", hint="Name one that does not, or delete it"
        )
    place = folder or new_folder(Path.cwd(), "noria-demo")
    house = House(place.resolve(), "noria.examples.digits")
    screen = Screen(Console(stderr=json == "-", highlight=False))
    figures = Story(house, screen, seed=seed, incident=incident).tell()
    text = msgspec.json.format(msgspec.json.encode(figures), indent=2).decode() + "\n"
    if json == "-":
        typer.echo(text, nl=False)
    elif json is not None:
        Path(json).write_text(text, encoding="utf-8")
    if not figures.ended_well:
        raise typer.Exit(1)


def _show_page(folder: Path | None, *, data: Path | None, seed: int, port: int) -> None:
    from rich.console import Console

    from noria.examples.digits.page.turn import show_page
    from noria.examples.house import House

    place = folder or Path.cwd() / "noria-digits"
    house = House(place.resolve(), "noria.examples.digits", again=True)
    show_page(house, Console(highlight=False, soft_wrap=True), data=data, seed=seed, port=port)
