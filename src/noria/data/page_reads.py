"""What the pages of data sets read beyond the operations: a list with newest versions, and the files of one."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.admission import admit
from noria.core.objects.listing import list_files
from noria.core.operations import Service
from noria.data.entities import Dataset, DatasetVersion
from noria.data.permissions import READ_DATA
from noria.data.service import VERSION_COLUMNS, version_of
from noria.data.tables import dataset_versions, datasets


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDataset:
    """A data set with its newest version, without its profile; None while there is none."""

    dataset: Dataset
    newest: DatasetVersion | None


class DatasetPages(Service):
    """Reads for pages; no operations: programs have `Datasets`."""

    def list(
        self, project: str, *, limit: int, after: str = ""
    ) -> tuple[tuple[ListedDataset, ...], str | None]:
        """List data sets in the order of their names; the name after which the next page begins, or None."""
        admit(self.context.principal, READ_DATA, project)
        columns = [column for column in VERSION_COLUMNS if column is not dataset_versions.c.profile]
        with self.context.database.read() as connection:
            rows = connection.execute(
                sa.select(
                    datasets.c.pk, datasets.c.id, datasets.c.name, datasets.c.latest, datasets.c.created_at
                )
                .where(datasets.c.project_pk == project_pk(connection, project), datasets.c.name > after)
                .order_by(datasets.c.name)
                .limit(limit + 1)
            ).all()
            shown = rows[:limit]
            found = connection.execute(
                sa.select(datasets.c.name.label("dataset"), *columns)
                .join_from(datasets, dataset_versions, dataset_versions.c.dataset_pk == datasets.c.pk)
                .where(dataset_versions.c.version == datasets.c.latest)
                .where(datasets.c.pk.in_([row.pk for row in shown]))
            ).mappings()
            newest = {}
            for row in found:
                values = dict(row)
                name = values.pop("dataset")
                newest[name] = version_of(project, name, {**values, "profile": None})
        listed = tuple(
            ListedDataset(
                dataset=Dataset(
                    id=row.id, project=project, name=row.name, latest=row.latest, created_at=row.created_at
                ),
                newest=newest.get(row.name),
            )
            for row in shown
        )
        return listed, shown[-1].name if len(rows) > limit else None

    def files(self, version: DatasetVersion) -> tuple[tuple[str, int | None], ...] | None:
        """Give path and size of each file of a version; None for one with too many to list."""
        admit(self.context.principal, READ_DATA, version.project)
        return list_files(self.context.objects, version.digest)
