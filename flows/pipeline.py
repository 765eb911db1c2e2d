"""Main job: the eight stages from the corpus to the published tables."""

import contextlib
import datetime as dt
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from prefect.runtime import deployment

from data_contracts.errors import LakeError, UndertoneError, ValidationStopped
from data_contracts.expectations import validation
from data_contracts.lake.conditional_writes import require_conditional_writes
from data_contracts.records import Counts, ModelRef, ShardRef
from features.corpus.sources import Sources
from features.store import shard_files
from flows.notifications import hooks
from flows.prefect_artifacts import create_artifacts
from flows.publish_in_parts import publish_pending
from flows.report import at_run_end
from flows.settings import Settings, configs
from flows.terminal.progress import reporter
from flows.terminal.screen import escape_for_console
from flows.workers.dask import Workers, workers_for
from models.registry.compatibility import check_features, shipped_extractor_config
from tasks.run.context import RejectFilter, Run, new_id
from tasks.run.heartbeat import heartbeat
from tasks.run.ledger import Ledger
from tasks.stages.discover import discover
from tasks.stages.discover_rejects import discover_rejects
from tasks.stages.extract import extract
from tasks.stages.plan import plan
from tasks.stages.publish import check_tables, finish, roll_forward
from tasks.staging.feature_damage import require_features
from tasks.staging.found_objects import Discovery
from tasks.staging.pending import dates_in_store

Stage = Literal["features", "score"]


def process(
    settings: Settings,
    *,
    flow: str,
    dates: Sequence[dt.date] | None,
    stage: Stage | None = None,
    force: bool = False,
    rescore: bool = False,
    retry: RejectFilter | None = None,
) -> Ledger:
    """Run the stages over `dates` (None: all dates) and return the ledger.

    Stage `features` ends after extraction, `score` starts after it. `force` repeats finished work; `rescore` includes
    what other model versions have published; `retry` reads rejects alone. Raises ValidationStopped where the audit
    fails.
    """
    reads_audio = stage != "score"
    run = open_run(settings, flow=flow, dates=dates, force=force, rescore=rescore, reads_audio=reads_audio, retry=retry)
    ledger = _open_ledger(run)
    try:
        with heartbeat(run.lake, ledger), workers_for(settings) as workers:
            if note := check_tables(run, publishes=stage != "features"):
                reporter.get().say("publish", note)
                run = replace(run, restores=True)
            for run_id in roll_forward(run.lake):
                reporter.get().say("publish", f"finished what run {run_id} had audited and not yet published")
            with contextlib.suppress(UndertoneError):  # a missing notification is no reason to stop
                hooks.notify_of_dead_runs(run.lake, settings, by=run.id)
            if not reads_audio:
                _check_stored(run)
                threading.Thread(target=_warm_up, daemon=True).start()
            else:
                run = _extract(run, ledger, workers)
            if stage == "features" or not publish_pending(run, ledger, workers):
                finish(run.lake, ledger)
    except ValidationStopped as error:
        _close(run, ledger, "stopped", error)
        raise
    except BaseException as error:
        _close(run, ledger, "failed", error)
        raise
    create_artifacts(ledger)
    at_run_end.try_write_report(run.lake, ledger)
    return ledger


def open_run(
    settings: Settings,
    *,
    flow: str,
    dates: Sequence[dt.date] | None,
    force: bool = False,
    rescore: bool = False,
    reads_audio: bool = True,
    retry: RejectFilter | None = None,
) -> Run:
    """Resolve lake, corpus and versions of a run; the models are the registry's champions of now.

    Raises ModelError, before any audio is read, where the emotion model was trained on other features.
    """
    lake = settings.open_lake()
    corpus = settings.open_corpus() if reads_audio else None
    registry = settings.open_registry(lake)
    emotion, speaker = registry.champion("emotion"), registry.champion("speaker")
    config = configs.feature_config(settings, same_voice=float(speaker.metadata["threshold"]))
    check_features(emotion, config, extractor=speaker.metadata.get("extractor_digest"))
    return Run(
        id=new_id(dt.datetime.now(dt.UTC)),
        flow=flow,
        lake=lake,
        corpus=corpus,
        dates=None if dates is None else tuple(dates),
        emotion=emotion,
        speaker=speaker,
        config=config,
        feature_version=config.version(*extractor_digests(speaker, emotion)),
        shard_bytes=settings.shard_bytes,
        resources=configs.worker_resources(settings),
        pseudonym_key=settings.pseudonym_key,
        sources=Sources(settings.corpus, settings.layout),
        emotion_prior=configs.emotion_prior(settings, emotion),
        channel_names=settings.channel_names,
        drift=configs.drift_config(settings),
        shard_tries=settings.shard_tries,
        batch_recordings=settings.publish_recordings,
        force=force,
        rescore=rescore,
        retry=retry,
    )


