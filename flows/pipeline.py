"""The main job: a recording's way through the eight stages, from the corpus to the published tables."""

import datetime as dt
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from data_contracts.errors import LakeError, PublishConflict, UndertoneError, ValidationStopped
from data_contracts.records import Counts, ModelRef, ShardRef
from data_contracts.validation import warm_up
from features import store
from flows import chosen
from flows.artifacts import leave
from flows.progress import reporter
from flows.runners import Workers, workers_for
from flows.screen import safe
from flows.settings import Settings
from models.compatibility import check_features
from tasks.audit import audit, docs_uri
from tasks.discover import Found, discover
from tasks.extract import extract
from tasks.identify import identify
from tasks.integrate import integrate
from tasks.ledger import Ledger
from tasks.plan import plan
from tasks.publish import finish, publish, roll_forward
from tasks.reenrol import reenrol
from tasks.rejected import rejected
from tasks.run import Choice, Run, new_id
from tasks.score import score
from tasks.select import Pending, select

Stage = Literal["features", "score"]
_ATTEMPTS = 5


def process(
    settings: Settings,
    *,
    flow: str,
    dates: Sequence[dt.date] | None,
    stage: Stage | None = None,
    force: bool = False,
    rescore: bool = False,
    retry: Choice | None = None,
) -> Ledger:
    """Runs the stages over `dates` (None: all there are) and returns the ledger.

    `features` ends after extraction, `score` starts after it. `force` does again what is done; `rescore` also takes
    what other model versions have published; `retry` reads rejects alone. Raises ValidationStopped where the audit says
    no.
    """
    reads_audio = stage != "score"
    run = open_run(settings, flow=flow, dates=dates, force=force, rescore=rescore, reads_audio=reads_audio, retry=retry)
    ledger = _open_ledger(run)
    try:
        for run_id in roll_forward(run.lake):
            reporter.get().say("publish", f"finished what run {run_id} had audited and not yet published")
        with workers_for(settings) as workers:
            if not reads_audio:
                _check_stored(run)
            else:
                run = _extract(run, ledger, workers)
            if stage == "features" or not _publish(run, ledger, workers):
                finish(run.lake, ledger)
    except ValidationStopped as error:
        _close(run, ledger, "stopped", error)
        raise
    except BaseException as error:
        _close(run, ledger, "failed", error)
        raise
    leave(ledger)
    return ledger


def open_run(
    settings: Settings,
    *,
    flow: str,
    dates: Sequence[dt.date] | None,
    force: bool = False,
    rescore: bool = False,
    reads_audio: bool = True,
    retry: Choice | None = None,
) -> Run:
    """Settles where the run works and with which versions: the registry's champions, of now.

    Raises ModelError where the emotion model was trained on other features: before any audio is read, not after.
    """
    lake = settings.open_lake()
    corpus = settings.open_corpus() if reads_audio else None
    registry = settings.open_registry(lake)
    emotion, speaker = registry.champion("emotion"), registry.champion("speaker")
    config = chosen.features(settings, same_voice=float(speaker.metadata["threshold"]))
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
        feature_version=config.version(*extractors(speaker, emotion)),
        shard_bytes=settings.shard_bytes,
        resources=chosen.resources(settings),
        pseudonym_key=settings.pseudonym_key,
        channel_names=settings.channel_names,
        shard_tries=settings.shard_tries,
        force=force,
        rescore=rescore,
        retry=retry,
    )


def extractors(speaker: ModelRef, emotion: ModelRef) -> list[str]:
    """The digests of the models that hear the audio: what they stored is theirs alone."""
    own = [emotion.metadata["extractor_digest"]] if "feature_set" in emotion.metadata else []
    return [str(digest) for digest in (speaker.metadata["extractor_digest"], *own)]


def _heard_by(run: Run) -> str:
    own = f", {run.emotion.label}" if "feature_set" in run.emotion.metadata else ""
    return f"{run.speaker.label}{own}"


def _check_stored(run: Run) -> None:
    """Raises LakeError where there is nothing to score: another encoder or configuration needs the audio again."""
    if not store.dates(run.lake, run.feature_version):
        held = ", ".join(run.lake.names("features/recordings")) or "none"
        raise LakeError(
            f"expected features of version {run.feature_version} ({_heard_by(run)}) in {run.lake.at('features')}; "
            f"found {held}; run `undertone backfill` without --stage score: the audio has to be read"
        )


