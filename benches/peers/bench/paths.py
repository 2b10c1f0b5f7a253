"""Where things are. Everything that is installed or made lies under `target/peers`; only tables and pictures are written
to `docs/benchmarks`, and those only by runs that leave nothing out.
"""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
BUILD = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
PEERS = BUILD / "peers"
LOGS = PEERS / "log"
SCRATCH = PEERS / "scratch"
RESULTS = PEERS / "results"
DOCS = ROOT / "docs" / "benchmarks"
SERVERS = HERE / "servers"
REQUIREMENTS = HERE / "requirements"
ONNXRUNTIME = ROOT / "runtime" / "onnxruntime"


def without_places(text: str) -> str:
    """Text for a page: where things lie on this machine is nobody's business."""
    for folder, name in ((BUILD, "target"), (ROOT, ".")):
        text = text.replace(str(folder), name)
    return text
