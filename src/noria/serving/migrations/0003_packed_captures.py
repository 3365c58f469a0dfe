"""Answered requests packed, many to a row; labels by the position of their row."""

from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "serving_0003"
down_revision = "serving_0002"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROWS_AT_ONCE = 500
FORM = 1
JSON = -1

CAPTURES = (
    "select pk, endpoint_pk, prediction_id, version, revision, row, at, inputs, outputs, latency_us, error"
    " from captures where endpoint_pk = :endpoint and pk > :after order by pk limit :n"
)


def upgrade() -> None:
    create_tables()
    connection = op.get_bind()
    found = connection.execute(sa.text("select pk from endpoints order by pk")).scalars().all()
    for endpoint in found:
        after = 0
        while rows := read(connection, endpoint, after):
            keep(connection, endpoint, rows)
            after = rows[-1].pk
    move_labels()
    op.drop_table("captures")


def create_tables() -> None:
    op.create_table(
        "capture_chunks",
        sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), primary_key=True),
        sa.Column("last_position", sa.BigInteger, primary_key=True),
        sa.Column("first_position", sa.BigInteger, nullable=False),
        sa.Column("n_rows", sa.BigInteger, nullable=False),
        sa.Column("oldest_version", sa.BigInteger, nullable=False),
        sa.Column("newest_version", sa.BigInteger, nullable=False),
        sa.Column("heads", sa.LargeBinary, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "capture_ids",
        sa.Column("id", BYTEWISE, primary_key=True),
        sa.Column("endpoint_pk", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("n_rows", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        for column in ("heads", "data"):  # compressed already
            op.execute(f"alter table capture_chunks alter column {column} set storage external")


def read(connection: sa.Connection, endpoint: int, after: int) -> list[Any]:
    values = {"endpoint": endpoint, "after": after, "n": ROWS_AT_ONCE}
    return list(connection.execute(sa.text(CAPTURES), values).all())


def keep(connection: sa.Connection, endpoint: int, rows: list[Any]) -> None:
    heads, data = packed(rows)
    chunk = {
        "endpoint": endpoint,
        "last": rows[-1].pk,
        "first": rows[0].pk,
        "n": len(rows),
        "oldest": min(row.version for row in rows),
        "newest": max(row.version for row in rows),
        "heads": heads,
        "data": data,
    }
    connection.execute(
        sa.text(
            "insert into capture_chunks (endpoint_pk, last_position, first_position, n_rows, oldest_version,"
            " newest_version, heads, data) values (:endpoint, :last, :first, :n, :oldest, :newest, :heads, :data)"
        ),
        chunk,
    )
    connection.execute(
        sa.text(
            "insert into capture_ids (id, endpoint_pk, position, n_rows) values (:id, :endpoint, :position, 1)"
        ),
        [{"id": row.prediction_id, "endpoint": endpoint, "position": row.pk} for row in rows],
    )


def packed(rows: list[Any]) -> tuple[bytes, bytes]:
    """Give the two parts of a chunk of the first form, each row an entry of JSON."""
    import struct

    import zstandard

    data = [b'{"inputs":%b,"outputs":%b}' % (row.inputs.encode(), row.outputs.encode()) for row in rows]
    columns = [
        *zip(
            *((row.version, row.revision, row.at, row.latency_us, row.row, 1, 1, JSON) for row in rows),
            strict=True,
        ),
        [len(each) for each in data],
    ]
    heads = [
        FORM,
        [row.prediction_id for row in rows],
        b"".join(struct.pack(f"<{len(rows)}q", *column) for column in columns),
        [],
        {place: row.error for place, row in enumerate(rows) if row.error is not None},
        struct.pack(f"<{len(rows)}q", *(row.pk for row in rows)),
    ]
    compressor = zstandard.ZstdCompressor(level=3)
    return compressor.compress(msgspec.msgpack.encode(heads)), compressor.compress(b"".join(data))


def move_labels() -> None:
    """Let labels name the position of their row, which was its key; their own keys stay: they are cursors."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("labels_capture_pk_fkey", "labels", type_="foreignkey")
        op.drop_constraint("labels_capture_pk_key", "labels", type_="unique")
        op.alter_column("labels", "capture_pk", new_column_name="position")
        op.create_unique_constraint("labels_by_row", "labels", ["endpoint_pk", "position"])
        return
    op.rename_table("labels", "labels_before")
    op.drop_index("labels_by_position", "labels_before")
    op.create_table(
        "labels",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("n_contradictions", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("endpoint_pk", "position", name="labels_by_row"),
    )
    op.create_index("labels_by_position", "labels", ["endpoint_pk", "pk"])
    op.execute(
        "insert into labels (pk, endpoint_pk, position, value, at, source, n_contradictions)"
        " select pk, endpoint_pk, capture_pk, value, at, source, n_contradictions from labels_before"
    )
    op.drop_table("labels_before")
