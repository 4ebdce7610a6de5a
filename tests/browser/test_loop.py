"""The whole loop in a real browser: own data with an error mended, to the report that works offline.

The tests are one journey: each begins where the one before ended.
"""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from browser_screen import Screen, Server, serving, wait_for

from unskew.schemas.api import Job
from unskew.schemas.enums import JobKind, JobStatus, LabelOrder, Method, Split

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAME = "small"
EPOCHS = 4
CHECKPOINTS = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own: the first screen is seen while it is empty, in whatever order the tests run."""
    with serving(tmp_path_factory.mktemp("loop-data")) as running:
        yield running


@pytest.fixture(scope="module")
def screen(browser: Any, server: Server) -> Iterator[Screen]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    yield Screen(context.new_page(), server.url)
    context.close()


def newest(server: Server, kind: JobKind) -> Job | None:
    return next((job for job in server.api.jobs(limit=50) if job.kind == kind), None)


def finish(server: Server, kind: JobKind, *, seconds: float = 120) -> Job:
    """Wait for the newest job of this kind; it must end well."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = newest(server, kind)
        if job is not None and job.status not in (JobStatus.QUEUED, JobStatus.RUNNING):
            assert job.status == JobStatus.DONE, (job.status, job.error)
            return job
        time.sleep(0.2)
    raise AssertionError(f"{kind} did not end in {seconds} s: {newest(server, kind)}")


# ---------------------------------------------------------------- own data
def test_a_broken_table_is_refused_row_by_row_and_the_mended_one_imported(
    screen: Screen, server: Server, small_manifest: Path
) -> None:
    broken = pd.read_csv(small_manifest)
    broken.loc[6, "path"] = "train/nowhere.png"
    broken_path = small_manifest.with_name("broken.csv")
    broken.to_csv(broken_path, index=False)
    screen.open("")
    screen.see("Find out what your classifier relies on")
    screen.press_button("own_data")
    screen.fill("Folder or table on this machine", str(broken_path))
    screen.fill("Project name", NAME)
    screen.fill("Image side the model sees [px]", "32")
    screen.press_button("i_check")
    screen.see("1 problem found.")
    assert server.api.projects() == []
    screen.fill("Folder or table on this machine", str(small_manifest))
    screen.press_button("i_check")
    screen.see("ready to import")
    screen.press_button("i_import")
    finish(server, JobKind.IMPORT)
    project = server.api.project(NAME)
    assert (project.n_train, project.n_validation, project.n_test) == (1000, 300, 300)


# ---------------------------------------------------------------- models and attribution
def test_checkpoints_show_their_accuracy_per_class(screen: Screen, server: Server) -> None:
    screen.open(f"models?project={NAME}")
    screen.see("No checkpoint yet")
    screen.fill("Checkpoints", str(CHECKPOINTS))
    screen.fill("Epochs", str(EPOCHS))
    screen.press_button("t_go")
    finish(server, JobKind.TRAIN)
    screen.see("Accuracy per class")
    screen.page.locator(".st-key-class_accuracy .main-svg").first.wait_for()
    runs = server.api.runs(NAME)
    assert [run.seed for run in runs] == list(range(CHECKPOINTS))
    screen.page.get_by_text(f"{CHECKPOINTS} runs", exact=True).click()
    screen.page.locator('[data-testid="stDataFrame"]').first.wait_for()


def test_attribution_and_directions_take_one_button_each(screen: Screen, server: Server) -> None:
    screen.press_button("a_go")
    finish(server, JobKind.ATTRIBUTE)
    screen.see("used by Discover")
    screen.press_button("m_discover")
    finish(server, JobKind.DISCOVER)
    assert {d.label for d in server.api.directions(NAME)} == {0, 1}


