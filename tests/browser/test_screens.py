"""What people do on the screens, in a real browser: lasso to groups, fifty labels, two annotators, permalinks.

Each test stands alone on the project that `ready` brings through the loop over the API.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from browser_screen import Screen, Server, wait_for

from unskew.schemas import api
from unskew.schemas.enums import LabelOrder, Split

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAME = "ready"


@pytest.fixture
def screen(browser: Any, server: Server, ready: str) -> Iterator[Screen]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    made = Screen(context.new_page(), server.url)
    yield made
    assert made.errors == []
    context.close()


# ---------------------------------------------------------------- discover
def test_a_lasso_becomes_a_view_and_groups(screen: Screen, server: Server) -> None:
    page = screen.page
    screen.open(f"discover?project={NAME}&class=1")
    plot = page.locator("[class*=st-key-scatter_] .js-plotly-plot")
    plot.locator(".nsewdrag").first.wait_for()
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    left, top = box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"]
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((0.5, 0), (0.5, 0.5), (0, 0.5), (0, 0.02)):
        page.mouse.move(left + x * box["width"], top + y * box["height"], steps=5)
    page.mouse.up()
    page.locator(".st-key-view_name input").wait_for()
    screen.fill("Name", "lassoed")
    screen.press_button("view_save")
    wait_for(lambda: server.api.views(NAME))
    [view] = server.api.views(NAME)
    assert view.name == "lassoed" and view.picked and 0 < view.n < 300
    made = server.api.create_group_set(NAME, api.GroupSetCreate(name="lassoed", view_id=view.id))
    assert {g.label for g in made.groups} == {1} and max(g.n for g in made.groups if g.index) == view.n
    screen.open(f"data?project={NAME}&data_tab=Browse&view={view.id}")
    screen.see(f"of {view.n:,}")


def test_a_permalink_restores_the_screen_for_a_colleague(screen: Screen, server: Server, browser: Any) -> None:
    page = screen.page
    direction = server.api.directions(NAME, label=0)[1]
    screen.open(f"discover?project={NAME}&class=0&direction={direction.title}&by=attribute.background")
    screen.open_example(page.locator(".us-open").first)
    page.wait_for_url("**example=*")
    example = int(page.url.split("example=")[1].split("&")[0])
    strip = next(s for s in server.api.strips(direction.id, n=1) if s.strip == "validation" and s.end == -1)
    assert example == strip.items[0].id
    colleague = browser.new_context()
    other = Screen(colleague.new_page(), server.url)
    other.page.goto(page.url)
    other.page.locator(".us-large").first.wait_for()
    other.see(strip.items[0].path)
    other.page.keyboard.press("Escape")
    other.page.locator(".us-large").first.wait_for(state="detached")
    other.page.locator(".st-key-by input[value='attribute background']").wait_for()
    other.see(server.api.direction(direction.id).evidence.sentence)
    assert other.page.url.count(f"direction={direction.title}") == 1
    colleague.close()


def test_a_permalink_keeps_the_filters_of_browse(screen: Screen, server: Server, browser: Any) -> None:
    query = f"project={NAME}&data_tab=Browse&b_split=validation&b_class=1&b_attribute=background=grass&b_vote=wrong"
    screen.open(f"data?{query}")
    wanted = {"split": Split.VALIDATION, "label": 1, "attribute": "background", "value": "grass", "correct": False}
    found = server.api.examples(NAME, **wanted, limit=1)
    screen.see(f"of {found.total:,}")
    colleague = browser.new_context()
    other = Screen(colleague.new_page(), server.url)
    other.page.goto(screen.page.url)
    other.see(f"of {found.total:,}")
    assert other.page.locator(".us-open").first.get_attribute("data-example") == str(found.items[0].id)
    colleague.close()


def test_pages_of_browse_are_turned_without_the_script(screen: Screen, server: Server) -> None:
    screen.open(f"data?project={NAME}&data_tab=Browse&b_split=train")
    pager, first = screen.page.locator(".us-pager"), screen.page.locator(".us-gallery .us-open").first
    following = server.api.examples(NAME, split=Split.TRAIN, after="96", limit=96)
    last = -(-following.total // 96)
    pager.get_by_role("button", name="Next page", exact=True).click()
    screen.see(f"97–{96 + len(following.items)} of {following.total:,}")
    assert first.get_attribute("data-example") == str(following.items[0].id)
    alt = f"train example 97, class {following.items[0].label_name}"
    assert (first.locator("img").get_attribute("alt") or "").startswith(alt)
    pager.get_by_role("spinbutton").fill(str(last + 5))
    pager.get_by_role("spinbutton").press("Enter")
    screen.see(f"–{following.total:,} of {following.total:,}")
    assert pager.get_by_role("button", name="Next page", exact=True).is_disabled()
    screen.page.reload()
    screen.see(f"–{following.total:,} of {following.total:,}")  # where one was
    pager.get_by_role("button", name="First page", exact=True).click()
    screen.see(f"1–96 of {following.total:,}")


def test_histograms_of_browse_set_its_filters(screen: Screen, server: Server, browser: Any) -> None:
    page, total = screen.page, server.api.view_summary(NAME, split=Split.VALIDATION).n
    screen.open(f"data?project={NAME}&data_tab=Browse&b_split=validation")
    screen.see(f"of {total:,}")
    assert page.locator(".st-key-b_histograms").count() == 0
    page.get_by_text("Histograms", exact=True).click()

    classes, attribute, models = (page.locator(f".st-key-b_hist_{number} .js-plotly-plot") for number in range(3))
    screen.click_line(classes, 1)
    page.wait_for_url("**b_class=1*")
    of_class = server.api.view_summary(NAME, split=Split.VALIDATION, label=1)
    screen.see(f"of {of_class.n:,}")
    screen.click_line(attribute, 0)
    page.wait_for_url("**b_attribute=background*")
    value = server.api.view_summary(NAME, split=Split.VALIDATION).counts[1].values[0].value
    wanted = {"split": Split.VALIDATION, "label": 1, "attribute": "background", "value": value}
    screen.see(f"of {server.api.view_summary(NAME, **wanted).n:,}")
    screen.click_line(models, 1)
    page.wait_for_url("**b_vote=wrong*")
    left = server.api.examples(NAME, **wanted, correct=False, limit=1)
    screen.see(f"of {left.total:,}")
    wait_for(lambda: page.locator(".us-open").first.get_attribute("data-example") == str(left.items[0].id))

    colleague = browser.new_context()
    other = Screen(colleague.new_page(), server.url)
    other.page.goto(page.url)
    other.see(f"of {left.total:,}")
    other.see(f"Blue: the {left.total:,} in the view")
    colleague.close()

    screen.click_line(models, 1)  # once more: no longer
    page.wait_for_url("**b_vote=any*")
    screen.press_button("b_clear")
    page.wait_for_url("**b_class=any&b_attribute=any&*")
    page.locator(".st-key-b_clear").wait_for(state="detached")
    screen.see(f"Blue: the {total:,} in the view")


def test_a_range_drawn_over_the_values_bounds_the_page(screen: Screen, server: Server) -> None:
    page, direction = screen.page, server.api.directions(NAME, label=0)[0]
    screen.open(f"data?project={NAME}&data_tab=Browse&b_split=validation&sort=direction.{direction.id}&b_hist=True")
    screen.drag_over(page.locator(".st-key-b_hist_values .js-plotly-plot"), 0.3, 0.6)
    page.wait_for_url("**b_low=*b_high=*")
    asked = parse_qs(urlparse(page.url).query)
    low, high = float(asked["b_low"][0]), float(asked["b_high"][0])
    found = server.api.examples(NAME, split=Split.VALIDATION, direction=direction.id, low=low, high=high, limit=1)
    every = server.api.examples(NAME, split=Split.VALIDATION, direction=direction.id, limit=1)
    assert 0 < found.total < every.total and low < high
    screen.see(f"of {found.total:,}")
    wait_for(lambda: page.get_by_label("From", exact=True).input_value() == f"{low:g}")
    page.reload()
    screen.see(f"Blue: the {found.total:,} in the view")
    wait_for(lambda: page.get_by_label("To", exact=True).input_value() == f"{high:g}")
    screen.drag_over(page.locator(".st-key-b_hist_values .js-plotly-plot"), 0.5, 1.2)  # past the end: no upper bound
    page.wait_for_url(lambda url: "b_high=" not in url)
    above = float(parse_qs(urlparse(page.url).query)["b_low"][0])
    more = server.api.examples(NAME, split=Split.VALIDATION, direction=direction.id, low=above, limit=1)
    screen.see(f"of {more.total:,}")
    screen.press_button("b_clear")
    screen.see(f"Blue: the {every.total:,} in the view")


def test_proponents_of_an_end_are_what_the_api_says(screen: Screen, server: Server) -> None:
    direction = server.api.directions(NAME, label=1)[0]
    screen.open(f"discover?project={NAME}&class=1&direction={direction.title}")
    screen.page.locator(".st-key-d_influence summary").click()
    found = server.api.end_influence(direction.id, end=-1, n=16)
    first = screen.page.locator(f".st-key-d_influence .us-open[data-example='{found.proponents[0].id}']")
    first.first.wait_for()


# ---------------------------------------------------------------- label
def test_fifty_labels_with_five_undos_and_a_reload(screen: Screen, server: Server) -> None:
    page = screen.page
    group_set = next(s for s in server.api.group_sets(NAME) if s.name == "sides")
    screen.open(f"label?project={NAME}&group_set={group_set.id}&class=0&order=position")
    page.locator(".tile.current").wait_for()
    ids = [int(t.get_attribute("data-example")) for t in page.locator(".tile").all()]
    expected: dict[int, int] = {}

    def press(n: int, start: int) -> None:
        for i in range(start, start + n):
            key = 1 + i % 2
            page.keyboard.press(str(key))
            expected[ids[i]] = key - 1

    press(28, 0)
    page.get_by_text("all saved").wait_for()
    page.reload()
    page.locator(".tile .hand").nth(27).wait_for()
    page.locator(f".tile[data-example='{ids[28]}']").click()
    press(27, 28)
    for i in range(5):
        page.keyboard.press("Backspace")
        expected.pop(ids[54 - i])
    wait_for(lambda: server.api.group_set(group_set.id).n_labelled == 50)
    page.get_by_text("all saved").wait_for()
    items = server.api.label_queue(group_set.id, label=0, order=LabelOrder.POSITION, limit=300).items
    assert {i.example.id: i.group for i in items if i.by_hand} == expected


def test_a_range_is_one_gesture_and_focus_mode_shows_one(screen: Screen, server: Server) -> None:
    page = screen.page
    group_set = next(s for s in server.api.group_sets(NAME) if s.name == "sides")
    screen.open(f"label?project={NAME}&group_set={group_set.id}&class=1&order=position")
    page.locator(".tile.current").wait_for()
    before = server.api.group_set(group_set.id).n_labelled
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.get_by_text("5 selected: a key labels all of them").wait_for()
    page.keyboard.press("2")
    wait_for(lambda: server.api.group_set(group_set.id).n_labelled == before + 5)
    page.get_by_text("all saved").wait_for()
    page.keyboard.press("Backspace")
    wait_for(lambda: server.api.group_set(group_set.id).n_labelled == before)
    page.keyboard.press("f")
    page.locator(".tiles.focus .tile").wait_for()
    assert page.locator(".tile").count() == 1
    page.keyboard.press("f")


def test_two_annotators_agree_and_disagree(screen: Screen, server: Server) -> None:
    client = server.api
    made = client.create_group_set(NAME, api.GroupSetCreate(name="by two", group_names=["A", "B"]))
    rows = client.label_queue(made.id, label=0, order=LabelOrder.POSITION, limit=10).items
    for who, groups in (("ann", [0] * 5 + [1] * 5), ("ben", [0] * 4 + [1] * 6)):
        labels = [
            api.LabelWrite(key=f"{who}-{i}-key", example_id=row.example.id, group=g)
            for i, (row, g) in enumerate(zip(rows, groups, strict=True))
        ]
        client.write_labels(made.id, api.LabelBatch(labels=labels, annotator=who))
    screen.open(f"label?project={NAME}&group_set={made.id}&class=0")
    screen.page.locator(".tile.current").wait_for()
    screen.page.locator(".st-key-l_people summary").first.click()
    screen.see("1 example on which annotators differ")
    screen.see("0.80 (0.")
    screen.open(f"label?project={NAME}&group_set={made.id}&class=0&order=disagreement")
    screen.page.locator(".tile .other").nth(1).wait_for()
    assert screen.page.locator(".tile").count() == 1
    screen.page.keyboard.press("1")
    wait_for(lambda: client.agreement(made.id).n_disagreements == 0)


def test_plain_widgets_label_without_the_grid(screen: Screen, server: Server) -> None:
    made = server.api.create_group_set(NAME, api.GroupSetCreate(name="plain", group_names=["A", "B"]))
    screen.open(f"label?project={NAME}&group_set={made.id}&class=0")
    screen.page.locator(".tile.current").wait_for()
    screen.page.get_by_text("Plain widgets").click()
    screen.page.locator(".st-key-plain_1 button").wait_for()
    screen.press_button("plain_1")
    wait_for(lambda: server.api.group_set(made.id).n_labelled == 1)
