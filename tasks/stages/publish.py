"""Stage 8: publication of the staged tables in Delta, one commit a table, the ledger and the pointer last.

An audited run leaves `ready.json`; one that died between two tables' commits is rolled forward by the next.
"""

from data_contracts.errors import DamagedFile
from data_contracts.lake import Lake
from tasks.publication.foreign_changes import require_no_changes
from tasks.publication.publish import check_base, publish_lock, publish_staged, write_ledger
from tasks.publication.recovery import can_restore, describe_losses, find_losses, write_off
from tasks.publication.roll_forward import half_published_runs, roll_forward_dead_runs
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.run.ledger import Ledger
from tasks.stages.stage import stage


@stage
def publish(run: Run, ledger: Ledger, base: dict[str, int], *, is_last: bool) -> None:
    """Publish the staged and audited tables. Raises PublishConflict where another run came first: stage again.

    The ledger's row says that the run is done where this is its last batch.
    """
    with publish_lock(run.lake, run.id) as lock:
        roll_forward_dead_runs(lock, except_run=run.id)
        check_base(run.lake, ledger, base)
        run.lake.write_json(paths.ready(run.id), {"base": base, "is_last": is_last})
        publish_staged(lock, ledger, base, is_last=is_last)


@stage
def check_tables(run: Run, *, publishes: bool) -> str:
    """Hold the published tables against what is there, before anything is computed or published on top.

    A forced run that publishes all that is lost again writes it off; returns a note about that. Raises DamagedFile in
    other runs, and LakeError where another tool changed rows.
    """
    require_no_changes(run.lake)
    losses = find_losses(run.lake)
    if not losses:
        return ""
    if not (run.force and publishes and can_restore(losses, run.dates)):
        raise DamagedFile(describe_losses(run.lake, losses))
    with publish_lock(run.lake, run.id):
        write_off(run.lake, losses)
    return f"rows of {', '.join(losses)} were lost to other hands: they are published again"


@stage
def finish(lake: Lake, ledger: Ledger) -> None:
    """Publish the ledger's row of a run that has nothing (more) to publish."""
    with publish_lock(lake, ledger.run_id) as lock:
        roll_forward_dead_runs(lock)
        write_ledger(lock, ledger, is_last=True, since=None)


@stage
def roll_forward(lake: Lake) -> list[str]:
    """Finish the publications that dead runs had begun. Returns their ids."""
    if not half_published_runs(lake):
        return []
    with publish_lock(lake, "roll-forward") as lock:
        return roll_forward_dead_runs(lock)
