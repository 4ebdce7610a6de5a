"""Pictures of every screen for the docs: `python tests/browser/screenshots.py URL PROJECT`, on a server with a project
that went through the whole loop (`unskew demo --once`, then `unskew up`). They land in docs/images as WebP.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

from browser_screen import Screen, chromium
from PIL import Image

OUT = Path(__file__).parents[2] / "docs" / "images"
LIMIT = 150_000  # bytes
# name: address, colour scheme, height in px
PAGES = {
    "projects": ("projects", "light", 640),
    "data": ("data", "light", 640),
    "browse": ("data?data_tab=Browse&b_split=validation&b_vote=wrong&b_hist=True", "light", 900),
    "import": ("data?data_tab=Import", "light", 900),
    "models": ("models", "light", 900),
    "discover": ("discover", "light", 900),
    "discover-figures": ("discover", "light", 2700),
    "discover-dark": ("discover", "dark", 900),
    "inspector": ("discover?example={example}", "light", 1000),
    "label": ("label", "light", 900),
    "label-dark": ("label", "dark", 900),
    "prune": ("prune", "light", 1300),
    "jobs": ("jobs", "light", 900),
    "compare": ("compare", "light", 1700),
    "compare-dark": ("compare", "dark", 900),
    "reports": ("reports", "light", 800),
    "admin": ("admin", "light", 760),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("project")
    parser.add_argument("--only", nargs="*", default=[], help="names of pictures")
    given = parser.parse_args()
    with chromium() as browser:
        for name in given.only or [*PAGES, "report"]:
            picture = _report(browser, given) if name == "report" else _page(browser, given, *PAGES[name])
            size = _save(picture, OUT / f"{name}.webp")
            print(f"{name}.webp: {size:,} bytes")  # noqa: T201


def _page(browser: Any, given: argparse.Namespace, path: str, scheme: str, height: int) -> bytes:
    context = browser.new_context(viewport={"width": 1280, "height": height}, color_scheme=scheme)
    screen = Screen(context.new_page(), given.url)
    if "{example}" in path:
        path = path.format(example=_first_example(given))
    screen.page.goto(f"{given.url}/{path}{'&' if '?' in path else '?'}project={given.project}")
    screen.idle()
    screen.page.wait_for_load_state("networkidle")
    screen.page.wait_for_timeout(1500)  # figures move in
    picture: bytes = screen.page.screenshot()
    context.close()
    return picture


def _first_example(given: argparse.Namespace) -> int:
    from unskew.client import Client

    with Client(given.url) as client:
        return client.strips(client.directions(given.project)[0].id, n=1)[0].items[0].id


def _report(browser: Any, given: argparse.Namespace) -> bytes:
    from unskew.client import Client

    with Client(given.url) as client:
        report = next(r for r in client.reports(given.project) if not (r.revoked or r.expired))
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    page = context.new_page()
    page.goto(given.url + report.url)
    page.locator(".main-svg").first.wait_for()
    picture: bytes = page.screenshot()
    context.close()
    return picture


def _save(picture: bytes, file: Path) -> int:
    """As good as fits under the limit."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for quality in (85, 75, 60, 45):
        image.save(file, "WEBP", quality=quality, method=6)
        if file.stat().st_size <= LIMIT:
            break
    return file.stat().st_size


if __name__ == "__main__":
    main()
