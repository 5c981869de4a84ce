"""From YAML text to plain values and their places.

Tags that would build objects, aliases that explode, and endless nesting are problems, found before anything is built.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import yaml

from agentlab.yamlfile.problems import Problem, Problems, ProblemsError, key_text
from agentlab.yamlfile.scalars import PREFIX, expand, plain_scalar, tag_complaint, tagged_scalar

MAX_DEPTH = 100
MAX_REPEATED = 20_000
"""Values that aliases may stand for, all together. A file of 1 kB could otherwise mean a milliard."""
_MERGE = "<<"

Path = tuple[Any, ...]
Position = tuple[int, int]


class Alias(yaml.Node):
    """Stands where ``*name`` was written; `value` is the node that it means."""

    def __init__(self, event: Any, node: Any) -> None:
        super().__init__("", node, event.start_mark, event.end_mark)


class Composer(yaml.SafeLoader):
    """Gives the tree of nodes; every node keeps the tag that was written, ``None`` where none was."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose one node, unless it lies too deep."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_DEPTH} levels of nesting", problem_mark=self._ahead().start_mark)
        try:
            event: Any = self._ahead()
            node: Any = super().compose_node(parent, index)
            if isinstance(event, yaml.AliasEvent):
                return Alias(event, node)
            node.written_tag = event.tag
            return node
        finally:
            self._depth -= 1

    def _ahead(self) -> Any:
        return self.peek_event()  # type: ignore[no-untyped-call]  # types-PyYAML leaves it out

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:  # noqa: ARG002 - PyYAML's signature
        """Give no meaning to scalars: that is done by our own rules."""
        return ""


class Lines:
    """Finds line and column, both from 1, of a character; a line ends as editors see it."""

    def __init__(self, text: str) -> None:
        self._starts = [0]
        self._starts += [i + 1 for i, c in enumerate(text) if c == "\n" or (c == "\r" and text[i + 1 : i + 2] != "\n")]

    def at(self, index: int) -> Position:
        """Give the line and the column of the character with that number."""
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1


