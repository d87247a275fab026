"""What one file says, and what is said of a file that is wrong: which, where, and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcframe import config
from ipcframe._config_file import contents
from ipcframe.errors import ConfigError

pytestmark = pytest.mark.usefixtures("fresh_configuration")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPCFRAME_CONFIG", str(tmp_path / "app.toml"))
    return tmp_path / "app.toml"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            'bakend = "pipe"',
            "line 1, has an unknown key bakend\n  did you mean 'backend'\\? known: backend, sta",
        ),
        (
            "colour = 3",
            "line 1, has an unknown key colour\n  known: backend, start_method, strict, plugins, b",
        ),
        ("[chanels.frames]\nbackend = 1", "line 1, has an unknown key chanels\n  did you mean 'channels'"),
        (
            '[channels.x]\n\nbackends = "a"',
            "line 3, has an unknown key channels.x.backends\n.*mean 'backend'",
        ),
        ("backend = 3", "line 1, key backend: expected a name, or a list of names, not 3"),
        ("backend = []", "line 1, key backend: expected at least one name"),
        ("backend = ''", "line 1, key backend: expected at least one name"),
        ('\nstrict = "perhaps"', "line 2, key strict: expected true or false, not 'perhaps'"),
        ("start_method = ['a']", "line 1, key start_method: expected a name, not \\['a'\\]"),
        ("plugins = [1]", "line 1, key plugins: expected a name, or a list of names, not \\[1\\]"),
        ("backends = 3", "line 1, key backends: expected a table \\[backends.NAME\\], not 3"),
        ("[backends]\npipe = 3", "line 2, key backends.pipe: expected a table \\[backends.pipe\\], not 3"),
        ('"say \\"x\\"" = 1', 'line 1, has an unknown key "say '),
        (
            '[channels.x]\n"back end" = 1',
            "line 2, has an unknown key channels.x.\"back end\"\n.*mean 'backend'",
        ),
        ("[[channels]]", "line 1, key channels: expected a table \\[channels.NAME\\], not \\[{}\\]"),
        (
            "[backends.pipe]\nx = [\n1]",
            "line 2, key backends.pipe.x: expected a text, a number, true or false, not",
        ),
        ("backends.pipe.x = 1979-05-27", "line 1, key backends.pipe.x: expected a text"),
        ("[channels.frames.left]\nbackend = 'a'", "line 1, has an unknown key channels.frames.left"),
        ('channels = {x = {"backend" = 1}}', "line 1, key channels.x.backend: expected a name, or a list"),
        ("a = '''\n\n'''\n[channels.\"a.b\"]\n'backend' = 1", "has an unknown key a"),
    ],
)
def test_a_mistake_says_which_file_which_line_which_key_and_what_was_expected(
    file: Path, text: str, complaint: str
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        config.effective()
    assert f"the file {file}, " in str(caught.value)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"backend = [", "line 1, is no valid TOML: .* at the end of the file\n  expected: KEY = "),
        (
            b"\nbackend = pipe\n",
            'line 2, is no valid TOML: invalid value at column 11\n  expected: KEY = "TEXT"',
        ),
        (b"backend 3", "line 1, is no valid TOML: expected '=' after a key"),
        (b"strict = true\nstrict = true\n", "line 2, is no valid TOML: cannot overwrite a value"),
        (b"[backends.pipe", "line 1, is no valid TOML: expected ']' at the end of a table declaration"),
        (
            b"\n\nbackend = '\xe9'\n",
            "line 3, is no valid TOML: the byte 0xe9 is no UTF-8\n  save the file as UTF-8",
        ),
        (b"x = " + b"[" * 9000, "is no valid TOML: "),
        (b"x = " + b"1" * 5000, "is no valid TOML: exceeds|is no valid TOML: Exceeds"),
        (b"\x00", "line 1, is no valid TOML: "),
    ],
)
def test_a_file_that_is_no_toml_says_where_and_what_was_expected(
    file: Path, data: bytes, complaint: str
) -> None:
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=complaint) as caught:
        config.effective()
    assert f"the file {file}" in str(caught.value)


def test_a_file_that_cannot_be_read_says_who_named_it(file: Path) -> None:
    named = f"the configuration file {file} \\(named by the variable IPCFRAME_CONFIG\\) cannot be read: "
    with pytest.raises(ConfigError, match=f"{named}No such file"):
        config.effective()
    file.mkdir()
    with pytest.raises(ConfigError, match=f"{named}Is a directory"):
        config.effective()


def test_a_file_of_others_cannot_be_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path == file:  # root may read everything
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        config.effective()


def test_a_file_may_begin_with_the_mark_of_its_encoding(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbfstart_method = "spawn"\r\nstrict = true\r\n')
    assert config.effective()["strict"] == (True, f"the file {file}, line 2, key strict")


def test_all_mistakes_are_found_and_the_rest_is_taken() -> None:
    found = contents(
        b"backend = 1\nstrict = 2\nplugins = ['x']\nother = 1\n[backends.a]\n[backends.b]\nc = []", "f"
    )
    assert [problem.problem.split(":")[0] for problem in found.problems] == [
        "f, line 1, key backend",
        "f, line 2, key strict",
        "f, line 4, has an unknown key other",
        "f, line 7, key backends.b.c",
    ]
    assert found.settings == {"plugins": (("x",), "f, line 3, key plugins")}
    assert found.backends == (("a", "f, line 5, key backends.a"), ("b", "f, line 6, key backends.b"))


def test_tables_may_be_empty(file: Path) -> None:
    file.write_text("[backends.anything]\n# x = 1\n[channels.frames]\n# backend = 'x'\n[channels.b]\n")
    assert config.tables("channels", config.effective()) == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[channels.frames]\nbackend = "a"', 2),
        ('[channels]\nframes.backend = "a"', 2),
        ('[channels]\nframes = { backend = "a" }', 2),
        ('\n"channels" . \'frames\'."backend"="a"', 2),
        ('channels = {frames = {backend = [ # x\n"a"\n]}}', 1),
        ('plugins = [ """\n[channels.frames]\nbackend = 1\n""" ]\n[channels.frames]\nbackend = """a"""', 6),
        ("plugins = [\n'#', # ]\n]\r\n\r\n[channels.frames] # c\r\n\r\nbackend = 'a'", 7),
    ],
)
def test_a_source_has_its_line_however_the_key_is_written(file: Path, text: str, line: int) -> None:
    file.write_bytes(text.encode())
    value = config.effective()["channels", "frames", "backend"]
    assert value == (("a",), f"the file {file}, line {line}, key channels.frames.backend")
