"""YAML files that people hand in: what is read, and what is refused with its line before it costs time or memory."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import date
from pathlib import Path
from random import Random

import pytest
import yaml

from benchmarks.shared.mutations import VALID_JOB, mutated_job_file
from tasks.yaml_file import MOST_BYTES, YamlError, parse_yaml, read_yaml

NESTED = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


def test_values_are_those_of_yaml():
    read = parse_yaml("{a: 1_000, b: 1.5, c: yes, d: 2024-01-31, e: '010', f: ~, g: 0x1F, h: =, i: .inf}", "f")
    assert read == {
        "a": 1000, "b": 1.5, "c": True, "d": date(2024, 1, 31), "e": "010", "f": None, "g": 31, "h": "=",
        "i": float("inf"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (NESTED, 15, "more than 100,000 values, counting what aliases repeat"),
        ("a: [" + "x, " * 100_000 + "]", 1, "more than 100,000 values"),
        ("x: y\na: " + "[" * 1_000, 2, "nest more than 50 levels deep"),
        ("a: " + "{b: " * 1_000, 1, "nest more than 50 levels deep"),
        ("- " * 1_000, 1, "nest more than 50 levels deep"),
        ("a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 60)), 49, "nests values more than"),
        ("a: &a\n  b: *a\n", 2, r"the alias \*a stands inside the value that it repeats"),
        ("a: 1\nb: *c\n", 2, r"no value before has the anchor of the alias \*c"),
        ("a: &a 1\nb: &a 2\n", 2, "the anchor &a stands before already"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins"),
        ("a: &a {b: 1}\nc: {<<: 5}\n", 2, "expected a mapping or list of mappings for merging"),
        ("a: 2024-13-45", 1, "'2024-13-45' is no time"),
        ("a: 2024-01-01T00:00:00+99:99", 1, "is no time"),
        ("a:\n- " + "9" * 5_000, 2, r"'9{60}…' is a number of 5,000 digits"),
        ("a: 0x" + "F" * 5_000, 1, "is a number of 5,002 digits"),
        ("a: 12:30", 1, "YAML reads '12:30' in base 60"),
        ("a: 1:30.5", 1, "YAML reads '1:30.5' in base 60"),
        ("a: 010", 1, "YAML reads '010' in base 8"),
        ("a: !!int x", 1, "'x' is no whole number"),
        ("a: !!float x", 1, "'x' is no number"),
        ("a: !!bool x", 1, "'x' is no yes or no"),
        ("a: !!timestamp x", 1, "'x' is no time"),
        ("a: !!python/object/apply:os.system [ls]", 1, "the tag !!python/object/apply:os.system has no meaning here"),
        ("a: !!binary aGk=", 1, "the tag !!binary has no meaning"),
        ("a: !!set {b}", 1, "the tag !!set has no meaning"),
        ("a: !secret b", 1, "the tag !secret has no meaning"),
        ("a: b\n{[1]: c}: d", 2, "not YAML"),
        ("? [1]\n: c", 1, "unhashable key"),
        ("a:\n\tb: 1", 2, r"cannot start any token"),
        ("a: b\nc: \x00", 2, r"the character U\+0000 cannot stand in YAML"),
        ("%YAML 9.9\n---\na: b", 1, "incompatible YAML document"),
        ("a: {<<: &x {b: 1}, <<: {c: 1}, b: 1, b: 2}", 1, "the key 'b' stands in line 1 and again in line 1"),
    ],
)
@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.CSafeLoader], ids=["python", "libyaml"])
def test_what_cannot_be_meant_is_refused_with_its_line(text, line, words, loader):
    with pytest.raises(YamlError) as raised:
        parse_yaml(text, "job.yaml", loader)
    assert re.search(rf"^job.yaml, line {line}(, column \d+)?: (not YAML: )?.*{words}", str(raised.value))
    assert len(str(raised.value)) < 400


def test_what_libyaml_and_python_both_read_is_the_same():
    both = 0
    for seed in range(60):
        text = mutated_job_file(Random(seed))
        read = []
        for loader in (yaml.SafeLoader, yaml.CSafeLoader):
            # libyaml takes a few things more, as YAML itself does: a tab after a colon, a ? within a word.
            with suppress(YamlError):
                read.append(repr(parse_yaml(text, "job.yaml", loader)))
        both += len(read) == 2
        assert len(set(read)) <= 1
    assert both > 20


def test_a_file_in_another_encoding_is_refused_with_the_remedy(tmp_path):
    file = tmp_path / "job.yaml"
    for encoding, words in [
        ("utf-16", "is text in UTF-16. Save it as UTF-8"),
        ("utf-16-le", "the character U[+]0000 cannot stand in YAML. Remove it; if the file is UTF-16, save it"),
        ("latin-1", "line 2: the byte 0xe9 is not UTF-8"),
    ]:
        file.write_bytes(f"a: b\nc: {'cafe' if encoding == 'utf-16-le' else 'café'}".encode(encoding))
        with pytest.raises(YamlError, match=words):
            read_yaml(file)
    file.write_bytes("\ufeffa: café\r\nb: c\r\n".encode())
    assert read_yaml(file) == {"a": "café", "b": "c"}


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path):
    folder, pipe, link = tmp_path / "folder", tmp_path / "pipe", tmp_path / "link"
    folder.mkdir()
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "nowhere")
    expected = [
        (folder, "is a folder, not a file"),
        (pipe, "is a named pipe, not a file"),
        (Path("/dev/zero"), "is a device, not a file"),
        (link, "cannot be read: No such file or directory"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
    ]
    for path, words in expected:
        with pytest.raises(YamlError, match=words):
            read_yaml(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    file = tmp_path / "job.yaml"
    with file.open("wb") as sparse:
        sparse.truncate(2 << 30)
    with pytest.raises(YamlError, match=r"has 2,147,483,648 bytes; the largest YAML file that is read has 1,048,576"):
        read_yaml(file)
    file.write_text("# " + "x" * (MOST_BYTES - 13) + "\na: nine\n")
    assert file.stat().st_size < MOST_BYTES
    assert read_yaml(file) == {"a": "nine"}


def test_a_valid_job_file_of_many_entries_is_read():
    assert parse_yaml(VALID_JOB, "job.yaml")["forecast"]["horizon"] == 28
    many = "static: [" + ", ".join(f"column_{n}" for n in range(20_000)) + "]"
    assert len(parse_yaml(many, "job.yaml")["static"]) == 20_000
