"""Keys of endpoints, and how much of what they answer is captured."""

from __future__ import annotations

import builtins
import secrets
from datetime import datetime
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from blake3 import blake3

from noria.core.errors import Conflict, unknown_name
from noria.core.events.log import append
from noria.core.ids import new_id
from noria.core.names import check_name
from noria.core.operations import Service, operation
from noria.serving.events import ENDPOINT_CAPTURE_CHANGED, ENDPOINT_KEY_CREATED, ENDPOINT_KEY_REVOKED
from noria.serving.locate import EndpointRow, endpoint_row
from noria.serving.permissions import DEPLOY, READ_ENDPOINTS
from noria.serving.tables import endpoint_keys, endpoint_options

KEY_PREFIX = "noria_endpoint_"
MAX_KEYS = 1000
"""Most keys of one endpoint, the revoked ones included: model servers hold all that are good."""

_SHOWN = len(KEY_PREFIX) + 6

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Rate = Annotated[float, msgspec.Meta(gt=0.0, le=1e6)]
Burst = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a key is made of.

    Attributes
    ----------
    name
        For people: whose it is.
    rate_per_s
        Requests a second that it may ask for in the long run; None does not limit it.
    burst
        Requests that it may ask for at once, after a pause; as many as in one second when left out.
    """

    name: str
    rate_per_s: Rate | None = None
    burst: Burst | None = None


class EndpointKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without its secret.

    Attributes
    ----------
    shown
        How the secret begins.
    """

    id: str
    name: str
    shown: str
    rate_per_s: float | None
    burst: int | None
    created_by: str
    created_at: datetime
    revoked_at: datetime | None = None


class IssuedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A new key with its secret, which is nowhere else."""

    key: EndpointKey
    secret: str


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of an endpoint, newest first."""

    items: list[EndpointKey]


