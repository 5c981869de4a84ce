"""What the tests of the wire send: strategies for values, and things that can be imported."""

import enum

from hypothesis import settings
from hypothesis import strategies as st

QUICK = settings(deadline=None, database=None, max_examples=60)  # a busy machine is no failure; leave no files

ALL = ("raw", "pickle", "cloudpickle", "dill", "json", "msgpack")
PICKLES = ("pickle", "cloudpickle", "dill")
PLAIN = ("json", "msgpack")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | texts
json_values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5))
_keys = st.integers(-(2**63), 2**64 - 1) | texts | st.binary(max_size=10)
msgpack_values = st.recursive(
    _scalars | st.binary(max_size=60), lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_keys, inner, max_size=5)
)
pickle_values = st.recursive(
    _scalars | st.binary(max_size=60) | st.integers() | st.complex_numbers(allow_nan=False),
    lambda inner: st.lists(inner, max_size=5) | st.tuples(inner, inner) | st.dictionaries(_keys, inner, max_size=5),
)
VALUES = {
    "raw": st.binary(max_size=200),
    "pickle": pickle_values,
    "cloudpickle": pickle_values,
    "dill": pickle_values,
    "json": json_values,
    "msgpack": msgpack_values,
}


class Shade(enum.Enum):
    RED = 1


class Unpicklable:
    """Refuses to be pickled, and to say why."""

    def __reduce__(self):
        raise ZeroDivisionError("never")
