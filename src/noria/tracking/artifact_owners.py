"""Queries for what has artifacts: experiments, and in them runs and logged models."""

from __future__ import annotations

import sqlalchemy as sa

from noria.access.tables import projects
from noria.tracking.model_tables import logged_model_artifacts, logged_models
from noria.tracking.tables import experiments, run_artifacts, runs

_of_run = sa.select(run_artifacts.c.run_pk).where(run_artifacts.c.run_pk == runs.c.pk).exists()
_of_model = (
    sa.select(logged_model_artifacts.c.model_pk)
    .where(logged_model_artifacts.c.model_pk == logged_models.c.pk)
    .exists()
)
_in_runs = sa.select(runs.c.pk).where(runs.c.experiment_pk == experiments.c.pk, _of_run).exists()
_in_models = (
    sa.select(logged_models.c.pk).where(logged_models.c.experiment_pk == experiments.c.pk, _of_model).exists()
)
_places = sa.select(
    experiments.c.number, experiments.c.artifact_location, projects.c.name.label("project")
).join(projects, projects.c.pk == experiments.c.project_pk)

EXPERIMENTS = _places.where(sa.or_(_in_models, _in_runs)).order_by(experiments.c.number)
"""Those in which any run or model has artifacts."""

EXPERIMENT = (
    sa.select(experiments.c.pk, projects.c.name.label("project"))
    .join(projects, projects.c.pk == experiments.c.project_pk)
    .where(experiments.c.number == sa.bindparam("number"))
)
RUNS = (
    sa.select(runs.c.id)
    .where(runs.c.experiment_pk == sa.bindparam("experiment"), _of_run)
    .order_by(runs.c.id)
)
MODELS = (
    sa.select(logged_models.c.id)
    .where(logged_models.c.experiment_pk == sa.bindparam("experiment"), _of_model)
    .order_by(logged_models.c.id)
)