# ---------------------------------------------------------------- discover
def test_discover_shows_both_ends_and_keeps_decisions(screen: Screen, server: Server) -> None:
    shown, following = (d for d in server.api.directions(NAME) if d.label == 1 and d.index < 2)
    screen.open(f"discover?project={NAME}&class=1&direction={shown.title}")
    screen.page.locator(".us-strip").nth(3).wait_for()
    assert screen.page.locator(".us-strip").count() == 4
    screen.page.wait_for_function(
        "() => { const seen = [...document.querySelectorAll('.us-strip img')].slice(0, 8);"
        " return seen.length === 8 && seen.every(i => i.complete && i.naturalWidth > 0) }"
    )
    screen.see(shown.evidence.sentence)
    first = screen.page.locator(".us-strip").first.locator("img").first.get_attribute("src")
    screen.press_button("flip")
    screen.see("Ends swapped")
    screen.idle()
    assert server.api.direction(shown.id).sign == -shown.sign
    assert screen.page.locator(".us-strip").first.locator("img").first.get_attribute("src") != first
    screen.press_button(f"name_box_{shown.id}")
    screen.page.locator(f".st-key-name_{shown.id} input").fill("background")
    screen.press_button(f"name_save_{shown.id}")
    wait_for(lambda: server.api.direction(shown.id).name == "background")
    screen.see("1 of")
    screen.press_button("d_next")
    screen.page.wait_for_url(f"**direction={following.title}**")


def test_a_group_set_is_made_from_directions(screen: Screen, server: Server) -> None:
    screen.open(f"discover?project={NAME}&class=1&direction=PC1")
    screen.press_button("group_set_box")
    screen.page.locator(".st-key-gs_make button").wait_for()
    screen.press_button("gs_make")
    screen.page.wait_for_url("**/label?**")
    made = server.api.group_sets(NAME)[0]
    assert made.source == "pseudo"
    assert len(made.groups) == 4
    assert made.n_labelled == 0


# ---------------------------------------------------------------- label
def test_labels_are_written_key_by_key_with_undo(screen: Screen, server: Server) -> None:
    page = screen.page
    page.locator(".tile.current").wait_for()
    group_set = server.api.group_sets(NAME)[0]
    label = int(page.url.split("class=")[1].split("&")[0])
    tiles = [int(t.get_attribute("data-example")) for t in page.locator(".tile").all()[:6]]
    for key in ("2", "2", "1", "0"):
        page.keyboard.press(key)
    page.get_by_text("all saved").wait_for()
    _wait_for(lambda: server.api.group_set(group_set.id).n_labelled == 4)
    page.keyboard.press("Backspace")
    _wait_for(lambda: server.api.group_set(group_set.id).n_labelled == 3)
    page.keyboard.press("Shift+Backspace")
    _wait_for(lambda: server.api.group_set(group_set.id).n_labelled == 4)
    page.keyboard.press("Backspace")
    _wait_for(lambda: server.api.group_set(group_set.id).n_labelled == 3)
    queue = server.api.label_queue(group_set.id, label=label, order=LabelOrder.EXTREMES, limit=300)
    written = {item.example.id: item.group for item in queue.items if item.by_hand}
    assert written == {tiles[0]: 1, tiles[1]: 1, tiles[2]: 0}
    page.reload()
    page.locator(".tile .hand").nth(2).wait_for()  # the labels are still there
    screen.see("3 of 300 confirmed or corrected by hand")


def test_a_lost_connection_loses_no_label(screen: Screen, server: Server) -> None:
    page = screen.page
    group_set = server.api.group_sets(NAME)[0]
    before = server.api.group_set(group_set.id).n_labelled
    page.route("**/labels", lambda route: route.abort())
    page.locator(".tile:not(:has(.hand))").first.click()
    page.keyboard.press("1")
    page.get_by_text("1 not saved, trying again").wait_for()
    page.unroute("**/labels")
    page.locator(".retry").click()
    page.get_by_text("all saved").wait_for()
    _wait_for(lambda: server.api.group_set(group_set.id).n_labelled == before + 1)


