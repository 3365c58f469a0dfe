"""Why steps ran, failed or were reused, and why schedules left runs out.

Kept in English, told in the reader's language.
"""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

_STEPS: Final = (
    mark("%(text)s; not kept for reuse: it logged more than %(most)s points"),
    mark("%(text)s; not kept for reuse: it read more than %(most)s files that are not among its arguments"),
    mark("%(change_words)s; not kept for reuse: while it ran, %(text)s"),
    mark("first run"),
    mark("forced"),
    mark("forced from %(step_list)s on"),
    mark("declared with `cache=False`"),
    mark("finished before the run was resumed"),
    mark("unchanged since run %(run)s"),
    mark("its result in run %(run)s was not kept"),
    mark("its output of run %(run)s is gone or damaged"),
    mark("only `%(name)s`, who computed it, may read it back, since that runs code"),
    mark("`%(ref)s`, which it read, failed its check since"),
    mark("%(text)s (and %(n)s more)"),
    mark("parameter `%(name)s` is new"),
    mark("parameter `%(name)s` is gone"),
    mark("parameter `%(name)s` changed"),
    mark("parameter `%(name)s` was %(before_code_words)s, is %(after_code_words)s"),
    mark("variable `%(name)s` is new"),
    mark("variable `%(name)s` is gone"),
    mark("variable `%(name)s` in %(module)s changed"),
    mark("variable `%(name)s` changed"),
    mark("variable `%(name)s` in %(module)s was %(before_code_words)s, is %(after_code_words)s"),
    mark("variable `%(name)s` was %(before_code_words)s, is %(after_code_words)s"),
    mark("input `%(name)s` has other content"),
    mark("function `%(name)s` in %(module)s is new"),
    mark("function `%(name)s` in %(module)s is gone"),
    mark("function `%(name)s` in %(module)s changed"),
    mark("function `%(name)s` is new"),
    mark("function `%(name)s` is gone"),
    mark("function `%(name)s` changed"),
    mark("`%(name)s` in %(module)s stands for something else"),
    mark("`%(name)s` stands for something else"),
    mark("`%(name)s` was `%(before)s`, is `%(after)s`"),
    mark("`%(name)s` was %(before_code)s, is %(after_code)s"),
    mark("Python was %(before_code)s, is %(after_code)s"),
    mark("the project changed, and the step hides what it reaches (%(text)s)"),
    mark("`%(name)s` changed"),
)
_FAILURES: Final = (
    mark("The step `%(name)s` failed at %(place)s: %(text)s"),
    mark("The step `%(name)s` failed: %(text)s"),
    mark("The step `%(name)s` failed"),
    mark("The step `%(name)s` was not run, since another one failed"),
    mark("The step `%(name)s` ran longer than its `timeout_s` of %(seconds)s s and was stopped"),
)
_SCHEDULES: Final = (
    mark("no server looked at it in time, and `catchup` leaves it out"),
    mark("the run before it had not ended"),
    mark("a newer one came up"),
    mark("%(n)s runs wait already"),
)

retelling: Final = Retelling(*_STEPS, *_FAILURES, *_SCHEDULES)
"""Of the reasons and failures of steps, and of the messages of runs of schedules."""
