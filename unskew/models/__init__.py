"""Models: reference networks, a user's own by import path, and checkpoints."""

from unskew.models.build import build
from unskew.models.checkpoints import check_fits, load_state, save_state
from unskew.models.networks import preprocess, resnet18, small_cnn

__all__ = ["build", "check_fits", "load_state", "preprocess", "resnet18", "save_state", "small_cnn"]
