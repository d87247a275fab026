"""How the documentation is built: ``sphinx-build -n -W -b html docs docs/_build/html``, offline."""

import re
from typing import Any

import ipcframe

project = "ipcframe"
author = "the ipcframe authors"
copyright = "the ipcframe authors"  # noqa: A001 - Sphinx's name
version = release = ipcframe.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "examples"]
html_theme = "furo"
html_title = f"ipcframe {release}"
default_role = "code"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"

# No inventories are fetched: these names are the standard library's, or private.
nitpick_ignore_regex = [
    ("py:.*", r"(abc|argparse|collections|enum|multiprocessing|types|typing)\..*"),
    ("py:class", r"os\.PathLike|ArgumentParser|_SubParsersAction"),
    ("py:class", r"ipcframe\.(abc\.sync\._Acquirable|context\.Spec|errors\..*|_.*)"),
    ("py:class", r"ipcframe\.toolkit\.(intake\.Intake|outlet\.Outlet|descriptor\.Descriptor)"),
    ("py:class", r"_socket\.socket|.*\b_Item|_S(haredMemory|hareableList)"),
]

# The answers that the docstring of a contract gives, each in a line (or more, indented) of its own.
ANSWER = re.compile(r"(Blocks|Threads|Buffers|Raises|Interrupted|Peer death|After fork): ")


def list_answers(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Make a list of them."""
    answering = False
    for index, line in enumerate(lines):
        if ANSWER.match(line):
            answering = True
            lines[index] = ANSWER.sub(r"* **\1:** ", line)
        elif answering and line.startswith("    "):
            lines[index] = line[2:]


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", list_answers)
