"""Settings and the configurations made of them."""

from flows.settings.settings import Settings

__all__ = ["Settings"]
