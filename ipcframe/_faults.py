"""What is wrong with a plugin that does not keep the contract, in words that its author can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pluggy

__all__ = ["lacking", "strange_hooks"]


def strange_hooks(plugin: Any, manager: pluggy.PluginManager) -> str:
    """The hooks of a plugin, and the arguments that they take, which the manager does not know."""
    import difflib
    import inspect

    hooks = {
        name: getattr(manager.hook, name).spec for name in vars(manager.hook) if not name.startswith("_")
    }
    known = {name: spec for name, spec in hooks.items() if spec is not None}
    found = []
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is None:
            continue
        hook = options.get("specname") or name
        if hook not in known:
            near = difflib.get_close_matches(hook, known, n=1)
            found.append(hook + (f" (did you mean {near[0]}?)" if near else ""))
            continue
        given = known[hook].argnames
        strange = [one for one in inspect.signature(getattr(plugin, name)).parameters if one not in given]
        if strange:
            found.append(f"{hook} takes {', '.join(strange)}, and is given {', '.join(given) or 'nothing'}")
    return "; ".join(found)


def lacking(plugin: Any, contract: type, error: Exception) -> str:
    """What a class of the plugin lacks of the contract, where that is why no object of it could be made."""
    if not isinstance(error, TypeError):
        return ""
    for made in getattr(plugin, "__dict__", {}).values():
        if isinstance(made, type) and issubclass(made, contract) and f" {made.__name__} " in str(error):
            lacks = ", ".join(sorted(getattr(made, "__abstractmethods__", ())))
            if lacks:
                return f"made no {contract.__name__}: its class {made.__name__} lacks {lacks}"
    return ""
