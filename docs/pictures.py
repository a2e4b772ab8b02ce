"""Take the pictures of the README and the tutorial: screenshots of real pages, in a headless Chromium.

    python docs/pictures.py [DEMO] [--tutorial FOLDER]

DEMO is the folder of a demo that has run (default: demo). FOLDER is one in which the commands of docs/tutorial.md have
run; without it, they are run in an empty folder. Needs the system's Chromium: apt-get install chromium.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from page_blocks import run_page
from PIL import Image
from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).with_name("pictures")
WIDTH, SCALE = 1200, 1.5
_OPTIONS = (
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-sync",
    "disable-background-networking",
)
TUTORIAL = Path(__file__).with_name("tutorial.md")
# Commands of pages that a program cannot run.
WITHOUT = {
    "source .venv/bin/activate": "this program runs in the environment",
    "mkdir tutorial && cd tutorial": "the folder is there",
    "nightcast serve": "it runs until somebody interrupts it",
}
# What an interface needs; a quarter of the size of a picture in all colours.
_COLOURS = 128


def main() -> int:
    """Write the pictures; 1 where there is no demo or no Chromium."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, nargs="?", default=Path("demo"), metavar="DEMO")
    parser.add_argument("--tutorial", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    reports = given.demo / "reports" / "store-sales"
    nights, chromium = sorted(reports.glob("*Z.html")), shutil.which("chromium") or shutil.which("chromium-browser")
    nights = [each for each in nights if not each.name.startswith("backtest")]
    if not nights or chromium is None:
        print(f"There is no page in {reports}: run `make demo`." if chromium else "There is no chromium on PATH.")
        return 1
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright, TemporaryDirectory() as empty:
        browser = playwright.chromium.launch(executable_path=chromium, args=[f"--{each}" for each in _OPTIONS])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, device_scale_factor=SCALE)
        take(page, nights[-1], PICTURES / "night.png", height=1045)
        folder = given.tutorial or Path(empty)
        if given.tutorial is None:
            for done in run_page(TUTORIAL, folder, WITHOUT, {}):
                print(done.command.partition("\n")[0])
        take_tutorial(browser.new_page(viewport={"width": WIDTH, "height": 900}), folder / "jobs" / "reports" / "shop")
        browser.close()
    return 0


def take_tutorial(page: Page, reports: Path) -> None:
    """Write the pictures of the tutorial: its first night, the home of its job, and the alerts there."""
    take(page, reports / "2025-02-27T230000Z.html", PICTURES / "tutorial-night.png", height=1045)
    take(page, reports / "index.html", PICTURES / "tutorial-home.png", height=900)
    alerts = page.locator("section", has=page.get_by_role("heading", name="Alerts")).first
    keep(alerts.screenshot(), PICTURES / "tutorial-alert.png")


def take(page: Page, file: Path, picture: Path, height: int) -> None:
    """Write the upper part of a page as a picture."""
    page.goto(file.resolve().as_uri())
    page.wait_for_load_state("networkidle")
    page.set_viewport_size({"width": WIDTH, "height": height})
    # A plot that follows the size of the window is drawn again.
    page.wait_for_timeout(500)
    keep(page.screenshot(), picture)


def keep(screenshot: bytes, picture: Path) -> None:
    """Write a screenshot in few colours."""
    drawn = Image.open(io.BytesIO(screenshot)).convert("RGB")
    drawn.quantize(_COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)
    print(f"{picture}: {picture.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
