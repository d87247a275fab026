"""What an expression of a program stands for, as far as reading alone can tell.

Nothing is guessed: what has several meanings, or comes from elsewhere, is unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from .scopes import Binding, Function, Names, Scope

__all__ = ["Reader", "Value", "argument"]

_PACKAGES = ("multiprocessing", __name__.partition(".")[0], "torch.multiprocessing")
"""Who offers the interface of multiprocessing."""
_HOMES = {
    "context.BaseContext": "Context", "context.Context": "Context", "Context": "Context",
    "pool.Pool": "Pool", "process.Process": "Process", "process.BaseProcess": "Process",
    "managers.BaseManager": "BaseManager", "managers.SyncManager": "BaseManager",
    "queues.Queue": "Queue", "queues.JoinableQueue": "Queue", "queues.SimpleQueue": "Queue",
    "JoinableQueue": "Queue", "SimpleQueue": "Queue",
}  # fmt: skip
_FACTORIES = {"Process", "Pool", "Manager", "Queue", "JoinableQueue", "SimpleQueue", "Pipe", "get_context",
              "set_start_method"}  # fmt: skip
_EXECUTORS = {"concurrent.futures.ProcessPoolExecutor", "concurrent.futures.process.ProcessPoolExecutor"}
_DEEP = 40


class Value(NamedTuple):
    """What is known of something."""

    kind: str
    """"api" (a name of multiprocessing), "made" (what calling that gives), "context", "module", "dotted"
    (imported or built in), "called" (what calling that gives), "function", "class", "instance", "bound" (a
    method of an instance), "attribute", "generator", "partial"."""
    name: str = ""
    scope: Scope | None = None
    """Of a function or class; of an instance, its class."""
    method: str | None = None
    """The start method, where the program names one."""
    call: ast.Call | None = None
    inside: Scope | None = None
    """Where `call` stands."""
    of: tuple[Value, ...] = ()
    """Whose attribute or method it is."""


class Assigned(NamedTuple):
    """A value that an attribute of an object is given by one of its methods."""

    name: str
    node: ast.expr
    scope: Scope


_Maybe: TypeAlias = Value | None


class Reader:
    """Reads the expressions of one program."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self._known: dict[tuple[ast.AST, Scope], _Maybe] = {}
        self._attributes: dict[Scope, list[Assigned]] | None = None
        self._callers: dict[Scope, list[tuple[ast.Call, Scope, int]]] | None = None
        self.default_method = self._default_method()

    def _default_method(self) -> str | None:
        """The start method that the program sets for itself, where it names one."""
        self.default_method = None
        self._calls_of(self.names.module)
        self._known.clear()
        found = set()
        for site in self.names.sites:
            value = self.read(site.call.func, site.scope)
            if value is not None and (value.kind, value.name) == ("api", "set_start_method"):
                found.add(_text(argument(site.call, 0, "method")))
        self._known.clear()
        self._callers = None
        return found.pop() if len(found) == 1 else None

    def read(self, node: ast.AST, scope: Scope, depth: int = 0) -> _Maybe:
        """What an expression in this scope stands for."""
        if (node, scope) not in self._known:
            self._known[node, scope] = None  # what is made of itself is unknown
            self._known[node, scope] = self._read(node, scope, depth) if depth < _DEEP else None
        return self._known[node, scope]

    def _read(self, node: ast.AST, scope: Scope, depth: int) -> _Maybe:
        match node:
            case ast.Name():
                return self._name(node, scope, depth)
            case ast.Attribute(value=owner, attr=name):
                return self._attribute(owner, name, scope, depth)
            case ast.Call():
                return self._call(node, scope, depth)
            case ast.Lambda() | ast.GeneratorExp():
                kind = "function" if isinstance(node, ast.Lambda) else "generator"
                return Value(kind, scope=self.names.scopes.get(node))
            case ast.IfExp(body=one, orelse=other):
                return _agreed([self.read(one, scope, depth + 1), self.read(other, scope, depth + 1)])
            case ast.NamedExpr(value=inner) | ast.Await(value=inner):
                return self.read(inner, scope, depth + 1)
        return None

    def _name(self, node: ast.Name, scope: Scope, depth: int) -> _Maybe:
        found = scope.find(node.id)
        if not found:
            return Value("dotted", f"builtins.{node.id}")
        bindings = _entered(found, node.lineno) or [one for one in found if not _is_none(one)]
        if not bindings:
            return None
        return _agreed([self._binding(binding, depth + 1) for binding in bindings])

    def _binding(self, binding: Binding, depth: int) -> _Maybe:
        node = binding.node
        match binding.kind:
            case "import":
                kind = "module" if isinstance(node, ast.Import) else "dotted"
                return _imported(binding.dotted, kind, self.default_method)
            case "function" | "class":
                return Value(binding.kind, scope=self.names.scopes.get(node))
            case "value" | "with":
                return self.read(node, binding.scope, depth)
            case "element":
                match node:
                    case ast.ListComp(elt=elt) | ast.GeneratorExp(elt=elt):
                        return self.read(elt, self.names.scopes[node], depth)
                    case ast.List(elts=parts) | ast.Tuple(elts=parts):
                        return _agreed([self.read(part, binding.scope, depth) for part in parts])
                    case ast.Name(id=name):
                        found = binding.scope.find(name)
                        if len(found) == 1 and found[0].kind == "value":
                            return self._binding(found[0]._replace(kind="element"), depth + 1)
            case "parameter":
                assert isinstance(node, ast.arg)
                return self._parameter(node, binding.scope, depth)
        return None

    def _parameter(self, node: ast.arg, scope: Scope, depth: int) -> _Maybe:
        owner = scope.parent
        function = scope.node
        if owner is not None and owner.is_class and isinstance(function, ast.FunctionDef):
            plain = not function.decorator_list
            if plain and function.args.args and function.args.args[0] is node:
                return Value("instance", scope=owner)
        if node.annotation is not None and owner is not None:
            kind = self.read(node.annotation, owner, depth + 1)
            if kind is not None and kind.kind == "api":
                return self._made(kind, None, scope)
        return self._passed(node, scope, depth)

    def _passed(self, node: ast.arg, scope: Scope, depth: int) -> _Maybe:
        """What all calls of a function pass as this argument."""
        function = scope.node
        assert isinstance(function, Function)
        places = [*function.args.posonlyargs, *function.args.args]
        if node not in places or getattr(function, "decorator_list", []):
            return None
        values = []
        for call, inside, skipped in self._calls_of(scope):
            place = places.index(node) - skipped
            given = argument(call, place, node.arg) if place >= 0 else None
            if given is None or any(isinstance(one, ast.Starred) for one in call.args):
                return None
            if not _constant_none(given):
                values.append(self.read(given, inside, depth + 1))
        return _agreed(values)

    def _calls_of(self, scope: Scope) -> list[tuple[ast.Call, Scope, int]]:
        """The calls of a function, and how many of its parameters come from the object that it belongs to."""
        if self._callers is None:
            self._callers = {}
            for site in self.names.sites:
                value = self.read(site.call.func, site.scope)
                if value is None or value.scope is None:
                    continue
                called, skipped = value.scope, int(value.kind == "bound")
                if value.kind == "class":
                    own = value.scope.bindings.get("__init__", [])
                    if len(own) != 1 or own[0].kind != "function":
                        continue
                    called, skipped = self.names.scopes[own[0].node], 1
                self._callers.setdefault(called, []).append((site.call, site.scope, skipped))
        return self._callers.get(scope, [])

    def _attribute(self, owner: ast.expr, name: str, scope: Scope, depth: int) -> _Maybe:
        value = self.read(owner, scope, depth + 1)
        if value is None:
            return None
        if value.kind in ("module", "dotted"):
            return _imported(f"{value.name}.{name}", "dotted", self.default_method)
        if value.kind == "context":
            if name in _FACTORIES:
                return Value("api", _HOMES.get(name, name), method=value.method)
            return None
        if value.kind == "api":
            return value._replace(name=f"{value.name}.{name}")
        if value.kind in ("class", "instance") and value.scope is not None:
            return self._member(value, name, depth)
        if value.kind in ("made", "called"):
            return Value("attribute", name, method=value.method, of=(value,))
        return None

    def _member(self, value: Value, name: str, depth: int) -> _Maybe:
        for scope in self.lineage(value.scope):
            for binding in scope.bindings.get(name, []):
                if binding.kind != "function":
                    return None
                node = binding.node
                decorated = getattr(node, "decorator_list", [])
                plain = {ast.unparse(decorator) for decorator in decorated}
                if plain - {"classmethod", "staticmethod"}:
                    return None
                kind = "bound" if value.kind == "instance" and not plain else "function"
                return Value(kind, name, self.names.scopes.get(node), of=(value,))
        if value.kind == "class":
            return None
        assigned = self.assigned(value.scope, name)
        if assigned:
            return _agreed([self.read(found.node, found.scope, depth + 1) for found in assigned])
        return Value("attribute", name, of=(value,))

    def lineage(self, scope: Scope | None) -> list[Scope]:
        """A class and its bases, as far as they are of this program."""
        found: list[Scope] = []
        queue = [scope]
        while queue:
            scope = queue.pop(0)
            if scope is not None and scope not in found:
                found.append(scope)
                queue += [base.scope for base in self.bases(scope) if base is not None]
        return found

    def bases(self, scope: Scope) -> list[_Maybe]:
        """What a class says it derives from."""
        assert isinstance(scope.node, ast.ClassDef)
        assert scope.parent is not None
        return [self.read(base, scope.parent) for base in scope.node.bases]

    def derives(self, scope: Scope | None, name: str) -> _Maybe:
        """The class of multiprocessing of this name that a class derives from."""
        for parent in self.lineage(scope):
            for base in self.bases(parent):
                if base is not None and (base.kind, base.name) == ("api", name):
                    return base
        return None

    def assigned(self, scope: Scope | None, name: str | None) -> list[Assigned]:
        """What ``self.name = value`` gives an attribute of a class's instances; None: of all attributes."""
        if self._attributes is None:
            self._attributes = {}
            for inner in self.names.scopes.values():
                if inner.parent is not None and inner.parent.is_class:
                    self._attributes.setdefault(inner.parent, []).extend(_assigned_in(inner))
        found = self._attributes.get(scope, []) if scope is not None else []
        return [one for one in found if name in (None, one.name)]

    def _call(self, node: ast.Call, scope: Scope, depth: int) -> _Maybe:
        value = self.read(node.func, scope, depth + 1)
        if value is None:
            return None
        match value.kind:
            case "api":
                return self._made(value, node, scope)
            case "class":
                return Value("instance", scope=value.scope, call=node, inside=scope)
            case "function" if value.scope is not None:
                if value.scope.yields:
                    return Value("generator", scope=value.scope)
                if isinstance(value.scope.node, ast.AsyncFunctionDef) or _is_decorated(value.scope.node):
                    return None
                returned = [node for node in value.scope.returned if not _constant_none(node)]
                return _agreed([self.read(part, value.scope, depth + 1) for part in returned])
            case "dotted":
                if value.name == "functools.partial":
                    return Value("partial", call=node, inside=scope)
                return Value("called", value.name, call=node, inside=scope)
            case "attribute" if value.name == "__enter__":
                return value.of[0]
        return None

    def _made(self, value: Value, call: ast.Call | None, scope: Scope) -> _Maybe:
        method = value.method
        if value.name == "get_context":
            given = argument(call, 0, "method") if call else None
            if given is None or _constant_none(given):
                return Value("context", method=method)
            return Value("context", method=_text(given))
        if value.name == "Context":
            return Value("context")
        if "." in value.name:
            return None
        if value.name in ("Pool", "Executor") and call is not None:
            place, keyword = (4, "context") if value.name == "Pool" else (1, "mp_context")
            named = argument(call, place, keyword)
            context = self.read(named, scope) if named is not None else None
            if context is not None:
                method = context.method
        return Value("made", value.name, method=method, call=call, inside=scope)


