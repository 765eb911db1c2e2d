"""Maintenance flow: compaction, and removal of old versions, stagings, reports and unused features."""

from typing import Any

from prefect import flow

from data_contracts.lake import Lake
from flows.notifications.hooks import NOTIFY_HOOKS
from flows.pipeline import extractor_digests
from flows.settings import Settings, configs
from tasks.maintenance_report import MaintenanceReport, store_time
from tasks.stages.compact import tidy_tables
from tasks.stages.expire import expire_reports, expire_stagings, expire_versions
from tasks.stages.pack import pack_features
from tasks.staging.expiry import unpublished_versions
from tasks.staging.live_runs import live_runs


@flow(name="maintain", **NOTIFY_HOOKS)
def maintain(
    dry_run: bool = False,
    drop_versions: bool = False,
    accept_changes: bool = False,
    settings: dict[str, Any] | None = None,
) -> list[MaintenanceReport]:
    """Compact tables and features and remove old files, as the settings say; return a report.

    `dry_run` reports what would be done; `accept_changes` publishes what other tools changed in the tables. `settings`
    are the flags by name. Runs may go on meanwhile.
    """
    loaded = Settings.load(**(settings or {}))
    lake = loaded.open_lake()
    now = store_time(lake)
    done = tidy_tables(
        lake, keep_versions_days=loaded.keep_versions_days, dry_run=dry_run, accept_changes=accept_changes
    )
    done += pack_features(lake, now, older_than_days=loaded.pack_after_days, dry_run=dry_run)
    done.append(expire_stagings(lake, now, older_than_days=loaded.keep_stagings_days, dry_run=dry_run))
    done.append(expire_reports(lake, now, older_than_days=loaded.keep_reports_days, dry_run=dry_run))
    in_use = {ledger["feature_version"] for _, ledger in live_runs(lake, now)}
    unused = [version for version in _unused_versions(loaded, lake) if version not in in_use]
    drop = drop_versions and not dry_run
    return [*done, *expire_versions(lake, now, unused, older_than_days=loaded.pack_after_days, drop=drop)]


def _unused_versions(settings: Settings, lake: Lake) -> list[str]:
    """Return feature versions without a published row that the current champions would not make either."""
    unpublished = unpublished_versions(lake)
    if not unpublished:
        return []
    registry = settings.open_registry(lake)
    emotion, speaker = registry.champion("emotion"), registry.champion("speaker")
    config = configs.feature_config(settings, same_voice=float(speaker.metadata["threshold"]))
    return [version for version in unpublished if version != config.version(*extractor_digests(speaker, emotion))]
