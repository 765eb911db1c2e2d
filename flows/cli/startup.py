"""Start of a command that runs a flow: settings are checked first, then the slow parts start in parallel."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flows.cli.options import given_flags
from flows.workers.startup import start_background


@contextmanager
def run_command(*, reads_audio: bool = True, **flags: Any) -> Iterator[dict[str, Any]]:
    """Yield the given flags as a flow takes them. Import and call the flow inside the block.

    Prefect's server and the process that workers are forked from start beside the imports (`flows.workers.startup`).
    Raises UsageError: what is wrong is said before anything is imported that takes seconds, or at least not after them.
    """
    from flows.settings import Settings

    given = given_flags(**flags)
    settings = Settings.load(**given)
    settings.lake_uri()
    if reads_audio:
        settings.open_corpus()
    ready = start_background()
    from flows.settings import configs

    settings.open_lake()
    configs.audio_config(settings)
    configs.worker_resources(settings)
    import flows.pipeline
    import flows.terminal.progress  # noqa: F401

    ready()
    yield given
