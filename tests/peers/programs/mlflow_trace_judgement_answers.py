"""What is told of assessments of traces through MLflow's own client.

The cases are those that MLflow's tests of its stores go through. The last line is what was told, as JSON.
"""

from mlflow.entities import AssessmentSource, Expectation, Feedback
from mlflow.entities.assessment import ExpectationValue, FeedbackValue
from mlflow_trace_parts import (
    HUMAN,
    SESSION,
    ask,
    asked,
    id_of,
    new_experiment,
    new_trace,
    notes,
    say,
    store,
    tell,
)


def judged():
    made = new_experiment("judged")
    traces = {name: new_trace(made, name) for name in "abcdefg"}
    feedback = [
        ("a", "correct", True),
        ("b", "correct", False),
        ("b", "helpful", 5),
        ("a", "quality", "high"),
        ("c", "quality", "low ONE"),
        ("a", "score", 2),
        ("b", "score", 3.0),
        ("c", "score", 3.5),
        ("d", "score", 4),
        ("e", "score", "high"),
        ("f", "score", True),
        ("a", "list", ["x", 1]),
        ("a", "map", {"k": "v"}),
        ("g", "nothing", None),
    ]
    for trace, name, value in feedback:
        store.create_assessment(Feedback(trace_id=traces[trace], name=name, value=value, source=HUMAN))
    for name, value in [("c", 150), ("d", 200.5), ("e", "urgent"), ("f", ["p", "q"]), ("g", {"k": 1})]:
        store.create_assessment(Expectation(trace_id=traces[name], name="wanted", value=value, source=HUMAN))
    asked(
        made,
        *(f'feedback.correct = "{value}"' for value in ("true", "false", "True")),
        'feedback.correct != "true"',
        'feedback.helpful = "5"',
        "feedback.helpful = 5",
        'feedback.helpful != "5"',
        *(
            f"feedback.score {text}"
            for text in ("> 3", ">= 3.5", "< 3.5", "<= 3", "> 0", "< 4", "> 4", "!= 3", "= 3")
        ),
        'feedback.score > "high"',
        "feedback.score > 3 AND feedback.score < 4",
        'feedback.score > 1 AND feedback.quality = "high"',
        'feedback.score = "3"',
        'feedback.score = "3.0"',
        'feedback.score = "NaN"',
        'feedback.score = "Infinity"',
        'feedback.quality = "high"',
        'feedback.quality LIKE "%ONE%"',
        'feedback.quality ILIKE "%one%"',
        'feedback.quality LIKE "high"',
        'feedback.quality LIKE "low%"',
        'feedback.quality RLIKE "^low"',
        'feedback.quality RLIKE "(low|high)"',
        "feedback.quality = 3",
        'feedback.quality > "a"',
        'feedback.quality IN ("high")',
        "feedback.quality IS NULL",
        "feedback.quality IS NOT NULL",
        'feedback.quality IS NOT NULL AND feedback.quality = "high"',
        'feedback.list = "x"',
        'feedback.list LIKE "%x%"',
        'feedback.map LIKE "%k%"',
        "feedback.nothing IS NOT NULL",
        'feedback.nothing = "null"',
        'feedback.none = "x"',
        'expectation.wanted = "150"',
        'expectation.wanted = "urgent"',
        'expectation.wanted != "urgent"',
        "expectation.wanted > 150",
        "expectation.wanted <= 200.5",
        'expectation.wanted LIKE "%p%"',
        "expectation.wanted IS NULL",
        'feedback.wanted = "150"',
        'feedback.`correct` = "true"',
        'feedback = "true"',
    )


def overridden():
    made = new_experiment("overridden")
    first, second = new_trace(made, "first"), new_trace(made, "second")
    no = store.create_assessment(Feedback(trace_id=first, name="right", value="no", source=HUMAN))
    yes = Feedback(trace_id=first, name="right", value="yes", source=HUMAN, overrides=no.assessment_id)
    kept = store.create_assessment(yes)
    store.create_assessment(Feedback(trace_id=second, name="right", value="no", source=HUMAN))
    questions = ('feedback.right = "yes"', 'feedback.right = "no"', "feedback.right IS NOT NULL")
    asked(made, *questions)
    say("overridden", [store.get_assessment(first, each.assessment_id).valid for each in (no, kept)])
    again = Feedback(trace_id=first, name="right", value="so", source=HUMAN, overrides=no.assessment_id)
    ask("overridden twice", lambda: store.create_assessment(again).valid)
    store.delete_assessment(first, kept.assessment_id)
    say("back", store.get_assessment(first, no.assessment_id).valid)
    asked(made, *questions)
    bad = Feedback(trace_id=first, name="right", value="x", source=HUMAN, overrides="nope")
    ask("override nothing", store.create_assessment, bad, tells="Assessment with ID 'nope' not found")


