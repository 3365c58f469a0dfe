"""What `noria predict` takes, as the arguments of a job and of a pipeline too."""

from __future__ import annotations

from typing import Annotated

import typer

InputOption = Annotated[
    str,
    typer.Option(
        "--input",
        metavar="DATASET|FILE|SQL",
        help="Rows to predict: a dataset or table, a Parquet, CSV, JSON or Arrow file, or a `select …`.",
    ),
]
InputUrlOption = Annotated[
    str | None,
    typer.Option(
        "--input-url",
        metavar="URL",
        envvar="NORIA_INPUT_URL",
        help="Database of a `select …`, as SQLAlchemy writes it.",
        show_default=False,
        show_envvar=False,
    ),
]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="TABLE|FILE|URL",
        help="A table of Noria, a `.parquet` file, or `postgresql://user@host/database#schema.table`.",
        show_default="the batch's",
    ),
]
KeyOption = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="COLUMN", help="Column that names a row; copied.", show_default=False),
]
KeepOption = Annotated[
    list[str] | None,
    typer.Option("--keep", metavar="COLUMN", help="Further column to copy.", show_default=False),
]
ProbabilitiesFlag = Annotated[
    bool, typer.Option("--probabilities", help="Write a column of probabilities for each class, too.")
]
AppendFlag = Annotated[
    bool, typer.Option("--append", help="Put rows behind those that are there, not in their place.")
]
DuplicatesOption = Annotated[
    str,
    typer.Option(
        "--duplicates", help="Rows with a key in common: `keep` predicts each, `refuse` writes none."
    ),
]
UnfitOption = Annotated[
    str,
    typer.Option(
        "--unfit", help="A row that does not fit the model: `refuse` writes nothing, `null` no prediction."
    ),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, max=64, help="Processes that predict at once.")
]
ChunkOption = Annotated[
    int | None,
    typer.Option("--chunk-rows", min=1, max=100_000, help="Rows of a chunk.", show_default="up to 50,000"),
]
OnceOption = Annotated[
    str | None,
    typer.Option(
        "--once", metavar="WORD", help="A word for the run: said again, it does nothing.", show_default=False
    ),
]
BatchOption = Annotated[
    str | None,
    typer.Option(
        "--batch", metavar="NAME", help="Named batch; `--output` is its stable name.", show_default=False
    ),
]
SlotOption = Annotated[
    str | None,
    typer.Option("--slot", help="Slot of the batch to write to: `blue` or `green`.", show_default=False),
]
RetryOption = Annotated[
    float, typer.Option("--retry-s", min=0.0, help="Seconds for which a sink that is down is tried again.")
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="NAME",
        help="Capture a sample of the rows there, to be watched and labelled.",
        show_default=False,
    ),
]
SubmitFlag = Annotated[
    bool, typer.Option("--submit", help="Let a worker of the server do it, and do not wait.")
]
