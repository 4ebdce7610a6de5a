from __future__ import annotations

from frontend_bodies import example

from frontend.components.strip import strip_html

NAMES = ["0-4", "5-9"]


def test_tiles_carry_image_alternative_value_and_mark() -> None:
    examples = [example(1), example(2, correct_share=0.2, value=-0.25)]
    html = strip_html(examples, project="demo", class_names=NAMES, image_size=32)
    assert html.count('<img loading="lazy"') == 2
    assert 'src="/api/v1/projects/demo/examples/2/thumbnail?size=96"' in html
    assert "validation example 3, class 0-4, predicted 5-9" in html
    assert "+0.50" in html
    assert "-0.25" in html
    assert html.count("✓") == html.count("✗") == 1
    assert "us-pixels" in html


def test_what_the_data_says_cannot_become_markup() -> None:
    html = strip_html([example(1)], project="demo", class_names=NAMES, image_size=256)
    assert "&lt;grass&gt;" in html
    assert "<grass>" not in html
    assert "us-pixels" not in html


def test_nothing_to_show_says_so() -> None:
    assert "No examples here." in strip_html([], project="demo", class_names=NAMES, image_size=32)
