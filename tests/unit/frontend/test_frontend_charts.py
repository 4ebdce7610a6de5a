"""Figures say what their numbers say: traces, text alternative and table agree with the body they were made from."""

from __future__ import annotations

import frontend_bodies as bodies
import pytest

from unskew.charts import compare, composition, directions, removal, scores, subpopulations, training
from unskew.charts.base import Chart, centres
from unskew.charts.theme import GREY, RED
from unskew.schemas.api import CompositionRow, CurvePoint, Interval, NegativeMass, Subpopulation
from unskew.schemas.enums import Method


def test_every_chart_can_be_read_without_seeing_it() -> None:
    erm = bodies.method_result(Method.ERM, {"a": 0.9, "b": 0.2})
    trak = bodies.method_result(Method.TRAK, {"a": 0.85, "b": 0.7}, removed=8)
    made: list[Chart] = [
        directions.scree(bodies.direction()),
        directions.projections(bodies.direction().histogram),
        scores.alignment(bodies.score_set(), 3),
        removal.removal_curve([bodies.curve_row(0, 0.2), bodies.curve_row(8, 0.7)], star=8, best_k=8),
        compare.league([erm, trak]),
        compare.dumbbell(erm, trak),
        training.class_accuracy([bodies.run(0, {"0-4": 0.8, "5-9": 0.6})]),
        composition.composition([CompositionRow(name="a · b", before=9, after=5, balanced=3)], 4),
        composition.concentration(NegativeMass(k=[0, 1, 2], share=[0.0, 0.9, 1.0]), 20),
        training.curves({"seed 0": [CurvePoint(epoch=1, name="loss", value=0.5)]}, metric="loss"),
    ]
    for chart in made:
        assert len(chart.alt) > 30
        assert len(chart.table) > 0
        assert chart.figure.data
        assert chart.figure.to_json()


def test_scree_marks_the_direction_that_is_shown() -> None:
    chart = directions.scree(bodies.direction())
    colours = chart.figure.data[0].marker.color
    assert colours[1] != GREY
    assert colours[0] == colours[2] == GREY
    assert "PC2" in chart.alt


def test_projections_count_the_wrong_ones_of_each_end() -> None:
    chart = directions.projections(bodies.direction().histogram)
    assert "− end: 1 of 8 wrong; + end: 7 of 8 wrong." in chart.caption


def test_few_rows_that_carry_the_harm_are_said_in_words() -> None:
    chart = composition.concentration(NegativeMass(k=[0, 1, 2], share=[0.0, 0.9, 1.0]), 20)
    assert "The lowest 5% of the training rows (1) hold 90% of it." in chart.caption


def test_alignment_is_red_below_zero_only() -> None:
    chart = scores.alignment(bodies.score_set())
    assert list(chart.figure.data[0].marker.color) == [RED, RED, GREY, GREY]
    assert "8 of 20" in chart.alt


@pytest.mark.parametrize(("k", "value"), [(0, -2.0), (1, -1.5), (2, -1.0), (8, 0.0), (12, 0.5), (20, 2.0)])
def test_cut_reads_the_threshold_off_the_histogram(k: int, value: float) -> None:
    assert scores.cut(bodies.score_set().histogram, k) == pytest.approx(value)


def test_ticks_are_powers_of_ten_inside_the_range() -> None:
    assert scores.ticks([-0.0025, 0.0, 0.004]) == pytest.approx([0, -0.001, 0.001, -0.0001, 0.0001, -0.00001, 0.00001])
    assert scores.ticks([0.0, 0.0]) == [0.0]


def test_removal_curve_has_star_diamond_band_and_control() -> None:
    rows = [
        bodies.curve_row(0, 0.2, Method.ERM),
        bodies.curve_row(10, 0.6),
        bodies.curve_row(20, 0.8),
        bodies.curve_row(20, 0.1, Method.RANDOM_K),
    ]
    chart = removal.removal_curve(rows, star=15, best_k=20, grouping="background")
    markers = {trace.marker.symbol: trace for trace in chart.figure.data if trace.marker.symbol}
    assert markers["star"].y[0] == pytest.approx(0.7)  # between the two sizes that were run
    assert markers["diamond"].x[0] == 20
    dashes = {trace.name: trace.line.dash for trace in chart.figure.data if trace.name}
    assert dashes["Random K, worst group"] == "dash"
    line = next(trace for trace in chart.figure.data if trace.name == "TRAK, worst group")
    assert list(line.x) == [0, 10, 20]  # starts at the ERM level
    assert "K = 20: 80.0% against 20.0% for ERM" in chart.alt
    assert "3 seeds" in chart.caption


