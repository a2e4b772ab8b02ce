import pyarrow as pa
import pytest

from sql.output.publish import digest_of


def test_the_digest_is_of_the_rows_however_they_are_cut(make_night):
    night = make_night(series=4)
    assert digest_of([night.slice(0, 5), night.slice(5)]) == digest_of(night)


def test_the_run_and_its_time_are_no_part_of_it(make_night):
    night = make_night()
    other = night.set_column(night.column_names.index("run_id"), "run_id", pa.array(["r2"] * len(night)))
    assert digest_of(other) == digest_of(night)


@pytest.mark.parametrize("change", ["value", "text", "null", "column", "order", "length"])
def test_whatever_else_differs_makes_another_one(make_night, change):
    night = make_night()
    place = night.column_names.index
    other = {
        "value": night.set_column(place("median"), "median", pa.array([1.0] * 5 + [1.5])),
        "text": night.set_column(place("reason"), "reason", pa.array(["too short"] * 5 + ["too long!"])),
        "null": night.set_column(place("reason"), "reason", pa.array(["too short"] * 5 + [None])),
        "column": night.append_column("q0_5", night["q0_1"]),
        "order": night.take(pa.array([1, 0, 2, 3, 4, 5])),
        "length": night.slice(0, 5),
    }[change]
    assert digest_of(other) != digest_of(night)


def test_texts_of_other_lengths_with_the_same_letters_differ(make_night):
    night = make_night()
    reason = night.column_names.index("reason")
    nights = [night.set_column(reason, "reason", pa.array(texts + ["x"] * 4)) for texts in (["ab", "c"], ["a", "bc"])]
    assert digest_of(nights[0]) != digest_of(nights[1])
