"""A DAG with one task, which runs the command of the environment and writes its answer to a file."""

import os

from airflow.sdk import DAG, task

with DAG(dag_id="beside_noria", schedule=None):

    @task.bash
    def ask() -> str:
        """Give the command line."""
        return f"{os.environ['BESIDE_COMMAND']} > '{os.environ['BESIDE_ANSWER']}'"

    ask()
