"""Settings of notifications, separate, so that a run stopped by another wrong setting still notifies."""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from flows.settings.toml_file import TomlFile

Event = Literal["failed", "stopped", "drift"]
EVENTS: tuple[Event, ...] = get_args(Event)


class NotificationSettings(BaseSettings):
    """Settings `notify` and `notify_on`, valid however wrong the others are."""

    model_config = SettingsConfigDict(
        env_prefix="UNDERTONE_",
        env_ignore_empty=True,
        toml_file="undertone.toml",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    notify: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="receivers of notifications: URLs of Apprise (slack://…, mailto://…) or of a webhook (https://…)",
    )
    notify_on: Annotated[tuple[Event, ...], NoDecode] = Field(
        EVENTS, description="events to notify of: failed (a run), stopped (a publication, by its validation), drift"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Rank flags before the environment before the file."""
        return init_settings, env_settings, TomlFile(settings_cls)

    @field_validator("notify", mode="before")
    @classmethod
    def _urls(cls, value: Any) -> Any:
        """Split one variable at spaces, or at commas before the next URL: URLs hold commas too."""
        urls = [url for url in re.split(r"[\s,]+(?=\w+://)", value.strip()) if url] if isinstance(value, str) else value
        if any(isinstance(url, str) and "://" not in url for url in urls):
            raise ValueError("expected URLs such as https://…, slack://… or mailto://…")
        return urls

    @field_validator("notify_on", mode="before")
    @classmethod
    def _events(cls, value: Any) -> Any:
        return [word for word in re.split(r"[\s,]+", value) if word] if isinstance(value, str) else value
