"""`noria projects`, `noria users`, `noria tokens` and `noria audit`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from noria.core.console.options import JsonFlag, LimitOption, WorkspaceOption, YesFlag, opened
from noria.core.console.output import facts, print_json, say, show, table
from noria.core.errors import Invalid
from noria.core.permissions import Role

projects = typer.Typer(no_args_is_help=True, add_completion=False, help="Projects of the workspace")
users = typer.Typer(
    no_args_is_help=True, add_completion=False, help="People who may sign in, and their roles"
)
tokens = typer.Typer(no_args_is_help=True, add_completion=False, help="API tokens")
audit = typer.Typer(no_args_is_help=True, add_completion=False, help="The event log and its hash chain")

DAY_S = 86_400

UserArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]
InProjectOption = Annotated[
    str | None,
    typer.Option("--in", metavar="PROJECT", help="In this project only.", show_default="in all projects"),
]


@projects.command("list")
def list_projects(
    limit: LimitOption = 100, json: JsonFlag = False, workspace: WorkspaceOption = None
) -> None:
    """List the projects that you have a role in."""
    from noria.access.projects import Projects

    with opened(workspace) as ws:
        page = ws.service(Projects).list(limit=limit)
    rows = [(project.name, project.created_at) for project in page.items]
    show(page, json=json, render=lambda _: table(["name", "created"], rows))


@projects.command("create")
def create_project(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the project.")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Make a project."""
    from noria.access.projects import NewProject, Projects

    with opened(workspace) as ws:
        made = ws.service(Projects).create(NewProject(name=name))
    show(made, json=json, render=lambda project: f"Project {project.name} is ready")


@users.command("list")
def list_users(limit: LimitOption = 100, json: JsonFlag = False, workspace: WorkspaceOption = None) -> None:
    """List users and their roles."""
    from noria.access.users import Users

    with opened(workspace) as ws:
        page = ws.service(Users).list(limit=limit)
    rows = [
        (u.name, u.role, [f"{p}: {r}" for p, r in u.project_roles.items()], u.created_at) for u in page.items
    ]
    show(page, json=json, render=lambda _: table(["name", "role", "in projects", "created"], rows))


