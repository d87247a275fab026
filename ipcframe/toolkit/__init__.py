"""The only helpers that plugins may import: framing, waiting, handing endpoints over, serialisation.

Everything here stands on `ipcframe.abc` and knows no plugin. The endpoints of a backend import the
modules that they need; importing this package imports none of them.
"""
