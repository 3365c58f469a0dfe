"""What a run captures by itself, and where it waits until it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from noria.core.config import Section
from noria.core.errors import Invalid
from noria.core.serialisation import convert

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Watts = Annotated[float, msgspec.Meta(ge=0)]


class Capture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run captures without being asked; secrets are replaced in all of it.

    Attributes
    ----------
    code
        Commit of the working folder, and whether tracked files differ from it.
    diff
        How they differ, as the artifact `noria/uncommitted.diff`.
    environment
        Installed distributions with versions, as the artifact `noria/requirements.txt`.
    command
        Command line.
    host
        Name of the machine.
    system
        Curves of processor, memory and GPU, as metrics that begin with `system/`.
    energy
        Estimate of the energy used, as the metrics `system/energy_…`.
    console
        What Python writes to stdout and stderr, as the artifact `noria/console.log`.
    """

    code: bool = True
    diff: bool = True
    environment: bool = True
    command: bool = True
    host: bool = True
    system: bool = True
    energy: bool = True
    console: bool = True


NOTHING = Capture(
    code=False,
    diff=False,
    environment=False,
    command=False,
    host=False,
    system=False,
    energy=False,
    console=False,
)


class TrackingSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tracking]`: what runs capture by themselves, and how they are sent.

    Attributes
    ----------
    capture
        Which of `code`, `diff`, `environment`, `command`, `host`, `system`, `energy` and `console` are captured; all
        are unless they are false.
    system_interval_s
        Seconds between two samples of processor, memory and GPU.
    core_watts
        Power of one busy processor core, for the estimate of energy where the processor does not tell.
    memory_watts
        Power of a gigabyte of memory, for the same.
    spool
        Folder where logged points wait until they are sent; the workspace's own, or for a server the user's.
    patience_s
        Seconds for which the end of a run waits for a service that does not answer, before it leaves the rest to
        `noria runs sync`.
    """

    capture: Capture = Capture()
    system_interval_s: Seconds = 10.0
    core_watts: Watts = 12.0
    memory_watts: Watts = 0.3725
    spool: str | None = None
    patience_s: Seconds = 10.0


def chosen_capture(
    wanted: Capture | Mapping[str, bool] | bool | None, section: TrackingSection
) -> Capture:  # fmt: skip
    """Give what is captured, from the argument of `noria.run()` and the settings.

    Examples
    --------
    >>> chosen_capture({"console": False}, TrackingSection()).console
    False
    >>> chosen_capture(False, TrackingSection()) == NOTHING
    True
    """
    if wanted is None:
        return section.capture
    if isinstance(wanted, Capture):
        return wanted
    if isinstance(wanted, bool):
        return Capture() if wanted else NOTHING
    if not isinstance(wanted, Mapping):
        raise Invalid(
            f"`capture` is `{type(wanted).__name__}`",
            hint='Write `capture=False` or `capture={"console": False}`',
        )
    held = msgspec.structs.asdict(section.capture)
    return convert({**held, **wanted}, Capture, what="argument `capture`")
