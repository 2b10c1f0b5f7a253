#!/usr/bin/env python3
"""Makes the sample model for PyTorch, digits.pt, with the weights of digits.onnx.

    python3 -m venv VENV && VENV/bin/pip install onnx==1.23.2 torch==2.11.0 && VENV/bin/python make_torch.py

digits.toml beside it, which says what goes in and out, is written by hand.
"""

from pathlib import Path
from typing import Tuple

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

HERE = Path(__file__).resolve().parent


class Digits(torch.nn.Module):
    """One hidden layer, as `to_onnx` in train.py says it in ONNX."""

    def __init__(self, weights):
        super().__init__()
        for name, values in weights.items():
            self.register_buffer(name, values)

    def forward(self, image: Tensor) -> Tuple[Tensor, Tensor]:
        hidden = torch.relu(torch.addmm(self.hidden_bias, image * self.scale, self.hidden_weights))
        scores = torch.addmm(self.out_bias, hidden, self.out_weights)
        return torch.softmax(scores, dim=1), torch.argmax(scores, dim=1)


def main() -> None:
    graph = onnx.load(HERE / "digits.onnx").graph
    weights = {weight.name: torch.from_numpy(numpy_helper.to_array(weight).copy()) for weight in graph.initializer}
    torch.jit.script(Digits(weights).eval()).save(str(HERE / "digits.pt"))
    print(f"digits.pt: {(HERE / 'digits.pt').stat().st_size} bytes")


if __name__ == "__main__":
    main()
