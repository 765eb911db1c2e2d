"""Settings from undertone.toml, with an encoding's name where it is not UTF-8."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic_settings import TomlConfigSettingsSource

from data_contracts.errors import UsageError


class TomlFile(TomlConfigSettingsSource):
    """The file of settings. Raises UsageError where it cannot be read, decoded or parsed."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        path = Path(file_path).absolute()
        try:
            return tomllib.loads(decode(path.read_bytes(), path))
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path} is no TOML: {error}") from error
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}; let this user read it, or move it") from error


def decode(data: bytes, path: Path) -> str:
    """Decode UTF-8, with or without a byte order mark. Raises UsageError with the line, and what it is instead."""
    try:
        if b"\0" not in data:
            return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        is_utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        line, kind = before.count(b"\n") + 1, "UTF-16" if is_utf16 else "Latin-1 or another code page"
    else:
        line, kind = 1, "UTF-16"
    raise UsageError(f"{path}: expected UTF-8; found {kind} in line {line}; save it as UTF-8")
