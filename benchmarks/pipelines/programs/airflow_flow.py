"""The work of `noria_flow.py` in Airflow, in one process and without a scheduler: the argument is `chain` or `fan`."""

import sys

from airflow.sdk import DAG, task


@task
def add_one(x):
    """Count up."""
    return x + 1


with DAG(dag_id="chain", schedule=None) as chain:
    x = add_one.override(task_id="add_0")(0)
    for number in range(9):
        x = add_one.override(task_id=f"add_{number + 1}")(x)

with DAG(dag_id="fan", schedule=None, max_active_tasks=100) as fan:
    for number in range(100):
        add_one.override(task_id=f"add_{number}")(number)

if __name__ == "__main__":
    run = (chain if sys.argv[1] == "chain" else fan).test()
    assert str(run.state).lower().endswith("success"), run.state
