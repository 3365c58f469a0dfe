"""Put an object of 200 MB into a bucket and read it back, and print by how many MB the process grew at most."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from noria.core.objects.bucket import open_bucket
from noria.core.objects.bucket_store import BucketObjectStore

MB = 1_000_000


def stream() -> Iterator[bytes]:
    for n in range(200):
        yield bytes([n % 256]) * MB


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


url, spool = sys.argv[1:]
store = BucketObjectStore(open_bucket(url), spool=Path(spool))
small = store.put([b"x"]).digest
store.get(small, limit_bytes=1)
before = peak_mb()
digest = store.put(stream()).digest
n_read = sum(len(chunk) for chunk in store.open(digest))
file = Path(spool) / "file"
with file.open("wb") as output:
    for chunk in stream():
        output.write(chunk)
same = store.put_file(file).digest == digest
if n_read != 200 * MB or not same:
    raise SystemExit("the bytes are not those that were put")
sys.stdout.write(f"{peak_mb() - before:.0f}\n")
