"""What is told of traces and their spans through MLflow's own client.

The cases are those that MLflow's tests of its stores go through. The last line is what was told, as JSON.
"""

import json

from mlflow.entities import Link
from mlflow.entities.trace_state import TraceState
from mlflow_trace_parts import (
    ERROR,
    OK,
    SESSION,
    UNSET,
    ask,
    found,
    id_of,
    log,
    new_experiment,
    new_trace,
    say,
    span_of,
    store,
    tell,
    told,
)

USAGE, COST = "mlflow.chat.tokenUsage", "mlflow.llm.cost"


def spans_kept():
    made = new_experiment("kept")

    trace = id_of

    log(made, span_of(trace("of spans alone"), 555, start=5, end=6))
    say("of spans alone", told(trace("of spans alone")))
    name = trace("times")
    for at, (start, end) in enumerate([(1, 2), (0.5, 3), (2.5, 4)], 1):
        log(made, span_of(name, at, start=start, end=end))
        say(f"times {at}", [told(name)[key] for key in ("at", "lasts", "state")])
    name = trace("no end")
    for at, (start, end) in enumerate([(1, None), (0.5, None), (2, 3)], 1):
        log(made, span_of(name, at, start=start, end=end))
        # MLflow's server gives a trace without an end a duration below zero.
        say(f"no end {at}", [told(name)[key] for key in ("at", "lasts", "state") if end or key != "lasts"])
    for status in (OK, ERROR, UNSET):
        name = trace(f"root {status.name}")
        log(made, span_of(name, 1, status=status, why="boom" if status is ERROR else None))
        log(made, span_of(name, 2, 1, status=ERROR))
        say(
            f"root {status.name}",
            [
                told(name)["state"],
                [
                    [each.status.status_code, each.status.description]
                    for each in store.get_trace(name).data.spans
                ],
            ],
        )
    resource = {
        "service.name": "mine",
        "deployment.environment": "staging",
        "telemetry.sdk.language": "python",
        "mlflow.evil": "no",
        "process.pid": 12345,
        "k8s.pod.ready": True,
        "host.cpu.count": 4.0,
        "list": ["a", "b"],
    }
    log(made, span_of(trace("resource"), 1, resource=resource))
    say("resource", told(trace("resource"))["tags"])
    tagged = {"mlflow.traceTag.service.name": "from the user"}
    log(made, span_of(trace("own tag"), 1, resource=resource, **tagged))
    say("own tag", told(trace("own tag"))["tags"])
    links = [
        Link(trace_id="tr-abc123", span_id="aabbccddeeff0011", attributes={"type": "causal"}),
        Link(trace_id="tr-def456", span_id="1122334455667788"),
    ]
    log(made, span_of(trace("links"), 1, links=links))
    read = store.get_trace(trace("links")).data.spans[0]
    say("links", [[each.trace_id, each.span_id, each.attributes] for each in read.links])
    name = trace("order")
    log(
        made,
        *(
            span_of(name, at, name=f"{start}", start=start, end=9)
            for at, start in [(2, 2), (1, 1), (3, 3), (4, 1)]
        ),
    )
    say("order of spans", [each.name for each in store.batch_get_traces([name])[0].data.spans])
    log(made, span_of(name, 2, name="again", start=2, end=10))
    say("a span again", [each.name for each in store.batch_get_traces([name])[0].data.spans])
    name = trace("inputs")
    sent = {
        "mlflow.spanInputs": {"q": "ñ" * 3},
        "mlflow.spanOutputs": ["a", {"b": 1}],
        "custom": "x",
        "n": 1,
        "f": 1.5,
        "none": None,
    }
    log(made, span_of(name, 1, **sent), span_of(name, 2, 1, **{"mlflow.spanInputs": "child"}))
    say("inputs", told(name))
    say("attributes", [dict(sorted(each.attributes.items())) for each in store.get_trace(name).data.spans])
    log(
        made,
        span_of(
            trace("long"),
            1,
            **{
                "mlflow.spanInputs": "x" * 20_000,
                "mlflow.spanOutputs": {"messages": [{"role": "user", "content": "y" * 2000}]},
            },
        ),
    )
    say("long previews", [len(told(trace("long"))[key] or "") for key in ("request", "response")])
    chat = {"messages": [{"role": "system", "content": "be"}, {"role": "user", "content": "hello"}]}
    answer = {"choices": [{"message": {"role": "assistant", "content": "hi"}}]}
    log(made, span_of(trace("chat"), 1, **{"mlflow.spanInputs": chat, "mlflow.spanOutputs": answer}))
    say("chat", [told(trace("chat"))[key] for key in ("request", "response")])
    session = {"session.id": "s1", "user.id": "u1", "mlflow.trace.session": "s2"}
    log(made, span_of(trace("session"), 1, **session))
    say("session of spans", told(trace("session"))["metadata"])
    for name in ("of spans alone", "links"):
        say(f"names of {name}", told(trace(name))["tags"])
    ask(
        "get nothing",
        store.get_trace_info,
        trace("nothing"),
        tells="Trace with (ID|request_id) '.+' not found",
    )
    ask("get no trace", store.get_trace, trace("nothing"), tells="Trace with ID .+ is not found")
    ask("batch of nothing", store.batch_get_traces, [trace("nothing")])
    half = trace("half")
    log(made, span_of(half, 1))
    new_trace(made, "half", trace_metadata={"mlflow.trace.sizeStats": json.dumps({"num_spans": 2})})
    ask("half a trace", lambda: [each.info.trace_id for each in store.batch_get_traces([half])])
    ask("half a trace, whole", store.get_trace, half)
    ask("half a trace, as it is", lambda: len(store.get_trace(half, allow_partial=True).data.spans))


