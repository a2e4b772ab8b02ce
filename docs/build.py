"""Write the reference parts of docs/ from the code, and check every link.

    python docs/build.py [--check] [NAME ...]

A reference stands between `<!-- reference: NAME -->` and `<!-- end -->`; people write what is around it. Names
limit the work to those references. With `--check`, nothing is written, and a page that would change is an error.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from commands_reference import commands_reference
from job_reference import job_reference
from tables_reference import tables_reference
from wings import wings_reference

ROOT = Path(__file__).parents[1]
PAGES = (*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md")))
BLOCK = re.compile(r"(<!-- reference: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
REFERENCES: dict[str, Callable[[], str]] = {
    "commands": commands_reference,
    "job": job_reference,
    "tables": tables_reference,
    "wings": wings_reference,
}


def main() -> int:
    """Write or check all pages; 1 if a page is stale (with --check) or a link leads nowhere."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; a stale page is an error")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"references to write: {', '.join(REFERENCES)}")
    given = parser.parse_args()
    if unknown := set(given.names) - set(REFERENCES):
        parser.error(f"no reference has the name {', '.join(sorted(unknown))}; there are {', '.join(REFERENCES)}")
    wanted = {name: write for name, write in REFERENCES.items() if not given.names or name in given.names}
    problems = []
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = filled(before, wanted)
        if after != before and given.check:
            problems.append(f"{page.relative_to(ROOT)} differs from the code; run `make docs`")
        elif after != before:
            page.write_text(after, encoding="utf-8")
            print(f"Wrote {page.relative_to(ROOT)}")
        problems += [
            f"{page.relative_to(ROOT)} links to {link}, which does not exist" for link in dead_links(page, after)
        ]
    print("\n".join(problems) if problems else f"{len(PAGES)} pages are in order.")
    return 1 if problems else 0


def filled(text: str, references: Mapping[str, Callable[[], str]] = REFERENCES) -> str:
    """A page with its references as the code has them now; a known reference that is not asked for stays.

    Raises:
        KeyError: a page asks for a reference that does not exist.
    """

    def block(found: re.Match[str]) -> str:
        write = REFERENCES[found[2]]
        return f"{found[1]}\n{write()}\n{found[3]}" if found[2] in references else found[0]

    return BLOCK.sub(block, text)


def dead_links(page: Path, text: str) -> Iterator[str]:
    """Links to files or headings that do not exist; addresses of other sites are not checked."""
    for link in LINK.findall(text):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (heading and heading not in headings(target.read_text(encoding="utf-8"))):
            yield link


def headings(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


if __name__ == "__main__":
    sys.exit(main())
