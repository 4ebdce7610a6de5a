"""Data: readers of images, texts and tables, sets that ship, arrays for models. numpy, pillow, pyarrow; never torch."""

from unskew.data.check import check_source, load_project_source
from unskew.data.demo import DEMO_IMAGE_SIZE, DEMO_SKEW, build_demo, demo_data
from unskew.data.examples import Data, Examples, SourceCheck, SplitArrays
from unskew.data.images import UnreadableImage, open_rgb
from unskew.data.inputs import fit_encoder, load_data
from unskew.data.layouts import recognise
from unskew.data.layouts.arrays import unpack
from unskew.data.pixels import load_pixels
from unskew.data.rows import Rows
from unskew.data.sets import build_set
from unskew.schemas.params import SETS

__all__ = [
    "DEMO_IMAGE_SIZE",
    "DEMO_SKEW",
    "SETS",
    "Data",
    "Examples",
    "Rows",
    "SourceCheck",
    "SplitArrays",
    "UnreadableImage",
    "build_demo",
    "build_set",
    "check_source",
    "demo_data",
    "fit_encoder",
    "load_data",
    "load_pixels",
    "load_project_source",
    "open_rgb",
    "recognise",
    "unpack",
]