def _wait_for(condition: Any, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


# ---------------------------------------------------------------- score and prune
def test_scores_slider_and_prune_set(screen: Screen, server: Server) -> None:
    page = screen.page
    screen.step("Score & prune")
    screen.press_button("s_go")
    finish(server, JobKind.SCORE)
    screen.see("Group alignment T of the training examples")
    score = server.api.score_sets(NAME)[0]
    screen.see(f"Star: {score.star:,}")
    thumb = page.locator(".stSlider input[type=range]")
    thumb.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    screen.see(f"Save prune set (K = {score.star - 5:,})")
    screen.press_button("ps_save")
    screen.see("Retrain without them")
    saved = server.api.prune_sets(NAME)[0]
    assert saved.k == score.star - 5
    with page.expect_download() as download:
        screen.press_button(f"ps_{saved.id}_csv")
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert len(rows) == saved.k


# ---------------------------------------------------------------- retrain
def test_retrain_is_cancelled_resumed_and_done(screen: Screen, server: Server) -> None:
    screen.press_button("p_retrain")
    screen.see("trainings")
    screen.press_button("r_go")
    _wait_for(lambda: newest(server, JobKind.RETRAIN) is not None)
    job = newest(server, JobKind.RETRAIN)
    assert job is not None
    screen.press_button(f"cancel_{job.id}")
    _wait_for(lambda: server.api.job(job.id).status == JobStatus.CANCELLED, 30)
    screen.page.locator(f".st-key-resume_{job.id} button").wait_for()
    screen.page.locator(f".st-key-cancel_{job.id}").wait_for(state="detached")  # the row is redrawn: nothing moves now
    screen.press_button(f"resume_{job.id}")
    _wait_for(lambda: server.api.job(job.id).status != JobStatus.CANCELLED, 30)
    done = finish(server, JobKind.RETRAIN, seconds=180)
    assert done.id == job.id
    screen.page.locator(f".st-key-job_{job.id}").get_by_text(re.compile("done$")).first.wait_for()
    methods = {run.method for run in server.api.runs(NAME)}
    assert {Method.ERM, Method.RANDOM_K, Method.SUBG} < methods


# ---------------------------------------------------------------- compare
def test_compare_shows_methods_groups_and_flips(screen: Screen, server: Server) -> None:
    screen.step("Compare")
    screen.see("Fixed and broken")
    assert screen.page.locator(".st-key-split").get_by_text("test").count() == 0  # hidden until somebody looks
    screen.press_button("reveal_box")
    screen.page.locator(".st-key-reveal button").wait_for()
    screen.press_button("reveal")
    screen.see("Test was revealed on")
    assert len(server.api.test_reveals(NAME)) == 1
    screen.page.locator(".st-key-split").get_by_text("test").first.wait_for()
    screen.see("against ERM on the test split")
    comparison = server.api.compare(NAME, split=Split.TEST, attribute="background")
    table = screen.page.get_by_role("table").first
    assert table.get_by_role("row").count() == len(comparison.methods) + 1
    for key in ("league", "dumbbell", "confusion"):
        screen.page.locator(f".st-key-{key} .main-svg").first.wait_for()
    screen.see("exact McNemar p =")


# ---------------------------------------------------------------- report
def test_report_opens_at_its_link_and_offline_until_revoked(
    screen: Screen, server: Server, browser: Any, tmp_path: Path
) -> None:
    screen.step("Report")
    screen.press_button("rep_make")
    screen.see("Open the link", seconds=90)
    report = server.api.reports(NAME)[0]
    stranger = browser.new_context()
    page = stranger.new_page()
    assert page.goto(server.url + report.url).status == 200
    page.locator("h1").first.wait_for()
    with screen.page.expect_download() as download:
        screen.press_button(f"rep_save_{report.id}")
    saved = tmp_path / "report.html"
    download.value.save_as(saved)
    assert saved.stat().st_size < 15_000_000
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    stranger.route("http://**", lambda route: route.abort())
    stranger.route("https://**", lambda route: route.abort())
    page.goto(saved.as_uri())
    page.locator(".main-svg").first.wait_for()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    stranger.unroute_all()
    screen.press_button(f"rep_revoke_{report.id}")
    screen.see("revoked")
    assert page.goto(server.url + report.url).status == 404
    stranger.close()


def test_nothing_was_asked_of_the_network_and_no_script_failed(screen: Screen) -> None:
    assert screen.foreign == []
    assert screen.errors == []
