"""What causes, remedies, stages and verdicts are called on pages, to be translated where they are shown."""

from __future__ import annotations

from collections.abc import Mapping

from noria.core.web.languages import mark

CAUSE_WORDS: Mapping[str, str] = {
    "none": mark("no real drop"),
    "input_fault": mark("faulty inputs"),
    "input_change": mark("inputs changed by design"),
    "pipeline_fault": mark("fault in the pipeline"),
    "model_regression": mark("the model got worse"),
    "covariate_drift": mark("the inputs drifted"),
    "label_drift": mark("the mix of classes drifted"),
    "concept_drift": mark("the meaning of the inputs changed"),
    "new_class": mark("a new class appeared"),
    "unknown": mark("unknown"),
}

REMEDY_WORDS: Mapping[str, str] = {
    "wait": mark("wait"),
    "repair_inputs": mark("repair the inputs"),
    "fix_pipeline": mark("fix the pipeline"),
    "roll_back_model": mark("roll back the model"),
    "recalibrate": mark("recalibrate"),
    "retrain": mark("retrain"),
    "new_model": mark("search a new model"),
    "ask": mark("ask a person"),
}

STAGE_WORDS: Mapping[str, str] = {
    "reality": mark("Is the drop real?"),
    "events": mark("What changed, and when?"),
    "replay": mark("Does the live path still give the frozen answers?"),
    "contract": mark("Do the inputs keep their contract?"),
    "versions": mark("Did an older version do better?"),
    "new_class": mark("Is there a new class?"),
    "shift": mark("Did the inputs, the classes or their relation move?"),
}

VERDICT_WORDS: Mapping[str, str] = {
    "yes": mark("yes"),
    "no": mark("no"),
    "unclear": mark("unclear"),
    "lacks": mark("too little to tell"),
    "change_near": mark("a change lies near"),
    "no_change": mark("nothing"),
    "announced": mark("it was announced"),
    "same": mark("the same answers"),
    "features_differ": mark("features differ"),
    "predictions_differ": mark("predictions differ"),
    "kept": mark("kept"),
    "corrupt": mark("broken"),
    "changed": mark("changed"),
    "older_better": mark("an older one is better"),
    "worse_from_start": mark("it was worse from the start"),
    "none_better": mark("none is better"),
    "part": mark("in part"),
    "none": mark("nothing moved"),
    "covariate": mark("the inputs moved"),
    "label": mark("the mix of classes moved"),
    "concept": mark("their relation moved"),
}

CALM_VERDICTS = frozenset({"no", "no_change", "same", "kept", "none_better", "none"})
"""What speaks against any trouble where the stage looked."""

OPEN_VERDICTS = frozenset({"unclear", "lacks"})
"""What tells nothing yet."""

STATUS_WORDS: Mapping[str, str] = {
    "diagnosing": mark("looking for the cause"),
    "trying": mark("trying remedies"),
    "waiting": mark("waiting for labels"),
    "asking": mark("asking a person"),
    "acting": mark("carrying out the remedy"),
    "measuring": mark("measuring the outcome"),
    "done": mark("done"),
    "failed": mark("failed"),
}

FACT_WORDS: Mapping[str, str] = {
    "accuracy": mark("accuracy"),
    "announcement": mark("announcement"),
    "at": mark("when"),
    "columns": mark("columns"),
    "repair": mark("repair of inputs"),
    "words": mark("what it does"),
    "adjusted_p_value": mark("adjusted p"),
    "endpoint": mark("endpoint"),
    "evidence": mark("evidence (natural logarithm)"),
    "gain_per_row": mark("gain per row"),
    "difference": mark("difference"),
    "high": mark("upper end"),
    "level": mark("confidence"),
    "low": mark("lower end"),
    "mean": mark("mean"),
    "model": mark("model"),
    "n": mark("rows"),
    "n_columns": mark("inputs"),
    "n_drifted": mark("inputs that drifted"),
    "n_rows": mark("rows"),
    "psi": mark("PSI in nats"),
    "reason": mark("reason"),
    "reference": mark("reference"),
    "reference_n": mark("rows of the reference"),
    "remedy": mark("remedy"),
    "record": mark("decision record"),
    "result": mark("result"),
    "signs": mark("signs"),
    "rollout": mark("rollout"),
    "score": mark("score"),
    "share": mark("share"),
    "silent_s": mark("seconds of silence"),
    "waiting_bytes": mark("bytes that wait"),
    "n_dropped": mark("predictions dropped"),
    "status": mark("status"),
    "strategy": mark("strategy"),
    "subject": mark("subject"),
    "tolerated": mark("tolerated"),
    "version": mark("version"),
    "after": mark("after"),
    "auc": mark("AUC of telling live rows from known ones"),
    "auc_in_live_mix": mark("the same AUC in the live mix of classes"),
    "auc_p_value": mark("p of the AUC"),
    "before": mark("before"),
    "begin": mark("from"),
    "breaches": mark("breaches"),
    "by_concept": mark("rise of the loss by labels given inputs"),
    "by_concept_se": mark("its standard error"),
    "by_inputs": mark("rise of the loss by the inputs"),
    "changes": mark("changes"),
    "column": mark("column"),
    "current": mark("score of the current version"),
    "end": mark("to"),
    "fit": mark("last fit"),
    "explained": mark("share of the errors explained"),
    "figure": mark("figure"),
    "gain": mark("gain over the current version"),
    "kind": mark("kind"),
    "labels": mark("labels"),
    "largest_feature_error": mark("largest difference of a feature"),
    "largest_output_error": mark("largest difference of an answer"),
    "mix_change": mark("change of the mix of classes"),
    "mix_p_value": mark("p of the mix"),
    "n_errors": mark("errors"),
    "n_far": mark("rows far from those of the training"),
    "n_flips": mark("answers that changed"),
    "n_outside": mark("labels of unknown classes"),
    "novelty_p_value": mark("p of so many far rows"),
    "p_value": mark("p"),
    "typical_difference": mark("difference on typical rows"),
    "typical_low": mark("its lower end"),
    "typical_high": mark("its upper end"),
}


VALUE_WORDS: Mapping[str, str] = {
    **CAUSE_WORDS,
    **REMEDY_WORDS,
    "canary": mark("in steps"),
    "replace": mark("at once"),
    "promoted": mark("promoted"),
    "repaired": mark("inputs put right"),
    "rolled_back": mark("rolled back"),
    "rejected": mark("rejected"),
    "not_asked_again": mark("rejected before, not asked again"),
    "waited": mark("waited"),
    "overtaken": mark("overtaken"),
    "failed": mark("failed"),
    "finished": mark("finished"),
    "killed": mark("killed"),
    "running": mark("under way"),
    "paused": mark("paused"),
    "done": mark("done"),
    "quality": mark("quality"),
    "drift": mark("drift"),
    "errors": mark("errors"),
    "server": mark("no model server"),
    "rules": mark("broken rules"),
    "disk": mark("full disk"),
    "logs": mark("logged errors"),
    "monitor": mark("nobody watches"),
    "manual": mark("by hand"),
    "automatic": mark("automatic"),
}
"""Names of ours that occur as values among facts and events."""


def in_words(table: Mapping[str, str], name: str) -> str:
    """Give the words for a name; for one that has none, the name itself with spaces.

    Examples
    --------
    >>> in_words(CAUSE_WORDS, "new_class"), in_words(CAUSE_WORDS, "solar_flare")
    ('a new class appeared', 'solar flare')
    """
    return table.get(name) or name.replace("_", " ")
