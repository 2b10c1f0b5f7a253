"""Where things are. Everything that is installed or made lies under `target/peers`; only tables and pictures are written
to `docs/benchmarks`.
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
