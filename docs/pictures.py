"""Take the picture of the README: a screenshot of the page of the demo's newest night, in a headless Chromium.

    python docs/pictures.py [DEMO]

DEMO is the folder of a demo that has run (default: demo). Needs the system's Chromium: apt-get install chromium.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from pathlib import Path

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
# What an interface needs; a quarter of the size of a picture in all colours.
_COLOURS = 128


def main() -> int:
    """Write the picture; 1 where there is no demo or no Chromium."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, nargs="?", default=Path("demo"), metavar="DEMO")
    reports = parser.parse_args().demo / "reports" / "store-sales"
    nights, chromium = sorted(reports.glob("*Z.html")), shutil.which("chromium") or shutil.which("chromium-browser")
    nights = [each for each in nights if not each.name.startswith("backtest")]
    if not nights or chromium is None:
        print(f"There is no page in {reports}: run `make demo`." if chromium else "There is no chromium on PATH.")
        return 1
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[f"--{each}" for each in _OPTIONS])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, device_scale_factor=SCALE)
        take(page, nights[-1], PICTURES / "night.png", height=1045)
        browser.close()
    return 0


def take(page: Page, file: Path, picture: Path, height: int) -> None:
    """Write the upper part of a page as a picture."""
    page.goto(file.resolve().as_uri())
    page.wait_for_load_state("networkidle")
    page.set_viewport_size({"width": WIDTH, "height": height})
    # A plot that follows the size of the window is drawn again.
    page.wait_for_timeout(500)
    drawn = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    drawn.quantize(_COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)
    print(f"{picture}: {picture.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