class Builder:
    """Builds plain values from nodes, and notes for each path where key and value stand.

    Args:
        file: The file's name, for problems.
        text: The file's text.
        environ: Variables for ``${NAME}``.
        problems: Takes what is wrong.
        bool_keys: Whether ``true`` and ``false`` may be keys.
    """

    def __init__(self, file: str, text: str, environ: Mapping[str, str], problems: Problems, *, bool_keys: bool = False) -> None:
        self._bool_keys = bool_keys
        self.marks: dict[Path, tuple[Position, Position]] = {}
        self._file, self._environ, self._problems = file, environ, problems
        self._text, self._lines = text, Lines(text)
        self.quoted: dict[Path, bool] = {}
        """Where a whole ``${NAME}`` in quotes became text that looks like a number, and whether it stands within [] or {}."""
        self._flow = 0
        self._seen: set[int] = set()
        self._open: list[int] = []
        self._repeated = 0

    def build(self) -> Any:
        """Give the file's one value.

        Raises:
            ProblemsError: it is not YAML, or cannot be gone through to the end.
        """
        root = self._compose()
        if root is None:
            raise ProblemsError([Problem(self._file, 1, 1, "", "the file is empty")])
        self._note((), root, root)
        return self._value(root, ())

    def _compose(self) -> Any:
        loader = None
        try:
            loader = Composer(self._text)
            return loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (1, 1) if mark is None else self._lines.at(mark.index)
            text = _syntax(error)
            if mark is not None and self._text[max(0, mark.index - 1) : mark.index + 1] == "${":
                text += "; within [] and {}, ${...} needs quotes, and then is text: write it in block style, without quotes"
            raise ProblemsError([Problem(self._file, line, column, "", text)]) from None
        except yaml.YAMLError as error:
            raise ProblemsError([Problem(self._file, 1, 1, "", f"not YAML: {' '.join(str(error).split())}")]) from None
        finally:
            if loader is not None:
                loader.dispose()

    def _value(self, written: Any, path: Path) -> Any:
        node = _meant(written)
        if id(node) in self._seen:
            self._repeated += 1
        self._seen.add(id(node))
        if id(node) in self._open:
            raise self._fatal(path, written, "found an alias that contains itself; write out what is meant")
        if self._repeated > MAX_REPEATED:
            raise self._fatal(path, written, f"found aliases for more than {MAX_REPEATED} values; write out what is meant")
        self._open.append(id(node))
        in_brackets = getattr(node, "flow_style", None) is True
        self._flow += in_brackets
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, path)
            return self._scalar(node, path)
        finally:
            self._flow -= in_brackets
            self._open.pop()

    def _mapping(self, node: Any, path: Path) -> dict[Any, Any]:
        self._check_tag(node, path, "map")
        value: dict[Any, Any] = {}
        first: dict[Any, Any] = {}
        merges = []
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            is_merge = key == _MERGE and _meant(key_node).style is None
            if (key, is_merge) in first:
                line, _ = self._at(first[key, is_merge])
                self._problem((*path, key), key_node, f"found twice, first in line {line}; take one of them away")
                continue
            first[key, is_merge] = key_node
            if is_merge:
                merges.append(value_node)
            else:
                self._note((*path, key), key_node, value_node)
                value[key] = self._value(value_node, (*path, key))
        for merge in merges:  # last, for what is written out here comes first
            self._merge(value, merge, path)
        return value

    def _merge(self, value: dict[Any, Any], written: Any, path: Path) -> None:
        """Take in the keys of the mappings that `<<` names; what is there already stays."""
        node = _meant(written)
        for source in node.value if isinstance(node, yaml.SequenceNode) else [written]:
            if not isinstance(_meant(source), yaml.MappingNode):
                self._problem((*path, _MERGE), source, "found no mapping, allowed are mappings and lists of them, as <<: *name")
                continue
            others, self.marks = self.marks, {}
            try:
                merged = self._value(source, path)
            finally:
                found, self.marks = self.marks, others
            new = merged.keys() - value.keys()
            value.update({key: merged[key] for key in merged if key in new})
            self.marks.update({place: mark for place, mark in found.items() if place[len(path)] in new})

    def _key(self, node: Any, path: Path) -> Any:
        key: Any = None
        if isinstance(_meant(node), yaml.ScalarNode):
            key = self._plain(_meant(node), path)
            if isinstance(key, (str, int, float)) and (self._bool_keys or not isinstance(key, bool)):
                return key
        self._problem(path, node, "found a key that is neither text nor a number; put it in quotes")
        return None

    def _sequence(self, node: Any, path: Path) -> list[Any]:
        self._check_tag(node, path, "seq")
        for number, item in enumerate(node.value):
            self._note((*path, number), item, item)
        return [self._value(item, (*path, number)) for number, item in enumerate(node.value)]

    def _scalar(self, node: Any, path: Path) -> Any:
        return self._plain(node, path, expanding=True)

    def _plain(self, node: Any, path: Path, *, expanding: bool = False) -> Any:
        written = text = _joined(node.value)
        whole = False
        try:
            text.encode()
            if expanding and "$" in text:
                text, whole = expand(text, self._environ)
            if node.written_tag is not None:
                return tagged_scalar(node.written_tag, text)
            if node.style is None and (whole or text == written):
                return plain_scalar(text)
            if whole and isinstance(plain_scalar(text), (int, float)):
                self.quoted[path] = self._flow > 0
        except UnicodeEncodeError:
            self._problem(path, node, "found half of a character, \\ud800 to \\udfff; write the whole of it")
            return None
        except ValueError as error:
            self._problem(path, node, str(error))
            return None
        return text

    def _check_tag(self, node: Any, path: Path, kind: str) -> None:
        if node.written_tag not in (None, "!", PREFIX + kind):
            self._problem(path, node, tag_complaint(node.written_tag))

    def _note(self, path: Path, key_node: Any, value_node: Any) -> None:
        self.marks[path] = (self._at(key_node), self._at(value_node))

    def _at(self, node: Any) -> Position:
        return self._lines.at(node.start_mark.index)

    def _problem(self, path: Path, node: Any, text: str) -> None:
        self._problems.append(Problem(self._file, *self._at(node), key_text(path), text))

    def _fatal(self, path: Path, node: Any, text: str) -> ProblemsError:
        self._problem(path, node, text)
        return ProblemsError(list(self._problems))


def _meant(node: Any) -> Any:
    """Give the node itself, of an alias the one that it means."""
    return node.value if isinstance(node, Alias) else node


def _joined(text: str) -> str:
    """Give a text with characters that were written as two escapes, as JSON does, made one."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


_CURES = {
    "cannot start any token": "indent with spaces, and put text that begins so in quotes",
    "mapping values are not allowed": "check the indentation, and put text with a colon in quotes",
    "expected <block end>": "check the indentation of this line",
    "could not find expected ':'": "write key: value, with a space after the colon",
    "but found another document": "a file holds one document; take the line --- away",
    "undefined alias": "define it before, with &name",
}


def _syntax(error: Any) -> str:
    said = [part for part in (error.context, error.problem) if part]
    text = " ".join(", ".join(said).split())
    cures = [cure for found, cure in _CURES.items() if found in text]
    return f"not YAML: {text}{''.join(f'; {cure}' for cure in cures[:1])}"