def extractor_digests(speaker: ModelRef, emotion: ModelRef) -> list[str]:
    """Return the digests of the models that read audio; their features are stored under these."""
    source = emotion.metadata if "feature_set" in emotion.metadata else shipped_extractor_config()
    return [str(model["extractor_digest"]) for model in (speaker.metadata, source)]


def _extractor_labels(run: Run) -> str:
    emotion_label = f", {run.emotion.label}" if "feature_set" in run.emotion.metadata else ""
    return f"{run.speaker.label}{emotion_label}"


def _check_stored(run: Run) -> None:
    """Raise LakeError where features are gone, or there are none: another encoder or configuration needs the audio."""
    if not shard_files.dates(run.lake, run.feature_version):
        versions = ", ".join(run.lake.names("features/recordings")) or "none"
        raise LakeError(
            f"expected features of version {run.feature_version} ({_extractor_labels(run)}) "
            f"in {run.lake.uri_of('features')}; found {versions}; run `undertone backfill` without --stage score: "
            "the audio has to be read"
        )
    require_features(run, dates_in_store(run))


def _extract(run: Run, ledger: Ledger, workers: Workers) -> Run:
    """Run stages 1 to 3 and return the run with its resolved dates."""
    output = reporter.get()
    with ledger.timed("discover"):
        found = discover_rejects(run) if run.retry else discover(run)
    ledger.n_listed, ledger.n_known, ledger.left_alone = found.n_listed, found.n_known, found.left_alone
    output.say("discover", _discovery_line(run, found))
    run = replace(run, dates=found.window)
    if not found.dates:
        return run
    require_conditional_writes(run.lake)  # before hours of computing that nobody could publish
    with ledger.timed("plan"):
        refs: list[ShardRef] = plan(run, found, n_workers=workers.size())
    ledger.n_planned = sum(ref.n_objects for ref in refs)
    output.say("plan", f"{ledger.n_planned:,} objects, {found.n_bytes / 1e6:,.1f} MB, {len(refs)} shards")
    threading.Thread(target=_warm_up, daemon=True).start()
    with ledger.timed("extract"), output.extraction(found.n_bytes) as bar:
        ledger.extracted = extract(run, refs, workers.client(), progress=bar)
    done: Counts = ledger.extracted
    rate = done.audio_s / ledger.seconds["extract"]
    output.say(
        "extract",
        f"{done.audio_s / 60:,.1f} min of audio, {done.n_segments:,} utterances, {done.n_rejected} rejected, "
        f"{f'{done.n_truncated} truncated and kept, ' if done.n_truncated else ''}{rate:.0f}x real time",
    )
    return run


def _warm_up() -> None:
    """Load what the audit and the report need while the workers compute."""
    validation.warm_up()
    at_run_end.warm_up()


def _discovery_line(run: Run, found: Discovery) -> str:
    if run.retry:
        return f"{found.n_listed:,} rejects chosen, {found.n_listed - found.n_known:,} to be read again"
    hint = "" if found.n_listed else f" in {run.corpus}: is the layout right? `undertone doctor` shows what is there"
    n_lost = sum(map(len, found.incomplete.values()))
    hint = f"; feature files of {n_lost} shard(s) were gone: their recordings are read again" if n_lost else hint
    return f"{found.n_listed:,} objects listed, {found.n_known:,} of them known already{escape_for_console(hint)}"


def _open_ledger(run: Run) -> Ledger:
    ledger = Ledger(
        run_id=run.id,
        flow=run.flow,
        started=dt.datetime.now(dt.UTC),
        window_from=min(run.dates) if run.dates else None,
        window_to=max(run.dates) if run.dates else None,
        emotion_model=run.emotion.label,
        speaker_model=run.speaker.label,
        feature_version=run.feature_version,
        emotion_prior=run.emotion_prior,
        is_watched=deployment.id is not None,
    )
    ledger.save(run.lake)
    return ledger


def _close(run: Run, ledger: Ledger, status: str, error: BaseException) -> None:
    """Record the failure. A run that did not publish keeps its ledger in staging, where `undertone runs` finds it."""
    ledger.status, ledger.finished, ledger.error = status, dt.datetime.now(dt.UTC), f"{type(error).__name__}: {error}"
    with contextlib.suppress(UndertoneError):  # `error` already says that the lake cannot be written
        ledger.save(run.lake)
    error.add_note(f"run {ledger.run_id}" + (f", in stage {ledger.stage}" if ledger.stage else ""))
    at_run_end.try_write_report(run.lake, ledger, error)
    if isinstance(error, UndertoneError):
        create_artifacts(ledger)
