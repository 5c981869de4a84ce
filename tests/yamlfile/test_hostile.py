"""Files that are no YAML, or would harm: one line each, quickly, and nothing is ever run."""

import contextlib
import errno
import os
import time
from pathlib import Path

import pytest

from agentlab.yamlfile.document import MAX_SIZE, read_yaml
from agentlab.yamlfile.problems import ProblemsError
from tests.timing import soon

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
MERGE_BOMB = "a0: &a0 {k: {x: 1}}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 10))


def complaint(tmp_path, content):
    """Give the only problem of a file."""
    path = tmp_path / "bad.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    began = time.perf_counter()
    with pytest.raises(ProblemsError) as caught:
        read_yaml(path, environ={})
    assert time.perf_counter() - began < soon(5.0)
    (problem,) = caught.value.problems
    assert str(caught.value) == str(problem)
    assert "\n" not in str(problem)
    return str(problem).replace(str(path), "bad.yml")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "bad.yml:1:1: the file is empty"),
        ("# nothing but this\n", "bad.yml:1:1: the file is empty"),
        ("---\n", None),
        (b"a: 1\nb: \x00\x01", "bad.yml:2:4: is binary, not YAML text"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "bad.yml:1:1: is binary, not YAML text"),
        (b"a: 1\nb: \x1b[0m", "bad.yml:2:4: found the control character '\\x1b'; take it away"),
        ("a: 1\r\nµ: \x80", "bad.yml:2:4: found the control character '\\x80'; take it away"),
        ("a: 1\nµ: é".encode("latin-1"), "bad.yml:2:1: byte 0xb5 is not UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "bad.yml:1:1: is binary, not YAML text"),
        (b"x" * (MAX_SIZE + 1), "bad.yml: is larger than 1024 KiB, which is more than any such file needs"),
        ("a: [1, 2", "bad.yml:1:9: not YAML: while parsing a flow sequence"),
        ("a: b: c", "bad.yml:1:5: not YAML: mapping values are not allowed here; check the indentation"),
        ("a:\n\t- b", "bad.yml:2:1: not YAML: while scanning for the next token, found character '\\t'"),
        ("a: 1\n  b: 2\n", "bad.yml:2:4: not YAML: mapping values are not allowed here"),
        ("a: 1\nb\n", "bad.yml:3:1: not YAML: while scanning a simple key, could not find expected ':'"),
        ("a: @b", "bad.yml:1:4: not YAML: while scanning for the next token"),
        ("a: *b", "bad.yml:1:4: not YAML: found undefined alias 'b'; define it before, with &name"),
        ("a: &x 1\nb: &x 2\n", None),
        ("a: 1\n---\nb: 2\n", "bad.yml:2:1: not YAML: expected a single document in the stream, but found another document"),
        ("%YAML 9.9\n---\na: 1\n", "bad.yml:1:1: not YAML"),
        ('a: "\\ud800"', None),
        (f"a: {'9' * 5000}", "bad.yml:1:4: a: found a number of 5000 digits, allowed are at most 400"),
        (f"a: {'[' * 2000}", "bad.yml:1:103: not YAML: more than 100 levels of nesting"),
        (f"a: {'{a: ' * 500}", "not YAML: more than 100 levels of nesting"),
        ("".join(f"{'  ' * n}a:\n" for n in range(150)), "bad.yml:100:199: not YAML: more than 100 levels of nesting"),
        ("a: &a [1, *a]", "bad.yml:1:11: a[1]: found an alias that contains itself; write out what is meant"),
        ("a: &a {b: {c: *a}}", "found an alias that contains itself"),
        ("a: &a\n  <<: *a\n  b: 1\n", "found an alias that contains itself"),
        (BOMB, "found aliases for more than 20000 values; write out what is meant"),
        (MERGE_BOMB, "found aliases for more than 20000 values; write out what is meant"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_no_yaml(tmp_path, content, says):
    if says is None:
        (tmp_path / "x.yml").write_text(content, "utf-8")
        with contextlib.suppress(ProblemsError):  # whatever it is taken for, it is no crash
            read_yaml(tmp_path / "x.yml")
    else:
        assert says in complaint(tmp_path, content)


@pytest.mark.parametrize(
    "tag",
    [
        '!!python/object/apply:os.system ["touch {}"]',
        "!!python/object/new:subprocess.Popen [[touch, '{}']]",
        "!!python/object/apply:subprocess.check_output\n  args: [[touch, '{}']]",
        "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{}']]",
        "!!python/name:os.system ''",
        "!!python/module:os ''",
        "!!python/tuple [1]",
        "!!python/object:object {{}}",
        "!!binary aGVsbG8=",
        "!!timestamp 2024-01-01",
        "!!set {{a, b}}",
        "!!omap [a: 1]",
        "!!pairs [a: 1]",
        "!include other.yml",
        "!!map [1]",
        "!!seq {{a: 1}}",
        "!!int five",
        "!!bool 5",
        "!<tag:example.org,2024:x> 5",
    ],
)
def test_a_tag_builds_nothing(tmp_path, tag):
    mark = tmp_path / "was-run"
    said = [line for line in _problems(tmp_path, f"a: 1\nb: {tag.format(mark)}\n") if "bad.yml:2:4: b: found " in line]
    assert len(said) == 1
    assert not mark.exists()


def _problems(tmp_path, text):
    path = tmp_path / "bad.yml"
    path.write_text(text, "utf-8")
    with pytest.raises(ProblemsError) as caught:
        read_yaml(path)
    return str(caught.value).splitlines()


def test_no_file(tmp_path):
    with pytest.raises(ProblemsError, match="none.yml: there is no such file$"):
        read_yaml(tmp_path / "none.yml")
    with pytest.raises(ProblemsError, match="is a directory, not a YAML file$"):
        read_yaml(tmp_path)
    with pytest.raises(ProblemsError, match="cannot be read: "):
        read_yaml("a\0b")
    with pytest.raises(ProblemsError, match="cannot be read: "):
        read_yaml(tmp_path / ("x" * 5000))


def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "secret.yml"
    path.touch(mode=0)

    def refuse(*_args, **_options):  # root may read everything
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ProblemsError, match="cannot be read: Permission denied"):
        read_yaml(path)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="a file without end")  # noqa: PTH110
def test_a_file_without_end():
    with pytest.raises(ProblemsError, match="is larger than 1024 KiB"):
        read_yaml("/dev/zero")


def test_a_long_and_honest_file(tmp_path):
    path = tmp_path / "long.yml"
    path.write_text("base: &b {a: 1, b: [1, 2]}\nitems:\n" + "- {<<: *b, c: 1}\n" * 1000, "utf-8")
    assert read_yaml(path).data["items"] == [{"a": 1, "b": [1, 2], "c": 1}] * 1000
