"""Reading YAML: what values mean, where they stand, and what the environment puts in."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab.yamlfile.document import Mark, read_yaml
from agentlab.yamlfile.problems import ProblemsError


@pytest.fixture
def read(tmp_path):
    def read(text, **environ):
        path = tmp_path / "lab.yml"
        path.write_text(text, "utf-8", newline="")
        return read_yaml(path, environ=environ)

    return read


def problems(read, text, **environ):
    """Give what is wrong, as line, column, key and text."""
    with pytest.raises(ProblemsError) as caught:
        read(text, **environ)
    return [(p.line, p.column, p.key, p.text) for p in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("no", "no"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ('"true"', "true"),
        ("12:30:45", "12:30:45"),
        ("2024-05-01", "2024-05-01"),
        ("=", "="),
        ("!!str 5", "5"),
        ("! 5", "5"),
        ("!!int '5'", 5),
        ("!!float 5", 5.0),
        ("!!null ''", None),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("[1, {a: b}]", [1, {"a": "b"}]),
        ("{1: a, 1.5: b}", {1: "a", 1.5: "b"}),
        ("!!seq [1]", [1]),
        ("!!map {a: 1}", {"a": 1}),
    ],
)
def test_values_mean_what_yaml_1_2_says(read, text, value):
    found = read(f"key: {text}\n").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number(read):
    (value,) = read("[.nan]").data
    assert value != value  # noqa: PLR0124 - that is what NaN is


PLACES = """\
# a comment
version: 1
agents:
  Läser: &laser
    class:   lab:Laser
    attributes: {µ: 5, list: [10,  20]}
  Red:
    <<: *laser
    class: lab:Red
nameservers:
  - default:
      ns_port: 9090
  - other
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_every_key_knows_its_line_and_column(read, newline, bom):
    document = read(bom + PLACES.replace("\n", newline))
    places = {
        (): (2, 1, 2, 1),
        ("version",): (2, 1, 2, 10),
        ("agents",): (3, 1, 4, 3),
        ("agents", "Läser"): (4, 3, 4, 10),
        ("agents", "Läser", "class"): (5, 5, 5, 14),
        ("agents", "Läser", "attributes", "µ"): (6, 18, 6, 21),
        ("agents", "Läser", "attributes", "list"): (6, 24, 6, 30),
        ("agents", "Läser", "attributes", "list", 1): (6, 36, 6, 36),
        ("agents", "Red", "class"): (9, 5, 9, 12),
        ("agents", "Red", "attributes"): (6, 5, 6, 17),  # merged in: where it really stands
        ("nameservers", 0): (11, 5, 11, 5),
        ("nameservers", 0, "default", "ns_port"): (12, 7, 12, 16),
        ("nameservers", 1): (13, 5, 13, 5),
    }
    for path, (line, column, value_line, value_column) in places.items():
        assert document.mark(path) == Mark(str(document.path), line, column), path
        assert document.value_mark(path) == Mark(str(document.path), value_line, value_column), path


def test_what_is_not_there_stands_where_it_should(read):
    document = read(PLACES)
    assert str(document.mark(("agents", "Red", "sockets", "power", "kind"))).endswith("lab.yml:7:3")
    assert (document.mark(("nothing",)).line, document.mark(("nothing",)).column) == (2, 1)
    assert document.get(("agents", "Red", "class")) == "lab:Red"
    assert document.get(("agents", "Red", 5, "class"), "none") == "none"
    assert document.text == PLACES


def test_anchors_and_merge_keys(read):
    data = read(
        """
base: &base {a: 1, b: {c: [1]}}
more: &more {a: 10, d: 4}
one: {<<: *base, a: 2}
two: {b: 5, <<: [*more, *base]}
three: {<<: {<<: *base, e: 5}, "<<": text}
alias: *base
"""
    ).data
    assert data["one"] == {"a": 2, "b": {"c": [1]}}
    assert data["two"] == {"b": 5, "a": 10, "d": 4}
    assert data["three"] == {"a": 1, "b": {"c": [1]}, "e": 5, "<<": "text"}
    assert data["alias"] == data["base"]
    data["alias"]["b"]["c"].append(2)
    assert data["base"]["b"]["c"] == [1]  # no two places share a value


