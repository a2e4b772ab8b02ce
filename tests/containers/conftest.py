"""The image, built once by the instructions of the Dockerfile, and the services of compose.yaml, run from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from engine import Engine, Image, build  # type: ignore[import-not-found]  # found by the path above

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def tool(request: pytest.FixtureRequest) -> Callable[..., str]:
    """Runs a program of the environment of `make containers` in the project's folder; gives what it prints."""
    programs = request.config.getoption("--containers")
    if programs is None:
        pytest.skip("the tools for containers have an environment of their own: make containers")

    def run(name: str, *arguments: str | Path) -> str:
        done = subprocess.run([Path(programs) / name, *arguments], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def context(tool: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `docker build` is given: the files under version control that .dockerignore lets through."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    taken = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert [line for line in lines if line[0] not in "#!"] == ["*", "**/__pycache__"], "This reads no other patterns."
    folder = tmp_path_factory.mktemp("context")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *taken]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")[:-1]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def image(
    request: pytest.FixtureRequest, tool: Any, context: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("layers")
    # pytest's folders are root's alone, and the user of the image enters its layers.
    for each in (folder, folder.parent, folder.parent.parent):
        each.chmod(0o755)
    yield build(ROOT / "Dockerfile", context, folder, Path(request.config.getoption("--containers")) / "python")
    # Pytest keeps what a session made, and this is gigabytes.
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def compose(tool: Any) -> dict[str, Any]:
    """compose.yaml as Docker's own compose resolves it."""
    text = tool("docker-compose", "--profile", "*", "config", "--format", "json")
    # It doubles each dollar, so that what it prints is a compose file again.
    resolved: dict[str, Any] = json.loads(text.replace("$$", "$"))
    return resolved


@pytest.fixture
def engine(image: Image, compose: Any, tmp_path: Path) -> Iterator[Engine]:
    """The services, with folders and secrets of this test."""
    for each in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        each.chmod(0o755)
    for name in ("jobs", "secrets"):
        (tmp_path / name).mkdir()
    services = json.loads(json.dumps(compose["services"]).replace(f'"{ROOT}/jobs"', f'"{tmp_path}/jobs"'))
    secrets = {}
    for name in compose["secrets"]:
        file = tmp_path / "secrets" / name
        file.write_text(f"only-{name}", encoding="utf-8")
        secrets[name] = {"file": str(file)}
    running = Engine(image, services, secrets, tmp_path)
    yield running
    running.close()
