"""Who may import whom: every file is read, and a failure states the rule."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "ipcframe"

# Nothing imports what stands further to the right.
LEVELS = [
    {"errors", "capabilities", "settings", "deadline", "_boot"},
    {"abc"},
    {"toolkit"},
]
UPPER = [
    {"hookspecs"},
    {"_plugins", "_faults"},
    {"config", "_config_file", "_config_keys", "_toml_lines", "_observers", "_core_hooks"},
    {
        *("context", "process", "_factories", "_servers"),
        *("connection", "managers", "pool", "queues", "shared_memory", "sharedctypes", "synchronize"),
    },
    {"_default", "dropin", "dummy"},
    {"__init__", "__main__", "cli"},
]
FOR_PLUGINS = {"abc", "hookspecs", "capabilities", "settings", "errors", "deadline", "toolkit"}
NAMES = {"pipe", "unix", "shm", "fork", "spawn", "forkserver", "trace"}
NO_PLUGINS = {("shared_memory.py", "shm"), ("handles.py", "pipe")}
"""Where one of these words is something else: an attribute of multiprocessing, a fixture."""


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py"))


def part(path: Path) -> str:
    """The name of the part of the core that a file belongs to."""
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The absolute names of the modules that a file imports, those only for type checking left out."""
    tree = ast.parse(path.read_text("utf-8"))
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in _run_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _run_nodes(node)


def core_parts(path: Path) -> set[str]:
    """The parts of the core that a file imports."""
    found = set()
    for name in imports(path):
        if name.startswith("ipcframe."):
            found.add(name.split(".")[1])
    known = {file.stem for file in CORE.glob("*.py")} | {
        file.parent.name for file in CORE.glob("*/__init__.py")
    }
    return found & known


@pytest.mark.parametrize("path", files(CORE), ids=lambda path: str(path.relative_to(ROOT)))
def test_core_files_import_only_what_stands_to_their_left(path: Path) -> None:
    own = part(path)
    if own == "conformance":
        return
    order = [*LEVELS, *UPPER]
    level = next((index for index, parts in enumerate(order) if own in parts), None)
    assert level is not None, f"{own}: give it a place in the order of design: {order}"
    to_the_right: set[str] = set().union(*order[level + 1 :])
    wrong = core_parts(path) & to_the_right
    assert not wrong, f"{path.name} stands left of {wrong} and may not import it: {order}"


@pytest.mark.parametrize(
    "path",
    [*files(ROOT / "backends"), *files(ROOT / "plugins")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_plugins_import_only_the_contracts_and_the_toolkit(path: Path) -> None:
    package = path.relative_to(ROOT).parts[1]
    wrong = core_parts(path) - FOR_PLUGINS
    assert not wrong, f"a plugin may import ipcframe.{FOR_PLUGINS}, and not {wrong}"
    others = {name.split(".")[0] for name in imports(path) if name.startswith("ipcframe_")} - {package}
    assert not others, f"a plugin never imports another plugin: {others}"


@pytest.mark.parametrize("path", files(CORE), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_knows_no_plugin_by_name(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert node.value not in NAMES or (path.name, node.value) in NO_PLUGINS, (
                f"line {node.lineno}: the core names the plugin {node.value!r}; only defaults.toml may"
            )
        if isinstance(node, ast.Import | ast.ImportFrom):
            text = ast.unparse(node)
            assert "ipcframe_" not in text, f"line {node.lineno}: the core imports a plugin: {text}"


def test_nobody_imports_the_conformance_kit() -> None:
    for folder in (CORE, ROOT / "backends", ROOT / "plugins"):
        for path in files(folder):
            if "conformance" not in path.relative_to(ROOT).parts:
                wrong = [name for name in imports(path) if name.startswith("ipcframe.conformance")]
                assert not wrong, f"{path}: the kit is for tests alone"


def test_endpoints_unpickle_without_the_plugin_machinery() -> None:
    for path in files(ROOT / "backends"):
        if path.name != "plugin.py":
            wrong = [name for name in imports(path) if name.startswith(("ipcframe.hookspecs", "pluggy"))]
            assert not wrong, f"{path}: endpoints stay apart from the plugin, which loads pluggy"


def test_every_top_level_package_is_typed() -> None:
    for folder in (ROOT, ROOT / "backends", ROOT / "plugins"):
        for package in folder.glob("ipcframe*/__init__.py"):
            assert (package.parent / "py.typed").exists(), f"{package.parent} lacks py.typed"


def test_files_are_small_enough_to_read_in_one_sitting() -> None:
    for folder in (CORE, ROOT / "backends", ROOT / "plugins", ROOT / "tests"):
        for path in files(folder):
            lines = len(path.read_text("utf-8").splitlines())
            assert lines <= 400, f"{path.relative_to(ROOT)} has {lines} lines; does it do two things?"
