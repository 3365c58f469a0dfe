"""Airflow: pipelines as files of DAGs."""
