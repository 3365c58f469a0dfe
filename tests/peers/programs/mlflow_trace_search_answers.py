"""What searches of traces find through MLflow's own client.

The cases are those that MLflow's tests of its stores go through. The last line is what was told, as JSON.
"""

from mlflow.entities.model_registry import PromptVersion
from mlflow.entities.trace_state import TraceState
from mlflow_trace_parts import (
    ERROR,
    OK,
    UNSET,
    ask,
    asked,
    found,
    id_of,
    log,
    new_experiment,
    new_trace,
    notes,
    say,
    span_of,
    store,
    tell,
)


def orders():
    first, second = new_experiment("first"), new_experiment("second")
    run = "mlflow.sourceRun"
    rows = [
        ("0", second, 6, TraceState.OK, {"mlflow.traceName": "ddd"}, {run: "run0"}),
        (
            "1",
            second,
            2,
            TraceState.ERROR,
            {"mlflow.traceName": "aaa", "fruit": "apple", "color": "red"},
            {run: "run1"},
        ),
        (
            "2",
            first,
            4,
            TraceState.STATE_UNSPECIFIED,
            {"mlflow.traceName": "bbb", "fruit": "apple", "color": "green"},
            {},
        ),
        ("3", first, 10, TraceState.OK, {"mlflow.traceName": "ccc", "fruit": "orange"}, {}),
        ("4", first, 10, TraceState.OK, {"mlflow.traceName": "ddd", "color": "blue"}, {}),
    ]
    for at, (name, where, lasts, state, tags, metadata) in enumerate(rows):
        new_trace(where, name, at, lasts, state, tags=tags, trace_metadata=metadata)
    both = [first, second]
    for order in (
        [],
        ["timestamp"],
        ["timestamp DESC"],
        ["execution_time DESC", "timestamp ASC"],
        ["experiment_id"],
        ["experiment_id DESC"],
        ["status"],
        ["name"],
        ["name DESC"],
        ["tag.fruit"],
        ["tag.fruit DESC"],
        ["tag.fruit", "tag.color"],
        ["tag.nothing"],
        ["run_id"],
        ["run_id DESC"],
        ["metadata.`mlflow.sourceRun`"],
        ["trace.status", "request_id"],
        ["client_request_id"],
        ["timestamp_ms, name"],
    ):
        ask(f"traces by {order}", found, both, order=order)
    asked(
        both,
        "name = 'aaa'",
        "name != 'aaa'",
        "attributes.name != 'aaa'",
        "`timestamp` >= 1 AND execution_time < 10",
        "tags.fruit = 'apple' and tags.color != 'red'",
        "tag.color != 'red'",
        "run_id = 'run0'",
        "request_metadata.mlflow.sourceRun = 'run1'",
        "metadata.mlflow.sourceRun != 'run0'",
        "status = 'STATE_UNSPECIFIED'",
        "invalid",
        "name = 'foo' AND invalid",
        "foo.bar = 'baz'",
        "trace.tags.foo = 'bar'",
        "trace.status < 'OK'",
        "name IN ('foo', 'bar')",
        "timestamp_ms IN (1, 2)",
        "tags.color IN ('red', 'blue')",
        "status IN ('OK', 'ERROR')",
        "request_id = 'x' AND request_id != 'y'",
        "name = ''",
        "name LIKE ''",
        "name LIKE '%'",
    )
    for limit in (0, -1, 5001, 50001):
        ask(f"at most {limit} traces", found, both, limit=limit)
    sizes, token = [], None
    while not sizes or token:
        page, token = store.search_traces(locations=both, max_results=2, page_token=token)
        sizes.append([each.trace_id for each in page])
    say("pages of traces", sizes)
    ties = new_experiment("ties")
    for at in (3, 1, 4, 0, 2, 8, 5, 9, 7, 6):
        new_trace(ties, f"tie {at}", at // 5)
    sizes, token = [], None
    while not sizes or token:
        page, token = store.search_traces(locations=[ties], max_results=3, page_token=token)
        sizes.append([each.trace_id for each in page])
    say("pages of ties", sizes)


def links_to_runs():
    made = new_experiment("runs")
    runs = [store.create_run(made, "u", 0, [], f"run {at}").info.run_id for at in range(2)]
    for at, run in enumerate(runs):
        notes.know(run, f"run {at}")
    direct, linked, both, _ = (
        new_trace(
            made,
            name,
            trace_metadata={"mlflow.sourceRun": runs[0]} if name in ("direct", "both") else {},
            tags={"kind": name[0]},
        )
        for name in ("direct", "linked", "both", "neither")
    )
    store.link_traces_to_run([linked, both], runs[0])
    store.link_traces_to_run([direct], runs[1])
    asked(
        made,
        *(f'attributes.run_id = "{run}"' for run in runs),
        f'run_id = "{runs[0]}" AND tags.kind = "l"',
        f'run_id != "{runs[0]}"',
        f'metadata.`mlflow.sourceRun` = "{runs[0]}"',
        f"run_id IN ('{runs[0]}')",
        "run_id LIKE '%'",
    )
    ask("by run", found, made, order=["run_id"])


def spans_found():
    made, other = new_experiment("spans"), new_experiment("other spans")
    text = [
        (
            "1",
            [
                ("search_web", "TOOL", ERROR, {"model": "gpt-4", "temperature": 0.7}),
                ("other_tool", "TOOL", OK, {"data": "value"}),
            ],
        ),
        ("2", [("search_web", "RETRIEVER", OK, {"model": "claude-3", "similarity.threshold": 0.8})]),
        (
            "3",
            [
                (
                    "llm.generate",
                    "LLM",
                    UNSET,
                    {
                        "llm.outputs": 'a tool for " testing " ...',
                        "rise": '"up 90%"',
                        "deep": {"a": [1, {"b": "ñ"}]},
                    },
                )
            ],
        ),
        ("4", []),
    ]
    for number, (name, spans) in enumerate(text):
        trace = new_trace(made, name, at=1000 * number)
        log(
            made,
            *(
                span_of(trace, at + 1, at or None, label, kind, status, **values)
                for at, (label, kind, status, values) in enumerate(spans)
            ),
        ) if spans else None
    elsewhere = new_trace(other, "elsewhere")
    log(other, span_of(elsewhere, 1, name="search_web", prompt="needle"))
    asked(
        made,
        'span.name = "search_web"',
        'span.name LIKE "search%"',
        'span.name ILIKE "SEARCH%"',
        'span.name != "search_web"',
        'span.name RLIKE "^llm\\\\."',
        'span.name RLIKE "^llm\\."',
        'span.name RLIKE "(web|generate)$"',
        'span.type IN ("LLM", "RETRIEVER")',
        'span.type NOT IN ("LLM", "RETRIEVER")',
        'span.type != "TOOL"',
        'span.type LIKE "LLM"',
        'span.type ILIKE "llm"',
        'span.type RLIKE "^(LLM|TOOL)$"',
        'span.status = "OK"',
        'span.status IN ("OK", "ERROR")',
        'span.status != "ERROR"',
        'span.status LIKE "%"',
        'span.name = "search_web" AND span.status = "OK"',
        'span.name = "search_web" AND span.status = "ERROR"',
        'span.name = "other_tool" AND span.attributes.model LIKE "%gpt%"',
        'span.type = "LLM" AND span.type = "RETRIEVER"',
        'span.content LIKE "%gpt-4%"',
        'span.content ILIKE "%GPT%"',
        'span.content RLIKE "gpt"',
        'span.content = "gpt"',
        'span.attributes.model LIKE "%gpt-4%"',
        'span.attributes.model ILIKE "%GPT%"',
        'span.attributes.model RLIKE "^gpt"',
        'span.attributes.model RLIKE "(gpt|claude)-[0-9]"',
        'span.attributes.temperature LIKE "%0.7%"',
        'span.attributes.similarity.threshold LIKE "%0.8%"',
        'span.attributes.nothing LIKE "%v%"',
        'span.attributes.deep LIKE "%ñ%"',
        'trace.text LIKE "%search_web%"',
        'trace.text LIKE "%TOOL%"',
        'trace.text ILIKE "%Tool%"',
        'trace.text LIKE "%a tool for%"',
        'trace.text LIKE "%llm.%"',
        'trace.text LIKE "%up 90%%"',
        'trace.text LIKE "%ñ%"',
        'trace.text ILIKE "%needle%"',
        'timestamp >= 1500 AND trace.text ILIKE "%search_web%"',
        'span.duration = "1000"',
        'span.parent_id = "123"',
        'span.attributes = "x"',
        'spans.name = "search_web"',
    )
    asked([made, other], 'trace.text ILIKE "%needle%"', 'span.name = "search_web"')


def texts():
    made = new_experiment("texts")
    rows = {
        "a": (
            {"mlflow.traceName": "USER_LOGIN", "env": "production-us-east-1", "special": "test@example.com"},
            {"version": "v1.2.3", "region": "us"},
            "simple",
        ),
        "b": (
            {"mlflow.traceName": "user_logout", "env": "production-us-west-2", "special": "user#admin"},
            {"version": "v2.0.0-beta"},
            "with-dashes-123",
        ),
        "c": (
            {"mlflow.traceName": "api_v1_call", "env": "dev-local", "special": "path/to/file"},
            {},
            "WITH_UNDERSCORES_456",
        ),
        "d": ({}, {"version": "v2.1.5"}, None),
    }
    for at, (name, (tags, metadata, client)) in enumerate(rows.items()):
        new_trace(
            made,
            name,
            at * 5000,
            1000 * (at + 1),
            tags=tags,
            trace_metadata=metadata,
            client_request_id=client,
        )
    asked(
        made,
        *(
            f"trace.name {text}"
            for text in (
                "LIKE 'user%'",
                "ILIKE 'user%'",
                "ILIKE '%_log%'",
                "!= 'USER_LOGIN'",
                "RLIKE '^USER'",
                "RLIKE 'v[0-9]+'",
                "RLIKE '(LOG|log)'",
            )
        ),
        *(
            f"tag.env {text}"
            for text in (
                "LIKE 'production%'",
                "ILIKE '%PRODUCTION%'",
                "RLIKE 'us-(east|west)-[0-9]'",
                "IS NULL",
                "IS NOT NULL",
            )
        ),
        *(f'tag.special LIKE "%{sign}%"' for sign in "@#/"),
        *(
            f"metadata.version {text}"
            for text in ("LIKE 'v2%'", "ILIKE '%BETA%'", "IS NULL", "IS NOT NULL", "!= 'v1.2.3'")
        ),
        'metadata.version RLIKE "v[0-9]+\\.[0-9]+\\.[0-9]"',
        "metadata.region IS NULL AND metadata.version = 'v2.1.5'",
        *(
            f"trace.client_request_id {text}"
            for text in ("LIKE '%123'", "ILIKE 'with%'", "!= 'simple'", "RLIKE '[0-9]{3}$'", "= ''")
        ),
        *(
            f"trace.end_time_ms {text}"
            for text in ("= 7000", "!= 7000", "> 7000", ">= 7000", "< 7000", "<= 7000")
        ),
        *(f"trace.execution_time_ms {text}" for text in ("= 1000", "!= 1000", "> 2000", "<= 2000")),
        "trace.status LIKE 'O%'",
        "trace.status ILIKE 'ok'",
        "trace.status RLIKE 'O'",
        "trace.name IS NULL",
        "status IS NOT NULL",
    )


def prompts():
    made = new_experiment("prompts")
    linked = {"a": [("qa", 4)], "b": [("qa", 5)], "c": [("qa", 4), ("chat", 2)]}
    for name, versions in linked.items():
        trace = new_trace(made, name)
        store.link_prompts_to_trace(
            trace, [PromptVersion(name=each, version=at, template="") for each, at in versions]
        )
    asked(
        made,
        *(
            f'prompt = "{text}"'
            for text in ("qa/4", "qa/5", "chat/2", "chat/9", "none/1", "qa", "foo/1/baz", "")
        ),
        'prompt LIKE "%qa%"',
        'prompt ILIKE "%QA%"',
        'prompt RLIKE "qa.*1"',
        'prompt != "qa/4"',
        'prompts = "qa/4"',
    )
    nothing = [PromptVersion(name="qa", version=1, template="")]
    ask(
        "link to no trace",
        store.link_prompts_to_trace,
        id_of("nothing"),
        nothing,
        tells="Trace with ID '.+' not found",
    )


tell(orders, links_to_runs, spans_found, texts, prompts)
