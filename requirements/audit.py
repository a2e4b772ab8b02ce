"""Ask whether locked packages have known vulnerabilities: `make audit`, which runs pip-audit and reads its answer.

pip-audit asks an index for each package of the locked files, and passes over those that the index does not tell of. An
answer without all packages says nothing about the others, so this ends with 1 for it, as for a vulnerability.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

HERE = Path(__file__).parent
LOCKED = (
    "base", "postgres", "challengers", "dask", "duckdb", "hierarchy", "kubernetes", "jax", "gpu", "dev", "audit", "dbt",
    "docs", "containers", "bootstrap",
)  # fmt: skip
"""The locked files."""
SHOWN = 5


def main() -> int:
    """Run pip-audit over all locked files and print the verdict; gives the exit code."""
    packages: list[Mapping[str, Any]] = []
    for name, text in new_in_each([(name, (HERE / f"{name}.txt").read_text(encoding="utf-8")) for name in LOCKED]):
        try:
            packages += audited(text)
        except ValueError as error:
            print(f"Not audited: {name}.txt: {error}. Run it where the network lets pip-audit ask pypi.org.")
            return 1
    text, code = verdict(packages)
    print(text)
    return code


def new_in_each(files: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    r"""The files without the versions that stand in one before; pip-audit takes no package twice.

    >>> new_in_each([("base", "a==1 --hash=x\n    # via b\nb==2\n"), ("dev", "b==2\na==3\n"), ("more", "a==1\n")])
    [('base', 'a==1 --hash=x\n    # via b\nb==2\n'), ('dev', 'a==3\n')]
    """
    seen, found = set[str](), list[tuple[str, str]]()
    for name, text in files:
        packages = re.findall(r"^[^\s#].*\n(?:^[\s#].*\n?)*", text, re.MULTILINE)
        new = [each for each in packages if each.split()[0] not in seen]
        seen.update(each.split()[0] for each in new)
        if new:
            found.append((name, "".join(new)))
    return found


def audited(locked: str) -> Sequence[Mapping[str, Any]]:
    """What pip-audit says of each package of a locked file.

    Raises:
        ValueError: it gives no answer; says why.
    """
    pip_audit = Path(sys.executable).with_name("pip-audit")
    options = ["--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off"]
    with NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(locked)
        file.flush()
        done = subprocess.run([pip_audit, *options, "-r", file.name], capture_output=True, text=True, check=False)
    try:
        answer: Sequence[Mapping[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise ValueError(f"pip-audit gave no answer ({said[-1]})") from None
    return answer


def verdict(packages: Sequence[Mapping[str, Any]]) -> tuple[str, int]:
    """What pip-audit found, for people, and the exit code: 0 if every package was asked about and none is vulnerable.

    Args:
        packages: The list `dependencies` of pip-audit's JSON.

    >>> verdict([{"name": "six", "version": "1.17.0", "vulns": []}])
    ('1 locked package has no known vulnerability.', 0)
    >>> verdict([])
    ('Not audited: there are no locked packages.', 1)
    """
    # Several locked files may have the same package.
    unique = {(each["name"], each.get("version", "")): each for each in packages}.values()
    skipped = [each["name"] for each in unique if "skip_reason" in each]
    lines = [
        f"{each['name']} {each['version']}: {found['id']}"
        f" ({', '.join(found.get('aliases') or []) or 'no other name'}),"
        f" mended in {', '.join(found.get('fix_versions') or []) or 'no version yet'}"
        for each in unique
        for found in each.get("vulns", [])
    ]
    number = f"{len(unique)} locked package{'s have' if len(unique) != 1 else ' has'}"
    if not unique:
        return "Not audited: there are no locked packages.", 1
    if lines:
        lines.append(
            f"Lock newer versions of them (CONTRIBUTING.md, Changing requirements). {len(skipped)} not audited."
        )
        return "\n".join(lines), 1
    if skipped:
        names = ", ".join(skipped[:SHOWN]) + (", ..." if len(skipped) > SHOWN else "")
        return (
            f"Not audited: the index tells nothing of {len(skipped)} of {len(unique)} locked packages ({names}). "
            "Run it where the network lets pip-audit ask pypi.org."
        ), 1
    return f"{number} no known vulnerability.", 0


if __name__ == "__main__":
    sys.exit(main())
