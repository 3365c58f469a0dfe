"""`noria k8s render noria`."""

from __future__ import annotations

from typing import Annotated

import typer

from noria.core.console.options import JsonFlag
from noria.delivery.kubernetes.options import (
    AccountOption,
    AllowOption,
    CpuOption,
    CpuTargetOption,
    ImageOption,
    ImageSecretOption,
    JobPortOption,
    LabelOption,
    MaxReplicasOption,
    MemoryOption,
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


def render_noria_command(
    image: ImageOption,
    objects: Annotated[
        str, typer.Option("--objects", metavar="URL", help="Bucket: `s3://…`, `gs://…` or `az://…`.")
    ],
    database: Annotated[
        str,
        typer.Option("--database", metavar="SECRET[:KEY]", help="URL of PostgreSQL, with its password."),
    ] = "noria-database:url",
    database_port: Annotated[
        int, typer.Option("--database-port", min=1, max=65535, help="Port of PostgreSQL.")
    ] = 5432,
    objects_secret: Annotated[
        str | None,
        typer.Option(
            "--objects-secret",
            metavar="SECRET",
            help="Credentials of the bucket, as variables.",
            show_default="none: the service account may use it",
        ),
    ] = None,
    objects_env: Annotated[
        list[str] | None,
        typer.Option(
            "--objects-env",
            metavar="NAME=VALUE",
            help="Variable of the bucket that is no secret; may be repeated.",
            show_default=False,
        ),
    ] = None,
    objects_port: Annotated[
        int, typer.Option("--objects-port", min=1, max=65535, help="Port of the bucket.")
    ] = 443,
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="NAME",
            help="Name by which the server is reached from outside; may be repeated.",
            show_default=False,
        ),
    ] = None,
    admin: Annotated[str, typer.Option("--admin", metavar="NAME", help="First user.")] = "admin",
    admin_password: Annotated[
        str, typer.Option("--admin-password", metavar="SECRET[:KEY]", help="Password of the first user.")
    ] = "noria-admin:password",  # noqa: S107 - names of Secrets
    server_token: ServerTokenOption = "noria-token",  # noqa: S107 - names of Secrets
    token: RequestTokenOption = None,
    disk: Annotated[str, typer.Option("--disk", metavar="SIZE", help="Volume of the server.")] = "10Gi",
    disk_class: Annotated[
        str | None,
        typer.Option(
            "--disk-class",
            metavar="NAME",
            help="Storage class of that volume.",
            show_default="the cluster's own",
        ),
    ] = None,
    server_cpu: Annotated[
        str, typer.Option("--server-cpu", metavar="REQUEST[:LIMIT]", help="Processors of the server.")
    ] = "500m:2",
    server_memory: Annotated[
        str, typer.Option("--server-memory", metavar="REQUEST[:LIMIT]", help="Memory of the server.")
    ] = "1Gi",
    job_pods: Annotated[int, typer.Option("--job-pods", min=1, max=1000, help="Pods that run jobs.")] = 1,
    jobs_at_once: Annotated[
        int, typer.Option("--jobs-at-once", min=1, max=64, help="Jobs that such a pod runs at once.")
    ] = 1,
    job_cpu: Annotated[
        str, typer.Option("--job-cpu", metavar="REQUEST[:LIMIT]", help="Processors of such a pod.")
    ] = "1:2",
    job_memory: Annotated[
        str, typer.Option("--job-memory", metavar="REQUEST[:LIMIT]", help="Memory of such a pod.")
    ] = "2Gi",
    job_ports: JobPortOption = None,
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
    name: Annotated[str, typer.Option("--name", help="What the objects are called by, in front.")] = "noria",
    image_secret: ImageSecretOption = None,
    service_account: AccountOption = None,
    labels: LabelOption = None,
    project: ProjectNameOption = "default",
    out: OutOption = None,
    json: JsonFlag = False,
) -> None:
    """Write the manifests of a whole Noria: server, workers and model servers."""
    from noria.core.names import check_name
    from noria.delivery.kubernetes import reading
    from noria.delivery.kubernetes.names import check_label, secret_key
    from noria.delivery.kubernetes.specs import NoriaSpec
    from noria.delivery.kubernetes.whole import LONGEST_NAME, render_noria

    called = check_label("--name", name, limit=LONGEST_NAME)
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
    storage = reading.read_storage(
        database=(database, database_port),
        objects=(objects, objects_port),
        secret=objects_secret,
        variables=objects_env,
        disk=(disk, disk_class),
    )
    spec = NoriaSpec(
        name=called,
        place=reading.read_place(namespace, image, image_secret, service_account, labels),
        storage=storage,
        admin=reading.read_user(admin),
        password=secret_key("--admin-password", admin_password, key="password"),
        token=secret_key("--server-token", server_token, key="token"),
        project=check_name("project", project),
        hosts=reading.read_hosts(hosts),
        allow_from=serving.allow_from,
        server=reading.read_resources(server_cpu, server_memory, prefix="--server-"),
        worker=reading.read_resources(job_cpu, job_memory, prefix="--job-"),
        n_workers=job_pods,
        jobs_at_once=jobs_at_once,
        job_ports=tuple(job_ports or ()),
        serving=serving,
    )
    give(render_noria(spec), out=out, json=json)
