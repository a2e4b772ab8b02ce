"""Texts of others never act on a terminal, and people's scripts and emoji stay as they are."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.printing.safe import quoted_answer
from tasks.printing.visible import indented, visible, visible_line


@pytest.mark.parametrize(
    "text",
    [
        "plain text, 100 % of it",
        "Übergröße, naïve, Ελληνικά, Кофе",
        "قهوة وشاي",
        "می‌خواهم",  # a joiner that keeps two Persian letters apart
        "קפה בבית",
        "咖啡 コーヒー 커피",
        "क्‍ष हिन्दी ไทย",
        "e\u0301 a\u0308",
        "👍🏽 👩‍🚀 👨‍👩‍👧‍👦 🏳️‍🌈 🇪🇸 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️ 1️⃣",
        "葛󠄀城",  # a variant of a character
        "two\nlines",
    ],
)
def test_ordinary_text_of_any_script_stays_as_it_is(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2J\x1b]0;title\x07", r"a\x1b[2J\x1b]0;title\x07"),
        ("a\x9b31m", r"a\x9b31m"),
        ("over\rwritten\x08", r"over\rwritten\x08"),
        ("a\tb\x00\x7f", r"a\tb\x00\x7f"),
        ("\u202eexe.txt", r"\u202eexe.txt"),
        ("a\u2066b\u2069\u200f\u061c", r"a\u2066b\u2069\u200f\u061c"),
        ("zero\u200bwidth\ufeff\u2060", r"zero\u200bwidth\ufeff\u2060"),
        ("a\u200db", r"a\u200db"),
        ("a\u2028b\u2029c\x85", r"a\u2028b\u2029c\x85"),
        ("hidden\U000e0041\U000e0042", r"hidden\U000e0041\U000e0042"),
        ("a\ufe00\ufe01\U000e0101", r"a" + "\ufe00" + r"\ufe01\U000e0101"),
        ("blank\u3164\u115f", r"blank\u3164\u115f"),
        ("lone\udc80", r"lone\udc80"),
        ("soft\xadhyphen", r"soft\xadhyphen"),
    ],
)
def test_what_a_terminal_obeys_or_nobody_sees_is_written_out(text, shown):
    assert visible(text) == shown


def test_a_line_break_forges_no_line():
    assert visible_line("shop\n12:00:00 all is well\r\n") == r"shop\n12:00:00 all is well\r\n"
    assert indented("Error: shop\n12:00:00 all is well\n  more") == "Error: shop\n  12:00:00 all is well\n  more"


@given(st.text())
def test_no_text_leaves_a_control_character_and_showing_it_twice_changes_nothing(text):
    shown = visible(text)
    assert not [
        letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") and letter != "\n"
    ]
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u200b\ufeff\u061c")
    assert visible(shown) == shown
    assert "\n" not in visible_line(text)


def test_an_answer_of_a_server_is_one_short_line():
    answer = quoted_answer("<html>\r\n<body>\x1b[31m" + "no " * 1_000)
    assert answer.startswith(r"<html> <body>\x1b[31mno no")
    assert len(answer) == 201
