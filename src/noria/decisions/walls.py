"""Walls around a process, for good: code may neither connect to anything nor write outside of some folders.

On Linux the kernel refuses, whatever library asks, in Python or not. That holds for the thread that shuts the walls and
for what it starts afterwards, programs too, so they are to be shut before libraries start threads. Python's audit hook
names what was refused. Elsewhere it stands alone: it knows what Python does itself, and refuses programs as well.

References
----------
Landlock: Linux kernel documentation, `userspace-api/landlock`. Seccomp: `seccomp(2)`, with a classic BPF program as in
McCanne and Jacobson (1993), "The BSD Packet Filter".
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_NO_NEW_PRIVILEGES = 38
_PATH_BENEATH = 1
_VERSION_FLAG = 1
_WRITE_RIGHTS = 0b1_1111_1111_0010  # write file, remove, make of every kind; not read, not execute
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_NET_RIGHTS = 0b11
_SEMAPHORES = "/dev/shm"  # noqa: S108 - not for files of ours

_SET_SECCOMP, _FILTER = 22, 2
_LOAD, _IS, _IS_ANY_OF, _RETURN = 0x20, 0x15, 0x45, 0x06  # of classic BPF: ld w abs, jeq k, jset k, ret k
_ALLOW, _REFUSE = 0x7FFF_0000, 0x0005_0000 | errno.EACCES
_NUMBER_AT, _MACHINE_AT, _FIFTH_ARGUMENT_AT = 0, 4, 48
_OTHER_CALLS = 0x4000_0000  # of the x32 ABI
_MACHINES = {
    "x86_64": (0xC000_003E, {"connect": 42, "sendto": 44, "sendmsg": 46, "sendmmsg": 307}),
    "aarch64": (0xC000_00B7, {"connect": 203, "sendto": 206, "sendmsg": 211, "sendmmsg": 269}),
}
_IO_URING_SETUP = 425  # through it connections could be made unseen

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = frozenset(
    {
        *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
        *("os.chmod", "os.chown", "shutil.rmtree"),
    }
)
_OF_TWO_PATHS = ("os.rename", "os.link")
_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_ASKS_FOR_ADDRESS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})
_PROGRAMS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"})
_ANYWHERE = (os.devnull, "/dev/shm/", "/proc/self/")  # noqa: S108 - not for files of ours


class Walls:
    """What code may not do here.

    Parameters
    ----------
    folders
        The only ones that may be written to.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._inside = tuple(str(folder.resolve()) + os.sep for folder in folders)
        self._holds_programs = False
        self.refused: list[str] = []

    def shut(self) -> None:
        """Shut them around this process and what it starts, for good."""
        writes = refuse_writes([folder.rstrip(os.sep) for folder in self._inside])
        connections = refuse_connections()
        self._holds_programs = writes and connections
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES:
                self._check_place(path)
        elif event in _CONNECTS:
            self._check_address(arguments[1])
        elif event in _ASKS_FOR_ADDRESS:
            host = os.fsdecode(arguments[0] or "")
            port = f":{arguments[1]}" if len(arguments) > 1 and arguments[1] else ""
            self._refuse(f"connect to `{host}{port}`")
        elif event in _PROGRAMS and not self._holds_programs:
            self._refuse(f"start the program `{_first(arguments[0])}`")
        elif event in _CHANGES:
            paths = arguments[1:2] if event == "os.symlink" else arguments[: 1 + (event in _OF_TWO_PATHS)]
            for path in paths:
                self._check_place(path)

    def _check_address(self, address: Any) -> None:
        if address is None:  # to the other end of a pair
            return
        told = ":".join(map(str, address[:2])) if isinstance(address, tuple) else os.fsdecode(address)
        self._refuse(f"connect to `{told}`")

    def _check_place(self, path: Any) -> None:
        if isinstance(path, int):
            return
        try:
            place = os.path.realpath(os.fsdecode(path))
        except TypeError:
            return
        if not (place + os.sep).startswith(self._inside) and not place.startswith(_ANYWHERE):
            self._refuse(f"write to `{place}`")

    def _refuse(self, what: str) -> None:
        self.refused.append(what)
        raise PermissionError(f"a pipeline that is run aside may not {what}")


def refuse_writes(folders: Sequence[str]) -> bool:
    """Have the kernel refuse writes outside of folders, and TCP, by Landlock.

    `/dev/null` and shared memory (semaphores of libraries) may be written to.

    Returns
    -------
    bool
        Whether it does; a kernel without Landlock, or another system, refuses nothing.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    if version < 1:
        return False
    rights = _WRITE_RIGHTS | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    attributes = struct.pack("QQ", rights, _NET_RIGHTS) if version >= 4 else struct.pack("Q", rights)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        for folder in folders:
            _allow(libc, ruleset, folder, rights)
        _allow(libc, ruleset, os.devnull, rights & (2 | _TRUNCATE))
        if os.path.isdir(_SEMAPHORES):  # noqa: PTH112
            _allow(libc, ruleset, _SEMAPHORES, rights)
        return _without_new_privileges(libc) and libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def refuse_connections() -> bool:
    """Have the kernel refuse to connect sockets and to send datagrams, of every family, by a filter of system calls.

    Pairs of sockets, by which loops of events wake themselves, go on.

    Returns
    -------
    bool
        Whether it does; on a machine whose calls are not known here, or another system, nothing is refused.
    """
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return False
    machine, calls = _MACHINES[platform.machine()]
    program = _program(machine, calls)
    code = ctypes.create_string_buffer(program, len(program))
    filtered = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    given = ctypes.create_string_buffer(filtered, len(filtered))
    return _without_new_privileges(libc) and libc.prctl(_SET_SECCOMP, _FILTER, given, 0, 0) == 0


def _program(machine: int, calls: dict[str, int]) -> bytes:
    """Give the filter: jumps count the instructions to pass over where the test holds, and where it does not."""
    refused = [calls["connect"], calls["sendmsg"], calls["sendmmsg"], _IO_URING_SETUP]
    body = [
        (_IS_ANY_OF, None, 0, _OTHER_CALLS),
        *((_IS, None, 0, number) for number in refused),
        (_IS, 0, 4, calls["sendto"]),  # else allow
        (_LOAD, 0, 0, _FIFTH_ARGUMENT_AT),  # the address, in two halves: none where the socket is connected
        (_IS, 0, None, 0),
        (_LOAD, 0, 0, _FIFTH_ARGUMENT_AT + 4),
        (_IS, 0, None, 0),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    head = [(_LOAD, 0, 0, _MACHINE_AT), (_IS, 0, None, machine), (_LOAD, 0, 0, _NUMBER_AT)]
    lines = [*head, *body]
    last = len(lines) - 1

    def jump(place: int, to: int | None) -> int:
        return last - place - 1 if to is None else to

    return b"".join(
        struct.pack("HBBI", code, jump(place, yes), jump(place, no), value)
        for place, (code, yes, no, value) in enumerate(lines)
    )


def _without_new_privileges(libc: Any) -> bool:
    return bool(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0)


def _allow(libc: Any, ruleset: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _first(program: Any) -> str:
    return os.fsdecode(program[0] if isinstance(program, (list, tuple)) else program)
