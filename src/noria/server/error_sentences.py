"""What error pages and refused forms say most: kept in English, told in the reader's language."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

_MESSAGES: Final = (
    mark("There is no %(kind_words)s `%(name)s`"),
    mark("There is nothing at `%(name)s`"),
    mark("The project `%(project)s` has no %(kind_words)s `%(name)s`"),
    mark("The project `%(project)s` has no run `%(name)s` of a pipeline"),
    mark("The pipeline `%(name)s` has no runs in the project `%(project)s`"),
    mark("The run `%(run)s` has no artifact `%(name)s`"),
    mark("The dataset `%(name)s` has no version %(version)s"),
    mark("The model `%(name)s` has no version %(version)s"),
    mark("`%(name)s` has no report `%(report)s`"),
    mark("`%(name)s` was not validated"),
    mark("`%(name)s` is no number of a version"),
    mark("This run has no metric `%(name)s`"),
    mark("This page has no query parameter `%(name)s`"),
    mark("`%(name)s` may not see this page: it needs `%(permission)s`"),
    mark("`%(name)s` may not do this in the project `%(project)s`: it needs `%(permission)s`"),
    mark("`%(name)s` may not do this: it needs `%(permission)s`"),
    mark("`%(permission)s` needs the workspace key, even on this computer"),
    mark("You have no role in any project"),
    mark("This server asks everyone to sign in"),
    mark("The token is unknown, expired or revoked"),
    mark("The present password is wrong"),
    mark("The run `%(run)s` is deleted"),
    mark("The experiment `%(name)s` is deleted"),
    mark("The endpoint `%(name)s` changed in the meantime"),
    mark("The endpoint `%(name)s` is being changed by others"),
    mark("There is a project `%(name)s` already"),
    mark("There is a user `%(name)s` already"),
)
_HINTS: Final = (
    mark("Did you mean `%(name)s`?"),
    mark("Did you mean `%(name)s`? (see `%(command)s`)"),
    mark("Known: %(known_list)s"),
    mark("Known: %(known_list)s (see `%(command)s`)"),
    mark("There is none yet"),
    mark("There is none yet (see `%(command)s`)"),
    mark("Leave it out"),
    mark("Leave it out to see all"),
    mark("Use %(known_list)s"),
    mark("See `%(command)s`"),
    mark("The newest is %(n)s (see `%(command)s`)"),
    mark("It has none (see `%(command)s`)"),
    mark("Its only version is 1 (see `%(command)s`)"),
    mark("It has the versions 1 to %(n)s (see `%(command)s`)"),
    mark("Ask an admin for the role `%(role)s`"),
    mark("Ask an admin for one: `%(command)s`"),
    mark("Use the `%(command)s` command or the SDK as the owner of the workspace folder: they read its key"),
    mark("Try again"),
)
_KINDS: Final = (
    mark("run"),
    mark("experiment"),
    mark("model"),
    mark("dataset"),
    mark("endpoint"),
    mark("rollout"),
    mark("schedule"),
    mark("batch"),
    mark("comment"),
    mark("project"),
    mark("user"),
    mark("alert"),
    mark("decision"),
    mark("decision record"),
    mark("alias"),
)

retelling: Final = Retelling(*_MESSAGES, *_HINTS, *_KINDS)
"""Of messages and hints."""