class CaptureShare(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of answered requests that is captured, 0 to 1; failed ones always are."""

    share: Share


class EndpointKeys(Service):
    """Who may ask an endpoint, and what it keeps of what it answers.

    An endpoint for which a key was made asks everybody for one from then on, also when all were revoked.
    """

    @operation("POST", "/projects/{project}/endpoints/{endpoint}/keys", needs=DEPLOY)
    def create(self, project: str, endpoint: str, new: NewKey) -> IssuedKey:
        """Make a key; its secret is in this answer and nowhere else. Its endpoint asks for one from now on."""
        name = check_name("key", new.name)
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        with self.context.database.write(durable=True) as connection:
            place = endpoint_row(connection, project, endpoint, lock=True)
            known = _keys(connection, place.pk)
            if any(key.name == name and key.revoked_at is None for key in known):
                raise Conflict(
                    f"The endpoint `{endpoint}` has a key `{name}` already", hint="Revoke it first"
                )
            if len(known) >= MAX_KEYS:
                raise Conflict(f"The endpoint `{endpoint}` has {MAX_KEYS} keys, as many as it can have")
            made = EndpointKey(
                id=new_id(),
                name=name,
                shown=secret[:_SHOWN],
                rate_per_s=new.rate_per_s,
                burst=new.burst,
                created_by=self.context.principal.name,
                created_at=self.context.clock.now(),
            )
            values = {**msgspec.structs.asdict(made), "endpoint_pk": place.pk, "hash": hash_key(secret)}
            connection.execute(sa.insert(endpoint_keys).values(**values))
            _set_options(connection, place, guarded=True)
            self._tell(connection, ENDPOINT_KEY_CREATED, project, endpoint, {"key": name, "key_id": made.id})
        return IssuedKey(key=made, secret=secret)

    @operation("GET", "/projects/{project}/endpoints/{endpoint}/keys", needs=DEPLOY)
    def list(self, project: str, endpoint: str) -> KeyList:
        """List the keys of an endpoint, the revoked ones too."""
        with self.context.database.read() as connection:
            return KeyList(items=_keys(connection, endpoint_row(connection, project, endpoint).pk))

    @operation("DELETE", "/projects/{project}/endpoints/{endpoint}/keys/{name}", needs=DEPLOY)
    def revoke(self, project: str, endpoint: str, name: str) -> None:
        """End a key, by its name or id: model servers refuse it as soon as they have seen the new plan."""
        with self.context.database.write(durable=True) as connection:
            place = endpoint_row(connection, project, endpoint, lock=True)
            good = [key for key in _keys(connection, place.pk) if key.revoked_at is None]
            found = next((key for key in good if name in (key.name, key.id)), None)
            if found is None:
                see = f"noria endpoints keys list {endpoint}"
                raise unknown_name("key", name, [key.name for key in good], see=see)
            connection.execute(
                sa.update(endpoint_keys)
                .where(endpoint_keys.c.id == found.id)
                .values(revoked_at=self.context.clock.now())
            )
            _set_options(connection, place)
            payload = {"key": found.name, "key_id": found.id}
            self._tell(connection, ENDPOINT_KEY_REVOKED, project, endpoint, payload)

    @operation("GET", "/projects/{project}/endpoints/{endpoint}/capture-share", needs=READ_ENDPOINTS)
    def capture_share(self, project: str, endpoint: str) -> CaptureShare:
        """Tell how much of what an endpoint answers is captured."""
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, endpoint)
            row = connection.execute(_options(place.pk)).mappings().one_or_none()
        return CaptureShare(share=1.0 if row is None else row["capture_share"])

    @operation("PUT", "/projects/{project}/endpoints/{endpoint}/capture-share", needs=DEPLOY)
    def set_capture_share(self, project: str, endpoint: str, wanted: CaptureShare) -> CaptureShare:
        """Change how much is captured. Which requests are is settled by the hash of their ids."""
        with self.context.database.write(durable=True) as connection:
            place = endpoint_row(connection, project, endpoint, lock=True)
            _set_options(connection, place, capture_share=wanted.share)
            self._tell(connection, ENDPOINT_CAPTURE_CHANGED, project, endpoint, {"share": wanted.share})
        return wanted

    def _tell(
        self, connection: sa.Connection, type_: Any, project: str, endpoint: str, payload: dict[str, Any]
    ) -> None:
        append(
            connection,
            self.context.clock,
            actor=self.context.principal.name,
            type=type_,
            subject=f"endpoint:{endpoint}",
            project=project,
            payload=payload,
        )


def hash_key(secret: str) -> str:
    """Give what is stored of a secret: it is long and random, so a plain hash tells nothing of it."""
    return blake3(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _keys(connection: sa.Connection, endpoint_pk: int) -> builtins.list[EndpointKey]:
    columns = [endpoint_keys.c[name] for name in EndpointKey.__struct_fields__]
    query = (
        sa.select(*columns)
        .where(endpoint_keys.c.endpoint_pk == endpoint_pk)
        .order_by(endpoint_keys.c.pk.desc())
    )
    return [EndpointKey(**row) for row in connection.execute(query).mappings()]


def _options(endpoint_pk: int) -> sa.Select[Any]:
    return sa.select(endpoint_options).where(endpoint_options.c.endpoint_pk == endpoint_pk)


def _set_options(connection: sa.Connection, place: EndpointRow, **changes: Any) -> None:
    """Change the options of an endpoint, whose row is locked; model servers see it by the revision."""
    row = connection.execute(_options(place.pk)).mappings().one_or_none()
    if row is None:
        values = {"guarded": False, "capture_share": 1.0, "revision": 1, **changes}
        connection.execute(sa.insert(endpoint_options).values(endpoint_pk=place.pk, **values))
        return
    connection.execute(
        sa.update(endpoint_options)
        .where(endpoint_options.c.endpoint_pk == place.pk)
        .values(revision=row["revision"] + 1, **changes)
    )
