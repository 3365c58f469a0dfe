"""What a decision says as it goes on: why something was chosen, and what happened. Told in the reader's language."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling, Sentence
from noria.decisions import evidence_words
from noria.monitoring import sentences as alerts
from noria.serving import sentences as rollouts

_REASONS: Final = (
    mark("The labels did not come in time. %(text)s"),
    mark("%(text)s. It is not asked again: on the same evidence, record %(record)s was rejected by %(name)s"),
    mark(
        "%(text)s. Remedies carried out here within a day without a person: %(n)s; `automatic_per_day` allows "
        "%(allowed)s, so this one is proposed"
    ),
    mark("No remedy that is admissible and was tried is expected to gain more than it costs"),
    mark("The causes stayed unclear"),
    mark("%(n)s more labelled rows are needed before remedies can be judged"),
    mark("%(n)s more labelled rows are needed to try remedies"),
    mark(
        "The cause is %(cause_words)s with probability %(probability)s, which a person has to mend: %(text)s"
    ),
    mark("The cause is %(cause_words)s with probability %(probability)s, which a person has to mend"),
    mark(
        "%(text)s. On %(n)s labelled rows that gains %(gain)s right answers more than it costs over the next %(rows)s "
        "rows (%(level)s interval %(low)s to %(high)s)"
    ),
    mark("The gain of %(remedy_words)s is too small to be told from chance within %(n)s more labels"),
    mark(
        "%(remedy_words)s is expected to gain %(gain)s right answers net over the next %(rows)s rows, but its interval "
        "(%(low)s to %(high)s) holds 0; about %(n)s more labels would decide"
    ),
    mark(
        "%(remedy_words)s (%(text)s): expected to gain %(gain)s right answers more than it costs over the next "
        "%(rows)s rows (%(level)s interval %(low)s to %(high)s), judged on %(n)s rows that it did not learn from"
    ),
    mark(
        "%(remedy_words)s: expected to gain %(gain)s right answers more than it costs over the next %(rows)s rows "
        "(%(level)s interval %(low)s to %(high)s), judged on %(n)s rows that it did not learn from"
    ),
)
_COURSE: Final = (
    mark(
        "The cause is %(cause_words)s (%(subject_words)s) with probability %(probability)s, on %(n)s labelled rows "
        "since the onset"
    ),
    mark(
        "The cause is %(cause_words)s with probability %(probability)s, on %(n)s labelled rows since the onset"
    ),
    mark("The labels came; looking again"),
    mark("Noria was changed while this was under way; looking again"),
    mark("%(name)s asked for a look at `%(endpoint)s`"),
    mark("A more urgent alert about the endpoint takes over: %(text)s"),
    mark("Version %(version)s is not served any more; version %(other)s stays back"),
    mark("Version %(version)s is not served any more; its inputs are left as they are"),
    mark("Version %(version)s is not served any more"),
    mark("%(name)s approved %(remedy)s: %(text)s"),
    mark("%(name)s approved %(remedy)s"),
    mark("Trying %(remedy_words)s on the newest labelled rows"),
    mark("Judged on the newest %(n)s labelled rows: %(text)s"),
    mark("The refit registered no version; version %(version)s goes out"),
    mark("The refit %(refit)s does not fit the endpoint's clients: %(text)s; version %(version)s goes out"),
    mark(
        "The refit scores %(score)s on its held-out rows, surely less than %(other)s; version %(version)s goes out"
    ),
    mark("Version %(version)s was fitted on all labelled rows: %(score)s on %(n)s rows held out from it"),
    mark("Version %(version)s was fitted on all labelled rows"),
    mark("It was not fitted on all labelled rows: %(text)s"),
    mark("%(model)s goes out as a canary"),
    mark("%(model)s goes out as a replace"),
    mark("%(model)s goes out as a blue_green"),
    mark("Version %(version)s answers every request; its outcome is being measured"),
    mark("Version %(version)s was promoted; no labels have come for it yet"),
    mark(
        "Version %(version)s was promoted; it scores %(after)s on its first %(n)s labelled rows, after %(before)s on "
        "the %(m)s since the onset before it"
    ),
    mark("Version %(version)s was promoted; it scores %(after)s on its first %(n)s labelled rows"),
    mark("The rollout ended as %(status)s: %(text)s"),
    mark("Another rollout of the endpoint did not end"),
    mark("It could not be carried through: %(text)s"),
    mark("A rollout of the endpoint did not end"),
    mark("Repair %(number)s of the inputs of %(endpoint)s: %(text)s"),
    mark("Inputs are put right before the model sees them: %(text)s; the outcome is being measured"),
    mark("Inputs are put right; no labels have come since"),
    mark("Inputs are put right; %(text)s"),
    mark("Inputs were put right, and are taken as they are sent again: %(text)s"),
    mark(
        "answers score %(after)s on %(n)s labelled rows since, after %(before)s on the %(m)s since the onset before it"
    ),
    mark("answers score %(after)s on %(n)s labelled rows since"),
    mark("The schedule %(name)s is pinned to revision %(number)s"),
    mark("The schedule %(name)s runs revision %(number)s; the outcome is being measured"),
    mark("The schedule %(name)s runs revision %(number)s; no labels have come since"),
    mark("The schedule %(name)s runs revision %(number)s; %(text)s"),
    mark("The schedule %(name)s runs what was applied last again: %(text)s"),
    mark("The schedule %(name)s runs revision %(number)s by now, not %(other)s"),
    mark("the schedule %(name)s runs revision %(number)s again, instead of revision %(other)s"),
    mark("the schedule %(name)s runs revision %(number)s again"),
    mark("%(n)s labelled rows that it would have made are too few to judge it"),
    mark("only the environment differs, which no revision brings back"),
    mark("Rejected by %(name)s: %(text)s"),
    mark("Rejected by %(name)s"),
    mark("no reason was told"),
    mark("Which candidate becomes `%(model)s`?"),
    mark("the present version as it is"),
)
_ENDS: Final = (
    mark("Decision %(decision)s: version %(version)s was promoted"),
    mark("Decision %(decision)s: left as it is by %(name)s: %(text)s"),
    mark("Decision %(decision)s: left as it is by %(name)s"),
    mark("Decision %(decision)s: rejected before"),
    mark("Decision %(decision)s: %(remedy_words)s against %(cause_words)s"),
    mark("Decision %(decision)s: %(text)s"),
    mark("What is sent is as it was in training again"),
    mark("Answers were surely worse with it"),
    mark("Another repair takes its place"),
    mark("Ended by hand"),
)
"""Why alerts, rollouts and repairs that a decision began are over, or began."""

_NAMES: Final = (
    mark("class %(name)s"),
    mark("version %(name)s"),
    mark("column %(name)s"),
    mark("feature %(name)s"),
    mark("input fault"),
    mark("input change"),
    mark("pipeline fault"),
    mark("model regression"),
    mark("covariate drift"),
    mark("label drift"),
    mark("concept drift"),
    mark("new class"),
    mark("unknown"),
    mark("an unknown cause"),
    mark("wait"),
    mark("repair inputs"),
    mark("repair_inputs"),
    mark("fix_pipeline"),
    mark("roll_back_model"),
    mark("new_model"),
    mark("fix pipeline"),
    mark("roll back model"),
    mark("recalibrate"),
    mark("retrain"),
    mark("new model"),
    mark("ask"),
    mark("Repair inputs"),
    mark("Fix pipeline"),
    mark("Roll back model"),
    mark("Recalibrate"),
    mark("Retrain"),
    mark("New model"),
)
_SCORES: Final = (
    mark("wait %(score)s"),
    mark("repair inputs %(score)s"),
    mark("fix pipeline %(score)s"),
    mark("roll back model %(score)s"),
    mark("recalibrate %(score)s"),
    mark("retrain %(score)s"),
    mark("new model %(score)s"),
)

retelling: Final = Retelling(
    *_REASONS,
    *_COURSE,
    *_ENDS,
    *_NAMES,
    *_SCORES,
    also=(evidence_words.retelling, alerts.retelling, rollouts.retelling),
)
"""Of the course of a decision, with what stages, alerts and rollouts say in it."""


def found(text: str) -> Sentence:
    """Give the sentence that a text of a decision is; one that is not known where nobody of ours said it."""
    return retelling.find(text)
