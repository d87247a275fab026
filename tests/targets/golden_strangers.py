"""The distributions of strangers that the scenes are played with: sound ones, and each kind of broken one."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

__all__ = ["install"]

SOUND = """
    from ipcframe.abc import Backend, Connection
    from ipcframe.capabilities import Capabilities
    from ipcframe.hookspecs import hookimpl
    from ipcframe.settings import Duration, Setting, Size

    class Quick(Backend):
        name = "quick"
        capabilities = Capabilities(fileno=True, message_limit=65536)
        settings = (
            Setting("room", Size, 2**20, "bytes that a message may have"),
            Setting("patience", Duration, 0.25, "how long a peer is waited for"),
        )
        def connection_pair(self, duplex): raise NotImplementedError
        def channel(self): raise NotImplementedError

    @hookimpl
    def ipcframe_backend(name, settings):
        return Quick(settings)
"""
HOOK = "from ipcframe.hookspecs import hookimpl\n@hookimpl\n"
BACKENDS: dict[str, tuple[str, str | None]] = {
    "their-quick": ("quick", SOUND),
    "their-first": ("twin", SOUND),
    "their-second": ("twin", SOUND),
    "their-ship": (
        "ship",
        SOUND.replace(
            "def connection_pair", "unavailable_reason = classmethod(lambda cls: 'the harbour is closed')\n"
            "        def connection_pair",
        ),
    ),
    "their-import": ("fails-at-import", "import no_such_module"),
    "their-exit": ("exits-at-import", "raise SystemExit(3)"),
    "their-absence": ("is-not-there", None),
    "their-void": ("registers-nothing", "x = 1"),
    "their-other": ("has-another-hook", f"{HOOK}def ipcframe_reducers(): return ()"),
    "their-hook": ("misspells-its-hook", f"{HOOK}def ipcframe_bakend(name, settings): pass"),
    "their-argument": ("unknown-argument", f"{HOOK}def ipcframe_backend(name, settings, region): pass"),
    "their-type": ("makes-the-wrong-type", f"{HOOK}def ipcframe_backend(name, settings): return object()"),
    "their-raise": ("raises", f"{HOOK}def ipcframe_backend(name, settings): raise KeyError('oops')"),
    "their-silence": ("ignores-its-name", f"{HOOK}def ipcframe_backend(name, settings): return None"),
    "their-abstract": ("lacks-a-method", SOUND.replace("connection_pair", "conection_pair")),
    "their-reason": (
        "raises-when-asked",
        SOUND.replace(
            "def connection_pair",
            "unavailable_reason = classmethod(lambda cls: 1 / 0)\n        def connection_pair",
        ),
    ),
}  # fmt: skip
CHECKS = f"""
{HOOK}
def ipcframe_doctor_checks():
    def sails(): return "bad", "the sails are torn", "sew them"
    def raises(): raise ValueError("no wind")
    return [sails, raises]
"""
OTHERS = {
    "their-future": ("ipcframe.backends.v2", "future", "x = 1"),
    "their-checks": ("ipcframe.plugins", "sails", CHECKS),
}


def install(site: Path, *, broken: bool) -> None:
    """Put them into a folder, as an installation would."""
    for distribution, (name, source) in BACKENDS.items():
        if broken or distribution in ("their-quick", "their-ship"):
            _install(site, distribution, "ipcframe.backends", name, source)
    for distribution, (group, name, source) in OTHERS.items():
        if broken or group == "ipcframe.plugins":
            _install(site, distribution, group, name, source)


def _install(site: Path, distribution: str, group: str, name: str, source: str | None) -> None:
    module = distribution.replace("-", "_")
    info = site / f"{module}-0.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.5\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
    if source is not None:
        (site / f"{module}.py").write_text(dedent(source))
