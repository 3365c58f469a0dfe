"""Run the command given as arguments inside a component of a pipeline, with Kubeflow's local runner."""

import sys

from kfp import dsl, local


@dsl.component(install_kfp_package=False)
def start(command: list) -> str:
    """Run the command and give what it printed."""
    import subprocess

    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@dsl.pipeline
def beside_noria(command: list) -> str:
    """Have one step only."""
    return start(command=command).output


if __name__ == "__main__":
    local.init(runner=local.SubprocessRunner(use_venv=False))
    task = beside_noria(command=sys.argv[1:])
    print(f"answer: {task.output}")
