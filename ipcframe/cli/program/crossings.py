"""What a program hands to other processes: where, and what of it cannot be pickled."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from .scopes import Scope, Site
from .values import Reader, Value, argument

__all__ = ["Crossing", "Refusal", "crossings", "refusal"]

_MAPS = {"map", "imap", "imap_unordered", "map_async", "starmap", "starmap_async"}
_DEEP = 6


class Crossing(NamedTuple):
    """Something that goes to another process."""

    what: str
    """Words for it: "the target of Process", "in the args of Process"; of a process its class."""
    node: ast.expr
    scope: Scope
    method: str | None
    """The start method that the program names for it."""
    at_start: bool
    """It goes along when a process starts, and so needs no pickling where that inherits memory."""
    runs: bool
    """It is called there."""
    guarded: bool = False


class Refusal(NamedTuple):
    """Why something cannot be pickled, or found on the other side, and what to do about it."""

    is_: str
    why: str
    remedy: str


def crossings(reader: Reader) -> Iterator[Crossing]:
    """Everything that the program hands to other processes, in the order of its lines."""
    for site in sorted(reader.names.sites, key=lambda site: (site.call.lineno, site.call.col_offset)):
        value = reader.read(site.call.func, site.scope)
        for crossing in _of_call(reader, site, value):
            yield crossing._replace(guarded=site.guarded)


def _of_call(reader: Reader, site: Site, value: Value | None) -> Iterator[Crossing]:
    base = _of_super(reader, site)
    if base is not None:
        yield from _at_start(site, "Process", base.method, skipped=0)
    elif value is None:
        return
    elif value.kind == "api" and value.name in ("Process", "Pool", "Executor"):
        made = reader.read(site.call, site.scope) or value
        yield from _at_start(site, value.name, made.method, skipped=0)
    elif value.kind == "class":
        yield from _of_class(reader, site, value)
    elif value.kind == "attribute" and value.of[0].kind == "made":
        yield from _of_method(site, value, value.of[0])
    elif value.kind == "attribute" and value.name == "run_in_executor" and site.call.args:
        yield from _of_loop(reader, site)
    elif value.kind == "api" and value.name == "Process.__init__":
        yield from _at_start(site, "Process", value.method, skipped=1)


def _of_super(reader: Reader, site: Site) -> Value | None:
    """The class behind ``super().__init__(target=…)`` in a class of processes."""
    match site.call.func:
        case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__"):
            return reader.derives(site.scope.enclosing_class(), "Process")
    return None


def _at_start(site: Site, name: str, method: str | None, skipped: int) -> Iterator[Crossing]:
    call = site.call
    wanted = {
        "Process": (("target", 1, True), ("args", 3, False), ("kwargs", 4, False)),
        "Pool": (("initializer", 1, True), ("initargs", 2, False)),
        "Executor": (("initializer", 2, True), ("initargs", 3, False)),
    }[name]
    shown = "ProcessPoolExecutor" if name == "Executor" else name
    for keyword, place, runs in wanted:
        given = argument(call, place + skipped, keyword)
        if given is not None:
            what = f"the {keyword} of {shown}" if runs else f"in the {keyword} of {shown}"
            yield Crossing(what, given, site.scope, method, at_start=True, runs=runs)


def _of_class(reader: Reader, site: Site, value: Value) -> Iterator[Crossing]:
    """An instance of a class of processes goes along with its attributes, and its `run` is called."""
    base = reader.derives(value.scope, "Process")
    if base is None or value.scope is None:
        return
    yield Crossing(value.scope.name, site.call, site.scope, base.method, at_start=True, runs=True)


def _of_method(site: Site, value: Value, made: Value) -> Iterator[Crossing]:
    call, name = site.call, value.name
    shown = f"{'executor' if made.name == 'Executor' else made.name.lower()}.{name}"

    def sent(what: str, node: ast.expr | None, runs: bool = False) -> Iterator[Crossing]:
        if node is not None:
            yield Crossing(what, node, site.scope, made.method, at_start=False, runs=runs)

    if made.name == "Pool" and name in _MAPS:
        yield from sent(f"the function of {shown}", argument(call, 0, "func"), runs=True)
        yield from sent(f"in the arguments of {shown}", _elements(argument(call, 1, "iterable")))
    elif made.name == "Pool" and name in ("apply", "apply_async"):
        yield from sent(f"the function of {shown}", argument(call, 0, "func"), runs=True)
        yield from sent(f"in the arguments of {shown}", argument(call, 1, "args"))
        yield from sent(f"in the arguments of {shown}", argument(call, 2, "kwds"))
    elif made.name == "Executor" and name in ("submit", "map"):
        yield from sent(f"the function of {shown}", argument(call, 0, "fn"), runs=True)
        for given in [*call.args[1:], *(one.value for one in call.keywords)]:
            yield from sent(f"in the arguments of {shown}", _elements(given) if name == "map" else given)
    elif made.name == "Queue" and name in ("put", "put_nowait"):
        yield from sent(f"the object of {shown}", argument(call, 0, "obj"))


def _of_loop(reader: Reader, site: Site) -> Iterator[Crossing]:
    executor = reader.read(site.call.args[0], site.scope)
    if executor is not None and (executor.kind, executor.name) == ("made", "Executor"):
        for place, given in enumerate(site.call.args[1:]):
            what = "in the arguments of run_in_executor" if place else "the function of run_in_executor"
            yield Crossing(what, given, site.scope, executor.method, at_start=False, runs=not place)


def _elements(node: ast.expr | None) -> ast.expr | None:
    """What is sent of an iterable: its elements, one by one."""
    return node if isinstance(node, ast.List | ast.Tuple | ast.ListComp) else None


# --- what cannot be pickled ---

_FILE = "pass the path, and open it in the child"
_IN_CHILD = "make it in the child"
_OURS = "pass one of multiprocessing, or of the context, which is made to be shared"
_REFUSED = {
    "builtins.open": ("an open file", _FILE), "io.open": ("an open file", _FILE),
    "gzip.open": ("an open file", _FILE), "bz2.open": ("an open file", _FILE),
    "lzma.open": ("an open file", _FILE), "zipfile.ZipFile": ("an open archive", _FILE),
    "tempfile.TemporaryFile": ("an open file", "pass a path, and open it in the child"),
    "tempfile.NamedTemporaryFile": ("an open file", "pass its name, and open that in the child"),
    "sys.stdin": ("an open file", "pass its lines"),
    "sys.stdout": ("an open file", "the child has its own sys.stdout"),
    "sys.stderr": ("an open file", "the child has its own sys.stderr"),
    **{f"threading.{kind}": ("a lock of threads", _OURS) for kind in (
        "Lock", "RLock", "Condition", "Event", "Semaphore", "BoundedSemaphore", "Barrier")},
    "threading.Thread": ("a thread", "start it in the child"),
    "threading.Timer": ("a thread", "start it in the child"),
    "threading.local": ("data of threads", _IN_CHILD),
    **{f"queue.{kind}": ("a queue of threads", _OURS) for kind in (
        "Queue", "LifoQueue", "PriorityQueue", "SimpleQueue")},
    "concurrent.futures.ThreadPoolExecutor": ("an executor", _IN_CHILD),
    "sqlite3.connect": ("a connection to a database", "connect in the child"),
    "subprocess.Popen": ("a subprocess", _IN_CHILD),
    "builtins.memoryview": ("a memoryview", "pass bytes of it"),
    "weakref.ref": ("a weak reference", "pass what it refers to"),
}  # fmt: skip


def refusal(reader: Reader, node: ast.expr, scope: Scope, depth: int = 0) -> Refusal | None:
    """Why what this stands for cannot be pickled; None where nothing speaks against it."""
    if depth > _DEEP:
        return None
    match node:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return _first(reader, parts, scope, depth)
        case ast.Dict(values=parts):
            return _first(reader, parts, scope, depth)
        case ast.Starred(value=inner):
            listed = inner if isinstance(inner, ast.Tuple | ast.List) else None
            return _first(reader, listed.elts, scope, depth) if listed is not None else None
        case ast.ListComp(elt=elt):
            return refusal(reader, elt, reader.names.scopes[node], depth + 1)
        case ast.BinOp(left=left, right=right, op=ast.Add()):
            return _first(reader, [left, right], scope, depth)
    value = reader.read(node, scope)
    return _of_value(reader, value, depth) if value is not None else None


def _first(reader: Reader, nodes: list[ast.expr], scope: Scope, depth: int) -> Refusal | None:
    found = (refusal(reader, node, scope, depth + 1) for node in nodes)
    return next((one for one in found if one is not None), None)


def _of_value(reader: Reader, value: Value, depth: int) -> Refusal | None:
    scope = value.scope
    match value.kind:
        case "function" | "class" if scope is not None:
            return _of_definition(scope)
        case "generator":
            return Refusal(
                "a generator", "generators cannot be pickled", "pass a list, or what it is made from"
            )
        case "module":
            return Refusal(f"the module {value.name}", "modules cannot be pickled", "import it in the child")
        case "partial" if value.call is not None and value.inside is not None:
            parts = [*value.call.args, *(given.value for given in value.call.keywords)]
            return _first(reader, parts, value.inside, depth)
        case "instance" if scope is not None:
            return _of_instance(reader, scope, depth)
        case "bound":
            found = _of_instance(reader, value.of[0].scope, depth)
            return found and found._replace(
                is_=f"the method {value.name} of {found.is_}", why=f"the object goes along: {found.why}"
            )
        case "called" | "dotted" if value.name in _REFUSED and (
            value.kind == "called"
        ) != value.name.startswith("sys."):
            is_, remedy = _REFUSED[value.name]
            return Refusal(is_, "it belongs to its process and cannot be pickled", remedy)
        case "made" if value.name in ("Pool", "Executor"):
            shown = "a pool" if value.name == "Pool" else "a ProcessPoolExecutor"
            return Refusal(
                shown, "it belongs to its process and cannot be pickled", "use it where it was made"
            )
    return None


def _of_definition(scope: Scope) -> Refusal | None:
    if isinstance(scope.node, ast.Lambda):
        return Refusal(
            f"a lambda (line {scope.node.lineno})",
            "a lambda has no name, and pickle finds functions by their names",
            "define a function at the top level of the module instead",
        )
    kind = "class" if scope.is_class else "function"
    line = getattr(scope.node, "lineno", 0)
    outer = scope.parent
    while outer is not None and outer.is_class:
        outer = outer.parent
    if outer is not None and not outer.is_module:
        if outer.home(scope.name) is not outer and scope.parent is outer:
            return None  # ``global`` leads its name out
        inside = "" if isinstance(outer.node, ast.Lambda) else f" inside {outer.name}"
        return Refusal(
            f"the {kind} {scope.name}, defined{inside} (line {line})",
            f"pickle finds a {kind} by its name at the top level of a module, and this one is not there",
            f"move {scope.name} to the top level, and pass it what it takes from around it",
        )
    if scope.guarded:
        return Refusal(
            f'the {kind} {scope.name}, defined under `if __name__ == "__main__"` (line {line})',
            "that part does not run in the child, which has no such name",
            f"move {scope.name} above it",
        )
    return None


def _of_instance(reader: Reader, scope: Scope | None, depth: int) -> Refusal | None:
    if scope is None or depth > _DEEP:
        return None
    lineage = reader.lineage(scope)
    if any(
        name.startswith(("__getstate__", "__reduce", "__getnewargs"))
        for one in lineage
        for name in one.bindings
    ):
        return None  # it says itself how it is pickled
    own = _of_definition(scope)
    if own is not None:
        return own._replace(is_=f"an object of {own.is_}")
    for one in lineage:
        for name, node, inner in reader.assigned(one, None):
            if inner.name != "__init__" or _is_reset(reader, one, name):
                continue
            found = refusal(reader, node, inner, depth + 1)
            if found is not None:
                return Refusal(
                    f"an object of {scope.name}",
                    f"its attribute {name} is {found.is_} (line {node.lineno}), which cannot be pickled",
                    f"{found.remedy}; or leave {name} out in __getstate__",
                )
    return None


def _is_reset(reader: Reader, scope: Scope, name: str) -> bool:
    """Something else is assigned to the attribute too, or it is deleted: what it is in the end is unknown."""
    for inner in reader.names.scopes.values():
        if inner.parent is scope and inner.name != "__init__":
            for node in ast.walk(inner.node):
                match node:
                    case ast.Attribute(attr=attr, ctx=ast.Store() | ast.Del()) if attr == name:
                        return True
    return False
