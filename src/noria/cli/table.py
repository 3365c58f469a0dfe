"""Every command of the root: its name, where its Typer app lives, and one line of help.

The lines are here as text so that `noria --help` imports nothing else; a test compares them with the commands' own.
"""

from __future__ import annotations


class Command:
    """A line of the root's help.

    Attributes
    ----------
    name
        What is typed.
    target
        Where its Typer app lives, `module:attribute`.
    help
        What it does.
    """

    __slots__ = ("help", "name", "target")

    # No named tuple or data class: to make one takes a hundredth of what the shortest commands take.
    def __init__(self, name: str, target: str, help: str) -> None:  # noqa: A002 - as Typer has it
        self.name = name
        self.target = target
        self.help = help


COMMANDS: tuple[Command, ...] = (
    Command("init", "noria.cli.init:app", "Make a workspace and a project file in this folder"),
    Command("up", "noria.serving.commands:up", "Start server, worker and model server on this machine"),
    Command("server", "noria.server.commands:app", "Start the server and its control loop"),
    Command("worker", "noria.pipelines.job_commands:worker", "Start a worker that runs jobs"),
    Command(
        "demo", "noria.examples.digits.commands:app", "Watch a model go wrong in production and be put right"
    ),
    Command("run", "noria.pipelines.run_command:run", "Run a pipeline"),
    Command(
        "lineage",
        "noria.registry.lineage_command:lineage",
        "Show what a thing came from, and what came of it",
    ),
    Command("predict", "noria.serving.batch.commands:predict", "Predict all rows of an input"),
    Command("deploy", "noria.serving.commands:deploy", "Put a model version behind an endpoint"),
    Command("serve", "noria.serving.commands:serve", "Start a model server"),
    Command(
        "decide",
        "noria.decisions.decide_commands:app",
        "Decide about an endpoint, or replay recorded history",
    ),
    Command("gc", "noria.server.upkeep_commands:app", "Free the space of what was deleted long ago"),
    Command("import", "noria.interop.commands:app", "Bring what another tool holds"),
)

NOUNS: tuple[Command, ...] = (
    Command("projects", "noria.access.commands:projects", "Projects of the workspace"),
    Command("users", "noria.access.commands:users", "People who may sign in, and their roles"),
    Command("tokens", "noria.access.commands:tokens", "API tokens"),
    Command("audit", "noria.access.commands:audit", "The event log and its hash chain"),
    Command("comments", "noria.access.comment_commands:comments", "What people say about things"),
    Command(
        "objects",
        "noria.data.objects_commands:app",
        "The object store: verify, repair and collect garbage",
    ),
    Command("data", "noria.monitoring.data_commands:data", "Versions of data sets"),
    Command("experiments", "noria.tracking.commands:experiments", "Experiments"),
    Command("runs", "noria.tracking.commands:runs", "Runs, their params and metrics"),
    Command("traces", "noria.tracking.traces.commands:traces", "Traces, their spans and assessments"),
    Command("pipelines", "noria.interop.pipeline_commands:pipelines", "Pipelines and their runs"),
    Command("jobs", "noria.pipelines.job_commands:jobs", "Jobs that workers run"),
    Command(
        "schedules",
        "noria.pipelines.schedules.commands:schedules",
        "Pipelines that run by the clock or after something happened",
    ),
    Command("models", "noria.monitoring.model_commands:models", "Registered models, versions and aliases"),
    Command("packages", "noria.registry.packages.commands:packages", "Packages of model versions"),
    Command("catalog", "noria.catalog.commands:catalog", "Decision records: what was chosen, and why"),
    Command("endpoints", "noria.serving.commands:endpoints", "Endpoints and what they serve"),
    Command("rollouts", "noria.serving.commands:rollouts", "Rollouts and their gates"),
    Command(
        "batches",
        "noria.serving.batch.commands:batches",
        "Batch runs, and the stable names of their rows",
    ),
    Command("monitors", "noria.monitoring.report_commands:monitors", "Monitors, windows and alerts"),
    Command("decisions", "noria.decisions.commands:decisions", "Incidents, diagnoses and remedies"),
    Command(
        "webhooks", "noria.delivery.commands:webhooks", "Addresses that are called when something happens"
    ),
    Command("image", "noria.delivery.images.commands:image", "Folders that images are built from"),
    Command("k8s", "noria.delivery.kubernetes.commands:k8s", "Manifests for Kubernetes"),
    Command(
        "openlineage",
        "noria.interop.openlineage.commands:openlineage",
        "Events for a collector of lineage",
    ),
)

ALIASES = {"datasets": "data"}
