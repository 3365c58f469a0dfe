"""Logs points until it is killed, and notes beside each call how much processor time it had had by then.

The note goes to the kernel before the next call, and so outlives the process like the spool does. Processor time is
what the promise is held against: on a busy machine a process may stand still for longer than the promise.
"""

from __future__ import annotations

import os
import struct
import sys
import time

import noria

NOTE = struct.Struct("<qq")


def main() -> None:
    """Log to one run for ever; argument: the file of notes."""
    notes = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with noria.run("crash", capture={"environment": False, "code": False, "diff": False}) as run:
        sys.stdout.write(f"{run.id}\n")
        sys.stdout.flush()
        step = 0
        while True:
            run.log({"a": float(step), "b": -float(step)}, step=step)
            if step % 7 == 0:
                run.param(f"p{step // 7 % 900}", step // 7 % 900)
            os.write(notes, NOTE.pack(step, time.process_time_ns()))
            step += 1


if __name__ == "__main__":
    main()
