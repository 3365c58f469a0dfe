"""Tables of the text index: which runs have a value that holds three given characters one after the other.

No row is ever changed by whoever logs: the event log tells what changed since the index was brought up to date.
"""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import BytewiseText, metadata, pk

# `kind` is one of `search.grams.KINDS`. Runs up to `goal` were there when the field was chosen; those up to `built`
# are in segments, and searches use the field when that is all of them.
text_fields = sa.Table(
    "text_fields",
    metadata,
    pk(),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("key_pk", sa.BigInteger, nullable=False),
    sa.Column("goal", sa.BigInteger, nullable=False),
    sa.Column("built", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("kind", "key_pk", name="text_fields_by_key"),
)

# Written once and merged into larger ones.
text_segments = sa.Table(
    "text_segments",
    metadata,
    pk(),
    sa.Column("field_pk", sa.BigInteger, sa.ForeignKey("text_fields.pk"), nullable=False),
    sa.Column("n_runs", sa.BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# No foreign keys: only `text_index.py` writes here, thousands of rows at once.
text_grams = sa.Table(
    "text_grams",
    metadata,
    sa.Column("field_pk", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("gram", BytewiseText, primary_key=True),
    sa.Column("segment_pk", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("n_runs", sa.BigInteger, nullable=False),
    sa.Column("runs", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Runs that changed after they were last put into segments, as far as the event log was read.
text_tail = sa.Table(
    "text_tail",
    metadata,
    sa.Column("run_pk", sa.BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
