"""What stages of the diagnosis found, and what is noted of candidates: kept in English, told in the reader's language.

The stages write their sentences with the figures at hand; these are their words, found again by pages.
"""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

_REALITY: Final = (
    mark("The version was registered without held-out rows to compare with"),
    mark("There are no labelled rows yet"),
    mark("Only %(n)s labelled rows since the onset; at least %(needed)s are needed"),
    mark(
        "The mean score is %(mean)s on %(n)s labelled rows since the onset and was %(reference)s on %(m)s held-out "
        "rows: a difference of %(difference)s (%(level)s interval %(low)s to %(high)s)"
    ),
    mark("the drop is real"),
    mark("no drop of more than %(share)s"),
    mark("this may be chance"),
)
_EVENTS: Final = (
    mark("Only %(n)s labelled rows; the onset cannot be dated"),
    mark("The labelled rows show no point at which the score fell"),
    mark(
        "The score fell from %(before)s to %(after)s between %(day)s %(begin)s and %(end)s UTC; near that: %(text)s"
    ),
    mark(
        "The score fell from %(before)s to %(after)s between %(day)s %(begin)s and %(end)s UTC; nothing was deployed "
        "near that"
    ),
    mark("version %(version)s was deployed at %(time)s"),
    mark("`%(name)s` was announced to change from %(day)s %(time)s UTC on: %(text)s"),
)
_REPLAY: Final = (
    mark(
        "Revisions %(before)s and %(after)s of the schedule %(schedule)s differ in %(difference_words)s, and make "
        "something else of the same inputs, first in the %(subject_words)s"
    ),
    mark(
        "Runs of the schedule %(schedule)s in the environments of then and now differ in %(difference_words)s, and "
        "make something else of the same inputs, first in the %(subject_words)s"
    ),
    mark(
        "Revisions %(before)s and %(after)s of the schedule %(schedule)s give the same on the same inputs: the code is "
        "innocent"
    ),
    mark(
        "Runs of the schedule %(schedule)s in the environments of then and now give the same on the same inputs: the "
        "code is innocent"
    ),
    mark(
        "Revision %(after)s of the schedule %(schedule)s against revision %(before)s could not be run on the same "
        "inputs: %(text)s"
    ),
    mark("The step %(step)s gives something else each time it runs, which tells nothing about the code"),
    mark("step %(step)s"),
    mark("dataset %(dataset)s"),
    mark("code"),
    mark("parameters"),
    mark("environment"),
    mark("There is no golden batch to replay"),
    mark(
        "%(n)s rows frozen at registration give other features in the live path; most differs feature %(feature)s"
    ),
    mark("%(n)s rows frozen at registration give other features in the live path; most differs their number"),
    mark(
        "%(n)s rows frozen at registration give the same features and %(flips)s other predictions in the live path"
    ),
    mark(
        "%(n)s rows frozen at registration give the same features and predictions in the live path: the code is "
        "innocent"
    ),
)
_CONTRACT: Final = (
    mark("The version was registered without a sample of its training rows"),
    mark("Only %(n)s live rows since the onset; at least %(needed)s are needed"),
    mark("All %(columns)s columns of %(n)s live rows keep the contract of the training data"),
    mark("%(failed)s of %(n)s rows failed"),
    mark("`%(name)s` is missing or unreadable in %(share)s of the rows; it was in %(before)s"),
    mark("`%(name)s` is `%(value)s` in all %(n)s rows; it had %(before)s values before"),
    mark("`%(name)s` is far outside %(low)s to %(high)s in %(share)s of the rows, as `%(value)s`"),
    mark("`%(name)s` is %(ratio)s times what it was, at every quantile: another unit"),
    mark("`%(name)s` has codes that the training rows did not have in %(share)s of the rows, as `%(value)s`"),
    mark("`%(name)s` has the same shares under exchanged codes; %(share)s of the rows moved"),
)
_GUARDS: Final = (
    mark("All %(columns)s columns do what they always did"),
    mark("`%(name)s` is missing or unreadable in %(share)s of the rows"),
    mark("`%(name)s` lies outside all it ever was in %(share)s of the rows"),
    mark("`%(name)s` has one value in %(share)s more of the rows than before"),
    mark("`%(name)s` has one value in %(share)s of the rows"),
    mark("`%(name)s` repeats the row before in %(share)s of the rows"),
    mark("`%(name)s` has whole numbers only, and had fractions"),
    mark(
        "`%(name)s` stands in one ratio to what it was, at every quantile: another unit, %(ratio)s times what it was"
    ),
    mark("`%(name)s` stands in one ratio to what it was, at every quantile: another unit"),
    mark("`%(name)s` is what it was on another scale"),
    mark("`%(name)s` has the other sign"),
    mark("`%(name)s` has codes that were never there in %(share)s of the rows"),
    mark("`%(name)s` has known codes in another spelling in %(share)s of the rows"),
    mark("`%(name)s` has its shares under exchanged codes; %(share)s of the rows moved"),
    mark("%(share)s of the rows are copies of others, beside as many different ones as ever"),
    mark(
        "%(share)s of the rows have the inputs of another row and a target of their own, %(before)s of calm rows: "
        "inputs were given to rows that they do not belong to"
    ),
    mark("`%(name)s` goes with the other columns as before once it is moved by %(lag)s rows"),
)
_VERSIONS: Final = (
    mark("There is no older version to compare with"),
    mark("Only %(n)s labelled rows to compare on"),
    mark(
        "Version %(version)s scores %(gain)s against the present one on the same %(n)s rows (interval %(low)s to "
        "%(high)s)"
    ),
    mark("no older version is surely better"),
)
_NEW_CLASS: Final = (
    mark(
        "%(text)s. Of %(n)s live rows, %(far)s lie farther from the training rows than 95 %% of those do from one "
        "another (p = %(p)s for so many)"
    ),
    mark("A regression has no classes"),
    mark("The model has no classes"),
    mark("Only %(n)s labelled rows since the onset"),
    mark("All %(n)s labels since the onset are classes that the model knows"),
    mark(
        "%(outside)s of %(n)s labels since the onset name a class that the model was never trained on: %(text)s. That "
        "is %(share)s (%(level)s interval %(low)s to %(high)s), all of them answered wrongly, %(explained)s of all "
        "errors"
    ),
)
_SHIFT: Final = (
    mark(
        "%(text)s. Of a rise of the loss by %(rise)s, the inputs explain %(inputs)s and labels given inputs "
        "%(labels)s (standard error %(error)s)"
    ),
    mark("Only %(n)s live and %(m)s training rows to compare"),
    mark("Too few live and training rows to decompose the loss"),
    mark("There is no sample of training rows with numbers to compare with"),
    mark("A classifier tells %(n)s live rows from %(m)s training rows with AUC %(auc)s (p = %(p)s)"),
    mark("A classifier tells live rows from training rows with AUC %(auc)s"),
    mark("%(share)s of the labels' mix changed (p = %(p)s)"),
    mark("%(share)s of the labels' mix changed"),
    mark("drawn in the live mix, training rows give AUC %(auc)s"),
    mark("from training rows drawn in the live mix it tells them with AUC %(auc)s"),
    mark("the answers moved by %(part)s of what that mix implies (standard error %(error)s)"),
    mark(
        "on rows that lie where training rows lie, the score differs by %(difference)s from %(baseline)s (99%% "
        "interval %(low)s to %(high)s)"
    ),
    mark("too few labelled rows lie where the training rows lie to judge labels given inputs"),
)
_NOTES: Final = (
    mark("version %(version)s, trained on all rows, old and new (%(dataset)s)"),
    mark("version %(version)s, trained on rows since the onset alone (%(dataset)s)"),
    mark("version %(version)s, trained on rows since the onset and as many old ones (%(dataset)s)"),
    mark(
        "version %(version)s, trained on from where the present version stands, by rows since the onset (%(dataset)s)"
    ),
    mark(
        "A model of the kind %(kind_words)s, fitted %(scheme_words)s: %(score)s on %(n)s labelled rows of the endpoint "
        "%(endpoint)s (%(text)s)"
    ),
    mark("on all rows, old and new"),
    mark("on rows since the onset alone"),
    mark("on rows since the onset and as many old ones"),
    mark("version %(version)s: %(text)s"),
    mark("version %(version)s"),
    mark("other ways: %(text)s"),
    mark("the project's policy forbids it"),
    mark("outcomes of earlier decisions leave %(share)s of its gain"),
    mark("no older version can answer"),
    mark("there is no older version"),
    mark("it could not be tried: %(text)s"),
    mark("it could not be tried"),
    mark("nothing is known that would put the columns right"),
    mark("it mends none of the probable causes, or would learn from rows that break their contract"),
    mark("not tried: a person would carry it out"),
    mark("not tried: the trials of this decision took all of `trial_budget_s` (%(seconds)s s)"),
    mark("nothing is done"),
    mark("and %(n)s more columns"),
)

_REPAIRS: Final = (
    mark("`%(name)s` is divided by %(factor)s where it lies outside all it was"),
    mark("`%(name)s` is divided by %(factor)s after taking %(offset)s off"),
    mark("`%(name)s` is divided by %(factor)s"),
    mark("codes of `%(name)s` are put back (%(one)s and %(other)s are exchanged)"),
    mark("codes of `%(name)s` are put back"),
    mark("`%(name)s` is estimated from the other columns where it is lost"),
    mark("`%(name)s` is estimated from the other columns"),
    mark("`%(name)s` is taken for its commonest code, `%(value)s`, where it is lost"),
    mark("`%(name)s` is taken for its commonest code, `%(value)s`"),
    mark("what it gains is not known, for want of labels"),
)

retelling: Final = Retelling(
    *_REALITY,
    *_EVENTS,
    *_REPLAY,
    *_CONTRACT,
    *_GUARDS,
    *_VERSIONS,
    *_NEW_CLASS,
    *_SHIFT,
    *_NOTES,
    *_REPAIRS,
)
"""Of the evidence of stages, and of the notes of candidates."""
