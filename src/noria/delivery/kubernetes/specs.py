"""What is rendered: the values that options were read into, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from noria.delivery.kubernetes.names import SecretKey
from noria.delivery.kubernetes.quantities import Resources

SERVER_PORT: Final = 7777


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where pods run, and as what.

    Attributes
    ----------
    pull_secret
        Secret with which the image is fetched.
    service_account
        Of the pods; the namespace's own when None. Its token is never put into a pod.
    labels
        Further ones, on every object and pod.
    """

    namespace: str
    image: str
    pull_secret: str | None = None
    service_account: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How many pods of a kind there are.

    Attributes
    ----------
    most
        Up to which an autoscaler goes from `replicas`; equal to that, there is none.
    cpu_target
        Share of the requested processor that the autoscaler aims at, in percent.
    """

    replicas: int
    most: int
    cpu_target: int = 70

    @property
    def is_automatic(self) -> bool:
        """Whether an autoscaler chooses the number."""
        return self.most > self.replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The server that pods work for.

    Attributes
    ----------
    url
        Address of the server.
    token
        API token for it.
    """

    url: str
    token: SecretKey
    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelServing:
    """How a pod's model server answers.

    Attributes
    ----------
    token
        What every request must carry.
    n_workers
        Processes of a pod that answer.
    scratch
        Size of the pod's own disk: models fetched, and answers that wait to be handed on.
    allow_from
        Namespaces beside its own whose pods may ask it.
    scraped
        Whether pods say to Prometheus where their metrics are.
    """

    token: SecretKey
    n_workers: int
    resources: Resources
    scale: Scale
    scratch: str
    allow_from: tuple[str, ...] = ()
    scraped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSpec:
    """An endpoint that pods of its own answer for.

    Attributes
    ----------
    name
        What its objects are called.
    serves
        What `noria serve` is given: the model, or the folder of the package in the image.
    home
        Server whose endpoint it is; None when the image holds all.
    """

    name: str
    endpoint: str
    serves: str
    place: Place
    serving: ModelServing
    home: Home | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where the server keeps things.

    Attributes
    ----------
    database
        URL of PostgreSQL, password included.
    objects
        `s3://bucket/prefix`, `gs://…` or `az://…`.
    objects_secret
        Secret whose keys become environment variables, as the library of the bucket reads them; None when the service
        account of the pods may read and write the bucket.
    objects_environment
        Variables of the bucket that are no secret, such as its region.
    disk
        Size of the server's own volume: keys, checkpoints and uploads under way.
    disk_class
        Storage class of that volume; the cluster's default when None.
    """

    database: SecretKey
    database_port: int
    objects: str
    objects_port: int
    objects_secret: str | None
    objects_environment: Mapping[str, str]
    disk: str
    disk_class: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoriaSpec:
    """A whole Noria: server, workers, model servers.

    Attributes
    ----------
    name
        What its objects are called by, in front.
    admin, password
        First user, who is made if there is none of this name.
    token
        With which workers and model servers sign in to the server.
    hosts
        Names by which the server is reached from outside the cluster.
    allow_from
        Namespaces beside its own whose pods may ask the server.
    n_workers, jobs_at_once
        Pods that run jobs, and how many jobs each runs at once.
    job_ports
        To which jobs may connect outside the pod, besides the server's.
    """

    name: str
    place: Place
    storage: Storage
    admin: str
    password: SecretKey
    token: SecretKey
    project: str
    hosts: tuple[str, ...]
    allow_from: tuple[str, ...]
    server: Resources
    worker: Resources
    n_workers: int
    jobs_at_once: int
    job_ports: tuple[int, ...]
    serving: ModelServing


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSpec:
    """A batch in blue and green: two versions predict the same rows at the same times, each into its own slot.

    Attributes
    ----------
    name
        What its objects are called by, in front.
    batch
        Name of the batch on the server.
    versions
        Slot → model and version that predicts into it.
    words
        Further arguments of `noria predict`, the same for both.
    schedule, timezone
        When, as cron writes it.
    late_s
        A run that could not begin in time still begins, up to so many seconds later.
    retries
        How often a run that failed is begun again.
    input_url
        Database that the rows are read from, password included; None where none is.
    output_password
        Of the PostgreSQL that the rows are written to; None where it asks for none.
    ports_out
        To which a run may connect, besides the server's.
    """

    name: str
    batch: str
    place: Place
    home: Home
    versions: Mapping[str, str]
    words: tuple[str, ...]
    schedule: str
    timezone: str
    late_s: int
    retries: int
    resources: Resources
    scratch: str
    input_url: SecretKey | None
    output_password: SecretKey | None
    ports_out: tuple[int, ...]