def test_league_puts_the_best_worst_group_first_in_its_table() -> None:
    erm = bodies.method_result(Method.ERM, {"a": 0.9, "b": 0.2})
    trak = bodies.method_result(Method.TRAK, {"a": 0.85, "b": 0.7}, removed=8)
    chart = compare.league([erm, trak])
    assert list(chart.table["Method"]) == ["TRAK", "ERM (control)"]
    assert "TRAK, K = 8 has the best worst-group accuracy, 70.0%" in chart.alt


def test_dumbbell_pairs_groups_by_number_and_names_the_worst() -> None:
    before = bodies.method_result(Method.ERM, {"a": 0.9, "b": 0.2})
    after = bodies.method_result(Method.TRAK, {"a": 0.85, "b": 0.7}, removed=8)
    after.groups.reverse()
    chart = compare.dumbbell(before, after)
    assert "The worst group, b, goes from 20.0% with ERM to 70.0%" in chart.alt
    assert list(chart.table["Change"]) == ["-5.0 pts", "+50.0 pts"]
    assert [a.arrowcolor == RED for a in chart.figure.layout.annotations] == [False, True]
    assert list(chart.figure.layout.yaxis.ticktext) == ["a (n = 100)", "b (n = 100)"]


def test_class_accuracy_draws_every_run_and_its_mean() -> None:
    runs = [bodies.run(0, {"0-4": 0.8, "5-9": 0.6}), bodies.run(1, {"0-4": 0.9, "5-9": 0.6})]
    chart = training.class_accuracy(runs)
    assert len(chart.figure.data) == 2
    assert training.class_means(runs) == pytest.approx({"0-4": 0.85, "5-9": 0.6})
    assert "0-4 85.0%; 5-9 60.0%" in chart.alt


def test_curves_keep_to_one_metric() -> None:
    points = [CurvePoint(epoch=2, name="loss", value=0.1), CurvePoint(epoch=1, name="loss", value=0.5)]
    other = [CurvePoint(epoch=1, name="validation_accuracy", value=0.9)]
    chart = training.curves({"seed 0": points + other, "seed 1": other}, metric="loss")
    assert len(chart.figure.data) == 1
    assert list(chart.figure.data[0].x) == [1, 2]


def test_centres() -> None:
    assert centres([0, 1, 3]) == [0.5, 2.0]


def test_league_goes_by_the_labels_that_are_read() -> None:
    erm = bodies.method_result(Method.ERM, {"a": 0.9, "b": 0.2})
    dfr = bodies.method_result(Method.DFR, {"a": 0.9, "b": 0.9}).model_copy(update={"labels_used": "validation groups"})
    auto = bodies.method_result(Method.AUTO_TRAK, {"a": 0.8, "b": 0.7}, removed=4)
    ordered = compare.by_labels([dfr, erm, auto])
    assert [m.method for m in ordered] == [Method.AUTO_TRAK, Method.ERM, Method.DFR]
    assert compare.league_table(ordered)["Method"].tolist() == ["Auto-TRAK", "ERM (control)", "DFR"]


def test_what_balancing_would_drop_stands_on_the_curve_or_beside_it() -> None:
    rows = [bodies.curve_row(0, 0.2), bodies.curve_row(8, 0.7)]
    near, far = (removal.removal_curve(rows, star=8, best_k=8, balancing=n) for n in (10, 5000))
    assert any(shape.x0 == 10 for shape in near.figure.layout.shapes)
    assert not any(shape.x0 == 5000 for shape in far.figure.layout.shapes)
    (low,) = (note for note in far.figure.layout.annotations if "balancing would drop 5,000" in note.text)
    high = removal.removal_curve([bodies.curve_row(0, 0.9), bodies.curve_row(8, 0.7)], star=8, best_k=8, balancing=5000)
    (other,) = (note for note in high.figure.layout.annotations if "balancing" in note.text)
    assert low.y > 0.9 and other.y < 0.1  # never where the words "ERM" stand


def test_subpopulations_show_harmful_ones_in_red_and_all_in_the_table() -> None:
    def one(value: str, mean: float) -> Subpopulation:
        inside = Interval(value=mean, low=mean - 1, high=mean + 1, n=30)
        return Subpopulation(
            label=0, attribute="hair", value=value, name=f"young · hair = {value}", mean=inside, below_zero=0.5,
            standard_errors=mean,
        )  # fmt: skip

    chart = subpopulations.subpopulation_chart([one("grey", -4.0), one("dark", 2.0)])
    assert chart.figure.data[0].marker.color[0] == RED != chart.figure.data[0].marker.color[1]
    assert chart.table["n"].tolist() == [30, 30] and "grey harms the worst groups most" in chart.alt
