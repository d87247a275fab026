"""Cases: what is configured is checked, and counts."""
# ruff: noqa: D102 - the name of a case is its sentence

from __future__ import annotations

from pathlib import Path

import pytest

import ipcframe
from ipcframe.errors import ConfigError, MessageTooLarge
from ipcframe.settings import Sourced

from .case import Case
from .conditions import PATIENCE
from .promises import promise

__all__ = ["Configured"]

WHERE = "the line of a file"
UNKNOWN = "no_such_setting"
LIMIT = 10_000


class Configured(Case):
    """What is configured is checked, and counts."""

    @promise("backend.settings")
    def test_a_setting_that_is_not_declared_is_refused_with_its_name_and_source(
        self, context: ipcframe.Context
    ) -> None:
        with pytest.raises(ConfigError) as refused:
            type(context.backend)({UNKNOWN: Sourced(1, WHERE)})
        for word in (UNKNOWN, WHERE, context.backend.name):
            assert word in str(refused.value)

    @promise("backend.settings")
    def test_a_value_that_a_settings_type_refuses_is_an_error_with_its_name_and_source(
        self, context: ipcframe.Context
    ) -> None:
        for setting in context.backend.settings:
            nonsense = object()
            try:
                setting.type(nonsense)
            except (TypeError, ValueError):
                with pytest.raises(ConfigError) as refused:
                    type(context.backend)({setting.key: Sourced(nonsense, WHERE)})
                for word in (setting.key, WHERE):
                    assert word in str(refused.value)

    @promise("backend.settings")
    def test_every_setting_has_a_default_that_is_used(self, context: ipcframe.Context) -> None:
        made = type(context.backend)({})
        for setting in made.settings:
            assert made.configured[setting.key].value == setting.default
            if setting.default is not None:
                parsed = setting.type(setting.default)
                assert parsed == setting.default, f"{setting.key}: its own type changes its default"
        assert set(made.configured) == {setting.key for setting in made.settings}

    @promise("backend.settings")
    def test_a_file_with_a_misspelt_setting_is_an_error_that_names_the_file(
        self, context: ipcframe.Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._configure(context, f"{UNKNOWN} = 1", tmp_path, monkeypatch)
        with pytest.raises(ConfigError) as refused:
            _ = ipcframe.get_context(context.get_start_method(), backend=self.backend).backend
        assert UNKNOWN in str(refused.value)
        assert "ipcframe.toml" in str(refused.value)

    @promise("backend.settings")
    def test_a_message_limit_that_is_configured_is_kept(
        self, context: ipcframe.Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if "message_limit" not in context.backend.configured:
            self._absent("message_limit")
            return
        self._configure(context, f"message_limit = {LIMIT}", tmp_path, monkeypatch)
        limited = ipcframe.get_context(context.get_start_method(), backend=self.backend)
        receiver, sender = limited.Pipe(False)
        with receiver, sender:
            sender.send_bytes(bytes(LIMIT))
            assert len(receiver.recv_bytes(timeout=PATIENCE)) == LIMIT
            with pytest.raises(MessageTooLarge):
                sender.send_bytes(bytes(LIMIT + 1))
            sender.send("next")
            assert receiver.recv(timeout=PATIENCE) == "next"

    def _configure(
        self, context: ipcframe.Context, line: str, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = folder / "ipcframe.toml"
        path.write_text(f"[backends.{context.spec.backend.name}]\n{line}\n")
        monkeypatch.setenv("IPCFRAME_CONFIG", str(path))
