"""Training: one trainer, and every method as a small recipe of it."""

from unskew.training.predict import margins, predict
from unskew.training.recipes import RECIPES, Recipe, recipe
from unskew.training.trainer import TRAINING_VERSION, TrainResult, train

__all__ = ["RECIPES", "TRAINING_VERSION", "Recipe", "TrainResult", "margins", "predict", "recipe", "train"]
