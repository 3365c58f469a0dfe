"""`noria k8s`."""

from __future__ import annotations

from typing import Annotated

import typer

from noria.core.console.options import JsonFlag
from noria.delivery.kubernetes.batch_command import render_batch_command
from noria.delivery.kubernetes.noria_command import render_noria_command
from noria.delivery.kubernetes.options import (
    AccountOption,
    AllowOption,
    CpuOption,
    CpuTargetOption,
    ImageOption,
    ImageSecretOption,
    LabelOption,
    MaxReplicasOption,
    MemoryOption,
    NameOption,
    NamespaceOption,
    OutOption,
    ProjectNameOption,
    PrometheusFlag,
    ReplicasOption,
    RequestTokenOption,
    ScratchOption,
    ServerTokenOption,
    WorkersOption,
    give,
)

k8s = typer.Typer(no_args_is_help=True, help="Manifests for Kubernetes")
render = typer.Typer(no_args_is_help=True, help="Write manifests")
k8s.add_typer(render, name="render")
render.command("batch")(render_batch_command)
render.command("noria")(render_noria_command)


@render.command("endpoint")
def render_endpoint_command(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Endpoint that the pods answer for.")],
    image: ImageOption,
    server: Annotated[
        str | None,
        typer.Option(
            "--server",
            metavar="URL",
            help="Noria server whose endpoint it is.",
            show_default="none: the image holds the model",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Its model, with `--server`.", show_default="as the endpoint"),
    ] = None,
    server_token: ServerTokenOption = "noria-token",  # noqa: S107 - names of Secrets
    token: RequestTokenOption = None,
    replicas: ReplicasOption = 2,
    max_replicas: MaxReplicasOption = None,
    cpu_target: CpuTargetOption = 70,
    workers: WorkersOption = 1,
    cpu: CpuOption = "500m:2",
    memory: MemoryOption = "1Gi",
    scratch: ScratchOption = "2Gi",
    allow_from: AllowOption = None,
    prometheus: PrometheusFlag = False,
    namespace: NamespaceOption = "noria",
    name: NameOption = None,
    image_secret: ImageSecretOption = None,
    service_account: AccountOption = None,
    labels: LabelOption = None,
    project: ProjectNameOption = "default",
    out: OutOption = None,
    json: JsonFlag = False,
) -> None:
    """Write the manifests of an endpoint with pods of its own."""
    from noria.core.names import check_name
    from noria.delivery.kubernetes import reading
    from noria.delivery.kubernetes.endpoint import render_endpoint
    from noria.delivery.kubernetes.names import LONGEST_LABEL
    from noria.delivery.kubernetes.specs import EndpointSpec

    check_name("endpoint", endpoint)
    called = reading.read_object_name(name, endpoint, limit=LONGEST_LABEL)
    serving = reading.read_serving(
        called,
        token=token,
        workers=workers,
        cpu=cpu,
        memory=memory,
        replicas=replicas,
        max_replicas=max_replicas,
        cpu_target=cpu_target,
        scratch=scratch,
        allow_from=allow_from,
        prometheus=prometheus,
    )
    home = None if server is None else reading.read_home(server, server_token, project)
    spec = EndpointSpec(
        name=called,
        endpoint=endpoint,
        serves=reading.read_served(model, endpoint, home),
        place=reading.read_place(namespace, image, image_secret, service_account, labels),
        serving=serving,
        home=home,
    )
    give(render_endpoint(spec), out=out, json=json)
