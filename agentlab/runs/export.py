"""Runs as files of other programs. The one door to h5py, pyarrow and xarray, each imported when it is asked for."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from agentlab.errors import RunError
from agentlab.runs.model import Column, Grid

if TYPE_CHECKING:
    from agentlab.runs.run import Run

SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".h5": "hdf5", ".hdf5": "hdf5"}
"""Ending of a file's name -> what is written there."""


def write(path: Path, save: Callable[[IO[bytes]], object]) -> Path:
    """Write a file so that it is there whole or not at all; an older one is replaced.

    Args:
        path: The file; its directory is made where it is missing.
        save: Writes into an open file.

    Raises:
        RunError: it cannot be written.
    """
    path = path.expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # a pipe or a device cannot be replaced
            with path.open("wb") as file:
                save(file)
            return path
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                save(file)
            Path(beside).chmod(0o666 & ~_umask())
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RunError(f"{str(path)!r} cannot be written: {error.strerror or error}; give another file") from None
    return path.resolve()


def _umask() -> int:
    """Give the bits that the user takes off new files; they can only be asked for by setting them."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def to_csv(run: Run, path: Path) -> Path:
    """Write a table of text.

    The first line has the columns as ``name (unit)``; ``time`` is in seconds since 1970, an array is a list in brackets, a
    missing number is ``nan``.

    Args:
        run: The run; of one that is still measured, the rows so far.
        path: The file.

    Returns:
        Its absolute path.

    Raises:
        RunError: it cannot be written, or the run cannot be read.
    """

    def save(file: IO[bytes]) -> None:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        write_csv(run, text)
        text.detach()

    return write(path, save)


def write_csv(run: Run, file: Any) -> None:
    """Write the same to an open text file."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([column.label for column in run.columns])
    writer.writerows([_cell(value) for value in row] for row in run.store.rows(run.id))
    file.flush()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, list | dict) or hasattr(value, "tolist"):
        return json.dumps(value, default=_listed)
    return value.hex() if isinstance(value, bytes) else value


