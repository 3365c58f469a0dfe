"""Render a whole Noria: server, workers and model servers; PostgreSQL and the bucket are there already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from noria.core.serialisation import to_json
from noria.delivery.images.places import CONFIG_FOLDER, HOME
from noria.delivery.kubernetes.endpoint import domains, environment, model_servers
from noria.delivery.kubernetes.names import LONGEST_LABEL
from noria.delivery.kubernetes.parts import (
    App,
    Part,
    container,
    deployment,
    listening,
    mount,
    namespace_peer,
    network_policy,
    noria_peer,
    pod,
    scratch,
    secret_file,
    secret_variable,
    service,
    variable,
)
from noria.delivery.kubernetes.specs import SERVER_PORT, Home, NoriaSpec, Scale
from noria.delivery.kubernetes.text import Manifest

LONGEST_NAME: Final = LONGEST_LABEL - len("-requests")
"""Of what stands in front of the names of its objects."""

_PASSWORD: Final = "/run/secrets/noria-admin"  # noqa: S105 - a folder
_ANY_USER: Final = "noria users list --limit 1 --json | grep -q '\"name\"'"
_ONE: Final = Scale(replicas=1, most=1)
_GRACE_S: Final = 60


def render_noria(spec: NoriaSpec) -> list[Manifest]:
    """Give the manifests of a whole Noria, in the order in which they are applied."""
    server, worker, models = (_app(spec, component) for component in ("server", "worker", "models"))
    home = Home(url=f"http://{server.name}:{SERVER_PORT}", token=spec.token, project=spec.project)
    callers = [noria_peer(), *map(namespace_peer, spec.allow_from)]
    out = [spec.storage.database_port, spec.storage.objects_port]
    workers = Scale(replicas=spec.n_workers, most=spec.n_workers)
    return [
        *_namespace(spec),
        network_policy(server, port=SERVER_PORT, allow_from=callers, ports_out=out),
        network_policy(worker, port=None, ports_out=[SERVER_PORT, *spec.job_ports]),
        _config(server, spec),
        _volume(server, spec),
        service(server, port=SERVER_PORT),
        deployment(server, _server_pod(server, spec), scale=_ONE, at_once=True),
        deployment(worker, _worker_pod(worker, spec, home), scale=workers),
        *model_servers(models, spec.serving, home, serves=()),
    ]


def _app(spec: NoriaSpec, component: str) -> App:
    name = f"{spec.name}-{component}"
    return App(name=name, instance=spec.name, component=component, place=spec.place, annotations={})


def _namespace(spec: NoriaSpec) -> Sequence[Manifest]:
    """Give the namespace, in which no pod may hold more rights than ours do; the cluster's own one stays as it is."""
    name = spec.place.namespace
    if name == "default":
        return []
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    labels = {**levels, "app.kubernetes.io/managed-by": "noria", **spec.place.labels}
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}]


def _config(app: App, spec: NoriaSpec) -> Manifest:
    hosts = [*domains(app.name, spec.place.namespace), *spec.hosts]
    # A JSON string of printable ASCII is one of TOML too.
    lines = ["[server]", "allowed_hosts = [", *(f"    {to_json(host).decode()}," for host in hosts), "]"]
    data = {"noria.toml": "\n".join(lines) + "\n"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": app.metadata(), "data": data}


def _volume(app: App, spec: NoriaSpec) -> Manifest:
    wanted: Part = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": spec.storage.disk}},
    }
    if spec.storage.disk_class is not None:
        wanted["storageClassName"] = spec.storage.disk_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": app.metadata(), "spec": wanted}


def _server_pod(app: App, spec: NoriaSpec) -> Part:
    storage = spec.storage
    password, password_mount = secret_file("admin", spec.password, _PASSWORD, "password")
    volumes = [
        {"name": "home", "persistentVolumeClaim": {"claimName": app.name}},
        {"name": "tmp", "emptyDir": {"sizeLimit": storage.disk}},
        {"name": "config", "configMap": {"name": app.name}},
    ]
    mounts = [mount("home", HOME), mount("tmp", "/tmp"), mount("config", CONFIG_FOLDER, read_only=True)]  # noqa: S108
    env = [
        *environment(None),
        secret_variable("NORIA_DATABASE", storage.database),
        variable("NORIA_OBJECTS", storage.objects),
        *(variable(name, value) for name, value in storage.objects_environment.items()),
    ]
    more: Part = {"workingDir": CONFIG_FOLDER}
    if storage.objects_secret is not None:
        more["envFrom"] = [{"secretRef": {"name": storage.objects_secret}}]
    first = container(
        app,
        name="first-user",
        command=["sh", "-c"],
        args=[f"set -eu; {_ANY_USER} || noria users create {spec.admin} --role admin < {_PASSWORD}/password"],
        env=env,
        resources=spec.server,
        mounts=[*mounts, password_mount],
        more=more,
    )
    main = container(
        app,
        args=["server", "--host", "0.0.0.0", "--port", str(SERVER_PORT)],  # noqa: S104 - everybody signs in
        env=env,
        resources=spec.server,
        mounts=mounts,
        more=more | listening(SERVER_PORT, live="/health/live", ready="/health/ready"),
    )
    return pod(app, [main], [*volumes, password], first=[first], grace_s=_GRACE_S)


def _worker_pod(app: App, spec: NoriaSpec, home: Home) -> Part:
    volumes, mounts = scratch(spec.serving.scratch)
    main = container(
        app,
        args=["worker", "--capacity", str(spec.jobs_at_once)],
        env=environment(home),
        resources=spec.worker,
        mounts=mounts,
    )
    return pod(app, [main], volumes, grace_s=_GRACE_S, spread=spec.n_workers > 1)
