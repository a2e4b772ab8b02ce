"""Blocks of series that cores work on: all series once, in order, and no more values in one than are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.panel.parallel import in_blocks


def of_lengths(lengths: list[int]) -> dict[str, np.ndarray]:
    return {f"s{number:05}": np.zeros(length) for number, length in enumerate(lengths)}


@given(lengths=st.lists(st.integers(1, 500), min_size=1, max_size=700), most=st.none() | st.integers(1, 20_000))
def test_every_series_is_in_one_block_in_their_order(make_panel, lengths, most):
    parts = in_blocks(make_panel(of_lengths(lengths)), lambda block, first: (first, block.series_ids.tolist()), most)
    names = [name for _, block in parts for name in block]
    assert names == [f"s{number:05}" for number in range(len(lengths))]
    assert [first for first, _ in parts] == np.cumsum([0, *(len(block) for _, block in parts[:-1])]).tolist()


@pytest.mark.parametrize(("length", "most", "largest"), [(1_000, 20_000, 20_000), (50, 20_000, 12_800), (900, 10, 900)])
def test_a_block_of_long_series_has_fewer_of_them(make_panel, length, most, largest):
    sizes = in_blocks(make_panel(of_lengths([length] * 600)), lambda block, _: len(block.values), most)
    assert max(sizes) == largest
    assert sum(sizes) == 600 * length
