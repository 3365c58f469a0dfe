"""How Noria, DVC, Dagster, Metaflow, ZenML, Prefect and Airflow do the same: ten steps in a line, a hundred at once."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from beside import NORIA, Tool, copied, git_repository, peer, quietly

_DVC = {"DVC_NO_ANALYTICS": "true", "DVC_SITE_CACHE_DIR": "{folder}/site"}
_DAGSTER = {"DAGSTER_HOME": "{folder}"}
_METAFLOW = {
    "METAFLOW_HOME": "{folder}/home",
    "HOME": "{folder}",
    "USERNAME": "bench",
    "METAFLOW_DEFAULT_METADATA": "local",
    "METAFLOW_DEFAULT_MONITOR": "nullSidecarMonitor",
    "METAFLOW_DEFAULT_EVENT_LOGGER": "nullSidecarLogger",
}
_AIRFLOW = {
    "AIRFLOW_HOME": "{folder}",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": "{folder}/dags",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
}
_ZENML = {
    "ZENML_CONFIG_PATH": "{folder}/config",
    "ZENML_ANALYTICS_OPT_IN": "false",
    "ZENML_LOGGING_VERBOSITY": "ERROR",
    "AUTO_OPEN_DASHBOARD": "false",
}
_PREFECT = {
    "PREFECT_HOME": "{folder}/home",
    "PREFECT_LOCAL_STORAGE_PATH": "{folder}/results",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}


def peers(shape: str) -> list[Tool]:
    """Give the peers, for `chain` or `fan`."""
    slow = 1 if shape == "fan" else 2
    return [
        Tool("DVC", partial(_dvc, shape), _DVC, repeats=3),
        Tool("Dagster", partial(_dagster, shape), _DAGSTER, again=False, repeats=3),
        Tool("Metaflow", partial(_metaflow, shape), _METAFLOW, again=False, repeats=slow),
        Tool("ZenML", partial(_zenml, shape), _ZENML, repeats=slow),
        Tool("Prefect", partial(_prefect, shape), _PREFECT, repeats=slow),
        Tool("Airflow", partial(_airflow, shape), _AIRFLOW, again=False, repeats=1),
    ]


def noria(name: str, target: str, *arguments: str, new: bool = False) -> Tool:
    """Give Noria, in a workspace that exists, or in none yet."""
    return Tool(name, partial(_noria, target, arguments, new), again=not new)


def _noria(target: str, arguments: tuple[str, ...], new: bool, folder: Path) -> list[str]:
    copied("noria_flow.py", folder)
    (folder / "noria.toml").touch()
    # Named, since a workspace in a folder further up would be found first.
    command = [str(NORIA), "run", f"noria_flow:{target}", "-w", str(folder / "workspace"), *arguments]
    if not new:
        quietly(
            [*command, "-p", "start=1000000"], folder, {"PYTHONDONTWRITEBYTECODE": ""}
        )  # as others' is, too
    return command


def _dvc(shape: str, folder: Path) -> list[str]:
    git_repository(folder)
    quietly([peer("dvc"), "-m", "dvc", "init", "-q"], folder, {"DVC_NO_ANALYTICS": "true"})
    (folder / "f0").write_text("0")
    stages = _LINE if shape == "chain" else _FAN
    (folder / "dvc.yaml").write_text("stages:\n" + stages)
    return [peer("dvc"), "-m", "dvc", "repro", "-q"]


def _stage(source: str, target: str) -> str:
    return f"  make_{target}:\n    cmd: cp {source} {target}\n    deps: [{source}]\n    outs: [{target}]\n"


_LINE = "".join(_stage(f"f{number}", f"f{number + 1}") for number in range(10))
_FAN = "".join(_stage("f0", f"g{number}") for number in range(100))


def _dagster(shape: str, folder: Path) -> list[str]:
    (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    copied("dagster_flow.py", folder)
    command = [peer("dagster"), "dagster_flow.py", shape]
    quietly([*command[:2], "chain"], folder, {"DAGSTER_HOME": str(folder)})
    return command


def _metaflow(shape: str, folder: Path) -> list[str]:
    if shape == "fan":
        copied("metaflow_fan.py", folder)
    else:
        (folder / "metaflow_chain.py").write_text(_metaflow_chain())
    return [peer("metaflow"), f"metaflow_{shape}.py", "--quiet", "run"]


def _metaflow_chain() -> str:
    lines = ["from metaflow import FlowSpec, step", "", "", "class Chain(FlowSpec):"]
    names = ["start", *(f"add_{number}" for number in range(8)), "end"]
    for name, following in zip(names, [*names[1:], None], strict=True):
        lines += ["    @step", f"    def {name}(self):", "        self.x = getattr(self, 'x', -1) + 1"]
        if following:
            lines.append(f"        self.next(self.{following})")
        lines.append("")
    return "\n".join([*lines, "Chain()", ""])


def _zenml(shape: str, folder: Path) -> list[str]:
    environment = {key: value.format(folder=folder) for key, value in _ZENML.items()}
    quietly([peer("zenml", "zenml"), "init"], folder, environment)
    copied("zenml_flow.py", folder)
    quietly(
        [peer("zenml"), "-c", "from zenml.client import Client; Client().active_stack"], folder, environment
    )
    return [peer("zenml"), "zenml_flow.py", shape]


def _airflow(shape: str, folder: Path) -> list[str]:
    environment = {key: value.format(folder=folder) for key, value in _AIRFLOW.items()}
    (folder / "dags").mkdir()
    copied("airflow_flow.py", folder / "dags")
    for task in (["db", "migrate"], ["dags", "reserialize"]):
        quietly([peer("airflow"), "-m", "airflow", *task], folder, environment)
    return [peer("airflow"), "dags/airflow_flow.py", shape]


def _prefect(shape: str, folder: Path) -> list[str]:
    copied("prefect_flow.py", folder)
    environment = {key: value.format(folder=folder) for key, value in _PREFECT.items()}
    quietly([peer("prefect"), "prefect_flow.py", shape, "1000000"], folder, environment)  # makes the database
    return [peer("prefect"), "prefect_flow.py", shape, "0"]
