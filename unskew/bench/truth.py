"""Trained models that a benchmark needs, kept in a folder by content: what is there already is not trained again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unskew.data import Data
from unskew.evaluation import half_subsets
from unskew.models import build, load_state, save_state
from unskew.schemas.enums import Method
from unskew.schemas.params import ModelSpec, TrainParams
from unskew.training import TRAINING_VERSION, margins, train

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Truth:
    """ERM models of one data set under one recipe: checkpoints on all rows, and margins of models on random halves.

    Attributes:
        folder: where state dicts lie, under names that say what made them.
        tell: called with a line of progress.
    """

    data: Data
    model: ModelSpec
    recipe: TrainParams
    folder: Path
    tell: Callable[[str], None]

    def network(self) -> nn.Module:
        """An untrained one."""
        return build(self.model, n_classes=len(self.data.class_names), shape=self.data.shape, seed=0)

    def checkpoints(self, n: int) -> list[State]:
        """Of seeds 0 … n - 1."""
        return [self._trained(f"checkpoint {seed + 1} of {n}", seed, None) for seed in range(n)]

    def halves(self, n: int, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Random halves of the training rows, and what one model trained on each says of the validation examples.

        Args:
            seed: of the models; not one of the checkpoints', which would share their first weights.
        Returns:
            bool (n, n_train); margins (n, n_validation) [logits].
        """
        subsets = half_subsets(len(self.data.train), n, seed=0)
        network, targets, found = self.network(), self.data.validation, []
        for j, subset in enumerate(subsets):
            network.load_state_dict(self._trained(f"half {j + 1} of {n}", seed, np.flatnonzero(subset)))
            found.append(margins(network, targets.inputs, targets.label))
        return subsets, np.stack(found)

    def content_id(self, **settings: object) -> str:
        """sha256 of the data, the recipe and further settings, cut to 32 digits."""
        made_of = {
            "data": _digest(self.data),
            "model": self.model.model_dump(mode="json"),
            "train": self.recipe.model_dump(mode="json"),
            "version": TRAINING_VERSION,
            **settings,
        }
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]

    def _trained(self, what: str, seed: int, keep: NDArray[np.int64] | None) -> State:
        rows = None if keep is None else hashlib.sha256(keep.tobytes()).hexdigest()
        file = self.folder / f"{self.content_id(seed=seed, rows=rows)}.safetensors"
        if not file.exists():
            self.tell(f"training {what}")
            made = train(Method.ERM, self.data, model=self.model, seed=seed, keep=keep, params=self.recipe)
            save_state(file, made.state)
        return load_state(file)


def _digest(data: Data) -> str:
    digest = hashlib.sha256()
    for split in (data.train, data.validation):
        for array in (split.inputs, split.label):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
