"""What programs on a store of traces share: making traces and spans as MLflow's tracing does, and asking for them.

The argument of each program is the server's URI.
"""

import json
import sys
import uuid

from mlflow.entities import AssessmentSource, trace_location
from mlflow.entities.span import create_mlflow_span
from mlflow.entities.trace_info import TraceInfo
from mlflow.entities.trace_state import TraceState
from mlflow_notes import Notes
from opentelemetry import trace as api
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

notes = Notes(sys.argv[1])
store = notes.store
ask, say = notes.ask, notes.say

OK, ERROR, UNSET = api.StatusCode.OK, api.StatusCode.ERROR, api.StatusCode.UNSET
HUMAN = AssessmentSource(source_type="HUMAN", source_id="ana")
SESSION = "mlflow.trace.session"

_SALT = b"\1" + uuid.uuid4().bytes[:4]
_NAMED = 11


def new_experiment(name):
    return store.create_experiment(notes.name(name))


def number_of(name):
    """Give the number of a trace that has a name: as names are ordered, and other programs have none of the kind."""
    return int.from_bytes(_SALT + name.encode()[:_NAMED].ljust(_NAMED))


def id_of(name):
    """Give the id of a trace that has a name."""
    return notes.know(f"tr-{number_of(name):032x}", name)


def new_trace(experiment, name, at=0, lasts=0, state=TraceState.OK, **more):
    """Tell of a trace, and give its id."""
    place = trace_location.TraceLocation.from_experiment_id(experiment)
    given = {"tags": {}, "trace_metadata": {}, **more}
    info = TraceInfo(
        trace_id=id_of(name),
        trace_location=place,
        request_time=at,
        execution_duration=lasts,
        state=state,
        **given,
    )
    return store.start_trace(info).trace_id


def span_of(
    trace,
    at=1,
    parent=None,
    name="span",
    kind="LLM",
    status=UNSET,
    why=None,
    start=1,
    end=2,
    resource=None,
    links=(),
    **attributes,
):
    """Make a span as MLflow's tracing does, which has run from one second to another."""
    number = int(trace.removeprefix("tr-"), 16)
    kept = {"mlflow.traceRequestId": trace, "mlflow.spanType": kind, **attributes}
    context = api.SpanContext(number, at, is_remote=False, trace_flags=api.TraceFlags(1))
    above = parent and api.SpanContext(number, parent, is_remote=False, trace_flags=api.TraceFlags(1))
    made = create_mlflow_span(
        ReadableSpan(
            name=name,
            context=context,
            parent=above,
            attributes={key: json.dumps(value) for key, value in kept.items()},
            start_time=int(start * 1e9),
            end_time=None if end is None else int(end * 1e9),
            status=api.Status(status, why),
            resource=Resource(resource or {}),
        ),
        trace,
        kind,
    )
    if links:
        made._links = list(links)
    return made


def log(experiment, *spans):
    """Send spans; the client sends them as OpenTelemetry's protocol does."""
    store.log_spans(experiment, list(spans))


def found(experiments, text=None, limit=100, order=None):
    """Give the names of the traces that a filter finds."""
    listed, _ = store.search_traces(
        locations=[experiments] if isinstance(experiments, str) else experiments,
        filter_string=text,
        max_results=limit,
        order_by=order,
    )
    return [each.trace_id for each in listed]


def asked(experiment, *filters):
    """Note which traces each filter finds, in the order of their names, or how it is refused."""
    for text in filters:
        ask(f"traces where {text}", lambda text=text: sorted(found(experiment, text)))


def told(trace):
    """Give what a server tells of a trace, but for its name: Noria calls one that only has spans after its root."""
    info = store.get_trace_info(trace)
    return {
        "state": str(info.state),
        "at": info.request_time,
        "lasts": info.execution_duration,
        "tags": {key: value for key, value in info.tags.items() if key != "mlflow.traceName"},
        "metadata": info.trace_metadata,
        "request": info.request_preview,
        "response": info.response_preview,
        "client": info.client_request_id,
    }


def tell(*sections):
    """Go through sections, and print what was told as one line of JSON."""
    for section in sections:
        section()
    notes.tell()
