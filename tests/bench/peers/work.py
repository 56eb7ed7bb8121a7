"""What each peer does with one event: decode it, get the object, run FunASR, make a row. As most people write it.

The settings are the worker's own variables; the model is FunASR's on the same checkpoint.
"""

import io
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import fastavro
import numpy as np
import soundfile
import torch
from minio import Minio

from streamproc.cores import cores
from streamproc.emotion.funasr_model import load_funasr
from streamproc.records.compute import Scored
from streamproc.settings import Settings

FRAME_BYTES = 5
COMMIT_S = 0.5


def make_work(settings: Settings) -> Callable[[bytes], bytes]:
    """From the value of an event to the value of a row, one at a time."""
    storage = settings.storage
    store = Minio(
        urlsplit(storage.endpoint).netloc,
        access_key=storage.access_key.get_secret_value(),
        secret_key=storage.secret_key.get_secret_value(),
        secure=False,
    )
    text = Path(str(files("streamproc.records") / "schemas" / "RecordingEvent.avsc")).read_text("utf-8")
    schema = fastavro.parse_schema(json.loads(text))
    torch.set_num_threads(cores())  # as the worker's device process has them
    model = load_funasr(Path(str(files("streamproc.emotion") / "checkpoints" / "demo")), "cpu", "fp32")
    labels = model.identity.labels

    def work(value: bytes) -> bytes:
        event = fastavro.schemaless_reader(io.BytesIO(value[FRAME_BYTES:]), schema, schema)
        assert isinstance(event, dict)
        response = store.get_object(str(event["bucket"]), str(event["object_key"]))
        try:
            body = response.read()
        finally:
            response.close()
            response.release_conn()
        wave, _rate = soundfile.read(io.BytesIO(body), dtype="float32")
        [end] = model.run([np.asarray(wave, np.float32)])
        assert isinstance(end, Scored), end
        row = {"event_id": event["event_id"], "scores": dict(zip(labels, end.scores, strict=True))}
        return json.dumps(row).encode()

    return work
