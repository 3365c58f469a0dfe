"""SLURM for tests: a cluster of this machine where it is installed, and else a stand-in for the commands of one.

The cluster is munged, slurmctld and slurmd as processes with a configuration, ports and folders of their own: no
service of the machine is needed or touched. The stand-in has `sbatch` and `scancel` alone, with the arguments and
answers of those of SLURM; what it is given to run it runs, with the directives of the script unread.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.ports import free_port
from support.processes import Processes
from support.waiting import wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue", "sinfo")

_SBATCH = """#!/usr/bin/env python3
import itertools, os, pathlib, subprocess, sys

place, script = pathlib.Path({place!r}), sys.argv[-1]
text = pathlib.Path(script).read_text()
if not text.startswith("#!"):
    sys.exit("sbatch: error: This does not look like a batch script")
for number in itertools.count(1):
    try:
        job = os.open(place / f"{{number}}.pid", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        break
    except FileExistsError:
        continue
copied = place / f"{{number}}.sh"
copied.write_text(text)
child = subprocess.Popen(
    ["bash", copied],
    stdin=subprocess.DEVNULL,
    stdout=open(place / f"slurm-{{number}}.out", "wb"),
    stderr=subprocess.STDOUT,
    start_new_session=True,
    env={{**os.environ, "SLURM_JOB_ID": str(number)}},
)
os.write(job, str(child.pid).encode())
print(f"Submitted batch job {{number}}")
"""

_SCANCEL = """#!/usr/bin/env python3
import os, pathlib, signal, sys

for number in sys.argv[1:]:
    if number.isdigit():
        try:
            os.killpg(int((pathlib.Path({place!r}) / f"{{number}}.pid").read_text()), signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            pass
"""

_CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True, slots=True)
class Slurm:
    """Commands of a cluster, and the variables with which they find it."""

    environment: dict[str, str]

    def ran(self, *command: str) -> str:
        """Run a command, and give what it says."""
        return subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=True
        ).stdout


def missing() -> str | None:
    """Say what a cluster lacks here; None where nothing is missing."""
    if os.geteuid() != 0:
        return "SLURM's daemons are started as root alone"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"`{lacking[0]}` is not installed: apt-get install slurm-wlm munge" if lacking else None


@contextmanager
def stand_in(folder: Path) -> Iterator[Slurm]:
    """Give commands that start what they are given as processes of this machine."""
    commands, place = folder / "bin", folder / "jobs"
    commands.mkdir(parents=True)
    place.mkdir()
    for name, text in (("sbatch", _SBATCH), ("scancel", _SCANCEL)):
        path = commands / name
        path.write_text(text.format(place=str(place)))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    made = Slurm({"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"})
    try:
        yield made
    finally:
        for each in place.glob("*.pid"):
            made.ran("scancel", each.stem)


@contextmanager
def running_slurm(folder: Path, processes: Processes) -> Iterator[Slurm]:
    """Start the daemons of a cluster of one node, this machine."""
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(mode=0o700)
    key, talk = folder / "munge" / "key", folder / "munge.socket"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    text = _CONFIGURATION.format(
        host=socket.gethostname(), folder=folder, control_port=free_port(), node_port=free_port()
    )
    configuration = folder / "slurm.conf"
    configuration.write_text(text)
    made = Slurm({"SLURM_CONF": str(configuration)})
    files = ("key-file", key), ("pid-file", folder / "munged.pid"), ("seed-file", folder / "munge" / "seed")
    options = [f"--{name}={path}" for name, path in files]
    processes.start(["munged", "--foreground", "--force", f"--socket={talk}", *options], cwd=folder)
    wait_until(talk.exists, 30, "munged made no socket")
    for name in ("slurmctld", "slurmd"):
        processes.start([name, "-D", "-f", configuration], cwd=folder, env=made.environment)
    wait_until(lambda: "idle" in _nodes(made), 60, lambda: f"no node is idle: {_nodes(made)}")
    yield made


def _nodes(slurm: Slurm) -> str:
    try:
        return slurm.ran("sinfo", "--noheader")
    except subprocess.CalledProcessError as error:
        return str(error.stderr)
