"""`noria k8s render batch`."""

from __future__ import annotations

from typing import Annotated

import typer

from noria.core.console.options import JsonFlag
from noria.delivery.kubernetes.options import (
    AccountOption,
    ImageOption,
    ImageSecretOption,
    JobPortOption,
    LabelOption,
    NameOption,
    NamespaceOption,
    OutOption,
    ProjectNameOption,
    ServerTokenOption,
    give,
)
from noria.serving.batch.options import (
    DuplicatesOption,
    KeepOption,
    KeyOption,
    ProbabilitiesFlag,
    UnfitOption,
    WorkersOption,
)


def render_batch_command(
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Name of the batch.")],
    image: ImageOption,
    server: Annotated[str, typer.Option("--server", metavar="URL", help="Noria server.")],
    blue: Annotated[
        str, typer.Option("--blue", metavar="MODEL@VERSION", help="What predicts into the slot `blue`.")
    ],
    green: Annotated[
        str, typer.Option("--green", metavar="MODEL@VERSION", help="What predicts into the slot `green`.")
    ],
    source: Annotated[
        str,
        typer.Option(
            "--input", metavar="DATASET|SQL", help="Rows to predict: a dataset or table, or a `select …`."
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            metavar="TABLE|URL",
            help="Stable name of the rows: a table, or `postgresql://user@host/database#schema.table`.",
        ),
    ],
    schedule: Annotated[
        str, typer.Option("--schedule", metavar="CRON", help="When, in the five fields of cron.")
    ],
    timezone: Annotated[str, typer.Option("--timezone", help="Time zone of that.")] = "Etc/UTC",
    late_s: Annotated[
        int, typer.Option("--late-s", min=10, help="A run may begin so many seconds too late.")
    ] = 3600,
    retries: Annotated[
        int, typer.Option("--retries", min=0, max=100, help="How often a run that failed begins again.")
    ] = 3,
    input_url: Annotated[
        str | None,
        typer.Option(
            "--input-url",
            metavar="SECRET[:KEY]",
            help="Database of a `select …`, as SQLAlchemy writes it.",
            show_default=False,
        ),
    ] = None,
    output_password: Annotated[
        str | None,
        typer.Option(
            "--output-password",
            metavar="SECRET[:KEY]",
            help="Password of the PostgreSQL written to.",
            show_default=False,
        ),
    ] = None,
    key: KeyOption = None,
    keep: KeepOption = None,
    probabilities: ProbabilitiesFlag = False,
    duplicates: DuplicatesOption = "keep",
    unfit: UnfitOption = "refuse",
    workers: WorkersOption = 1,
    server_token: ServerTokenOption = "noria-token",  # noqa: S107 - names of Secrets
    cpu: Annotated[
        str, typer.Option("--cpu", metavar="REQUEST[:LIMIT]", help="Processors of a run.")
    ] = "1:2",
    memory: Annotated[
        str, typer.Option("--memory", metavar="REQUEST[:LIMIT]", help="Memory of a run.")
    ] = "2Gi",
    scratch: Annotated[
        str, typer.Option("--scratch", metavar="SIZE", help="Disk of a run, gone when it ends.")
    ] = "10Gi",
    job_ports: JobPortOption = None,
    namespace: NamespaceOption = "noria",
    name: NameOption = None,
    image_secret: ImageSecretOption = None,
    service_account: AccountOption = None,
    labels: LabelOption = None,
    project: ProjectNameOption = "default",
    out: OutOption = None,
    json: JsonFlag = False,
) -> None:
    """Write the manifests of a batch in blue and green."""
    from noria.core.names import check_name
    from noria.delivery.kubernetes import batch_reading, reading
    from noria.delivery.kubernetes.batch import LONGEST_NAME, render_batch
    from noria.delivery.kubernetes.quantities import read_size
    from noria.delivery.kubernetes.specs import BatchSpec

    rows, input_secret = batch_reading.read_input(source, input_url)
    target, password, ports = batch_reading.read_output(output, output_password)
    when, zone = batch_reading.read_schedule(schedule, timezone)
    spec = BatchSpec(
        name=reading.read_object_name(name, check_name("batch", batch), limit=LONGEST_NAME),
        batch=batch,
        place=reading.read_place(namespace, image, image_secret, service_account, labels),
        home=reading.read_home(server, server_token, project),
        versions=batch_reading.read_versions(blue, green),
        words=batch_reading.read_words(
            source=rows,
            output=target,
            key=key or (),
            keep=keep or (),
            probabilities=probabilities,
            duplicates=duplicates,
            unfit=unfit,
            workers=workers,
        ),
        schedule=when,
        timezone=zone,
        late_s=late_s,
        retries=retries,
        resources=reading.read_resources(cpu, memory),
        scratch=read_size("--scratch", scratch),
        input_url=input_secret,
        output_password=password,
        ports_out=(*ports, *(job_ports or ())),
    )
    give(render_batch(spec), out=out, json=json)
