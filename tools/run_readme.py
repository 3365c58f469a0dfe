"""Run the README's transcript in an empty folder.

    python tools/run_readme.py            prints where the README and what really happens differ, exits with 1 if so
    python tools/run_readme.py --write    puts what really happened into the README

Ids, times and dates differ from run to run and are not compared.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
PROGRAM = re.compile(r"Save this as `(\S+)`:\n\n```python\n(.*?)```", re.DOTALL)
TRANSCRIPT = re.compile(r"```console\n(.*?)```", re.DOTALL)

_VARYING = (
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "<date>"),
    (re.compile(r"\d+\.\d+ s\b"), "<seconds>"),
    (re.compile(r"author +\S+"), "author <name>"),
    (re.compile(r" in /\S+"), " in <folder>"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)


def replay(readme: str, folder: Path) -> str:
    """Run the README's commands in `folder`, one after another, and give the transcript as it really came."""
    for name, text in PROGRAM.findall(readme):
        (folder / name).write_text(text, encoding="utf-8")
    (transcript,) = TRANSCRIPT.findall(readme)
    lines = []
    for line in transcript.splitlines():
        if line.startswith("$ "):
            lines += [line, *_run(line.removeprefix("$ "), folder)]
    return "\n".join(lines) + "\n"


def normalised(transcript: str) -> str:
    """Put placeholders in the place of what differs from run to run."""
    for pattern, placeholder in _VARYING:
        transcript = pattern.sub(placeholder, transcript)
    return transcript


def _run(command: str, folder: Path) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NORIA_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**kept, "PATH": path, "HOME": str(folder), "COLUMNS": "100", "TZ": "UTC"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"`{command}` exits with {done.returncode}:\n{done.stdout}")
    said = [line.rstrip() for line in done.stdout.replace(str(folder), "~/iris").splitlines()]
    return [line for line in said if line]


def main() -> int:
    """Compare, or write."""
    readme = README.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        found = replay(readme, Path(folder).resolve())
    if "--write" in sys.argv[1:]:
        README.write_text(TRANSCRIPT.sub(lambda _: f"```console\n{found}```", readme), encoding="utf-8")
        return 0
    (written,) = TRANSCRIPT.findall(readme)
    difference = list(
        difflib.unified_diff(
            normalised(written).splitlines(), normalised(found).splitlines(), "README", "run", n=1
        )
    )
    sys.stdout.write("\n".join(difference))
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
