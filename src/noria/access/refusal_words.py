"""Why people, tokens and comments are refused: kept in English, told in the language of the page."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

_COMMENTS: Final = (
    mark("A comment needs a text"),
    mark("Write something; Markdown is shown as such"),
    mark("The comment has %(n)s characters"),
    mark("The comment holds a character that cannot be kept"),
    mark("Leave out NUL and lone surrogates"),
    mark("See what was said: `%(command)s`"),
    mark("The comment `%(comment)s` has changed meanwhile"),
    mark("Read it again, and send the change with its present revision"),
    mark("The comment `%(comment)s` is of `%(author)s`"),
    mark("Ask `%(author)s` to change it, or say something yourself"),
    mark("Ask `%(author)s` or an admin"),
    mark("`%(subject)s` is nothing that can be commented on"),
    mark("Write one of %(known_list)s"),
    mark("Did you mean `%(name)s`? Write one of %(known_list)s"),
)
_TOKENS: Final = (
    mark("A token cannot live for %(seconds)s s"),
    mark("Choose from %(low)s to %(high)s"),
    mark("A token of `%(name)s` cannot have the permission `%(permission)s`"),
    mark("A token of `%(name)s` cannot have the role `%(role)s`"),
    mark("Its own role is `%(role)s`"),
    mark("`%(name)s` has no role in any project that a token could have"),
    mark("`%(name)s` has no role in the project `%(project)s` that a token could have"),
)
_PEOPLE: Final = (
    mark("The name or the password is wrong"),
    mark("An admin can set a new one: `%(command)s`"),
    mark("There were too many wrong passwords"),
    mark("Wait %(seconds)s s"),
    mark("The password has %(n)s characters"),
    mark("Use at least %(n)s"),
    mark("`%(name)s` may not set the password of `%(other)s`"),
    mark("The present password is wrong"),
    mark("Send it as `current`"),
    mark("You have no session `%(session)s`"),
    mark("It may have ended: load the page again"),
    mark("Ask an admin"),
    mark("Ask an admin for one"),
)
_AUDIT: Final = (
    mark("`%(name)s` is longer than %(n)s characters"),
    mark("Give less of it"),
    mark("`%(name)s` must be a day such as `2026-01-31`, not `%(given)s`"),
    mark("Choose a day"),
    mark("`%(name)s` is a day that no event can have: `%(given)s`"),
    mark("Choose another day"),
    mark("`of` must be `workspace`, not `%(given)s`"),
    mark("Line %(n)s of `%(path)s` is not a checkpoint that this workspace signed"),
    mark("Compare it with a backup of the file"),
    mark("The signing key `%(path)s` of the checkpoints is missing or damaged"),
    mark("Restore it from a backup; without it the checkpoints prove nothing"),
)

retelling: Final = Retelling(*_COMMENTS, *_TOKENS, *_PEOPLE, *_AUDIT)
"""Of messages and hints."""
