"""`noria webhooks`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, WorkspaceOption, YesFlag, opened
from noria.core.console.output import facts, say, show, table

if TYPE_CHECKING:
    from noria.delivery.entities import DeliveryPage, Webhook, WebhookEvent, WebhookPage, WebhookTestResult

webhooks = typer.Typer(no_args_is_help=True, help="Addresses that are called when something happens")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the webhook.")]
EventsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        "-e",
        metavar="EVENT",
        help="Such as `model_version.created`; may be repeated.",
        show_default=False,
    ),
]
SecretFlag = Annotated[
    bool, typer.Option("--secret", help="Sign calls with a secret, asked for or read from standard input.")
]
DescriptionOption = Annotated[
    str | None, typer.Option("--description", help="What it is for.", show_default=False)
]


@webhooks.command("list")
def list_webhooks(
    limit: LimitOption = 100, json: JsonFlag = False, workspace: WorkspaceOption = None
) -> None:
    """List your webhooks, or all as an admin, newest first."""
    from noria.delivery.service import Webhooks

    with opened(workspace) as ws:
        page = ws.service(Webhooks).list(limit=limit)
    show(page, json=json, render=_webhooks_table)


@webhooks.command("create")
def create_webhook(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Address to call.")],
    event: EventsOption = None,
    secret: SecretFlag = False,
    description: DescriptionOption = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Make a webhook; the server calls it from then on."""
    from noria.delivery.entities import NewWebhook
    from noria.delivery.service import Webhooks

    new = NewWebhook(
        name=name,
        url=url,
        events=_events(event) or [],
        description=description,
        secret=_read_secret() if secret else None,
    )
    with opened(workspace) as ws:
        made = ws.service(Webhooks).create(new)
    show(made, json=json, render=_webhook_facts)


@webhooks.command("show")
def show_webhook(webhook_id: IdArgument, json: JsonFlag = False, workspace: WorkspaceOption = None) -> None:
    """Show a webhook; its secret is never shown."""
    from noria.delivery.service import Webhooks

    with opened(workspace) as ws:
        found = ws.service(Webhooks).get(webhook_id)
    show(found, json=json, render=_webhook_facts)


@webhooks.command("update")
def update_webhook(
    webhook_id: IdArgument,
    name: Annotated[str | None, typer.Option("--name", help="Another name.", show_default=False)] = None,
    url: Annotated[str | None, typer.Option("--url", help="Another address.", show_default=False)] = None,
    event: EventsOption = None,
    secret: SecretFlag = False,
    no_secret: Annotated[bool, typer.Option("--no-secret", help="Sign calls no longer.")] = False,
    description: DescriptionOption = None,
    enable: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether to call it.", show_default=False)
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Change what is named; all else stays."""
    from noria.delivery.entities import WebhookChange, WebhookStatus
    from noria.delivery.service import Webhooks

    status = None
    if enable is not None:
        status = WebhookStatus.ACTIVE if enable else WebhookStatus.DISABLED
    change = WebhookChange(
        name=name,
        url=url,
        events=_events(event),
        secret=_read_secret() if secret else "" if no_secret else None,
        description=description,
        status=status,
    )
    with opened(workspace) as ws:
        changed = ws.service(Webhooks).update(webhook_id, change)
    show(changed, json=json, render=_webhook_facts)


@webhooks.command("delete")
def delete_webhook(webhook_id: IdArgument, yes: YesFlag = False, workspace: WorkspaceOption = None) -> None:
    """Remove a webhook with the record of its deliveries."""
    from noria.delivery.service import Webhooks

    if not yes:
        typer.confirm(f"Remove the webhook {webhook_id}?", abort=True, err=True)
    with opened(workspace) as ws:
        ws.service(Webhooks).delete(webhook_id)
    say(f"The webhook {webhook_id} is gone")


@webhooks.command("test")
def try_webhook(
    webhook_id: IdArgument,
    event: Annotated[
        str | None, typer.Option("--event", "-e", help="Which event to try.", show_default="its first")
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Call a webhook once with made-up data, and show how it answers."""
    from noria.delivery.entities import WebhookTest, parse_event
    from noria.delivery.service import Webhooks

    wanted = WebhookTest(event=parse_event(event) if event else None)
    with opened(workspace) as ws:
        result = ws.service(Webhooks).test(webhook_id, wanted)
    show(result, json=json, render=_result_facts)
    if not result.success:
        raise typer.Exit(1)


@webhooks.command("deliveries")
def list_deliveries(
    webhook_id: IdArgument,
    limit: LimitOption = 50,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """List what a webhook was told in the last 30 days, newest first."""
    from noria.delivery.service import Webhooks

    with opened(workspace) as ws:
        page = ws.service(Webhooks).deliveries(webhook_id, limit=limit)
    show(page, json=json, render=_deliveries_table)


def _events(texts: list[str] | None) -> list[WebhookEvent] | None:
    from noria.delivery.entities import parse_event

    return [parse_event(text) for text in texts] if texts else None


def _read_secret() -> str:
    if sys.stdin.isatty():
        secret: str = typer.prompt("Secret", hide_input=True, err=True)
        return secret
    return sys.stdin.readline().rstrip("\n")


def _webhook_facts(found: Webhook) -> Any:
    return facts(
        [
            ("id", found.id),
            ("name", found.name),
            ("url", found.url),
            ("events", [str(event) for event in found.events]),
            ("status", found.status.value),
            ("signed", found.has_secret),
            ("description", found.description),
            ("owner", found.owner),
            ("only in projects", found.projects),
            ("created", found.created_at),
            ("updated", found.updated_at),
        ]
    )


def _webhooks_table(page: WebhookPage) -> Any:
    rows = [
        (w.id, w.name, w.status.value, [str(event) for event in w.events], w.url, w.owner) for w in page.items
    ]
    return table(["id", "name", "status", "events", "url", "owner"], rows)


def _result_facts(result: WebhookTestResult) -> Any:
    return facts(
        [
            ("success", result.success),
            ("status", result.response_status),
            ("answer", result.response_body),
            ("error", result.error),
        ]
    )


def _deliveries_table(page: DeliveryPage) -> Any:
    rows = [
        (d.created_at, d.event, d.subject, d.status.value, d.n_attempts, d.response_status, d.error)
        for d in page.items
    ]
    return table(["created", "event", "about", "status", "attempts", "answer", "error"], rows)
