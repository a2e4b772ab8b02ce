"""The documentation as a site, opened from the disk in a headless Chromium: `make test-docs`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

DOCS = Path(__file__).parents[2] / "docs"
ATTRIBUTES = {"a": "href", "img": "src", "link": "href", "script": "src", "iframe": "src"}


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Path:
    """The folder of the site; `make docs` makes it with packages of its own."""
    folder = request.config.getoption("--site")
    if not folder:
        pytest.skip("the site is made in an environment of its own: make test-docs")
    return Path(folder).resolve()


class Links(HTMLParser):
    """The addresses and the anchors of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if address := given.get(ATTRIBUTES.get(tag, "")):
            self.addresses.append(address)


def dead(site: Path) -> Iterator[str]:
    """Links within a site that lead nowhere, and whatever it would fetch from elsewhere."""
    pages = {page: Links(page) for page in sorted(site.rglob("*.html"))}
    assert len(pages) > 100
    for page, found in pages.items():
        for address in found.addresses:
            path, anchor = urldefrag(address)
            if re.match(r"https?:|mailto:|data:", address):
                continue
            target = (page.parent / unquote(path)).resolve() if path else page
            anchors = pages[target].anchors if target in pages else set()
            if not target.is_file() or (anchor and unquote(anchor) not in anchors | {"__skip"}):
                yield f"{page.relative_to(site)}: {address}"


def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    # The page of a missing address has absolute links, for a server.
    assert [each for each in dead(site) if not each.startswith("404.html")] == []


def test_every_page_is_in_the_site_and_opens_from_the_disk(site: Path, browser_page: Any) -> None:
    page, told = browser_page, []
    page.on("console", lambda message: told.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: told.append(f"{page.url}: {error}"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "index.html").as_uri())
    links = "[...document.querySelectorAll('.md-nav--primary a.md-nav__link[href]')].map(each => each.href)"
    pages = {urldefrag(address)[0] for address in page.evaluate(links)}
    assert {Path(address).stem for address in pages} >= {file.stem for file in DOCS.glob("*.md")}
    for address in sorted(pages):
        page.set_viewport_size({"width": 1200, "height": 900})
        page.goto(address)
        assert page.locator("h1").count() == 1, address
        broken = "[...document.images].filter(each => !(each.complete && each.naturalWidth)).map(each => each.src)"
        assert page.evaluate(broken) == [], address
        for width in (1200, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)
    assert told == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}


def test_the_search_works_without_a_server(site: Path, browser_page: Any) -> None:
    page = browser_page
    page.goto((site / "index.html").as_uri())
    page.locator("input.md-search__input").fill("conformal prediction")
    page.locator("a.md-search-result__link[href*='methods.html']").first.click()
    assert page.url.partition("#")[0] == (site / "methods.html").as_uri()
    assert "Methods" in page.locator("h1").inner_text()


def test_formulas_and_diagrams_need_no_script(site: Path, browser_page: Any) -> None:
    page = browser_page
    page.goto((site / "methods.html").as_uri())
    assert page.locator("math").count() > 50
    assert page.locator("math mfrac").first.bounding_box()["height"] > 20
    assert "\\frac" not in page.locator("article").inner_text()
    page.goto((site / "architecture.html").as_uri())
    assert page.locator("img[alt^='Diagram: ']").count() == 4
    assert "flowchart TD" not in page.locator("article").inner_text()


def test_a_link_to_the_source_shows_it(site: Path, browser_page: Any) -> None:
    page = browser_page
    page.goto((site / "architecture.html").as_uri())
    page.locator("article a[href='source/models/training.html']").first.click()
    page.get_by_role("link", name="fit.py").click()
    assert "def fit(" in page.locator("pre").inner_text()
    page.get_by_role("link", name="Nightcast").click()
    assert page.url == (site / "index.html").as_uri()
