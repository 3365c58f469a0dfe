"""Register networks of PyTorch in the workspace that the environment names, and tell what they predicted."""

import json
import sys

import numpy as np
import torch
from torch import nn

import noria
from noria.core.errors import NoriaError

torch.manual_seed(0)
RNG = np.random.default_rng(0)
IMAGES = RNG.random((300, 8, 8))
CLASSES = (IMAGES.mean(axis=(1, 2)) > 0.5).astype(int) + (IMAGES[:, 0, 0] > 0.9)


class Sums(nn.Module):
    """Adds what two inputs give: a measure."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(3, 1)
        self.drop = nn.Dropout(0.5)

    def forward(self, values, count):
        """Give one number for a row."""
        return self.drop(self.line(values)) + count.unsqueeze(1)


class Branches(nn.Module):
    """Decides by its inputs, which no graph can hold."""

    def forward(self, x):
        """Give rows or their negation."""
        return x if x.sum().item() > 0 else -x


def main():
    """Register, and give the predictions of the networks themselves."""
    told = {}
    digits = nn.Sequential(
        nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3), nn.Softmax(1)
    )
    noria.register(digits, "digits", x=IMAGES, y=CLASSES, holdout=(IMAGES, CLASSES))
    with torch.no_grad():
        told["digits"] = digits.eval()(torch.tensor(IMAGES, dtype=torch.float32)).tolist()
    sums, values, count = Sums(), RNG.random((200, 3)).astype("float32"), np.arange(200)
    noria.register(sums, "sums", x={"values": values, "count": count}, y=values[:, 0])
    told["training"] = sums.training
    with torch.no_grad():
        told["sums"] = sums.eval()(torch.tensor(values), torch.tensor(count))[:, 0].tolist()
    try:
        noria.register(Branches(), "branches", x=values, y=values[:, 0])
    except NoriaError as error:
        told["refused"] = [error.message, error.hint]
    json.dump({**told, "x": IMAGES.tolist(), "values": values.tolist()}, sys.stdout)


main()
