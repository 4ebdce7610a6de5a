"""Models: reference networks, a user's own by import path, and checkpoints."""

from unskew.models.build import build
from unskew.models.checkpoints import check_fits, load_state, save_state
from unskew.models.networks import mlp, preprocess, resnet18, small_cnn
from unskew.models.transformer import small_transformer

__all__ = [
    "build",
    "check_fits",
    "load_state",
    "mlp",
    "preprocess",
    "resnet18",
    "save_state",
    "small_cnn",
    "small_transformer",
]
