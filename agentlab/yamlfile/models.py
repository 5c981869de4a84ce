"""Models of what may stand in a file, and checking a document against one: all problems, in words of ours."""

from __future__ import annotations

import copy
import difflib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pydantic
from pydantic_core import ErrorDetails

from agentlab.yamlfile import words
from agentlab.yamlfile.document import Document
from agentlab.yamlfile.problems import Problems, key_text

log = logging.getLogger("agentlab.yamlfile")

M = TypeVar("M", bound=pydantic.BaseModel)

_OWN_WORDS = frozenset({"value_error", "assertion_error"})
_QUOTES = "; take the quotes away"
_WRAPPINGS = ("function-", "constrained-", "nullable", "lax-or-strict", "json-or-python")
_HOLDERS = ("list[", "dict[", "tuple[", "set[")
_RANGES = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal"})


class Model(pydantic.BaseModel):
    """Base of what stands in files: unknown keys are forbidden, text is no number, and nothing changes later.

    A list in a file is a ``list``; a field of another sequence type needs ``Field(strict=False)``. Where a mapping is wanted
    and nothing stands, all is left at its defaults. A validator raises ``ValueError`` with what was found and what is allowed.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _nothing_means_defaults(cls, data: Any) -> Any:
        return {} if data is None else data


def validate(
    model: type[M], document: Document, path: Sequence[Any] = (), *, problems: Problems, strict: bool = True
) -> M | None:
    """Make a model of what stands at a path of a document, or note all that is wrong there.

    Args:
        model: The class.
        document: What was read.
        path: Where in it.
        problems: Takes what is wrong, each with the place of its key.
        strict: Whether an unknown key is a problem; otherwise it is left out with one logged warning.

    Returns:
        The model; None where there were problems.
    """
    data = document.get(path)
    errors = _errors(model, data)
    if not strict and (unknown := [error for error in errors if error["type"] == "extra_forbidden"]):
        ignored = Problems()
        data = copy.deepcopy(data)
        for error in unknown:
            where = _Walk(model, data, error["loc"])
            ignored.add(document, (*path, *where.path), _unknown(where, "found an unknown key, which is ignored"))
            _drop(data, where.path)
        for problem in ignored.in_order():
            log.warning("%s", problem)
        errors = _errors(model, data)
    if not errors:
        return model.model_validate(data)
    for at, text in _told(model, data, errors):
        needed = document.quoted.get((*path, *at))  # YAML has no ${...} without quotes there
        cure = "; write it in block style, without quotes" if needed else _QUOTES
        problems.add(document, (*path, *at), text.removesuffix(_QUOTES) + cure if text.endswith(_QUOTES) else text)
    return None


def _errors(model: type[pydantic.BaseModel], data: Any) -> list[ErrorDetails]:
    try:
        model.model_validate(data)
    except pydantic.ValidationError as error:
        return error.errors(include_url=False)
    return []


def _drop(data: Any, path: tuple[Any, ...]) -> None:
    for part in path[:-1]:
        data = data[part]
    data.pop(path[-1], None)


@dataclass(frozen=True)
class _Choice:
    """A place where one of several types may stand."""

    path: tuple[Any, ...]
    annotation: Any
    metadata: tuple[Any, ...]


class _Walk:
    """Follows where pydantic met an error, through model and data at once: only pydantic counts members of unions as steps.

    Attributes:
        path: The place as users see it.
        annotation: What is allowed there.
        metadata: Limits of that.
        value: What was found there; None where nothing is.
        owner: The model whose key the last step was, or None.
        is_key: Whether a key itself is wrong, not its value.
        choice: The first place passed where several types are possible, or None.
        last: The last such place, or None.
        member: The member of that choice which the error is about.
    """

    def __init__(self, model: Any, data: Any, location: tuple[int | str, ...]) -> None:
        self.path: tuple[Any, ...] = ()
        self.annotation: Any = model
        self.metadata: tuple[Any, ...] = ()
        self.value = data
        self.owner: type[pydantic.BaseModel] | None = None
        self.choice: _Choice | None = None
        self.last: _Choice | None = None
        self.member: Any = None
        self.is_key = bool(location) and location[-1] == "[key]"
        steps = location[:-1] if self.is_key else location
        for step in steps:
            self._step(step)

    def _step(self, step: int | str) -> None:
        possible = words.members(self.annotation)
        if len(possible) > 1:
            tag = self._member_of(possible, str(step))
            if tag is not None:
                self.last = _Choice(self.path, self.annotation, self.metadata)
                if self.choice is None:
                    self.choice, self.member = self.last, tag
                self.annotation = tag
                return
        bare, more = words.strip(possible[0] if len(possible) == 1 else self.annotation)
        self.owner, self.metadata = None, ()
        if isinstance(bare, type) and issubclass(bare, pydantic.BaseModel):
            self.owner = bare
            info = words.field_of(bare, step)
            self.annotation = Any if info is None else info.annotation
            self.metadata = () if info is None else tuple(info.metadata)
        elif isinstance(step, str) and step.startswith(
            ("function-", "constrained-", "nullable", "lax-or-strict", "json-or-python")
        ):
            self.metadata = more
            return
        else:
            self.annotation = words.item_type(bare, step)
        key = self._actual_key(step)
        self.path = (*self.path, key)
        try:
            self.value = self.value[key]
        except (KeyError, IndexError, TypeError):
            self.value = None

    def _actual_key(self, step: int | str) -> Any:
        """Give the key as it stands in the data: pydantic gives numbers that are keys as text."""
        if isinstance(self.value, dict) and step not in self.value:
            return next((key for key in self.value if str(key) == str(step)), step)
        return step

    @staticmethod
    def _member_of(possible: list[Any], tag: str) -> Any:
        """Give the member of a union by pydantic's tag: ``int``, ``list[str]``, ``literal['a']``, a model's name."""
        for member in possible:
            bare, _ = words.strip(member)
            name = getattr(bare, "__name__", str(bare))
            if tag.startswith(_HOLDERS):  # dict[str,float] ends in float, too
                if tag.startswith(f"{name}["):
                    return member
                continue
            if tag == name or tag.removeprefix("constrained-") == name or tag.endswith(f"{name}]"):
                return member
            kind = tag.split("[", 1)[0]
            if kind == "literal" and words.choices(member):
                return member
            if kind == name:
                return member
        return possible[0] if tag.startswith(_WRAPPINGS) else None


def _told(model: Any, data: Any, errors: list[ErrorDetails]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Give path and text of each problem; the errors of the members of one union make one problem."""
    walks = [(_Walk(model, data, error["loc"]), error) for error in errors]
    told: set[tuple[Any, ...]] = set()
    for where, error in walks:
        choice = where.choice
        if choice is None:
            yield where.path, _text(where, error)
            continue
        same = [(w, e) for w, e in walks if w.choice is not None and w.choice.path == choice.path]
        deeper = [(w, e) for w, e in same if len(w.path) > len(choice.path) or e["type"] in _OWN_WORDS | _RANGES]
        if not deeper:
            if choice.path not in told:
                told.add(choice.path)
                yield choice.path, _found_and_allowed(where.value, choice.annotation, choice.metadata)
        elif any(w is where for w, _ in deeper):
            again = sum(w.path == where.path for w, _ in deeper) > 1  # none of several types fits there either
            if not again or where.last is None or where.last.path != where.path:
                yield where.path, _text(where, error)
            elif where.path not in told:
                told.add(where.path)
                yield where.path, _found_and_allowed(where.value, where.last.annotation, where.last.metadata)


