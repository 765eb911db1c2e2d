"""Discovery and planning alone: a synthetic listing of a hundred million objects against the store's history.

    .venv/bin/python tests/bench/planning.py [--objects 100000000] [--a-date 100000] [--work DIR]

`discover` and `plan` as a run calls them; in place of S3 stands a listing that is made up, in pages of a thousand, date
by date. Every other object is known: the store holds a row of it, in its own layout, a shard a thousand of them. What
making these up takes is told apart, and no part of the rate. The history of a date is deleted when the next but one is
listed; the plans of everything lie in DIR until the end (about 50 bytes an object).
"""

import argparse
import datetime as dt
import resource
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import psutil
from tables import print_head, print_machine, print_row

import tasks.stages.discover
from data_contracts.lake import Lake
from data_contracts.records import SHARD_BYTES, ModelRef
from data_contracts.schema.feature_sets import RECORDING_FEATURES
from features.corpus import shard_plan
from features.corpus.layout import Corpus
from features.extraction.config import FeatureConfig
from features.resources import Resources
from features.store import history, shard_files
from tasks.run.context import Run
from tasks.stages.discover import discover
from tasks.stages.plan import plan
from tasks.staging.date_spool import DateSpool
from tasks.staging.found_objects import FoundWriter

VERSION, PAGE, A_SHARD = "0123456789ab", 1_000, 1_000
MB = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=100_000_000)
    parser.add_argument("--a-date", type=int, default=100_000)
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--cpu", action="store_true", help="CPU time of all threads: on a machine that is busy")
    options = parser.parse_args()
    now = time.process_time if options.cpu else time.perf_counter
    n_dates = -(-options.objects // options.a_date)
    dates = tuple(dt.date(2000, 1, 1) + dt.timedelta(days=day) for day in range(n_dates))
    print_machine()
    print(f"data: {options.objects:,} objects of 64 to 448 kB, {options.a_date:,} a date, every other one known\n")
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        measure(Lake(folder), dates, options.objects, options.a_date, now)


def measure(lake: Lake, dates: tuple[dt.date, ...], n_objects: int, a_date: int, now: Callable[[], float]) -> None:
    clock, made = Clock(now), Made(lake, n_objects, a_date)
    tasks.stages.discover.list_pages = clock.ticking("make up listing and history", made.pages)
    DateSpool.add = clock.timed("gather the pages", DateSpool.add)
    history.attempts = clock.timed("read the history", history.attempts)
    tasks.stages.discover.select_unread = clock.timed("anti-join", tasks.stages.discover.select_unread)
    FoundWriter.write = clock.timed("write down what is fresh", FoundWriter.write)
    tasks.stages.plan.read_found = clock.ticking("read what is fresh", tasks.stages.plan.read_found)
    shard_plan.shard_ends = clock.timed("pack", shard_plan.shard_ends)
    shard_plan.shard_ids = clock.timed("ids", shard_plan.shard_ids)
    shard_plan.write_plans = clock.timed("write plans", shard_plan.write_plans)
    nobody = ModelRef("none", "1", "", "0" * 8)
    run = Run(
        *("bench", "backfill", lake, Corpus("s3://corpus"), dates, nobody, nobody, FeatureConfig(), VERSION),
        *(SHARD_BYTES, Resources(), ""),
    )
    before_mb, started = psutil.Process().memory_info().rss / MB, now()
    found = discover.fn(run)
    discovered_s = now() - started
    refs = plan.fn(run, found, n_workers=8)
    whole_s = now() - started
    assert found.n_listed == n_objects, found.n_listed
    assert found.n_known == made.n_known, found.n_known
    assert sum(ref.n_objects for ref in refs) == n_objects - made.n_known
    ours_s = whole_s - clock.seconds["make up listing and history"]
    print_head("stage", "minutes", "µs an object")
    stages = [
        *clock.seconds.items(),
        ("all else", whole_s - sum(clock.seconds.values())),
        ("discover and plan", ours_s),
    ]
    for name, seconds in stages:
        print_row(name, f"{seconds / 60:.2f}", f"{1e6 * seconds / n_objects:.2f}")
    print(f"\n{n_objects:,} listed, {found.n_known:,} known, {len(refs):,} shards of {len(dates):,} dates")
    print(f"{n_objects / ours_s:,.0f} objects a second; discovery ended after {discovered_s / 60:.2f} minutes")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    print(f"resident memory: {before_mb:,.0f} MB before, {peak_mb:,.0f} MB at most (of it what makes up a date)")


class Clock:
    """Seconds by stage, of the functions that it is put around; one within another counts for the inner alone."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.seconds: dict[str, float] = defaultdict(float)

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            started, others = self.now(), sum(self.seconds.values())
            try:
                return function(*args, **kwargs)
            finally:
                inner = sum(self.seconds.values()) - others
                self.seconds[name] += self.now() - started - inner

        return call

    def ticking(self, name: str, function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Time each step of a generator."""

        def call(*args: Any, **kwargs: Any) -> Iterator[Any]:
            items = iter(function(*args, **kwargs))
            step = self.timed(name, lambda: next(items, None))
            while (item := step()) is not None:
                yield item

        return call


class Made:
    """A listing, and a history that knows every other object of it."""

    def __init__(self, lake: Lake, n_objects: int, a_date: int) -> None:
        self.lake, self.n_objects, self.a_date, self.n_known = lake, n_objects, a_date, 0

    def pages(self, _: Corpus, dates: tuple[dt.date, ...]) -> Iterator[pl.DataFrame]:
        started = time.perf_counter()
        for place, date in enumerate(dates):
            if place > 1:
                shutil.rmtree(self.lake.uri_of(shard_files.folder("recordings", VERSION, dates[place - 2])))
            objects = self.objects(date, place * self.a_date, min(self.n_objects, (place + 1) * self.a_date))
            self.write_history(date, objects.gather_every(2))
            yield from objects.iter_slices(PAGE)
            if (place + 1) % max(1, len(dates) // 10) == 0:
                now_mb = psutil.Process().memory_info().rss / MB
                minutes = (time.perf_counter() - started) / 60
                print(f"{(place + 1) * self.a_date:,} listed after {minutes:.1f} minutes, {now_mb:,.0f} MB", flush=True)
        print()

    def objects(self, date: dt.date, start: int, end: int) -> pl.DataFrame:
        number = pl.int_range(start, end, dtype=pl.UInt64, eager=True).alias("number")
        random = pl.col("number").hash(1)
        folder = pl.lit(f"s3://corpus/{date:%Y/%m/%d}/agent-")
        etag = pl.concat_str(pl.col("number").hash(2), pl.col("number").hash(3)).str.slice(0, 32)
        name = pl.col("number").cast(pl.String).str.zfill(12)
        uri = pl.concat_str(folder, name.str.slice(6, 3), pl.lit("/call-"), name, pl.lit(".flac"))
        size = (64_000 + random % 384_000).cast(pl.Int64)
        modified = pl.lit(dt.datetime.combine(date, dt.time(12), dt.UTC)).cast(pl.Datetime("us", "UTC"))
        attributes = pl.lit(None, pl.String)
        columns = {"uri": uri, "etag": etag, "bytes": size, "modified": modified, "attributes": attributes}
        return number.to_frame().select(**columns, date=pl.lit(date))

    def write_history(self, date: dt.date, known: pl.DataFrame) -> None:
        told = {
            "tries": pl.lit(1, pl.Int16),
            "read_at": pl.col("modified"),
            "recording_id": pl.col("etag"),
            "codec": pl.lit("flac"),
            "sample_rate_hz": pl.lit(8_000, pl.Int32),
            "n_channels": pl.lit(1, pl.Int32),
            "seconds": pl.col("bytes") / 8_000,
            "status": pl.lit("ok"),
        }
        empty = pl.DataFrame(RECORDING_FEATURES.empty_table())
        rows = pl.concat([empty, known.drop("date").with_columns(**told)], how="diagonal")
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(RECORDING_FEATURES)
        for number, start in enumerate(range(0, rows.height, A_SHARD)):
            shard = f"{number:016x}"
            self.lake.write_parquet(shard_files.path("recordings", VERSION, date, shard), table.slice(start, A_SHARD))
        self.n_known += rows.height


if __name__ == "__main__":
    main()
