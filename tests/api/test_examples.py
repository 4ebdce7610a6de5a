"""Pages of examples, thumbnails and images."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from api_house import PROJECT, House, problem
from PIL import Image
from sqlalchemy import update

from backend.services.images import shrunk
from backend.store import tables
from unskew.errors import NotFoundError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import Split

PATH = f"/api/v1/projects/{PROJECT}/examples"


def every(house: House, limit: int, **wanted: object) -> list[api.Example]:
    found, after = [], None
    while True:
        page = house.client.examples(PROJECT, after=after, limit=limit, **wanted)  # type: ignore[arg-type]
        found += page.items
        if page.next is None:
            assert len(found) == page.total
            return found
        after = page.next


@pytest.mark.parametrize("limit", [7, 16, 160, 1000])
def test_pages_hold_every_example_once_in_order(shared: House, limit: int) -> None:
    assert [e.position for e in every(shared, limit, split=Split.TRAIN)] == list(range(160))


def test_filters(shared: House) -> None:
    found = every(shared, 9, split=Split.TRAIN, label=1, attribute="border", value="dark")
    everything = every(shared, 1000, split=Split.TRAIN)
    assert found == [e for e in everything if e.label == 1 and e.attributes["border"] == "dark"] != []


def test_only_validation_examples_carry_predictions(shared: House) -> None:
    seen = every(shared, 1000, split=Split.VALIDATION)
    assert {e.correct_share for e in seen} <= {0.0, 0.5, 1.0}
    assert all((e.prediction == e.label) for e in seen if e.correct_share == 1.0)
    for split in (Split.TRAIN, Split.TEST):
        assert all(e.prediction is None and e.correct_share is None for e in every(shared, 1000, split=split))


def test_wrong_questions_are_answered(shared: House) -> None:
    problem(shared.http.get(PATH, params={"split": "nothing"}), 422, "split")
    problem(shared.http.get(PATH, params={"after": "x"}), 422, "next")
    problem(shared.http.get(PATH, params={"attribute": "colour"}), 422, "colour", "border")
    problem(shared.http.get(PATH, params={"value": "dark"}), 422, "attribute")
    problem(shared.http.get(PATH, params={"limit": 0}), 422, "limit")
    problem(shared.http.get(f"{PATH}/99999"), 404)


def test_a_thumbnail_is_made_once_and_kept_by_browsers(house: House) -> None:
    example = house.validation[0]
    url = f"{PATH}/{example.id}/thumbnail"
    first = house.http.get(url, params={"size": 96})
    assert first.headers["content-type"] == "image/webp" and "immutable" in first.headers["cache-control"]
    [file] = (house.store.data / "thumbnails").glob("*/*-96.webp")
    made = file.stat().st_mtime_ns
    again = house.http.get(url, params={"size": 96}, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert house.http.get(url, params={"size": 96}).content == first.content
    assert file.stat().st_mtime_ns == made
    assert house.http.get(url, params={"size": 128}).headers["etag"] != first.headers["etag"]
    problem(house.http.get(url, params={"size": 97}), 422, "96")


def test_a_small_image_is_enlarged_pixel_by_pixel(house: House, digits_manifest: Path) -> None:
    example = house.validation[0]
    shown = np.asarray(Image.open(io.BytesIO(house.client.thumbnail(PROJECT, example.id, size=128))).convert("RGB"))
    source = np.asarray(Image.open(digits_manifest.parent / example.path).convert("RGB"))
    np.testing.assert_array_equal(shown, source.repeat(8, axis=0).repeat(8, axis=1))


@pytest.mark.parametrize(("size", "expected"), [((500, 250), (96, 48)), ((40, 30), (80, 60)), ((96, 3), (96, 3))])
def test_thumbnails_keep_the_shape(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert shrunk(Image.new("RGB", size), 96).size == expected


def test_many_ask_for_one_thumbnail_at_once(house: House) -> None:
    example = house.validation[1]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: house.client.thumbnail(PROJECT, example.id), range(24)))
    assert len(set(found)) == 1
    assert len(list((house.store.data / "thumbnails").glob("*/*"))) == 1, "no temporary file stays"


def test_an_image_that_is_gone_broken_or_another_is_not_shown(house: House, tmp_path: Path) -> None:
    root = tmp_path / "moved"
    root.mkdir()
    one, two, three = house.validation[:3]
    (root / two.path).write_bytes(b"no image")
    (root / three.path).write_bytes(b"other bytes")
    with house.store.session() as session:
        row = session.get_one(tables.Project, 1)
        row.source = row.source | {"root": str(root)}
        digest = sha256(b"no image").hexdigest()
        session.execute(update(tables.Example).where(tables.Example.id == two.id).values(content_hash=digest))
    problem(house.http.get(f"{PATH}/{one.id}/thumbnail"), 404, one.path)
    problem(house.http.get(f"{PATH}/{two.id}/thumbnail"), 404, "not an image")
    problem(house.http.get(f"{PATH}/{three.id}/thumbnail"), 404, "not the file")
    problem(house.http.get(f"{PATH}/{three.id}/image"), 404, "not the file")


def test_a_page_of_thumbnails_comes_in_one_answer(house: House, tmp_path: Path) -> None:
    """The same bytes as one by one; what is not of this project or cannot be shown is left out, the rest comes."""
    seen = house.validation[:5]
    found = house.client.thumbnails(PROJECT, [e.id for e in seen] + [987654], size=96)
    assert found == {e.id: house.client.thumbnail(PROJECT, e.id, size=96) for e in seen}
    kept = {e.id: house.client.thumbnail(PROJECT, e.id, size=128) for e in seen[:2]}
    with house.store.session() as session:
        row = session.get_one(tables.Project, 1)
        row.source = row.source | {"root": str(tmp_path / "gone")}
    assert house.client.thumbnails(PROJECT, [e.id for e in seen]) == kept, "those that were made are there still"
    problem(house.http.get(f"{PATH}/thumbnails", params={"ids": "1", "size": 97}), 422, "96")
    problem(house.http.get(f"{PATH}/thumbnails", params={"ids": "1;2"}), 422, "ids")
    problem(house.http.get("/api/v1/projects/other/examples/thumbnails", params={"ids": "1"}), 404)


def test_the_image_route_gives_the_very_file(shared: House, digits_manifest: Path) -> None:
    example = shared.validation[0]
    assert shared.client.image(PROJECT, example.id) == (digits_manifest.parent / example.path).read_bytes()


def test_ids_of_other_projects_are_not_there(shared: House) -> None:
    with pytest.raises(NotFoundError):
        shared.client.thumbnail("other", shared.validation[0].id)
    with pytest.raises(SettingsError):
        shared.client.thumbnail(PROJECT, shared.validation[0].id, size=1000)