def _assigned_in(scope: Scope) -> Iterator[Assigned]:
    function = scope.node
    if not isinstance(function, ast.FunctionDef) or not function.args.args:
        return
    own = function.args.args[0].arg
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            match target:
                case ast.Attribute(value=ast.Name(id=first), attr=attr) if first == own:
                    assert isinstance(node, ast.Assign | ast.AnnAssign)
                    if node.value is not None and not _constant_none(node.value):
                        yield Assigned(attr, node.value, scope)


def argument(call: ast.Call | None, place: int, keyword: str) -> ast.expr | None:
    """An argument of a call, by its place or keyword."""
    if call is None:
        return None
    before = call.args[: place + 1]
    if len(before) > place and not any(isinstance(arg, ast.Starred) for arg in before):
        return before[place]
    return next((given.value for given in call.keywords if given.arg == keyword), None)


def _imported(dotted: str, kind: str, default: str | None) -> Value:
    for package in _PACKAGES:
        if dotted == package:
            return Value("module", dotted)
        if dotted.startswith(f"{package}."):
            rest = dotted[len(package) + 1 :]
            if rest in _HOMES or rest in _FACTORIES or rest.removeprefix("context.") in _FACTORIES:
                last = rest.removeprefix("context.")
                return Value("api", _HOMES.get(rest, _HOMES.get(last, last)), method=default)
    if dotted in _EXECUTORS:
        return Value("api", "Executor", method=default)
    return Value(kind, dotted)


def _agreed(values: Iterable[_Maybe]) -> _Maybe:
    """The one meaning of all of them."""
    first, *others = [*values] or [None]
    if first is None:
        return None
    for other in others:
        if other is None or (other.kind, other.name, other.scope) != (first.kind, first.name, first.scope):
            return None
        if other.method != first.method:
            first = first._replace(method=None)
    return first


def _constant_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_none(binding: Binding) -> bool:
    return binding.kind == "value" and _constant_none(binding.node)


def _entered(bindings: list[Binding], line: int) -> list[Binding]:
    """The ``with`` that a line stands in, where nothing else has come between."""
    last = [binding for binding in bindings if binding.line <= line][-1:]
    return [binding for binding in last if line <= binding.end]


def _is_decorated(node: ast.AST) -> bool:
    return isinstance(node, Function) and bool(getattr(node, "decorator_list", []))


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
