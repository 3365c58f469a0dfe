"""Options that the commands of `noria k8s render` share, spelt once, and how they give what they rendered."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.console.output import print_json, say

if TYPE_CHECKING:
    from noria.delivery.kubernetes.text import Manifest

ImageOption = Annotated[
    str, typer.Option("--image", metavar="REF", help="Image with Noria in it, by tag or digest.")
]
NamespaceOption = Annotated[str, typer.Option("--namespace", help="Namespace.")]
NameOption = Annotated[
    str | None,
    typer.Option("--name", help="What the objects are called.", show_default="a form of what is rendered"),
]
ImageSecretOption = Annotated[
    str | None,
    typer.Option(
        "--image-secret", metavar="SECRET", help="With which the image is fetched.", show_default=False
    ),
]
AccountOption = Annotated[
    str | None,
    typer.Option(
        "--service-account", metavar="NAME", help="Service account of the pods.", show_default=False
    ),
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="KEY=VALUE",
        help="Further label of every object; may be repeated.",
        show_default=False,
    ),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-from",
        metavar="NAMESPACE",
        help="Further namespace whose pods may ask; may be repeated.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FOLDER", help="Write a file for each.", show_default="to stdout"),
]
ProjectNameOption = Annotated[str, typer.Option("--project", metavar="NAME", help="Project to work in.")]
ServerTokenOption = Annotated[
    str,
    typer.Option("--server-token", metavar="SECRET[:KEY]", help="API token for the server."),
]
RequestTokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="SECRET[:KEY]",
        help="Token that every request must carry.",
        show_default="NAME-requests:token",
    ),
]
ReplicasOption = Annotated[int, typer.Option("--replicas", min=1, max=1000, help="Pods, at least.")]
MaxReplicasOption = Annotated[
    int | None,
    typer.Option(
        "--max-replicas", min=1, max=1000, help="Pods at most, by load.", show_default="as `--replicas`"
    ),
]
CpuTargetOption = Annotated[
    int, typer.Option("--cpu-target", min=1, max=100, help="Percent of the processor asked for to aim at.")
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, max=64, help="Processes of a pod that answer.")
]
CpuOption = Annotated[
    str, typer.Option("--cpu", metavar="REQUEST[:LIMIT]", help="Processors of a model server's pod.")
]
MemoryOption = Annotated[
    str, typer.Option("--memory", metavar="REQUEST[:LIMIT]", help="Memory of a model server's pod.")
]
JobPortOption = Annotated[
    list[int] | None,
    typer.Option(
        "--job-port",
        min=1,
        max=65535,
        help="Further port that jobs may connect to; may be repeated.",
        show_default=False,
    ),
]
ScratchOption = Annotated[
    str, typer.Option("--scratch", metavar="SIZE", help="Disk of a pod, gone when it ends.")
]
PrometheusFlag = Annotated[
    bool, typer.Option("--prometheus", help="Say in annotations where the metrics are.")
]


def give(manifests: Sequence[Manifest], *, out: Path | None, json: bool) -> None:
    """Write manifests to a folder, or print them."""
    from noria.delivery.kubernetes.folders import to_text, write_folder

    if out is not None:
        written = write_folder(out, manifests)
        say(f"Wrote {len(written)} files; apply them with `kubectl apply -f {out}`")
    if json:
        print_json({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
    elif out is None:
        sys.stdout.write(to_text(manifests))
