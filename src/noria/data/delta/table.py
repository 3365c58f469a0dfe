"""Changes of a table: append, overwrite, merge, delete, compact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from noria.core.errors import NotFound
from noria.data.delta.errors import SourceUnreadable
from noria.data.delta.layout import due, gatherable
from noria.data.delta.log import Part
from noria.data.delta.merging import check_keys, checked_condition, n_changed, updated
from noria.data.delta.parquet import ROW_GROUP_ROWS
from noria.data.delta.sources import Rows, rows_of
from noria.data.delta.types import Growth, check_fits, conform, grow, stored_schema
from noria.data.delta.versions import Plan, Planner, Snapshot, StoredPart, TableVersions, not_a_table
from noria.data.entities import DatasetVersion


class Table:
    """Makes versions of a table.

    Parameters
    ----------
    versions
        Where they are opened and added.
    """

    def __init__(self, versions: TableVersions) -> None:
        self._versions = versions
        self.name = versions.name

    def append(
        self, source: Any, *, evolve: bool = False, message: str = "", once: str | None = None
    ) -> DatasetVersion:
        """Put rows at the end; with a word in `once`, only the first time that it is said."""
        written: dict[tuple[tuple[str, pl.DataType], ...], list[StoredPart]] = {}

        def plan(rows: Rows, snapshot: Snapshot, folder: Path) -> Plan | None:
            growth = self._growth(snapshot, rows, evolve=evolve)
            key = tuple(growth.schema.items())
            # Made again because of another version, the change takes the files that it wrote before.
            if key not in written:
                written[key] = self._put_rows(rows, snapshot, growth.schema, folder)
            return self._appended(snapshot, growth, written[key], folder, message)

        return self._versions.change(_with_types(rows_of(source), plan), once=once)

    def overwrite(
        self, source: Any, *, evolve: bool = False, message: str = "", once: str | None = None
    ) -> DatasetVersion:
        """Put rows in the place of all that there are; with `evolve`, rows of any columns; `once` as for `append`."""

        def plan(rows: Rows, snapshot: Snapshot, folder: Path) -> Plan | None:
            if evolve or snapshot.schema is None:
                schema = stored_schema(_schema_of(rows, None))
            else:
                schema = self._growth(snapshot, rows, evolve=False).schema
            parts = self._put_rows(rows, snapshot, schema, folder)
            there = [snapshot.entries[part.path].digest for part in snapshot.parts]
            if schema == snapshot.schema and there == [part.entry.digest for part in parts]:
                return None
            return Plan(
                operation="overwrite",
                schema=schema,
                message=message or f"overwrite with {sum(part.n_rows for part in parts)} rows",
                added=parts,
                removed=snapshot.parts,
                replaces=snapshot.schema is not None,
            )

        return self._versions.change(_with_types(rows_of(source), plan), once=once)

    def merge(
        self,
        source: Any,
        *,
        on: Sequence[str],
        update: bool = True,
        insert: bool = True,
        evolve: bool = False,
        message: str = "",
    ) -> DatasetVersion:
        """Update the rows whose keys are those of the given rows, and put in the ones that are new."""

        def plan(rows: Rows, snapshot: Snapshot, folder: Path) -> Plan | None:
            growth = self._growth(snapshot, rows, evolve=evolve)
            with rows.naming():
                found = rows(snapshot.schema).collect()
            new = conform(found, growth.schema).select(c for c in growth.schema if c in found.columns)
            check_keys(new, on)
            merge = _Merge(self._versions, snapshot, growth, new, tuple(on), folder)
            return merge.plan(update=update, insert=insert, message=message)

        return self._versions.change(_with_types(rows_of(source), plan))

    def delete(self, where: str | pl.Expr, *, message: str = "") -> DatasetVersion:
        """Take out the rows of which a condition is true."""

        def plan(snapshot: Snapshot, folder: Path) -> Plan | None:
            schema = self._existing(snapshot)
            chosen = checked_condition(where, schema).fill_null(value=False)
            added: list[StoredPart] = []
            removed: list[Part] = []
            n_rows = 0
            for part in snapshot.parts:
                rows = self._versions.scan(snapshot, [part])
                n_hit = rows.select(chosen.sum().cast(pl.Int64)).collect().item() or 0
                n_rows += n_hit
                if n_hit:
                    removed.append(part)
                if 0 < n_hit < part.n_rows:
                    rest = rows.collect().filter(~chosen)
                    added.append(self._versions.put_at([rest], schema, folder, instead_of=part))
            if not removed:
                return None
            told = message or f"delete {n_rows} rows"
            return Plan(operation="delete", schema=schema, message=told, added=added, removed=removed)

        return self._versions.change(plan)

    def compact(self, *, message: str = "") -> DatasetVersion:
        """Gather small data files into larger ones; the rows stay as they are."""

        def plan(snapshot: Snapshot, folder: Path) -> Plan | None:
            schema = self._existing(snapshot)
            runs = list(gatherable(snapshot.parts))
            if not runs:
                return None
            removed = [part for run in runs for part in run]
            return Plan(
                operation="compact",
                schema=schema,
                message=message or f"compact {len(removed)} files into {len(runs)}",
                added=[
                    self._versions.put_at(
                        self._versions.frames(snapshot, run), schema, folder, instead_of=run[0]
                    )
                    for run in runs
                ],
                removed=removed,
                changes_rows=False,
            )

        return self._versions.change(plan)

    def _appended(
        self, snapshot: Snapshot, growth: Growth, parts: list[StoredPart], folder: Path, message: str
    ) -> Plan | None:
        n_rows = sum(part.n_rows for part in parts)
        if not n_rows and growth.schema == snapshot.schema:
            return None
        told = message or f"append {n_rows} rows"
        plan = Plan(operation="append", schema=growth.schema, message=told, added=parts)
        if growth.widened:
            kept = [
                self._versions.put_at(
                    self._versions.frames(snapshot, [part]), growth.schema, folder, instead_of=part
                )
                for part in snapshot.parts
            ]
            return replace(plan, added=[*kept, *parts], removed=snapshot.parts, replaces=True)
        n_due = due([*(p.size_bytes for p in snapshot.parts), *(p.entry.size_bytes for p in parts)])
        if n_due <= len(parts):
            return plan
        tail = snapshot.parts[len(snapshot.parts) + len(parts) - n_due :]
        frames = self._tail(snapshot, tail, parts, growth.schema)
        gathered = self._versions.put_at(frames, growth.schema, folder, instead_of=tail[0])
        return replace(plan, added=[gathered], removed=tail)

    def _tail(
        self, snapshot: Snapshot, tail: Sequence[Part], parts: Sequence[StoredPart], schema: pl.Schema
    ) -> Iterator[pl.DataFrame]:
        yield from self._versions.frames(snapshot, tail)
        yield from self._versions.stored_frames(parts, schema)

    def _existing(self, snapshot: Snapshot) -> pl.Schema:
        if snapshot.schema is not None:
            return snapshot.schema
        if snapshot.version is not None:
            raise not_a_table(snapshot.version)
        raise NotFound(f"There is no table `{self.name}`", hint="See `noria data list`")

    def _growth(self, snapshot: Snapshot, rows: Rows, *, evolve: bool) -> Growth:
        if snapshot.version is not None and snapshot.schema is None:
            raise not_a_table(snapshot.version)
        found = _schema_of(rows, snapshot.schema)
        if snapshot.schema is None:
            return Growth(schema=stored_schema(found))
        known = _stored_as(found, snapshot.schema)
        if evolve:
            return grow(self.name, snapshot.schema, known)
        check_fits(self.name, snapshot.schema, known)
        return Growth(schema=snapshot.schema)

    def _put_rows(self, rows: Rows, snapshot: Snapshot, schema: pl.Schema, folder: Path) -> list[StoredPart]:
        with rows.naming():
            return self._versions.put(_batches(rows(snapshot.schema)), schema, folder)


class _Merge:
    """One merge into one version."""

    def __init__(
        self,
        versions: TableVersions,
        snapshot: Snapshot,
        growth: Growth,
        new: pl.DataFrame,
        on: tuple[str, ...],
        folder: Path,
    ) -> None:
        self._versions = versions
        self._snapshot = snapshot
        self._growth = growth
        self._new = new
        self._on = on
        self._folder = folder
        self._added: list[StoredPart] = []
        self._removed: list[Part] = []

    def plan(self, *, update: bool, insert: bool, message: str) -> Plan | None:
        schema = self._growth.schema
        known = self._new.select(self._on).clear()
        n_updated = 0
        for part in self._snapshot.parts:
            matched = self._matched(part)
            known = pl.concat([known, matched])
            if self._growth.widened or (update and matched.height):
                n_updated += self._rewrite(part, update=update)
        inserted = self._new.join(known, on=self._on, how="anti", maintain_order="left")
        if insert and inserted.height:
            self._added += self._versions.put([inserted], schema, self._folder)
        if not self._added and schema == self._snapshot.schema:
            return None
        n_inserted = inserted.height if insert else 0
        return Plan(
            operation="merge",
            schema=schema,
            message=message or f"merge: {n_updated} rows updated, {n_inserted} inserted",
            added=self._added,
            removed=self._removed,
            replaces=bool(self._growth.widened),
        )

    def _matched(self, part: Part) -> pl.DataFrame:
        """Give the keys of new rows that the file has."""
        kinds = pl.Schema({column: self._growth.schema[column] for column in self._on})
        there = [column for column in self._on if column in (self._snapshot.schema or {})]
        keys = conform(self._versions.scan(self._snapshot, [part]).select(there).collect(), kinds)
        return self._new.select(self._on).join(keys, on=self._on, how="semi")

    def _rewrite(self, part: Part, *, update: bool) -> int:
        schema = self._growth.schema
        old = conform(self._versions.scan(self._snapshot, [part]).collect(), schema)
        new = updated(old, self._new, self._on) if update else old
        n_rows = n_changed(old, new)
        if n_rows or self._growth.widened:
            self._added.append(self._versions.put_at([new], schema, self._folder, instead_of=part))
            self._removed.append(part)
        return n_rows


def _with_types(rows: Rows, plan: Callable[[Rows, Snapshot, Path], Plan | None]) -> Planner:
    """Plan with the types that the first rows of a file tell, and where a later row has others, with those of all."""

    def planner(snapshot: Snapshot, folder: Path) -> Plan | None:
        try:
            return plan(rows, snapshot, folder)
        except SourceUnreadable:
            return plan(rows.looked_through(), snapshot, folder)

    return planner


def _schema_of(rows: Rows, expected: pl.Schema | None) -> pl.Schema:
    with rows.naming():
        return rows(expected).collect_schema()


def _stored_as(found: pl.Schema, table: pl.Schema) -> pl.Schema:
    """Give the types as which columns are kept; one without any value has the type that the table knows it by."""
    empty = {c for c, kind in found.items() if kind == pl.Null() and c in table}
    typed = pl.Schema({column: kind for column, kind in found.items() if column not in empty})
    stored = stored_schema(typed) if typed else pl.Schema()
    return pl.Schema({c: table[c] if c in empty else stored[c] for c in found})


def _batches(rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    yield from rows.collect_batches(chunk_size=ROW_GROUP_ROWS, maintain_order=True)
