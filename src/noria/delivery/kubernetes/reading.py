"""Read options of `noria k8s render` into values, each checked; what is refused says the option that mends it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

from noria.core.errors import Invalid
from noria.core.names import check_name, split_ref
from noria.delivery.images.places import PACKAGE_FOLDER
from noria.delivery.kubernetes.names import (
    check_image,
    check_label,
    check_object_name,
    label_of,
    read_labels,
    secret_key,
)
from noria.delivery.kubernetes.quantities import Resources, read_cpu, read_memory, read_size
from noria.delivery.kubernetes.specs import Home, ModelServing, Place, Scale, Storage

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_BUCKET_SCHEMES: Final = ("s3", "gs", "az")
_OBJECTS = re.compile(r"(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9!_.*'()-]+)*")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_SECRET_WORDS: Final = ("SECRET", "PASSWORD", "TOKEN", "KEY", "CREDENTIAL")
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def read_place(
    namespace: str, image: str, pull_secret: str | None, account: str | None, labels: Sequence[str] | None
) -> Place:
    """Read where pods run, and as what."""
    return Place(
        namespace=check_label("--namespace", namespace),
        image=check_image(image),
        pull_secret=_named("--image-secret", pull_secret),
        service_account=_named("--service-account", account),
        labels=read_labels(labels or ()),
    )


def read_serving(
    called: str,
    *,
    token: str | None,
    workers: int,
    cpu: str,
    memory: str,
    replicas: int,
    max_replicas: int | None,
    cpu_target: int,
    scratch: str,
    allow_from: Sequence[str] | None,
    prometheus: bool,
) -> ModelServing:
    """Read how pods with model servers answer, and how many there are."""
    return ModelServing(
        token=secret_key("--token", token or f"{called}-requests", key="token"),
        n_workers=workers,
        resources=read_resources(cpu, memory),
        scale=read_scale(replicas=replicas, max_replicas=max_replicas, cpu_target=cpu_target),
        scratch=read_size("--scratch", scratch),
        allow_from=read_namespaces("--allow-from", allow_from),
        scraped=prometheus,
    )


def read_home(server: str, token: str, project: str) -> Home:
    """Read the server that pods work for."""
    return Home(
        url=read_server(server),
        token=secret_key("--server-token", token, key="token"),
        project=check_name("project", project),
    )


def read_scale(*, replicas: int, max_replicas: int | None, cpu_target: int) -> Scale:
    """Read how many pods there are.

    Raises
    ------
    Invalid
        If the most is less than the least.
    """
    most = replicas if max_replicas is None else max_replicas
    if most < replicas:
        raise Invalid(
            f"`--max-replicas {most}` is less than `--replicas {replicas}`",
            hint=f"`--replicas {most} --max-replicas {replicas}`",
        )
    return Scale(replicas=replicas, most=most, cpu_target=cpu_target)


def read_resources(cpu: str, memory: str, *, prefix: str = "--") -> Resources:
    """Read processor and memory of a container."""
    return Resources(cpu=read_cpu(f"{prefix}cpu", cpu), memory=read_memory(f"{prefix}memory", memory))


def read_served(model: str | None, endpoint: str, home: Home | None) -> str:
    """Read what the pods of an endpoint serve: the package in their image, or the model of a server's endpoint.

    Raises
    ------
    Invalid
        If a model is named that the image would not ask for, or a version, which the server chooses and changes.
    """
    if home is None:
        if model is not None:
            raise Invalid(
                f"`--model {model}` says which model of a server it is, and no server is named",
                hint="Name it with `--server URL`, or leave out `--model`: the image holds the model",
            )
        return PACKAGE_FOLDER
    name, selector = split_ref(model or endpoint)
    if selector is not None:
        raise Invalid(
            f"`{model}` of `--model` names a version, but the server says which versions answer",
            hint=f"`--model {name}`, and on the server `noria deploy {model} --to {endpoint}`",
        )
    return check_name("model", name)


def read_namespaces(option: str, names: Iterable[str] | None) -> tuple[str, ...]:
    """Read names of namespaces, each once, in their order."""
    return tuple(sorted({check_label(option, name) for name in names or ()}))


def read_object_name(name: str | None, told: str, *, limit: int) -> str:
    """Read what objects are called: `--name`, or what stands for the name of the thing that is rendered."""
    return label_of(told, limit=limit) if name is None else check_label("--name", name, limit=limit)


def read_server(url: str) -> str:
    """Read the address of a server.

    Raises
    ------
    Invalid
        If it is no `http(s)://` address, or has a password in it, which would be written into the manifest.
    """
    parts = _parts(url)
    if parts is None or parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.hostname or ""):
        raise Invalid(
            f"`{url}` of `--server` is no address of a server",
            hint="Such as `--server http://noria-server.noria:7777` or `--server https://noria.example`",
        )
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise Invalid(
            "The address of `--server` has more in it than host, port and path",
            hint="The token comes from a Secret: `--server-token NAME:KEY`",
        )
    return url.rstrip("/")


def read_hosts(hosts: Iterable[str] | None) -> tuple[str, ...]:
    """Read names by which a server is reached, each once, in their order."""
    found = sorted(set(hosts or ()))
    for host in found:
        name, _, port = host.partition(":")
        if not _HOST.fullmatch(name) or (":" in host and not port.isdecimal()):
            raise Invalid(
                f"`{host}` of `--host` is no name of a host",
                hint="Without `https://`, such as `--host noria.example`",
            )
    return tuple(found)


def read_objects(url: str) -> str:
    """Read the address of a bucket.

    Raises
    ------
    Invalid
        If it is none: pods share no folder.
    """
    if not _OBJECTS.fullmatch(url):
        schemes = ", ".join(f"`{scheme}://bucket/prefix`" for scheme in _BUCKET_SCHEMES)
        raise Invalid(f"`{url}` of `--objects` is no address of a bucket", hint=f"One of {schemes}")
    return url


def read_variables(texts: Iterable[str] | None) -> Mapping[str, str]:
    """Read `NAME=VALUE` variables in the order of their names.

    Raises
    ------
    Invalid
        If one is none, or looks like a secret, which a manifest must not hold.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not _VARIABLE.fullmatch(name) or not value.isprintable():
            raise Invalid(
                f"`{name}` of `--objects-env` is no variable with a value",
                hint="Such as `--objects-env AWS_REGION=eu-central-1`",
            )
        if any(word in name for word in _SECRET_WORDS):
            raise Invalid(
                f"`{name}` of `--objects-env` looks like a secret, which would be written into the manifest",
                hint="Put it into the Secret that `--objects-secret` names, as a key of this name",
            )
        found[name] = value
    return dict(sorted(found.items()))


def read_storage(
    *,
    database: tuple[str, int],
    objects: tuple[str, int],
    secret: str | None,
    variables: Iterable[str] | None,
    disk: tuple[str, str | None],
) -> Storage:
    """Read where a server keeps things.

    Parameters
    ----------
    database, objects
        Secret with the URL of PostgreSQL, and address of the bucket; each with its port.
    secret, variables
        Of the bucket.
    disk
        Size and storage class of the server's volume.
    """
    return Storage(
        database=secret_key("--database", database[0], key="url"),
        database_port=database[1],
        objects=read_objects(objects[0]),
        objects_port=objects[1],
        objects_secret=_named("--objects-secret", secret),
        objects_environment=read_variables(variables),
        disk=read_size("--disk", disk[0]),
        disk_class=_named("--disk-class", disk[1]),
    )


def read_user(name: str) -> str:
    """Read the name of the first user; it stands in a line of a shell."""
    if not _USER.fullmatch(name) or len(name) > 64:
        raise Invalid(
            f"`{name}` of `--admin` cannot be the name of the first user",
            hint="Letters, digits, `.`, `_` and `-`, such as `--admin ana`",
        )
    return name


def _named(option: str, name: str | None) -> str | None:
    return None if name is None else check_object_name(option, name)


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
