"""Start of a command that runs a flow: settings are checked first, then the slow parts start in parallel."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flows.cli.options import given_flags
from flows.workers.startup import start_background


@contextmanager
def run_command(*, reads_audio: bool = True, **flags: Any) -> Iterator[dict[str, Any]]:
    """Yield the given flags as a flow takes them. Import and call the flow inside the block.

    Prefect's server and the parent of forked workers start in parallel with the imports (`flows.workers.startup`).
    Raises UsageError, where possible before the slow imports.
    """
    from flows.settings import Settings

    flags = given_flags(**flags)
    settings = Settings.load(**flags)
    settings.lake_uri()
    if reads_audio:
        settings.open_corpus()
    wait_for_server = start_background()
    from flows.settings import configs

    settings.open_lake()
    configs.audio_config(settings)
    configs.worker_resources(settings)
    import flows.pipeline
    import flows.terminal.progress  # noqa: F401

    wait_for_server()
    yield flags