def test_merging_something_else(read):
    assert problems(read, "a: {b: 1}\nc:\n  <<: 5\n") == [
        (3, 7, "c.<<", "found no mapping, allowed are mappings and lists of them, as <<: *name")
    ]


def test_all_duplicate_keys_are_told(read):
    found = problems(read, "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n")
    assert [(line, column, key) for line, column, key, _ in found] == [(5, 3, "b.c"), (6, 1, "a")]
    assert "first in line 3" in found[0][3]


def test_keys_that_are_no_names(read):
    assert [p[:3] for p in problems(read, "a:\n  [1]: 2\n  true: 3\n  null: 4\n")] == [(2, 3, "a"), (3, 3, "a"), (4, 3, "a")]


# --- the environment ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${PORT}", 9090),
        ("'${PORT}'", "9090"),
        ("!!str ${PORT}", "9090"),
        ("${PORT}1", "90901"),
        ("tcp://${HOST}:${PORT}/x", "tcp://camera:9090/x"),
        ("${NONE:9}", 9),
        ("${NONE:}", None),
        ("'${NONE:}'", ""),
        ("${NONE:a:b c}", "a:b c"),
        ("${PORT:9}", 9090),
        ("${TRICK}", "${PORT}"),
        ("${TAG}", "!!python/object/apply:os.system [x]"),
        ("$$", "$"),
        ("$$5", "$5"),
        ("$${PORT}", "${PORT}"),
        ("$5", "$5"),
        ("costs $", "costs $"),
        ("|\n  ${PORT}\n", "9090\n"),
    ],
)
def test_variables(read, text, value):
    environ = {"PORT": "9090", "HOST": "camera", "TRICK": "${PORT}", "TAG": "!!python/object/apply:os.system [x]"}
    assert read(f"key: {text}\n", **environ).data == {"key": value}


def test_the_environment_of_the_process_is_the_default(read, monkeypatch, tmp_path):
    monkeypatch.setenv("AGENTLAB_TEST_VALUE", "5")
    (tmp_path / "x.yml").write_text("a: ${AGENTLAB_TEST_VALUE}\n${A}: 1\n", "utf-8")
    assert read_yaml(tmp_path / "x.yml").data == {"a": 5, "${A}": 1}  # keys stay as they are


def test_variables_that_cannot_be(read):
    assert problems(read, "a: ${NONE}\nb: [x, '${1}', '${A']\n") == [
        (1, 4, "a", "environment variable NONE is not set; set it, or write ${NONE:default}"),
        (2, 8, "b[1]", "found '${1}', allowed are ${NAME} and ${NAME:default}; a dollar sign itself is $$"),
        (2, 16, "b[2]", "found '${', allowed are ${NAME} and ${NAME:default}; a dollar sign itself is $$"),
    ]


# --- anything at all ------------------------------------------------------------------------------------------------

# Of these JSON lets some stand unescaped, and YAML none; \x85, \u2028 and \u2029 end a line in YAML 1.1, by which PyYAML parses.
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff\ufffe\uffff"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(values, st.booleans())
def test_json_is_read_as_json_reads_it(tmp_path_factory, value, ascii_only):
    path = tmp_path_factory.mktemp("json") / "x.yml"
    written = json.dumps(value, ensure_ascii=ascii_only).replace("$", "$$")
    path.write_text(written, "utf-8")
    assert read_yaml(path).data == _values_of(json.loads(written), value)


def _values_of(doubled, plain):
    """Give keys as written, values with dollars put back."""
    if isinstance(doubled, dict):
        return {key: _values_of(doubled[key], plain[key.replace("$$", "$")]) for key in doubled}
    if isinstance(doubled, list):
        return [_values_of(*pair) for pair in zip(doubled, plain, strict=True)]
    return plain


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab:-?[]{},&*!|>'\"%@#$<~ \t\n\r01.", max_size=60))
def test_whatever_is_typed_is_read_or_told_with_its_place(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "x.yml"
    path.write_text(text, "utf-8", newline="")
    try:
        document = read_yaml(path, environ={})
    except ProblemsError as error:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for problem in error.problems:
            assert 1 <= problem.line <= len(lines)
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
            assert "\n" not in str(problem)
    else:
        assert all(document.mark(path).line >= 1 for path in document.marks)