def usage(n, out=5):
    return {"input_tokens": n, "output_tokens": out, "total_tokens": n + out}


def cost(n):
    return {"input_cost": n, "output_cost": 2 * n, "total_cost": 3 * n}


def used(trace):
    info = store.get_trace_info(trace)
    return [info.token_usage, info.cost and {key: round(value, 9) for key, value in info.cost.items()}]


def tokens():
    made = new_experiment("tokens")

    def case(label, *batches):
        trace = id_of(label)
        for at, batch in enumerate(batches):
            ask(f"{label} {at}: sent", log, made, *(span_of(trace, **each) for each in batch))
            say(f"{label} {at}", used(trace))

    def one(at, n, parent=None, **more):
        return {"at": at, "parent": parent, USAGE: usage(n), COST: cost(n / 1000), **more}

    case("usage", [one(1, 100)], [one(2, 200)])
    case("roll up", [one(1, 120), *(one(10 + at, 40, 1) for at in range(3))])
    case("parent first", [one(1, 120)], [one(10 + at, 40, 1) for at in range(3)])
    case("children first", [one(10 + at, 40, 1) for at in range(3)], [one(1, 120)])
    case("chain", [one(1, 150), one(2, 150, 1), one(3, 150, 2)])
    case("partly", [one(1, 50), one(2, 40, 1), {"at": 3, "parent": 1}, one(4, 70, 3)])
    case("sent again", [one(1, 100)], [one(1, 300), one(2, 20)])
    case(
        "cached",
        [{"at": 1, USAGE: {**usage(10), "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2}}],
    )
    case("only input", [{"at": 1, USAGE: {"input_tokens": 3}}])
    case("wrong", [{"at": 1, USAGE: "many"}])
    deep = [{"at": at, "parent": at - 1 or None} for at in range(1, 1201)]
    case("deep", [*deep, one(1201, 10, 1200)])
    kept = {
        SESSION: "told",
        "mlflow.trace.tokenUsage": json.dumps(usage(1)),
        "mlflow.trace.cost": json.dumps(cost(1)),
    }
    trace = new_trace(made, "finished", 1000, 500, trace_metadata=kept)
    log(
        made,
        span_of(
            trace,
            1,
            start=0,
            end=100,
            **{USAGE: usage(50), COST: cost(2), "session.id": "other", "mlflow.spanInputs": "later"},
        ),
    )
    say("what was told at the end is kept", [told(trace), used(trace)])
    trace = id_of("spans first")
    log(
        made,
        span_of(
            trace,
            1,
            start=0,
            end=100,
            **{USAGE: usage(50), "mlflow.spanInputs": "early", "mlflow.traceTag.t": "span"},
        ),
    )
    new_trace(
        made,
        "spans first",
        2000,
        700,
        TraceState.ERROR,
        trace_metadata=kept,
        tags={"t": "told", "u": "v"},
        request_preview="preview",
    )
    say("what is told later holds", [told(trace), used(trace)])


def deletions():
    made, other = new_experiment("gone"), new_experiment("left")
    for at in range(10):
        new_trace(made, f"old {at}", at)
    new_trace(other, "other", 1)
    for arguments in (
        {"max_timestamp_millis": 3},
        {"max_traces": 2, "max_timestamp_millis": 8},
        {"trace_ids": [id_of("old 9"), id_of("old 8"), id_of("other"), "nothing"]},
        {"max_timestamp_millis": 10},
        {"max_timestamp_millis": 10},
        {},
        {"max_timestamp_millis": 100, "trace_ids": ["x"]},
        {"max_traces": 2, "trace_ids": ["x"]},
        {"max_timestamp_millis": 100, "max_traces": 0},
    ):
        ask(f"delete {arguments}", store.delete_traces, made, **arguments)
        say("left", [found(made), found(other)])


tell(spans_kept, tokens, deletions)