def sessions():
    made = new_experiment("sessions")
    for session in "ab":
        for number in range(3):
            new_trace(made, f"{session}{number}", trace_metadata={SESSION: f"session-{session}"})
    new_trace(made, "alone")
    store.create_assessment(
        Feedback(
            trace_id=id_of("a0"), name="whole", value="good", source=HUMAN, metadata={SESSION: "session-a"}
        )
    )
    store.create_assessment(Feedback(trace_id=id_of("b0"), name="single", value="bad", source=HUMAN))
    store.create_assessment(
        Feedback(trace_id=id_of("b1"), name="score", value=3, source=HUMAN, metadata={SESSION: "session-b"})
    )
    asked(
        made,
        'feedback.whole = "good"',
        'feedback.whole LIKE "go%"',
        "feedback.whole IS NOT NULL",
        "feedback.whole IS NULL",
        'feedback.single = "bad"',
        "feedback.single IS NULL",
        "feedback.score > 2",
        f'feedback.whole = "good" AND metadata.`{SESSION}` = "session-a"',
        f'metadata.`{SESSION}` = "session-b"',
    )


def lives_of_judgements():
    made = new_experiment("lives")
    trace = new_trace(made, "judged one")

    def shown(each):
        error = getattr(each, "error", None)
        return {
            "name": each.name,
            "value": each.value,
            "why": each.rationale,
            "metadata": each.metadata,
            "span": each.span_id,
            "source": [each.source.source_type, each.source.source_id],
            "valid": each.valid,
            "overrides": each.overrides,
            "error": error and [error.error_code, error.error_message, error.stack_trace],
            "run": each.run_id,
        }

    def new(make=Feedback, **more):
        given = {
            "trace_id": trace,
            "name": "n",
            "value": "original",
            "source": AssessmentSource(source_type="CODE"),
            **more,
        }
        return store.create_assessment(make(**given))

    full = {"rationale": "because", "metadata": {"keep": "this", "change": "old"}, "span_id": "span-1"}
    made_feedback, made_expectation = (
        new(source=HUMAN, **full),
        new(Expectation, **{k: v for k, v in full.items() if k != "rationale"}),
    )
    for label, each in {"feedback": made_feedback, "expectation": made_expectation}.items():
        say(
            label,
            [
                shown(each),
                each.assessment_id.startswith("a-"),
                shown(store.get_assessment(trace, each.assessment_id)),
            ],
        )
    say("by default", shown(new()))
    for value in (True, 5, 2.5, None, [1, "x"], {"a": {"b": 1}}, "ñ", ""):
        ask(f"feedback of {value!r}", lambda value=value: shown(new(value=value)))
        ask(f"expectation of {value!r}", lambda value=value: shown(new(Expectation, value=value)))
    failed = new(value=None, error=ValueError("no judge"))
    say("failed", [failed.error.error_code, failed.error.error_message])
    changes = [
        {
            "name": "renamed",
            "feedback": FeedbackValue(value=False),
            "rationale": "new",
            "metadata": {"change": "new", "more": "1"},
        },
        {"rationale": "only this"},
        {"metadata": {}},
        {"feedback": FeedbackValue(value={"deep": [1]})},
        {"expectation": ExpectationValue(value="wrong kind")},
    ]
    for change in changes:
        ask(
            f"change {sorted(change)} {change.get('feedback')}",
            lambda change=change: shown(
                store.update_assessment(trace, made_feedback.assessment_id, **change)
            ),
            tells="Cannot update expectation value on a Feedback assessment",
        )
        say("changed", shown(store.get_assessment(trace, made_feedback.assessment_id)))
    ask(
        "change expectation",
        lambda: shown(
            store.update_assessment(
                trace,
                made_expectation.assessment_id,
                expectation=ExpectationValue(value="better"),
                metadata={"x": "y"},
            )
        ),
    )
    wrong = {
        "feedback": FeedbackValue(value="x"),
        "tells": "Cannot update feedback value on an Expectation assessment",
    }
    ask("change wrongly", store.update_assessment, trace, made_expectation.assessment_id, **wrong)
    for where, which, tells in (
        (id_of("nothing"), "nope", "Trace with (ID|request_id) '.+' not found"),
        (trace, "nope", "Assessment with ID 'nope' not found for trace"),
    ):
        ask(f"get {tells}", store.get_assessment, where, which, tells=tells)
        ask(f"change {tells}", store.update_assessment, where, which, rationale="x", tells=tells)
    for which in (made_feedback.assessment_id, made_feedback.assessment_id, "nope"):
        ask("delete", store.delete_assessment, trace, which)
    ask(
        "deleted",
        store.get_assessment,
        trace,
        made_feedback.assessment_id,
        tells="Assessment with ID '.+' not found for trace",
    )
    ask(
        "judge nothing",
        lambda: new(trace_id=id_of("nothing")),
        tells="Trace with (ID|request_id) '.+' not found",
    )
    run = store.create_run(made, "u", 0, [], "r").info.run_id
    notes.know(run, "run")
    of_run = Feedback(trace_id=trace, name="r", value=1, source=HUMAN)
    of_run.run_id = run
    say("of a run", shown(store.create_assessment(of_run)))
    say("all of the trace", sorted(each.name for each in store.get_trace_info(trace).assessments))


tell(judged, overridden, sessions, lives_of_judgements)
