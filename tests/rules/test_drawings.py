"""The drawings of docs/networks.md are those that its program draws."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import matplotlib as mpl
import pytest
import yaml
from drawings import DRAWINGS, PICTURES, STYLE

from models.settings.network import NetworkSettings

PAGE = (PICTURES.parent / "networks.md").read_text(encoding="utf-8")


def elements(file: Path) -> Counter[str]:
    """How often each element stands in a drawing, and each colour."""
    every = ET.parse(file).iter()
    return Counter(f"{each.tag} {each.get('style', '')}" for each in every)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_the_one_that_the_program_draws(name: str, tmp_path: Path) -> None:
    assert f"](pictures/{name}.svg)" in PAGE
    with mpl.rc_context(STYLE):
        DRAWINGS[name]().savefig(tmp_path / "drawn.svg", metadata={"Date": None, "Creator": None})
    assert elements(PICTURES / f"{name}.svg") == elements(tmp_path / "drawn.svg")
    assert (PICTURES / f"{name}.svg").stat().st_size < 80_000


def test_every_picture_of_the_page_is_drawn() -> None:
    assert set(re.findall(r"\]\(pictures/(.+?)\.svg\)", PAGE)) == {*DRAWINGS}


def test_the_settings_on_the_page_are_settings() -> None:
    [block] = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    layers = NetworkSettings.model_validate(yaml.safe_load(block)["network"]).layers
    assert layers is not None
    assert [each.cell for each in layers] == ["lstm", "gru"]
