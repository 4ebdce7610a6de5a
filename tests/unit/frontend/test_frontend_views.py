"""Small figures of a view: bars, words and table agree with the summary, and what is drawn over becomes bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unskew.charts import views
from unskew.charts.theme import BLUE
from unskew.schemas.api import Counts, Histogram, ValueCount


def counts(*values: tuple[str, int, int], left_out: int = 0) -> Counts:
    made = [ValueCount(value=value, n=n, n_split=n_split) for value, n, n_split in values]
    return Counts(of="attribute", name="background", values=made, left_out=left_out)


HISTOGRAM = Histogram(edges=[-2, -1, 0, 1, 2], series={"in the view": [0, 3, 1, 0], "outside": [2, 0, 4, 5]})


def test_bars_are_as_long_as_a_value_is_frequent_and_blue_as_far_as_it_is_in_the_view() -> None:
    chart = views.counted(counts(("grass", 3, 10), ("", 0, 4)), chosen="grass")
    view, rest, room, numbers = chart.figure.data
    assert view.marker.color == BLUE
    assert (list(view.x), list(rest.x)) == ([3, 0], [7, 4])
    ends = [a + b + c for a, b, c in zip(view.x, rest.x, room.x, strict=True)]
    assert ends == list(numbers.x) and ends[0] == ends[1] > 10  # every line reaches as far
    assert list(numbers.text) == ["3", "0"]
    assert [list(part.customdata) for part in chart.figure.data] == [[["grass"], [""]]] * 4
    assert list(chart.figure.layout.yaxis.ticktext) == ["<b>grass</b>", "not known"]
    assert chart.table.to_numpy().tolist() == [["grass", 3, 10], ["not known", 0, 4]]
    assert "grass 3 of 10; not known 0 of 4." in chart.alt


def test_what_the_data_says_is_no_markup_and_long_names_are_cut() -> None:
    chart = views.counted(counts(("<i>x</i>", 1, 1), ("a" * 40, 1, 2)))
    assert list(chart.figure.layout.yaxis.ticktext) == ["&lt;i&gt;x&lt;/i&gt;", "a" * 15 + "…"]
    assert "a" * 40 in chart.figure.data[0].hovertext[1]


def test_many_and_no_values() -> None:
    chart = views.counted(counts(*((str(i), 0, 5) for i in range(20)), left_out=980))
    assert chart.figure.layout.height == 20 * views.ROW
    assert chart.caption == "The most frequent 20; 980 more." and "and 994 more" in chart.alt
    assert len(chart.table) == 20
    assert len(views.counted(counts()).table) == 0


@pytest.mark.parametrize("roots", [False, True])
def test_the_histogram_shows_the_view_within_all_that_has_a_value(roots: bool) -> None:
    chart = views.sorted_by(HISTOGRAM, name="T", roots=roots)
    assert [list(bars.y) for bars in chart.figure.data] == [[0, 3, 1, 0], [2, 0, 4, 5]]
    assert "4 of 15 examples are in the view, between -1 and 1" in chart.alt
    assert chart.table.columns.tolist() == ["from", "to", "in the view", "outside"]
    nothing = Histogram(edges=[0, 1], series={"in the view": [0], "outside": [0]})
    assert "0 of 0" in views.sorted_by(nothing, name="T", roots=roots).alt


def test_ticks_of_t_do_not_lie_over_each_other() -> None:
    edges = [-0.004, -1e-5, 0.0, 1e-5, 0.004]
    wide = Histogram(edges=edges, series={"in the view": [1, 1, 1, 1], "outside": [0, 0, 0, 0]})
    axis = views.sorted_by(wide, name="T", roots=True).figure.layout.xaxis
    assert list(axis.ticktext) == ["0", "-0.001", "0.001"]


@pytest.mark.parametrize(
    ("left", "right", "found"),
    [
        (-0.9, 0.9, (-1, 1)),  # the middles of two bars lie inside
        (0.9, -0.9, (-1, 1)),  # drawn from the right
        (0.1, 0.2, (0, 1)),  # narrower than a bar
        (-5, -0.4, (None, 0)),  # past an end: no bound there
        (0.4, 9, (0, None)),
        (-9, 9, (None, None)),
        (7, 9, (1, None)),
    ],
)
def test_what_is_drawn_over_becomes_bounds(left: float, right: float, found: tuple[float | None, float | None]) -> None:
    assert views.bounds(HISTOGRAM.edges, left, right, roots=False) == found


def test_bounds_of_t_are_read_on_its_own_scale() -> None:
    edges = [-8.0, -1.0, 0.0, 1.0, 8.0]  # drawn at -2, -1, 0, 1, 2
    assert views.bounds(edges, -0.9, 0.9, roots=True) == (-1, 1)


@given(st.floats(-3, 3), st.floats(-3, 3), st.booleans())
def test_bounds_always_hold_a_bar(left: float, right: float, roots: bool) -> None:
    low, high = views.bounds(HISTOGRAM.edges, left, right, roots=roots)
    assert low is None or high is None or low < high
