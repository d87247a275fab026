"""Where each name of a program is bound, and what of the program runs in a child that imports it.

A *unit* is what runs as one piece: the module, a function, a lambda. Class bodies and comprehensions belong
to the unit around them. *Guarded* is what runs in the main program alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

__all__ = ["Binding", "Function", "Load", "Names", "Scope", "Site"]

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Scope:
    """A part of the program with names of its own."""

    def __init__(self, node: ast.AST, parent: Scope | None, guarded: bool) -> None:
        self.node = node
        self.parent = parent
        self.guarded = guarded
        """Its definition does not exist in a child that imports the program."""
        self.bindings: dict[str, list[Binding]] = {}
        self.elsewhere: dict[str, Scope] = {}
        """Names that ``global`` and ``nonlocal`` lead out of here."""
        self.returned: list[ast.expr] = []
        self.yields = False

    @property
    def is_class(self) -> bool:
        """A class body: functions in it do not see its names."""
        return isinstance(self.node, ast.ClassDef)

    @property
    def is_module(self) -> bool:
        """The program itself."""
        return self.parent is None

    @property
    def unit(self) -> Scope:
        """What runs as one piece with this."""
        scope = self
        while scope.parent is not None and not isinstance(scope.node, Function):
            scope = scope.parent
        return scope

    @property
    def name(self) -> str:
        """What it is called in the program."""
        return getattr(self.node, "name", "a lambda")

    @property
    def title(self) -> str:
        """Its name, after that of its class."""
        return f"{self.parent.name}.{self.name}" if self.parent and self.parent.is_class else self.name

    def enclosing_class(self) -> Scope | None:
        """The class whose method this is a part of."""
        unit = self.unit
        return unit.parent if unit.parent is not None and unit.parent.is_class else None

    def home(self, name: str) -> Scope | None:
        """The scope that a name here belongs to; None for what is built in."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.elsewhere:
                return scope.elsewhere[name]
            if name in scope.bindings and (scope is self or not scope.is_class):
                return scope
            scope = scope.parent
        return None

    def find(self, name: str) -> list[Binding]:
        """What may be meant by a name here; nothing for what is built in."""
        home = self.home(name)
        return home.bindings.get(name, []) if home is not None else []


class Binding(NamedTuple):
    """One place that gives a name its meaning."""

    kind: str
    """"import", "function", "class", "value", "with", "element", "parameter" or "other"."""
    node: ast.AST
    dotted: str
    """What an import imports."""
    scope: Scope
    """Where it runs; not where the name belongs, after ``global``."""
    guarded: bool
    line: int
    end: int = 0
    """Of ``with``: the last line that it holds for."""


class Site(NamedTuple):
    """A call, and where it stands."""

    call: ast.Call
    scope: Scope
    guarded: bool
    caught: bool
    """A RuntimeError of it does not get out."""


class Load(NamedTuple):
    """A name that is read."""

    name: ast.Name
    scope: Scope


