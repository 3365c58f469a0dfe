"""As little as a model server can be: decode, run ONNX Runtime, encode, on Granian. MODEL is a file, PORT the port.

MODE is `asgi`, or `rsgi` for Granian's own interface.
"""

import asyncio
import os
import socket

import msgspec
import numpy as np
import onnxruntime
import uvloop
from granian.constants import Interfaces

from noria.core.listening import Listener

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
given, answered = session.get_inputs()[0].name, [session.get_outputs()[0].name]


class Request(msgspec.Struct):
    """Rows to predict."""

    rows: list[list[float]]


decode, encode = msgspec.json.Decoder(Request).decode, msgspec.json.Encoder().encode


def answer(body):
    """Predict the rows of a request."""
    rows = np.array(decode(body).rows, dtype=np.float32)
    return encode({"predictions": session.run(answered, {given: rows})[0].tolist()})


async def asgi(_scope, receive, send):
    """Answer one request."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body")
    content = answer(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def rsgi(_scope, protocol):
    """Answer one request."""
    protocol.response_bytes(200, [("content-type", "application/json")], answer(await protocol()))


async def serve(listening):
    """Serve until this process is ended."""
    if os.environ["MODE"] == "asgi":
        await Listener(asgi, listening).serve()
    else:
        await Listener(rsgi, listening, interface=Interfaces.RSGI).serve()


if __name__ == "__main__":
    opened = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=512)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(opened))
