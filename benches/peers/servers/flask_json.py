"""The JSON + Python server: Flask and ujson, with TensorFlow Serving's paths. gunicorn runs it.

The model begins when the worker has been forked, because ONNX Runtime's threads do not survive a fork.
"""

import functools

import flask
import peer
import ujson

app = flask.Flask(__name__)
loaded = functools.cache(peer.Model)


@app.post(f"/v1/models/{peer.NAME}:predict")
def predict() -> flask.Response:
    """Rows in, outputs out."""
    served = loaded()
    rows = served.from_json(ujson.loads(flask.request.get_data())["inputs"])
    return flask.Response(ujson.dumps(served.to_json(served.run(rows))), mimetype="application/json")


@app.get(f"/v1/models/{peer.NAME}/metadata")
def metadata() -> dict:
    """What the model takes and gives."""
    return loaded().signature_json()
