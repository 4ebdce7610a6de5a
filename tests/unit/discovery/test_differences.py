"""What tells the ends of a direction apart: measured as told, planted differences first, nothing told of chance."""

from __future__ import annotations

import json

import numpy as np

from unskew.discovery import differences, image_properties, tellers


def test_image_properties_mean_what_they_say() -> None:
    pixels = np.zeros((3, 3, 20, 20), dtype=np.uint8)
    pixels[1, 0, :4] = 255  # a red stripe on the border
    pixels[2, :, 8:12, 8:12] = 255  # a white square in the centre
    found = image_properties(pixels)
    assert found["border", "redness"].argmax() == 1 and found["centre", "redness"][1] == 0
    assert found["centre", "brightness"].argmax() == 2 and found["border", "brightness"][2] == 0
    assert found["whole", "saturation"].argmax() == 1 and found["centre", "texture"].argmax() == 2


def test_what_tells_the_ends_apart_is_ranked_and_named() -> None:
    rng = np.random.default_rng(0)
    projection = rng.normal(size=300)
    attributes = {
        "background": np.where(projection + 0.3 * rng.normal(size=300) > 0, "brick", "grass"),
        "noise": rng.choice(["a", "b"], 300),
        "path": np.arange(300).astype(str),
    }
    pixels = np.full((300, 3, 10, 10), 100, dtype=np.uint8)
    pixels[projection > 0, :, :1] = 60
    may_tell = [*tellers.of_attributes(attributes), *tellers.of_images(image_properties(pixels))]
    rows = differences(projection, may_tell)
    assert rows[0].auroc.value > 0.95 or rows[0].auroc.value < 0.05
    words = {row.words for row in rows}
    assert "more often background = brick" in words and "border: darker" in words
    assert not any("noise" in row.name or "path" in row.name or row.name.startswith("centre") for row in rows)
    assert all(row.words != row.words_less for row in rows)


WORDS = [f"word{i}" for i in range(300)]


def some_texts(rng: np.random.Generator, n: int) -> list[str]:
    """Texts of 20 words with falling frequency, as words of a language have."""
    share = 1 / np.arange(1, len(WORDS) + 1)
    return [" ".join(rng.choice(WORDS, 20, p=share / share.sum())) for _ in range(n)]


def test_a_planted_word_tells_the_ends_apart() -> None:
    rng = np.random.default_rng(0)
    projection = rng.normal(size=300)
    says_not = projection + rng.normal(size=300) > 0.5
    texts = [
        text + (" is not" if planted else " is") for text, planted in zip(some_texts(rng, 300), says_not, strict=True)
    ]
    rows = differences(projection, tellers.of_texts(texts))
    assert (rows[0].source, rows[0].name) == ("text", "not")
    assert (rows[0].words, rows[0].words_less) == ('more often says "not"', 'less often says "not"')
    assert 0.75 < rows[0].auroc.low and rows[0].auroc.n == min(says_not.sum(), 300 - says_not.sum())
    assert all(row.name in ("not", "length") for row in rows)  # the planted word makes a text longer
    turned = differences(-projection, tellers.of_texts(texts))
    assert turned[0].words == 'less often says "not"'
    texts[:4] = [f"{text} seldom" for text in texts[:4]]
    names = {teller.name for teller in tellers.of_texts(texts)}
    assert "is" not in names and "seldom" not in names  # every text, hardly any text has it


def test_words_of_no_direction_are_hardly_ever_told() -> None:
    rng = np.random.default_rng(1)
    told = 0
    for _ in range(40):
        told += bool(differences(rng.normal(size=150), tellers.of_texts(some_texts(rng, 150))))
    assert told <= 5  # 40 times at 5 %: more than 5 has a chance of 1 %


def test_planted_columns_tell_the_ends_apart() -> None:
    rng = np.random.default_rng(2)
    projection = rng.normal(size=200)
    radius = 14 + projection + rng.normal(size=200)
    site = np.where(projection + rng.normal(size=200) > 0, "north", "south")
    noise = rng.normal(size=200)
    cells = [
        {"mean_radius": f"{r:.3f}" if i % 20 else "", "site": s, "noise": f"{x:.3f}", "same": "1"}
        for i, (r, s, x) in enumerate(zip(radius, site, noise, strict=True))
    ]
    made = tellers.of_rows([json.dumps(row) for row in cells])
    rows = differences(projection, made)
    assert {row.words for row in rows} == {"larger mean_radius", "more often site = north"}
    assert {row.source for row in rows} == {"column"}
    assert next(row for row in rows if row.name == "mean_radius").auroc.n <= 95  # the known ones, smaller side
    without = tellers.of_rows([json.dumps(row) for row in cells], without=("site",))
    assert {row.name for row in differences(projection, without)} == {"mean_radius"}
