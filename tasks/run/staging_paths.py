"""Paths of all files below `staging/`, relative to the lake's root, with their writers and readers.

Below `staging/run=ID/`; a stage's name stands for the stage and the functions that it calls:

| path | written by | read by |
|---|---|---|
| run.json | every stage (the ledger) | `undertone runs`, roll-forward, maintenance |
| alive.json | the heartbeat | `undertone runs`, notifications, waiting runs |
| told | notifications | notifications |
| listed/date=D/part-N.parquet | discover | discover |
| found/date=D/part-N.parquet | discover, discover of a retry | plan |
| plan/date=D/SHARD.parquet | plan, extract | extract and its workers, audit, maintenance |
| replanned/SHARD.json | extract | extract |
| long/SHARD/… | workers of extract (`features.extraction.long_recording`) | workers of extract |
| pending.parquet | select | identify, score, integrate, audit |
| related.parquet | select | integrate |
| reenrolled.parquet | reenroll | identify |
| identities.parquet | identify | score, integrate |
| voices.parquet | identify | integrate |
| heard/date=D.parquet | score | workers of score |
| sums/date=D/SHARD.parquet | workers of score | score |
| offsets/date=D.parquet | score | workers of score |
| logits/date=D/SHARD.parquet | workers of score | score |
| posteriors/date=D.parquet | score | workers of score |
| scores/date=D/SHARD.parquet | workers of score | integrate |
| tables/TABLE.parquet | integrate, manual changes | audit, publish |
| deletes/TABLE.parquet | integrate, manual changes | audit, publish |
| deletes/dates.parquet | earlier versions of integrate | publish |
| dates.json | integrate, manual changes | audit, publish |
| ready.json | publish, manual changes | roll-forward |

Beside the runs' folders lie `publishing/NUMBER`, the files of the publish lock, and for a moment `clock-…`,
`conditions-…` and `doctor-…`: probes of the store, removed again by their writers.
"""

import datetime as dt

from data_contracts.lake import Lake
from data_contracts.lake.names import run_in

STAGING = "staging"
PUBLISH_LOCK = f"{STAGING}/publishing"


def folder(run_id: str) -> str:
    return f"{STAGING}/run={run_id}"


def run_ids(lake: Lake) -> list[str]:
    """Return the ids of the runs that have a folder."""
    return [run_id for run_id in map(run_in, lake.names(STAGING)) if run_id is not None]


def ledger(run_id: str) -> str:
    return f"{folder(run_id)}/run.json"


def sign_of_life(run_id: str) -> str:
    return f"{folder(run_id)}/alive.json"


def notified(run_id: str) -> str:
    return f"{folder(run_id)}/told"


def listed(run_id: str) -> str:
    """The folder of listed objects that wait for the rest of their date."""
    return f"{folder(run_id)}/listed"


def found(run_id: str, date: dt.date, number: int) -> str:
    return f"{folder(run_id)}/found/date={date.isoformat()}/part-{number:05}.parquet"


def plan(run_id: str) -> str:
    """The folder of all shards' plans; `features.corpus.shard_plan` names the files."""
    return f"{folder(run_id)}/plan"


def plan_of_date(run_id: str, date: dt.date) -> str:
    return f"{plan(run_id)}/date={date.isoformat()}"


def replanned(run_id: str) -> str:
    """The folder of the shards that replaced others."""
    return f"{folder(run_id)}/replanned"


def replanned_shard(run_id: str, shard: str) -> str:
    return f"{replanned(run_id)}/{shard}.json"


def long_recordings(run_id: str) -> str:
    """The folder of long recordings' parts; `features.extraction.long_recording` names the files."""
    return f"{folder(run_id)}/long"


def pending(run_id: str) -> str:
    return f"{folder(run_id)}/pending.parquet"


def related(run_id: str) -> str:
    return f"{folder(run_id)}/related.parquet"


def reenrolled(run_id: str) -> str:
    return f"{folder(run_id)}/reenrolled.parquet"


def identities(run_id: str) -> str:
    return f"{folder(run_id)}/identities.parquet"


def voices(run_id: str) -> str:
    return f"{folder(run_id)}/voices.parquet"


def utterance_index(run_id: str, date: dt.date) -> str:
    return f"{folder(run_id)}/heard/date={date.isoformat()}.parquet"


def speaker_sums(run_id: str, date: dt.date, shard: str) -> str:
    return f"{folder(run_id)}/sums/date={date.isoformat()}/{shard}.parquet"


def speaker_offsets(run_id: str, date: dt.date) -> str:
    return f"{folder(run_id)}/offsets/date={date.isoformat()}.parquet"


def logits(run_id: str, date: dt.date, shard: str) -> str:
    return f"{folder(run_id)}/logits/date={date.isoformat()}/{shard}.parquet"


def posteriors(run_id: str, date: dt.date) -> str:
    return f"{folder(run_id)}/posteriors/date={date.isoformat()}.parquet"


def scores(run_id: str, date: dt.date, shard: str) -> str:
    return f"{folder(run_id)}/scores/date={date.isoformat()}/{shard}.parquet"


def table(run_id: str, name: str) -> str:
    """Rows that wait for audit and publication."""
    return f"{folder(run_id)}/tables/{name}.parquet"


def deletes(run_id: str, name: str) -> str:
    """Keys to delete from a table."""
    return f"{folder(run_id)}/deletes/{name}.parquet"


def deleted_dates(run_id: str) -> str:
    """The dates to replace in the daily tables, as earlier versions staged them."""
    return deletes(run_id, "dates")


def dates(run_id: str) -> str:
    """The dates on which each table's rows lie."""
    return f"{folder(run_id)}/dates.json"


def ready(run_id: str) -> str:
    """The mark of a run whose audited tables are being published."""
    return f"{folder(run_id)}/ready.json"


def lock_file(number: int) -> str:
    return f"{PUBLISH_LOCK}/{number:08d}"
