"""Reports: frozen, self-contained, shared by a link that can be closed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from api_house import PROJECT, House, problem
from sqlalchemy import delete, update

from backend.cli.main import app
from backend.reports.render import markdown
from backend.store import tables
from unskew.client import read_report
from unskew.errors import DataError
from unskew.schemas import api
from unskew.schemas.enums import Method, ReportBlockKind, ReportImages, Split
from unskew.schemas.report import FrozenReport, Tile


def test_a_report_holds_the_figures_of_the_project(house: House) -> None:
    made = house.client.create_report(PROJECT, api.ReportCreate(title="Borders", notes="**Look** at the border."))
    page = house.client.download_report(made.id).decode()
    assert made.size_bytes == len(page.encode()) < 15_000_000 and page.count("<h1>Borders</h1>") == 1
    frozen = FrozenReport.model_validate_json(house.client.download_report(made.id, format="json"))
    assert [c.split for c in frozen.comparisons] == [Split.VALIDATION, Split.TEST]
    assert frozen.comparisons[1] == house.client.compare(PROJECT, split=Split.TEST)
    assert {p.score_set.method for p in frozen.prunings} == {Method.TRAK, Method.AUTO_TRAK}
    assert all(p.prune_set for p in frozen.prunings)
    assert "<strong>Look</strong>" in page and frozen.summary.split(".")[0] in page
    project = house.client.project(PROJECT)
    assert project.fingerprint in page and all(p.prune_set and p.prune_set.digest in page for p in frozen.prunings)
    for tile in frozen.directions[0].strips[0].tiles:
        assert tile.image.startswith("data:image/webp;base64,") and tile.image in page


def test_a_report_works_offline(house: House) -> None:
    page = house.client.download_report(house.client.create_report(PROJECT).id).decode()
    assert "default-src 'none'" in page
    body = re.sub(r"<script>.*?</script>", "", page, flags=re.S)  # plotly.js and our few lines
    assert not re.findall(r'(?:src|href|action|data)="(?!data:)[^"]*', body)
    assert not re.findall(r"url\((?!data:)", body) and "@import" not in body
    assert page.count("Plotly.react") and page.lower().count("plotly.js v") == 1, "inlined once"


def test_words_of_people_stay_words(house: House) -> None:
    evil = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'
    direction = house.client.directions(PROJECT)[0]
    house.client.update_direction(direction.id, api.DirectionPatch(name="</script><script>alert(3)", note=evil))
    made = house.client.create_report(PROJECT, api.ReportCreate(title=evil, notes=evil))
    page = house.client.download_report(made.id).decode()
    assert page.count("<script") == 3 and "<img src=x" not in page


def test_markdown_has_no_markup_and_no_pictures_of_its_own() -> None:
    made = markdown("# A\n\n<b>b</b> ![p](http://x/p.png) [l](javascript:alert(1)) `c`")
    assert "<h1>A</h1>" in made and "<code>c</code>" in made
    assert "<b>" not in made and "<img" not in made and 'href="javascript' not in made


def test_the_link_shows_the_report_until_it_is_revoked(house: House) -> None:
    made = house.client.create_report(PROJECT)
    view = house.http.get(made.url)
    assert view.status_code == 200 and view.content == house.client.download_report(made.id)
    assert (
        view.headers["cache-control"] == "no-store" and "default-src 'none'" in view.headers["content-security-policy"]
    )
    assert house.client.revoke_report(made.id).revoked
    problem(house.http.get(made.url), 404, "revoked")
    problem(house.http.get("/r/no-such-token"), 404)
    assert house.client.download_report(made.id), "the report itself stays"
    assert house.client.reports(PROJECT)[0] == house.client.report(made.id)


def test_a_report_does_not_change_with_the_project(house: House) -> None:
    made = house.client.create_report(PROJECT)
    before = house.client.download_report(made.id)
    direction = house.client.directions(PROJECT)[0]
    house.client.update_direction(direction.id, api.DirectionPatch(name="changed later"))
    assert house.client.download_report(made.id) == before
    assert b"changed later" in house.client.download_report(house.client.create_report(PROJECT).id)


def test_a_picture_that_is_gone_does_not_stop_a_report(house: House) -> None:
    with house.store.session() as session:
        row = session.get_one(tables.Project, 1)
        row.source = row.source | {"root": "/nowhere"}
    page = house.client.download_report(house.client.create_report(PROJECT).id).decode()
    assert 'class="omitted"' in page and "data:image/webp" not in page


def test_a_project_without_results_can_be_reported_on(house: House) -> None:
    with house.store.session() as session:
        for table in (
            tables.Run,
            tables.PruneSet,
            tables.ScoreSet,
            tables.LabelEvent,
            tables.GroupSet,
            tables.Attribution,
        ):
            session.execute(delete(table))
    frozen = FrozenReport.model_validate_json(
        house.client.download_report(house.client.create_report(PROJECT).id, format="json")
    )
    assert not frozen.directions and not frozen.comparisons and "No directions" in frozen.summary


def test_the_commands_are_those_that_the_command_line_takes(house: House) -> None:
    made = house.client.create_report(PROJECT)
    frozen = FrozenReport.model_validate_json(house.client.download_report(made.id, format="json"))
    group: Any = typer.main.get_command(app)
    assert [line.split()[1] for line in frozen.reproduce][:5] == ["import", "train", "attribute", "discover", "score"]
    for line in frozen.reproduce:
        name, *arguments = shlex.split(line)[1:]
        group.commands[name].make_context(name, arguments)  # raises for an option that is not there


# ---------------------------------------------------------------- blocks, images, expiry, bundle
def test_blocks_come_in_the_order_asked_for_with_their_prose(house: House) -> None:
    blocks = [
        api.ReportBlock(kind=ReportBlockKind.GAINED, text="First **what it brought**."),
        api.ReportBlock(kind=ReportBlockKind.TEXT, text="<script>alert(1)</script> then words"),
        api.ReportBlock(kind=ReportBlockKind.DATA),
    ]
    page = house.client.download_report(
        house.client.create_report(PROJECT, api.ReportCreate(blocks=blocks)).id
    ).decode()
    places = [
        page.index(words) for words in ("<strong>what it brought", "What was gained</h2>", "then words", "Data</h2>")
    ]
    assert places == sorted(places)
    assert "What was removed</h2>" not in page and page.count("<script") == 3


def test_blurred_and_omitted_images_hold_nothing_of_the_pictures(house: House) -> None:
    def tiles(images: ReportImages) -> tuple[list[Tile], str]:
        made = house.client.create_report(PROJECT, api.ReportCreate(images=images))
        bundle = house.client.report_bundle(made.id)
        return bundle.directions[0].strips[0].tiles, house.client.download_report(made.id).decode()

    full, _ = tiles(ReportImages.FULL)
    blurred, page = tiles(ReportImages.BLURRED)
    assert all(t.image and t.image != f.image for t, f in zip(blurred, full, strict=True))
    assert all(t.example.path == "" for t in blurred) and not any(f.example.path in page for f in full)
    omitted, _ = tiles(ReportImages.OMITTED)
    assert all(t.image == "" for t in omitted)


def test_a_link_closes_on_its_day(house: House) -> None:
    made = house.client.create_report(PROJECT, api.ReportCreate(expires_in_days=7))
    assert made.expires_at is not None and (made.expires_at - made.created_at).days in (6, 7) and not made.expired
    assert house.http.get(made.url).status_code == 200
    with house.store.session() as session:
        session.execute(update(tables.Report).values(expires_at=tables.now()))
    problem(house.http.get(made.url), 404, "expired")
    assert house.client.report(made.id).expired and house.client.download_report(made.id)


def test_the_bundle_is_read_back_by_the_sdk(house: House, tmp_path: Path) -> None:
    made = house.client.create_report(PROJECT)
    file = tmp_path / "report.json"
    file.write_bytes(house.client.download_report(made.id, format="json"))
    assert read_report(file) == house.client.report_bundle(made.id)
    file.write_text("{}")
    with pytest.raises(DataError, match="not a report"):
        read_report(file)


def test_who_looked_at_test_stands_in_the_report(house: House) -> None:
    assert house.client.test_reveals(PROJECT) == []
    house.client.reveal_test(PROJECT, who="ann")
    assert [r.who for r in house.client.test_reveals(PROJECT)] == ["ann"]
    page = house.client.download_report(house.client.create_report(PROJECT).id).decode()
    assert "Test results were first looked at on" in page