def _listed(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def to_parquet(run: Run, path: Path) -> Path:
    """Write a Parquet file; the unit is in the metadata of each column, all of the run in that of the table.

    Complex numbers become two columns, ``name.real`` and ``name.imag``; what is of no one type becomes text of JSON. Needs
    pyarrow: ``agentlab[parquet]``.

    Args:
        run: The run; of one that is still measured, the rows so far.
        path: The file.

    Returns:
        Its absolute path.

    Raises:
        RunError: pyarrow is missing, or the file cannot be written.
    """
    arrow = _library("pyarrow", "parquet")
    parquet = importlib.import_module("pyarrow.parquet")
    fields, columns = [], []
    for column, values in _parts(run):
        made = _arrow_array(arrow, values)
        fields.append(arrow.field(column.name, made.type, metadata={"unit": column.unit, "role": column.role}))
        columns.append(made)
    table = arrow.Table.from_arrays(columns, schema=arrow.schema(fields, metadata={"agentlab": _about(run)}))
    return write(path, lambda file: parquet.write_table(table, file))


def _arrow_array(arrow: Any, values: Any) -> Any:
    if getattr(values, "ndim", 2) == 1 and values.dtype.kind in "fiub":
        return arrow.array(values)
    found = [value.tolist() if hasattr(value, "tolist") else value for value in values]
    kinds = {type(value) for value in found if value is not None and not (isinstance(value, float) and math.isnan(value))}
    with contextlib.suppress(arrow.ArrowException, TypeError, ValueError, OverflowError):  # it finds no type for them
        if dict not in kinds and (len(kinds) <= 1 or kinds == {int, float}):  # a mapping would get the others' keys, too
            return arrow.array(found)
    return arrow.array([None if value is None else _as_text(value) for value in found], arrow.string())


def to_hdf5(run: Run, path: Path) -> Path:
    """Write an HDF5 file: a dataset for each column, with attributes ``unit`` and ``role``.

    All of the run is in the file's attribute ``agentlab`` as JSON, the snapshot of the instruments in dataset ``snapshot``.
    What is no number, text or array of one shape is kept as text of JSON. Needs h5py: ``agentlab[hdf5]``.

    Args:
        run: The run; of one that is still measured, the rows so far.
        path: The file.

    Returns:
        Its absolute path.

    Raises:
        RunError: h5py is missing, or the file cannot be written.
    """
    h5py = _library("h5py", "hdf5")

    def save(file: IO[bytes]) -> None:
        content = io.BytesIO()  # the library's own errors of writing name no cause
        with h5py.File(content, "w") as made:
            text = h5py.string_dtype("utf-8")
            made.attrs["agentlab"] = _about(run, snapshot=False)
            data, taken = run.data, {"snapshot"}
            for column in run.columns:
                values, name = data[column.name], _free_name(column.name, taken)
                if getattr(getattr(values, "dtype", None), "kind", "O") in "fiubc":
                    dataset = made.create_dataset(name, data=values)
                else:
                    dataset = made.create_dataset(name, data=list(map(_bare_text, values)), dtype=text, shape=(len(values),))
                dataset.attrs["unit"], dataset.attrs["role"] = column.unit, column.role
            made.create_dataset("snapshot", data=json.dumps(run.snapshot, ensure_ascii=False), dtype=text)
        file.write(content.getbuffer())

    return write(path, save)


def to_xarray(run: Run) -> Any:
    """Give an :class:`xarray.Dataset`: a variable for each reading over the axes, NaN where nothing is measured yet.

    A run without axes is over ``point``, the number of the row. Units are in attribute ``units``; the run is in the attributes of
    the Dataset. Needs xarray: ``agentlab[xarray]``.

    Args:
        run: The run; of one that is still measured, the rows so far.

    Raises:
        RunError: xarray is missing.
    """
    xarray = _library("xarray", "xarray")
    numpy = _library("numpy", "numpy")
    info, data, axes = run.info, run.data, run.axes
    dims, shape = (tuple(axes), info.shape) if axes else (("point",), (len(data["time"]),))
    variables = {}
    for column in info.columns:
        if column.role == "axis":
            continue
        values = numpy.asarray(data[column.name])
        places = Grid(shape, snake=info.snake).places(len(values))
        variables[column.name] = (
            (*dims, *(f"{column.name}_{i}" for i in range(values.ndim - 1))),
            _on_grid(numpy, values, places, shape),
            {"units": column.unit},
        )
    coordinates = {column.name: (column.name, axes[column.name], {"units": column.unit}) for column in info.axes}
    about = {key: value for key, value in info.to_dict().items() if isinstance(value, str | int | float)}
    about.pop("snake")
    return xarray.Dataset(variables, coordinates, {**about, "snapshot": json.dumps(run.snapshot, ensure_ascii=False)})


def _on_grid(numpy: Any, values: Any, places: list[int], shape: tuple[int, ...]) -> Any:
    """Give values at their places in the grid; what is not there yet is NaN, or None where that cannot be."""
    size, rest = Grid(shape).total, values.shape[1:]
    kind = values.dtype.kind
    if kind in "iub" and len(values) < size:
        values = values.astype("f8")
    elif kind not in "fiubc":
        values = values.astype(object)
    made = numpy.full(
        (size, *rest), None if values.dtype.kind == "O" else 0 if values.dtype.kind in "iub" else numpy.nan, values.dtype
    )
    made[places] = values
    return made.reshape((*shape, *rest))


def _parts(run: Run) -> Iterable[tuple[Column, Any]]:
    for column in run.columns:
        values = run.data[column.name]
        kind = getattr(getattr(values, "dtype", None), "kind", "")
        if kind == "c" or (kind in ("", "O") and len(values) and all(isinstance(value, complex) for value in values)):
            yield Column(f"{column.name}.real", column.unit, column.role), [value.real for value in values]
            yield Column(f"{column.name}.imag", column.unit, column.role), [value.imag for value in values]
        else:
            yield column, values


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, complex):
        return str(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_listed)


def _bare_text(value: Any) -> str:
    return _as_text(value).replace("\0", "\\0")  # where HDF5 would see its end


def _free_name(name: str, taken: set[str]) -> str:
    """Give a name that HDF5 takes for a dataset beside the others: a slash or a dot would lead elsewhere."""
    bare = name.replace("\0", "_").replace("/", "_")
    found = bare = "_" if not bare.strip(".") else bare
    number = 2
    while found in taken:
        found, number = f"{bare}_{number}", number + 1
    taken.add(found)
    return found


def _about(run: Run, *, snapshot: bool = True) -> str:
    about = run.info.to_dict()
    if snapshot:
        about["snapshot"] = run.snapshot
    return json.dumps(about, ensure_ascii=False)


def _library(module: str, extra: str) -> Any:
    with contextlib.suppress(ImportError):
        return importlib.import_module(module)
    raise RunError(f'that needs {module}, which is not installed; python -m pip install "agentlab[{extra}]"')
