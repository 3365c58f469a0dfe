"""`make rankings`, or `python -m noria.examples.rankings --data PATH`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import noria


def main(arguments: list[str] | None = None) -> int:
    """Run the study and give its exit code: 0 done, 1 failed, 2 misused."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except noria.NoriaError as error:
        hint = f"\n\nhint: {error.hint}" if error.hint else ""
        sys.stderr.write(f"error: {error.message}{hint}\n")
        return 2 if isinstance(error, noria.Invalid) else 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make rankings", description="Do the university rankings study again."
    )
    parser.add_argument(
        "--data", metavar="PATH|URL", help="folder, archive or address of an archive with the CSV files"
    )
    parser.add_argument(
        "--draws", type=int, default=39, help="how often each experiment is drawn (default: 39)"
    )
    parser.add_argument("--seed", type=int, default=0, help="first seed of the mended variant (default: 0)")
    parser.add_argument(
        "--folder", type=Path, help="where it takes place; what an earlier turn left there is used again"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="draw in N processes at once")
    parser.add_argument("--no-serve", action="store_true", help="leave out the model servers")
    parser.add_argument(
        "--mail-to", metavar="ADDRESS", help="who is told; `[mail]` of noria.toml names the server"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE (`-`: stdout)")
    return parser


def _run(options: argparse.Namespace) -> None:
    import msgspec
    from rich.console import Console

    from noria.examples.house import House, new_folder
    from noria.examples.rankings.screen import Screen
    from noria.examples.rankings.story import Story, Wishes, check_data

    if options.draws < 1:
        raise noria.Invalid(f"`--draws` is {options.draws}", hint="Give 1 or more; 39 give intervals of 95 %")
    wishes = Wishes(
        data=check_data(options.data),
        draws=options.draws,
        seed=options.seed,
        serve=not options.no_serve,
        mail_to=options.mail_to,
        run_options=() if options.workers is None else ("--workers", str(options.workers)),
    )
    place = options.folder or new_folder(Path.cwd(), "noria-rankings")
    house = House(place.resolve(), "noria.examples.rankings", again=options.folder is not None)
    outcome = Story(house, Screen(Console(stderr=options.json == "-", highlight=False)), wishes).tell()
    if options.json is not None:
        text = msgspec.json.format(msgspec.json.encode(outcome), indent=2).decode() + "\n"
        if options.json == "-":
            sys.stdout.write(text)
        else:
            Path(options.json).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