def _text(where: _Walk, error: ErrorDetails) -> str:
    kind = error["type"]
    if kind in _OWN_WORDS:
        return str(error.get("ctx", {}).get("error") or error["msg"].partition(", ")[2])
    if kind == "missing":
        allowed = words.allowed(where.annotation, where.metadata)
        return f"is missing; allowed are {allowed}"
    if kind == "extra_forbidden":
        return _unknown(where)
    if where.is_key:
        return f"found the key {words.found(where.path[-1])}, allowed are keys of text; put it in quotes"
    return _found_and_allowed(where.value, where.annotation, where.metadata)


def _found_and_allowed(value: Any, annotation: Any, metadata: tuple[Any, ...]) -> str:
    allowed = words.allowed(annotation, metadata)
    text = f"found {words.found(value)}, allowed are {allowed}" if allowed else f"found {words.found(value)}, which does not fit"
    chosen = words.choices(annotation)
    if isinstance(value, str):
        close = difflib.get_close_matches(value, chosen, n=1)
        if close:
            return f"{text}; did you mean {close[0]!r}?"
        if allowed.startswith(("number", "whole number")) and value.strip().lstrip("+-").replace(".", "", 1).isdigit():
            return text + _QUOTES
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and allowed.startswith("text"):
        return f"{text}; put it in quotes"
    return text


def _unknown(where: _Walk, said: str = "found an unknown key") -> str:
    known = [] if where.owner is None else words.keys(where.owner)
    close = difflib.get_close_matches(str(where.path[-1]), known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"{said}, allowed are {', '.join(known)}{meant}" if known else said


__all__ = ["Model", "key_text", "validate"]
