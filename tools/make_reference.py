"""Write the reference pages from the code's own lists: commands, settings, operations, events, errors.

python tools/make_reference.py            writes docs/reference/
python tools/make_reference.py --check    tells which page is out of date, and exits with 1
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import typer

import noria
from noria.cli.table import COMMANDS, NOUNS
from noria.core.config import ENVIRONMENT, LISTS, SECTIONS
from noria.core.errors import NoriaError
from noria.core.events.log import EventType
from noria.core.operations import operations_of
from noria.server.assembly import SERVICES

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "reference"
HEAD = "<!-- Written by tools/make_reference.py; change the code, then run `make reference`. -->\n\n"


def pages() -> dict[str, str]:
    """Give the text of each page by file name."""
    return {
        "commands.md": commands_page(),
        "configuration.md": configuration_page(),
        "operations.md": operations_page(),
        "events.md": events_page(),
        "errors.md": errors_page(),
    }


def commands_page() -> str:
    """List every command with its arguments and options."""
    parts = [
        "# Commands\n",
        "Exit codes: 0 done, 1 failed, 2 misused. Data goes to stdout, words to stderr.\n",
    ]
    for command in (*COMMANDS, *NOUNS):
        program = typer.main.get_command(load(command.target))
        parts.append(f"## noria {command.name}\n\n{command.help}.\n")
        children = getattr(program, "commands", None)
        if children is None:
            parts.append(command_text(f"noria {command.name}", program))
            continue
        for name, child in children.items():
            parts.append(f"### noria {command.name} {name}\n\n{first_sentence(child.help)}\n")
            parts.append(command_text(f"noria {command.name} {name}", child))
    return "\n".join(parts)


def command_text(path: str, command: Any) -> str:
    """Lay out one command's parameters."""
    shown = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    words = [argument_name(p) if p.required else f"[{argument_name(p)}]" for p in arguments]
    lines = [" ".join([f"    {path}", *words, *(["[OPTIONS]"] if options else [])]), ""]
    lines += [f"- `{argument_name(p)}`: {(p.help or '').strip()}" for p in arguments]
    lines += [f"- `{', '.join([*p.opts, *p.secondary_opts])}`: {(p.help or '').strip()}" for p in options]
    return "\n".join([*lines, ""])


def argument_name(parameter: Any) -> str:
    """Give the name by which help texts call an argument."""
    return str(parameter.metavar or parameter.name.upper()).strip("[]")


def configuration_page() -> str:
    """List the tables of `noria.toml` and the environment variables."""
    parts = [
        "# Configuration\n",
        "Strongest first: command-line option, environment variable, `noria.toml`, default.",
        "An empty `noria.toml` is valid; an unknown key is an error that names the closest one.\n",
        "## Environment\n",
        *(f"- `{name}`: {text}" for name, text in ENVIRONMENT.items()),
        "",
    ]
    for name, target in SECTIONS.items():
        parts += section_lines(f"[{name}]", target)
    for name, target in LISTS.items():
        parts += section_lines(f"[[{name}]]", target)
    return "\n".join(parts)


def section_lines(title: str, target: str) -> list[str]:
    """List the keys of a table of `noria.toml` with their defaults."""
    section = load(target)
    documented = attributes(section.__doc__ or "")
    lines = [f"## {title}\n\n{first_sentence(section.__doc__)}\n"]
    for field in msgspec.structs.fields(section):
        known = documented.get(field.name, "")
        if field.required:
            lines.append(f"- `{field.encode_name}`, required: {known}")
            continue
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory
        value = default() if callable(default) else default
        lines.append(f"- `{field.encode_name}` = `{msgspec.json.encode(value).decode()}`: {known}")
    return [*lines, ""]


def operations_page() -> str:
    """List the HTTP operations with what they need."""
    parts = ["# Operations\n", "Below `/api/v1`. The same methods are called in process and over HTTP.\n"]
    for target in SERVICES:
        service = load(target)
        parts.append(f"## {service.__name__}\n\n{first_sentence(service.__doc__)}\n")
        parts += ["| method | path | needs | role | what |", "| --- | --- | --- | --- | --- |"]
        for found in operations_of(service):
            needs = found.declaration.needs
            role = "anyone" if needs.public else needs.role.value + (" with key" if needs.key else "")
            what = first_sentence(found.doc)
            path = found.declaration.path
            parts.append(f"| {found.declaration.method} | `{path}` | `{needs.name}` | {role} | {what} |")
        parts.append("")
    return "\n".join(parts)


def events_page() -> str:
    """List the types of event by capability."""
    parts = ["# Events\n", "Every change of state appends one, in the transaction of the change.\n"]
    source = ROOT / "src" / "noria"
    by_capability: dict[str, list[EventType]] = {}
    for path in sorted(source.glob("*/**/*events.py")):
        names = path.relative_to(source).with_suffix("").parts
        module = importlib.import_module(".".join(["noria", *names]))
        kinds = [value for value in vars(module).values() if isinstance(value, EventType)]
        by_capability.setdefault(names[0], []).extend(kinds)
    for capability, kinds in by_capability.items():
        parts.append(f"## {capability}\n")
        parts += [f"- `{kind}`: {kind.doc}." for kind in dict.fromkeys(kinds)]
        parts.append("")
    return "\n".join(parts)


def errors_page() -> str:
    """List the error codes."""
    parts = [
        "# Errors\n",
        "Every route answers an error as `code`, `message`, `hint`, `details`; the client raises the same class.\n",
        "| code | class | what |",
        "| --- | --- | --- |",
    ]
    rows = [
        f"| `{cls.code}` | `{cls.__module__}.{cls.__name__}` | {first_sentence(cls.__doc__)} |"
        for cls in sorted(error_classes(), key=lambda cls: cls.code)
    ]
    return "\n".join([*parts, *rows, ""])


def error_classes() -> Iterator[type[NoriaError]]:
    """Import everything and give the error classes that declare a code."""
    for path in sorted((ROOT / "src" / "noria").rglob("*.py")):
        if path.parent.name not in ("migrations", "project") and path.name != "__main__.py":
            importlib.import_module(
                ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
            )
    found = [NoriaError]
    while found:
        cls = found.pop()
        found += cls.__subclasses__()
        if "code" in cls.__dict__ and cls.__module__.startswith("noria."):
            yield cls


def attributes(doc: str) -> dict[str, str]:
    """Read the `Attributes` part of a docstring: what is said of each name, several names in one line included."""
    found: dict[str, str] = {}
    lines = inspect.cleandoc(doc).partition("Attributes\n----------\n")[2].splitlines()
    names: list[str] = []
    for line in lines:
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
        elif line.strip():
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return found


def first_sentence(doc: str | None) -> str:
    """Give the first paragraph of a docstring as one line."""
    return re.sub(r"\s+", " ", inspect.cleandoc(doc or "").split("\n\n")[0])


def load(target: str) -> Any:
    """Import `module:attribute`."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def outdated() -> list[str]:
    """Name the pages that are not what the code says."""
    written = {name: HEAD + text for name, text in pages().items()}
    return [
        n for n, t in written.items() if not (TARGET / n).exists() or (TARGET / n).read_text("utf-8") != t
    ]


def main() -> int:
    """Write the pages, or check them."""
    if "--check" in sys.argv[1:]:
        stale = outdated()
        for name in stale:
            sys.stderr.write(f"docs/reference/{name} is out of date; run `make reference`\n")
        return 1 if stale else 0
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (TARGET / name).write_text(HEAD + text, encoding="utf-8")
    sys.stderr.write(f"Wrote {TARGET.relative_to(ROOT)} for Noria {noria.__version__}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
