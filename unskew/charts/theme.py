"""Colours of figures and group marks, so that app, grid, strips and reports agree.

Hues follow Okabe and Ito, so that they differ for colour-blind readers; each has a contrast of at least 3:1 against
the light and the dark background, so one figure serves both. A group is never told by colour alone: its number
stands beside it.
"""

from __future__ import annotations

from unskew.schemas.enums import Method
from unskew.schemas.methods import RECIPES

GROUP_COLOURS: tuple[str, ...] = (
    "#1479BD",  # blue
    "#C77800",  # orange
    "#12906C",  # bluish green
    "#BE5596",  # reddish purple
    "#D1502B",  # vermilion
    "#6F64BE",  # indigo
    "#7F7400",  # olive
    "#338FB8",  # sky
    "#7A828C",  # grey
)

BLUE, ORANGE, GREEN, PURPLE, RED = GROUP_COLOURS[:5]
GREY = GROUP_COLOURS[8]

RIGHT = BLUE
WRONG = RED
BACKGROUNDS = {"light": "#FFFFFF", "dark": "#13171D"}

METHOD_COLOURS: dict[str, str] = {
    "erm": GREY,
    "trak": BLUE,
    "auto_trak": GREEN,
    "random_k": PURPLE,
    "subg": ORANGE,
    "auto_subg": GREEN,
    "auto_rwg": GREEN,
    "auto_group_dro": GREEN,
    "auto_lisa": GREEN,
    "auto_dfr": GREEN,
    "auto_jtt": GREEN,
    "auto_afr": GREEN,
    "loss_trak": PURPLE,
    "refit": PURPLE,
}


def group_colour(index: int) -> str:
    """Colour of the group with this index within its class."""
    return GROUP_COLOURS[index % len(GROUP_COLOURS)]


def method_colour(method: str) -> str:
    return METHOD_COLOURS.get(method, GREY)


def method_name(method: str) -> str:
    """The method as people write it."""
    return RECIPES[Method(method)].title if method in list(Method) else method.replace("_", " ")
