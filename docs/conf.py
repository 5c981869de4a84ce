"""Sphinx's settings. Build with: ``python -m sphinx -n -W docs docs/_build``."""

from agentlab import __version__

project = "agentlab"
author = "the agentlab developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"agentlab {release}"

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Source"]

# -n complains about every name that no page defines. Ours must resolve; those of Python and of other packages
# cannot, because a build reads no inventory from the network.
nitpick_ignore_regex = [(r"py:.*", r"(?!agentlab\b).*")]
