"""Render an endpoint: pods that answer for it, in front of them one stable address."""

from __future__ import annotations

from urllib.parse import urlsplit

from noria.delivery.images.places import HOME, MODEL_PORT, SECRETS_FOLDER
from noria.delivery.kubernetes.parts import (
    App,
    Part,
    autoscaler,
    container,
    deployment,
    disruption_budget,
    listening,
    namespace_peer,
    network_policy,
    pod,
    same_namespace,
    scratch,
    secret_file,
    secret_variable,
    service,
    variable,
)
from noria.delivery.kubernetes.specs import EndpointSpec, Home, ModelServing
from noria.delivery.kubernetes.text import Manifest

_GRACE_S = 60


def render_endpoint(spec: EndpointSpec) -> list[Manifest]:
    """Give the manifests of an endpoint, in the order in which they are applied."""
    app = App(
        name=spec.name,
        instance=spec.name,
        component="endpoint",
        place=spec.place,
        annotations={"noria/endpoint": spec.endpoint},
    )
    return model_servers(app, spec.serving, spec.home, serves=(spec.serves, "--endpoint", spec.endpoint))


def model_servers(
    app: App, serving: ModelServing, home: Home | None, *, serves: tuple[str, ...]
) -> list[Manifest]:
    """Give the manifests of pods with a model server in each.

    Parameters
    ----------
    serves
        Arguments of `noria serve`: what it serves; empty for every endpoint of the workspace.
    """
    scale = serving.scale
    ports_out = [] if home is None else [port_of(home.url)]
    peers = [same_namespace(), *map(namespace_peer, serving.allow_from)]
    return [
        network_policy(app, port=MODEL_PORT, allow_from=peers, ports_out=ports_out),
        service(app, port=MODEL_PORT),
        deployment(app, _pod(app, serving, home, serves), scale=scale),
        *autoscaler(app, scale),
        *disruption_budget(app, scale),
    ]


def _pod(app: App, serving: ModelServing, home: Home | None, serves: tuple[str, ...]) -> Part:
    volumes, mounts = scratch(serving.scratch)
    token, token_mount = secret_file("request-token", serving.token, SECRETS_FOLDER, "token")
    args = [
        "serve",
        *serves,
        *("--host", "0.0.0.0"),  # noqa: S104 - a policy stands before it, and it asks for a token
        *("--port", str(MODEL_PORT)),
        *("--workers", str(serving.n_workers)),
        *("--token-file", f"{SECRETS_FOLDER}/token"),
        *(word for name in domains(app.name, app.place.namespace) for word in ("--allowed-host", name)),
    ]
    return pod(
        app,
        [
            container(
                app,
                args=args,
                env=environment(home),
                resources=serving.resources,
                mounts=[*mounts, token_mount],
                more=listening(MODEL_PORT, live="/v2/health/live", ready="/v2/health/ready"),
            )
        ],
        [*volumes, token],
        grace_s=_GRACE_S,
        spread=serving.scale.most > 1,
        annotations=_scraped() if serving.scraped else None,
    )


def environment(home: Home | None) -> list[Part]:
    """Give the variables by which Noria finds its workspace: a server's, or a folder of the pod's own."""
    if home is None:
        return [variable("HOME", HOME), variable("NORIA_WORKSPACE", f"{HOME}/workspace")]
    return [
        variable("HOME", HOME),
        variable("NORIA_WORKSPACE", home.url),
        variable("NORIA_PROJECT", home.project),
        secret_variable("NORIA_TOKEN", home.token),
    ]


def port_of(url: str) -> int:
    """Give the port of an address."""
    parts = urlsplit(url)
    return parts.port or {"http": 80, "https": 443}[parts.scheme]


def domains(name: str, namespace: str) -> list[str]:
    """Give the names by which pods of the cluster reach a Service."""
    behind = ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
    return [f"{name}{each}" for each in behind]


def _scraped() -> dict[str, str]:
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(MODEL_PORT),
        "prometheus.io/path": "/metrics",
    }
