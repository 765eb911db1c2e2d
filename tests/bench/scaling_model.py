"""Extrapolation from the cost of one hour and one recording to many: cores, hours, dollars, and the bottlenecks.

    .venv/bin/python tests/bench/scaling_model.py [--core-s-an-hour 98] [--objects-an-hour 12] …

Arithmetic, no measurement: its defaults are figures that the other benches printed (docs/scaling.md says which) and
prices that are assumed. Give your own. What is linear in the audio is multiplied; what is not (the two passes over
`recordings` in each part that is published) is told by itself.
"""

import argparse
from dataclasses import dataclass

from tables import print_head, print_row


@dataclass(frozen=True)
class Inputs:
    """Costs of this pipeline on this machine, and market prices."""

    core_s_an_hour: float = 98.0  # CPU of an hour of audio without the start: tests/bench/README.md
    objects_an_hour: float = 12.0  # five minutes a call; a corpus of clips has hundreds
    kb_an_hour: float = 5_000.0  # features and tables
    list_us: float = 90.0  # CPU of an object listed on S3: planning.py's note
    plan_us: float = 4.0  # CPU of an object discovered and planned: planning.py
    row_us: float = 0.5  # a row of `recordings` read in one pass of two columns, assumed of one core
    objects_a_shard: float = 500.0
    requests_a_shard: float = 25.0  # PUT and the like, scale.py
    part_recordings: float = 50_000.0  # publish_recordings
    dollars_a_core_hour: float = 0.04
    dollars_a_gb_month: float = 0.023
    dollars_a_thousand_puts: float = 0.005
    dollars_a_thousand_gets: float = 0.0004


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in vars(Inputs()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value)
    inputs = Inputs(**vars(parser.parse_args()))
    sizes = (1e4, 1e6, 1e8)
    print_head("hours of audio", *(f"{hours:,.0f}" for hours in sizes))
    columns = [rows(inputs, hours) for hours in sizes]
    for name in columns[0]:
        print_row(name, *(_figure(column[name]) for column in columns))


def rows(of: Inputs, hours: float) -> dict[str, float]:
    objects = hours * of.objects_an_hour
    core_hours = hours * of.core_s_an_hour / 3600
    shards = objects / of.objects_a_shard
    puts = shards * of.requests_a_shard
    gets = objects + shards * of.requests_a_shard
    parts = max(1.0, objects / of.part_recordings)
    return {
        "recordings": objects,
        "core hours": core_hours,
        "cores for a night of eight hours": core_hours / 8,
        "machines of 64 cores, for that night": core_hours / 8 / 64,
        "· dollars of compute": core_hours * of.dollars_a_core_hour,
        "GB of features and tables": hours * of.kb_an_hour / 1e6,
        "· dollars a month": hours * of.kb_an_hour / 1e6 * of.dollars_a_gb_month,
        "· dollars of requests": (puts * of.dollars_a_thousand_puts + gets * of.dollars_a_thousand_gets) / 1e3,
        "driver: minutes of listing S3, first time": objects * of.list_us / 6e7,
        "driver: minutes of planning": objects * of.plan_us / 6e7,
        "driver: parts published": parts,
        "driver: minutes of reading `recordings`, twice a part": parts * 2 * objects / 2 * of.row_us / 6e7,
        "shards, and futures of Dask": shards,
    }


def _figure(value: float) -> str:
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.2g}"


if __name__ == "__main__":
    main()