class Names(ast.NodeVisitor):
    """All scopes, calls and names of a program."""

    def __init__(self, tree: ast.Module) -> None:
        self.module = Scope(tree, None, False)
        self.scopes: dict[ast.AST, Scope] = {tree: self.module}
        self.sites: list[Site] = []
        self.loads: list[Load] = []
        self.entered: list[tuple[ast.expr, Scope, bool]] = []
        """What ``with`` enters."""
        self._scope = self.module
        self._guarded = False
        self._caught = False
        self._end = 0
        for statement in tree.body:
            self.visit(statement)

    # --- what opens a scope ---

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """A function: its decorators and defaults belong outside."""
        for outside in (*node.decorator_list, *_defaults(node.args)):
            self.visit(outside)
        self._bind(node.name, "function", node)
        self._function(node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """A lambda."""
        for outside in _defaults(node.args):
            self.visit(outside)
        self._function(node, [node.body])
        self.scopes[node].returned.append(node.body)

    def _function(self, node: Function, body: list[ast.stmt] | list[ast.expr]) -> None:
        def inside() -> None:
            for parameter in ast.walk(node.args):
                if isinstance(parameter, ast.arg):
                    self._bind(parameter.arg, "parameter", parameter)
            for statement in body:
                self.visit(statement)

        self._within(node, inside)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """A class."""
        for outside in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(outside)
        self._bind(node.name, "class", node)
        self._within(node, lambda: [self.visit(statement) for statement in node.body])

    def _comprehension(self, node: _Comprehension) -> None:
        self.visit(node.generators[0].iter)

        def inside() -> None:
            for part in node.generators:
                self._assign(part.target, "element", part.iter)
                if part is not node.generators[0]:
                    self.visit(part.iter)
                for condition in part.ifs:
                    self.visit(condition)
            for made in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
                self.visit(made)

        self._within(node, inside)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815

    def _within(self, node: ast.AST, inside: object) -> None:
        assert callable(inside)
        outer = self._scope, self._guarded, self._caught
        self._scope = self.scopes[node] = Scope(node, self._scope, self._guarded)
        if isinstance(node, Function):
            # Whether its lines run in a child depends on who calls it there.
            self._guarded = self._caught = False
        inside()
        self._scope, self._guarded, self._caught = outer

    # --- what binds ---

    def _bind(self, name: str, kind: str, node: ast.AST, dotted: str = "") -> None:
        home = self._scope.elsewhere.get(name, self._scope)
        line = getattr(node, "lineno", 0)
        end = self._end if kind == "with" else 0
        binding = Binding(kind, node, dotted, self._scope, self._guarded, line, end)
        home.bindings.setdefault(name, []).append(binding)

    def _assign(self, target: ast.AST, kind: str, value: ast.AST) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, kind, value)
        elif isinstance(target, ast.Tuple | ast.List):
            values: list[ast.expr] = []
            if isinstance(value, ast.Tuple | ast.List) and kind == "value":
                values = value.elts
            plain = len(values) == len(target.elts) and not any(isinstance(v, ast.Starred) for v in values)
            for place, part in enumerate(target.elts):
                inner = part.value if isinstance(part, ast.Starred) else part
                self._assign(inner, kind if plain else "other", values[place] if plain else part)
        else:
            self.visit(target)

    def visit_Assign(self, node: ast.Assign) -> None:
        """``name = value``."""
        self.visit(node.value)
        for target in node.targets:
            self._assign(target, "value", node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """``name: kind = value``; what is only annotated is not bound."""
        if node.value is not None:
            self.visit(node.value)
            self._assign(node.target, "value", node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """``name += value``."""
        self.visit(node.value)
        self._assign(node.target, "other", node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """``name := value``, which binds outside of comprehensions."""
        self.visit(node.value)
        inner = self._scope
        while isinstance(self._scope.node, _Comprehension) and self._scope.parent is not None:
            self._scope = self._scope.parent
        self._assign(node.target, "value", node.value)
        self._scope = inner

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        """A loop."""
        self.visit(node.iter)
        self._assign(node.target, "element", node.iter)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    visit_AsyncFor = visit_For  # noqa: N815

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        """``with value as name``."""
        for item in node.items:
            self.visit(item.context_expr)
            self.entered.append((item.context_expr, self._scope, self._guarded))
            if item.optional_vars is not None:
                self._end = node.end_lineno or 0
                self._assign(item.optional_vars, "with", item.context_expr)
        for statement in node.body:
            self.visit(statement)

    visit_AsyncWith = visit_With  # noqa: N815

    def visit_Import(self, node: ast.Import) -> None:
        """``import a.b`` binds ``a``."""
        for alias in node.names:
            first = alias.name.partition(".")[0]
            self._bind(alias.asname or first, "import", node, alias.name if alias.asname else first)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """``from a import b``."""
        for alias in node.names:
            dotted = f"{'.' * node.level}{node.module or ''}.{alias.name}"
            self._bind(alias.asname or alias.name, "import", node, dotted)

    def visit_Global(self, node: ast.Global) -> None:
        """``global name``."""
        self._scope.elsewhere.update(dict.fromkeys(node.names, self.module))

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        """``nonlocal name``."""
        for name in node.names:
            scope = self._scope.parent
            while scope is not None and (scope.is_class or name not in scope.bindings):
                scope = scope.parent
            if scope is not None:
                self._scope.elsewhere[name] = scope

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        """``except kind as name``."""
        if node.name:
            self._bind(node.name, "other", node)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        """``case pattern as name``."""
        if node.name:
            self._bind(node.name, "other", node)
        self.generic_visit(node)

    # --- what is only looked at ---

    def visit_If(self, node: ast.If) -> None:
        """What stands under ``if __name__ == "__main__"`` does not run in a child."""
        self.visit(node.test)
        outer = self._guarded
        for body, holds in ((node.body, True), (node.orelse, False)):
            self._guarded = outer or _in_main_alone(node.test, holds)
            for statement in body:
                self.visit(statement)
        self._guarded = outer

    def visit_Try(self, node: ast.Try) -> None:
        """Whether a RuntimeError stays inside."""
        outer = self._caught
        self._caught = outer or any(_catches(handler) for handler in node.handlers)
        for statement in node.body:
            self.visit(statement)
        self._caught = outer
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)

    def visit_Call(self, node: ast.Call) -> None:
        """A call."""
        self.sites.append(Site(node, self._scope, self._guarded, self._caught))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """A name that is read."""
        if isinstance(node.ctx, ast.Load):
            self.loads.append(Load(node, self._scope))

    def visit_Return(self, node: ast.Return) -> None:
        """What a function gives back."""
        if node.value is not None:
            self._scope.returned.append(node.value)
            self.visit(node.value)

    def visit_Yield(self, node: ast.Yield | ast.YieldFrom) -> None:
        """A generator."""
        self._scope.unit.yields = True
        self.generic_visit(node)

    visit_YieldFrom = visit_Yield  # noqa: N815


def _defaults(arguments: ast.arguments) -> Iterator[ast.expr]:
    yield from arguments.defaults
    yield from (default for default in arguments.kw_defaults if default is not None)


def _catches(handler: ast.ExceptHandler) -> bool:
    kinds = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else set()
    )
    return handler.type is None or bool(kinds & {"RuntimeError", "Exception", "BaseException"})


def _in_main_alone(test: ast.expr, holds: bool) -> bool:
    """Whether what follows runs in the main program alone, when the test comes out so."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _in_main_alone(test.operand, not holds)
    if isinstance(test, ast.BoolOp):
        decisive = isinstance(test.op, ast.And) if holds else isinstance(test.op, ast.Or)
        return decisive and any(_in_main_alone(part, holds) for part in test.values)
    # A test of which process this is may be anything: take it for one that holds in the parent.
    if any(
        isinstance(node, ast.Name | ast.Attribute)
        and getattr(node, "attr", getattr(node, "id", "")) in ("parent_process", "current_process")
        for node in ast.walk(test)
    ):
        return True
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return False
    sides = [test.left, test.comparators[0]]
    if not any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides):
        return False
    names = {node.value for side in sides for node in ast.walk(side) if isinstance(node, ast.Constant)}
    if names != {"__main__"}:
        return False
    wanted = (ast.Eq, ast.In) if holds else (ast.NotEq, ast.NotIn)
    return isinstance(test.ops[0], wanted)
