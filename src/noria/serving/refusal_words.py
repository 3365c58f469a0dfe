"""Why a change of an endpoint or a rollout is refused: kept in English, told in the language of the page."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

_ENDPOINTS: Final = (
    mark("The endpoint `%(name)s` has served no other version before that is there still"),
    mark("Deploy another version: `%(command)s`"),
    mark("The endpoint `%(name)s` serves the model `%(model)s`, not `%(other)s`"),
    mark("Deploy to an endpoint of its own: `--to NAME`"),
    mark("Deploy it to an endpoint of its own: `--to NAME`"),
    mark("The endpoint `%(name)s` answers in two phases"),
    mark("End that first: `%(command)s`"),
    mark("One version answers at the endpoint `%(name)s`"),
    mark("Let two answer in turn: `%(command)s`"),
    mark("The endpoint `%(name)s` is in the middle of a rollout to version %(version)s"),
    mark("Wait for it, or end it: `%(command)s`"),
    mark("`%(ref)s` does not fit the clients of the endpoint `%(name)s`: %(text)s"),
)
_ROLLOUTS: Final = (
    mark("A rollout needs at least one step"),
    mark("Give `steps`, or strategy `replace`"),
    mark("Step %(step)s cannot last %(seconds)s s or need %(n)s requests"),
    mark("Step %(step)s has the weight %(weight)s, which is not above %(before)s and at most 1"),
    mark("Weights of a canary grow from step to step, from above 0 to at most 1"),
    mark("A rollout of strategy `%(strategy)s` has %(most)s step, not %(n)s"),
    mark("A rollout of strategy `%(strategy)s` has %(most)s steps, not %(n)s"),
    mark("Give one `--weight`; shares that grow are strategy `canary`"),
    mark("The weight %(weight)s of a rollout of strategy `%(strategy)s` must be above 0 and at most 1"),
    mark(
        "The weight %(weight)s of a rollout of strategy `%(strategy)s` must be above 0 and below 1, so that both "
        "versions answer"
    ),
    mark("The second step of a blue-green rollout has the weight %(weight)s, not 1"),
    mark("After the switch the new version answers every request"),
    mark("A rollout of strategy `%(strategy)s` ends with the new version in place when it passes"),
    mark("To compare only, use strategy `shadow`"),
    mark("An A/B rollout is decided by labelled quality, and its gates leave `quality` out"),
    mark("Set `[rollouts.gates.quality]`, or use strategy `canary`"),
    mark("The rollout `%(rollout)s` changed in the meantime"),
    mark("The rollout `%(rollout)s` has ended: %(status_words)s"),
    mark("To go back to the version before, use `%(command)s`"),
)
_APPROVALS: Final = (
    mark("The rollout `%(rollout)s` cannot be promoted yet. %(text)s"),
    mark("Ask them, or end it: `%(command)s`"),
    mark("The rollout `%(rollout)s` waits for nobody's approval"),
    mark("`%(name)s` began the rollout `%(rollout)s`, so somebody else has to approve it"),
    mark("Ask a person of the role %(role)s or above"),
    mark("`%(name)s` is a program, and rollouts are approved by persons"),
    mark("`%(name)s` has the role %(own)s in `%(project)s`, and the rollout asks for %(role)s or above"),
    mark("Ask somebody who has it"),
)
_REPAIRS: Final = (
    mark("The inputs of `%(name)s` are taken as they are sent"),
    mark("What was repaired before: `%(command)s`"),
    mark("The endpoint `%(name)s` has no such repair"),
    mark("The endpoint's model has no column `%(column)s`"),
    mark("It has %(known_list)s"),
    mark("The version that answers has no signature, so no column of its inputs is known"),
    mark("`%(column)s` cannot be divided by %(factor)s"),
    mark("`%(column)s` cannot be exchanged with itself"),
    mark("`%(column)s` holds texts, which cannot be divided"),
    mark("Give a table of codes"),
    mark("`%(column)s` holds texts and `%(other)s` does not, so they cannot be exchanged"),
    mark("`%(column)s` is of the type %(type)s, which this repair is not for"),
)
_STATES: Final = (
    mark("promoted"),
    mark("rolled back"),
    mark("failed"),
    mark("paused"),
    mark("running"),
)

retelling: Final = Retelling(*_ENDPOINTS, *_ROLLOUTS, *_APPROVALS, *_REPAIRS, *_STATES)
"""Of messages and hints."""