def _extract(run: Run, ledger: Ledger, workers: Workers) -> Run:
    """Stages 1 to 3; returns the run with the dates that it turned out to be for."""
    tell = reporter.get()
    with ledger.timed("discover"):
        found = rejected(run) if run.retry else discover(run)
    ledger.n_listed, ledger.n_known, ledger.left_alone = found.n_listed, found.n_known, found.left_alone
    tell.say("discover", _discovered(run, found))
    run = replace(run, dates=found.window)
    if not found.dates:
        return run
    with ledger.timed("plan"):
        refs: list[ShardRef] = plan(run, found, n_workers=workers.size())
    tell.say(
        "plan", f"{sum(ref.n_objects for ref in refs):,} objects, {found.n_bytes / 1e6:,.1f} MB, {len(refs)} shards"
    )
    threading.Thread(target=warm_up, daemon=True).start()  # the audit's imports, while the workers compute
    with ledger.timed("extract"), tell.extraction(found.n_bytes) as bar:
        ledger.extracted = extract(run, refs, workers.client(), progress=bar)
    done: Counts = ledger.extracted
    rate = done.audio_s / ledger.seconds["extract"]
    tell.say(
        "extract",
        f"{done.audio_s / 60:,.1f} min of audio, {done.n_segments:,} utterances, {done.n_rejected} rejected, "
        f"{rate:.0f}x real time",
    )
    return run


def _discovered(run: Run, found: Found) -> str:
    if run.retry:
        return f"{found.n_listed:,} rejects chosen, {found.n_listed - found.n_known:,} to be read again"
    where = "" if found.n_listed else f" in {run.corpus}: is the layout right? `undertone doctor` shows what is there"
    return f"{found.n_listed:,} objects listed, {found.n_known:,} of them known already{safe(where)}"


def _publish(run: Run, ledger: Ledger, workers: Workers) -> bool:
    """Stages 4 to 8; False where nothing waits. Staged again where another run published in between."""
    for attempt in range(_ATTEMPTS):
        ledger.attempt = attempt
        with ledger.timed("integrate"):
            waiting = select(run)
        if not waiting.n_recordings:
            ledger.nothing_published()
            reporter.get().say("publish", "nothing new: the tables are as they were")
            return False
        _stage(run, ledger, waiting, workers)
        try:
            ledger.save(run.lake)
            publish(run, ledger, waiting.base)
        except PublishConflict:
            if attempt == _ATTEMPTS - 1:
                raise
            reporter.get().say("publish", "another run published first: staging again on top of it")
            continue
        reporter.get().say(
            "publish", f"{ledger.n_published_recordings:,} recordings, {ledger.n_published_utterances:,} utterances"
        )
        return True
    return False


def _stage(run: Run, ledger: Ledger, waiting: Pending, workers: Workers) -> None:
    """Stages 4 to 7. Raises ValidationStopped."""
    tell = reporter.get()
    with ledger.timed("identify"):
        enrolled = reenrol(run)
        identified = identify(run, waiting)
    ledger.n_new_speakers = identified.n_founded
    kept = enrolled.n + identified.n_carried
    tell.say(
        "identify",
        f"{ledger.n_new_speakers} speakers heard for the first time"
        + (f", {kept} known from another encoder" if kept else ""),
    )
    for words in (*enrolled.failed, *identified.left_behind):
        tell.say("", f"[yellow]note[/yellow] {safe(words)}")
    with ledger.timed("score"):
        ledger.n_scored = score(run, waiting, workers.client_for(sum(map(len, waiting.shards.values()))))
    workers.release()
    unread = "" if ledger.extracted.n_objects else "; no audio was read: from stored features"
    tell.say("score", f"{ledger.n_scored:,} utterances by {run.emotion.label}{unread}")
    with ledger.timed("integrate"):
        staged = integrate(run, waiting)
    ledger.n_published_recordings, ledger.n_published_utterances = staged.n_recordings, staged.n_utterances
    with ledger.timed("audit"):
        verdict = audit(run, waiting, ledger.extracted.n_objects)
    ledger.verdict, ledger.validation = verdict.word, docs_uri(run)
    ledger.failures = [str(failure) for failure in verdict.failures]
    tell.say("audit", f"{verdict.n_expectations} expectations, {verdict.word}: {safe(ledger.validation)}")
    for failure in verdict.failures:
        tell.say("", f"[yellow]{failure.severity}[/yellow] {safe(str(failure))}")
    if verdict.critical:
        raise ValidationStopped(
            f"{len(verdict.critical)} of {verdict.n_expectations} expectations failed, nothing was published; first: "
            f"{verdict.critical[0]}. See {ledger.validation}, mend the model or the data, and run again"
        )


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
    )
    ledger.save(run.lake)
    return ledger


def _close(run: Run, ledger: Ledger, status: str, error: BaseException) -> None:
    """A run that did not publish keeps its ledger in staging, where `undertone runs` finds it."""
    ledger.status, ledger.finished, ledger.error = status, dt.datetime.now(dt.UTC), f"{type(error).__name__}: {error}"
    ledger.save(run.lake)
    if isinstance(error, UndertoneError):
        leave(ledger)