@users.command("create")
def create_user(
    name: UserArgument,
    role: Annotated[
        Role | None, typer.Option("--role", help="Role in all projects.", show_default="none")
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Make a user; the password is asked for, or read from standard input."""
    from noria.access.entities import NewUser
    from noria.access.users import Users

    password = _read_password()
    with opened(workspace) as ws:
        made = ws.service(Users).create(NewUser(name=name, password=password, role=role))
    show(made, json=json, render=lambda user: f"User {user.name} may sign in")


@users.command("role")
def set_role(
    name: UserArgument,
    role: Annotated[
        Role | None, typer.Argument(metavar="[ROLE]", help="viewer, scientist, engineer or admin.")
    ] = None,
    project: InProjectOption = None,
    none: Annotated[bool, typer.Option("--none", help="Take the role away.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Give a user a role, in all projects or in one, or take it away."""
    from noria.access.entities import RoleChange
    from noria.access.users import Users

    if (role is None) is not none:
        raise Invalid("Say either a role or `--none`", hint="noria users role NAME engineer")
    with opened(workspace) as ws:
        changed = ws.service(Users).set_role(name, RoleChange(role=role, project=project))
    pairs = [("role", changed.role), *changed.project_roles.items()]
    show(changed, json=json, render=lambda _: facts(pairs))


@users.command("password")
def set_password(name: UserArgument, workspace: WorkspaceOption = None) -> None:
    """Set a new password, as an admin; it is asked for, or read from standard input."""
    from noria.access.entities import PasswordChange
    from noria.access.users import Users

    password = _read_password()
    with opened(workspace) as ws:
        ws.service(Users).set_password(name, PasswordChange(password=password))
    say(f"The password of {name} is set, and earlier sign-ins have ended")


@users.command("delete")
def delete_user(name: UserArgument, yes: YesFlag = False, workspace: WorkspaceOption = None) -> None:
    """Remove a user with all tokens."""
    from noria.access.users import Users

    if not yes:
        typer.confirm(f"Remove the user {name} and all tokens of {name}?", abort=True, err=True)
    with opened(workspace) as ws:
        ws.service(Users).delete(name)
    say(f"The user {name} is gone")


@tokens.command("create")
def create_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the token is for.")],
    role: Annotated[
        Role | None, typer.Option("--role", help="The most it may do.", show_default="your own role")
    ] = None,
    project: InProjectOption = None,
    permission: Annotated[
        list[str] | None,
        typer.Option(
            "--permission", metavar="NAME", help="Only this permission; may be repeated.", show_default=False
        ),
    ] = None,
    days: Annotated[float, typer.Option("--days", help="Days until it expires.")] = 90.0,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Make a token; its secret is printed this once."""
    from noria.access.entities import NewToken
    from noria.access.tokens import Tokens

    new = NewToken(name=name, project=project, role=role, permissions=permission or None, ttl_s=days * DAY_S)
    with opened(workspace) as ws:
        issued = ws.service(Tokens).create(new)
    if json:
        print_json(issued)
        return
    say(f"Keep this secret; it is not shown again. It is good until {issued.token.expires_at:%Y-%m-%d}.")
    sys.stdout.write(f"{issued.secret}\n")


@tokens.command("list")
def list_tokens(limit: LimitOption = 100, json: JsonFlag = False, workspace: WorkspaceOption = None) -> None:
    """List your tokens, or all as an admin, newest first."""
    from noria.access.tokens import Tokens

    with opened(workspace) as ws:
        page = ws.service(Tokens).list(limit=limit)
    columns = ["id", "name", "begins", "user", "project", "role", "expires"]
    rows = [(t.id, t.name, f"{t.prefix}…", t.user, t.project, t.role, t.expires_at) for t in page.items]
    show(page, json=json, render=lambda _: table(columns, rows))


@tokens.command("revoke")
def revoke_token(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the token, from the list.")],
    workspace: WorkspaceOption = None,
) -> None:
    """End a token now."""
    from noria.access.tokens import Tokens

    with opened(workspace) as ws:
        ws.service(Tokens).revoke(token_id)
    say(f"The token {token_id} has ended")


@audit.command("events")
def list_events(
    after: Annotated[int, typer.Option("--after", metavar="POSITION", help="Only later ones.")] = 0,
    type_: Annotated[
        str | None, typer.Option("--type", help="Only of this type.", show_default=False)
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="Only about this subject.", show_default=False)
    ] = None,
    limit: LimitOption = 100,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """List what changed, oldest first."""
    from noria.access.audit import Audit

    with opened(workspace) as ws:
        page = ws.service(Audit).events(after=after, limit=limit, type=type_, subject=subject)
    columns = ["position", "at", "actor", "project", "type", "subject"]
    rows = [(e.position, e.at, e.actor, e.project, e.type, e.subject) for e in page.items]
    show(page, json=json, render=lambda _: table(columns, rows))


@audit.command("verify")
def verify(json: JsonFlag = False, workspace: WorkspaceOption = None) -> None:
    """Check every link of the chain, and its head against the signed checkpoints."""
    from noria.access.audit import Audit

    with opened(workspace) as ws:
        report = ws.service(Audit).verify()
    pairs = [
        ("log", "holds" if report.ok else "is broken"),
        ("events", report.n_events),
        ("sealed", report.n_sealed),
        ("checkpoints", report.n_checkpoints),
        ("signed up to", report.checkpointed_to),
        *([("broken at", report.broken_at), ("reason", report.reason)] if not report.ok else []),
    ]
    show(report, json=json, render=lambda _: facts(pairs))
    if not report.ok:
        raise typer.Exit(1)


def _read_password() -> str:
    if sys.stdin.isatty():
        entered: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return entered
    return sys.stdin.readline().rstrip("\r\n")
