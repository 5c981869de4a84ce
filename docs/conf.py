"""Sphinx's settings. Build with: ``python -m sphinx -n -W docs docs/_build``."""

import builtins
import os
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import agentlab
import agentlab.instruments
import agentlab.instruments.simulated
import agentlab.lab
import agentlab.nameserver
import agentlab.runs
from agentlab.settings import Settings

project = "agentlab"
author = "the agentlab developers"
copyright = f"2026, {author}"
version = release = agentlab.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "performance_table.rst"]  # the table is part of a page, where there is one
html_theme = "furo"
html_title = f"agentlab {release}"
html_static_path = ["_static"]
highlight_language = "none"  # what is Python is included from snippets/, and says so

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Source"]

# -n complains about every name that no page defines. Ours must resolve; those of Python and of other packages
# cannot, because a build reads no inventory from the network.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!agentlab\b)\w+\..*"),
    (r"py:.*", "|".join([*dir(builtins), *sys.stdlib_module_names])),
    (r"py:class", r"Source|agentlab\.transport\.sockets\.Socket"),  # named by docstrings, not public
    (r"py:class", r"Backend|Book|OnEvent|agentlab\.lab\.messages\.Report|agentlab\.lab\.(instrument_)?model\.\w+"),  # nor these
    (r"py:func", r"registration_from_plain"),
    (r"py:class", r"Ask|Future|Line|Path|agentlab\.instruments\.(engine\.instrument\.Instrument|scpi\.model\.ScpiTable)"),
    (r"py:class", r"agentlab\.instruments\.visa\.lines?\.Line"),
    (r"py:class", r"agentlab\.runs\.(model\.Axis|writer\.RunWriter|readings\.Reading|history\.Reading)"),
    (r"py:(func|data|attr)", r"agentlab\.instruments\.model\.overrides\.apply_overrides|State|lost"),
]
COLON = "\ue000"  # a private character, in no docstring


class SettingsTable(SphinxDirective):
    """The settings with their defaults, as the program itself knows them."""

    def run(self) -> list[nodes.Node]:
        """Give a table of name, variable, default and meaning."""
        chosen = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("AGENTLAB_")}
        try:
            described = Settings().describe()  # a fresh one, without variables: so its values are the defaults
        finally:
            os.environ.update(chosen)
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 22 33 15 30", ""]
        rows = [
            (f"``{key}``", f"``{variable}``" if variable else "", f"``{default!r}``", doc)
            for key, (default, variable, doc) in described.items()
        ]
        for row in [("name", "environment variable", "default", "what it is"), *rows]:
            lines += [f"   {'-' if index else '* -'} {cell}".replace("   -", "     -", 1) for index, cell in enumerate(row)]
        return self.parse_text_to_nodes("\n".join(lines))


class MeasuredTable(SphinxDirective):
    """The benchmarks' table, or a sentence that says how to get it."""

    def run(self) -> list[nodes.Node]:
        """Give the table of ``performance_table.rst``, which a full run of the benchmarks writes."""
        path = Path(self.env.srcdir) / "performance_table.rst"
        self.env.note_dependency(str(path))
        if path.exists():
            return self.parse_text_to_nodes(path.read_text("utf-8"))
        text = "This copy of the documentation was built without figures."
        return [nodes.paragraph(text, text)]


def _other_names() -> dict[str, str]:
    """Map each public name to the module that defines it, and back: pages use the one, type hints the other."""
    found: dict[str, str] = {}
    instruments = agentlab.runs, agentlab.instruments, agentlab.instruments.simulated
    for module in (agentlab, agentlab.lab, agentlab.nameserver, *instruments):
        for name in module.__all__:
            value = getattr(module, name)
            if hasattr(value, "__qualname__"):
                public, real = f"{module.__name__}.{name}", f"{value.__module__}.{value.__qualname__}"
                known = found.setdefault(real, public)  # the page uses the first of several public names
                found[public] = real if known == public else known
    return found


def resolve_public_name(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Find a name of ours that is documented under its other name."""
    if node.get("refdomain") != "py":
        return None
    names, written, domain = app.config.other_names, node.get("reftarget"), env.get_domain("py")
    target = names.get(written) or names.get(f"agentlab.{written}") or names.get(f"agentlab.instruments.{written}")
    if target is None:  # a method of a class that is documented under its other name
        owner, _, member = written.rpartition(".")
        target = f"{names[owner]}.{member}" if owner in names else None
    if target is None or target not in domain.objects:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, contnode)


def keep_prose(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001 - Sphinx's
    """Hide the colons in the first line of an attribute or a return, where napoleon would take "what: how" for "type: text"."""
    firsts = [0] if what in {"attribute", "property", "data"} else []
    firsts += [index + 1 for index, line in enumerate(lines) if line.strip() == "Returns:"]
    for index in firsts:
        if index < len(lines) and " " in lines[index].partition(":")[0].strip():
            lines[index] = lines[index].replace(":", COLON)


def show_prose(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001 - Sphinx's
    """Show the colons again that :func:`keep_prose` has hidden."""
    lines[:] = [line.replace(COLON, ":") for line in lines]


def setup(app: Any) -> dict[str, Any]:
    """Add what is ours to Sphinx."""
    app.add_config_value("other_names", _other_names(), "")
    app.add_directive("settings-table", SettingsTable)
    app.add_directive("measured-table", MeasuredTable)
    app.connect("autodoc-process-docstring", keep_prose, priority=400)  # napoleon has 500
    app.connect("autodoc-process-docstring", show_prose, priority=600)
    app.connect("missing-reference", resolve_public_name)
    return {"parallel_read_safe": True}
