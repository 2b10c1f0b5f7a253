"""A handler for TorchServe with raw bodies: float32 in, the outputs' bytes out. No tensor of PyTorch is made."""

import functools

import peer

loaded = functools.cache(peer.Model)


def handle(data: list[dict] | None, context) -> list[bytes] | None:
    """All requests of one batch; the first call, without any, is the start."""
    served = loaded()
    if not data:
        return None
    batch = [served.from_bytes(request.get("body") or request.get("data")) for request in data]
    return [served.to_bytes(outputs) for outputs in served.run_batch(batch)]
