"""Tables of the text index: which runs have a value that holds three given characters one after the other.

No row is ever changed by whoever logs: the event log tells what changed since the index was brought up to date.
"""

from __future__ import annotations

from noria.core.database.schema import (
    BigInteger,
    BytewiseText,
    Column,
    ForeignKey,
    LargeBinary,
    SmallInteger,
    Table,
    UniqueConstraint,
    pk,
)

# `kind` is one of `search.grams.KINDS`. Runs up to `goal` were there when the field was chosen; those up to `built`
# are in segments, and searches use the field when that is all of them.
text_fields = Table(
    "text_fields",
    pk(),
    Column("kind", SmallInteger, nullable=False),
    Column("key_pk", BigInteger, nullable=False),
    Column("goal", BigInteger, nullable=False),
    Column("built", BigInteger, nullable=False),
    UniqueConstraint("kind", "key_pk", name="text_fields_by_key"),
)

# Written once and merged into larger ones.
text_segments = Table(
    "text_segments",
    pk(),
    Column("field_pk", BigInteger, ForeignKey("text_fields.pk"), nullable=False),
    Column("n_runs", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# No foreign keys: only `text_index.py` writes here, thousands of rows at once.
text_grams = Table(
    "text_grams",
    Column("field_pk", BigInteger, primary_key=True, autoincrement=False),
    Column("gram", BytewiseText, primary_key=True),
    Column("segment_pk", BigInteger, primary_key=True, autoincrement=False),
    Column("n_runs", BigInteger, nullable=False),
    Column("runs", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Runs that changed after they were last put into segments, as far as the event log was read.
text_tail = Table(
    "text_tail",
    Column("run_pk", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
