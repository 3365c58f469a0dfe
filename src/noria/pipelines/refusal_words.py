"""Why a change of a schedule or a job is refused: kept in English, told in the language of the page."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

_SCHEDULES: Final = (
    mark("The schedule `%(name)s` keeps no revision `%(revision)s`"),
    mark("It keeps %(low)s to %(high)s: `%(command)s`"),
    mark("The schedule `%(name)s` keeps no earlier revision that differs"),
    mark("The schedule `%(name)s` does not run by the clock, and has no intervals"),
    mark("The interval of `%(moment)s` has not ended"),
    mark("Leave `interval` out"),
    mark("The run of `%(key)s` is %(state_words)s"),
    mark("Cancel its job, or wait for its end"),
    mark("A schedule does not fire within twelve years of %(day)s"),
    mark("`%(expression)s` has %(n)s fields"),
    mark(
        "`cron` has five: minute, hour, day of the month, month, day of the week; for seconds use `every_s`"
    ),
    mark("`%(expression)s` is not a time of `cron`: %(text)s"),
    # What cronsim says of it.
    mark("bad minute"),
    mark("bad hour"),
    mark("bad day-of-month"),
    mark("bad month"),
    mark("bad day-of-week"),
    mark("Such as `%(example)s`"),
    mark("`%(name)s` is not a time zone"),
    mark("`%(state)s` is not a state of a run"),
    mark("Choose %(known_list)s"),
)
_JOBS: Final = (
    mark("`%(entry)s` is not the entry of a job"),
    mark("The job `%(entry)s` is not Noria's own and comes without code"),
    mark("Take a snapshot of its project, and give its digest"),
    mark("`%(name)s` is not the name of a queue"),
    mark("Such as `default` or `gpu`"),
    mark("`max_attempts` is %(n)s"),
    mark("Give from 1 to %(most)s"),
    mark("`timeout_s` is %(n)s"),
    mark("Give more than 0 and at most %(most)s"),
    mark("The job asks for the permission `%(permission)s`, which its submitter does not hold"),
)
_STATES: Final = (mark("waiting"), mark("running"), mark("failed"))

retelling: Final = Retelling(*_SCHEDULES, *_JOBS, *_STATES)
"""Of messages and hints."""
