"""Pages of a listing from S3, a thousand objects a request."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import polars as pl

from data_contracts.errors import CorpusError
from features.corpus import object_frames
from features.corpus.filesystem import paths_on
from features.corpus.layout import Corpus
from features.corpus.names import HIDDEN
from features.corpus.unlisted_folders import unlisted_entry

_KEY = pl.col("uri")


def s3_pages(fs: Any, path: str, corpus: Corpus) -> Iterator[pl.DataFrame]:
    """Yield pages of the objects below `path`, without folder markers."""
    bucket, _, folder = path.partition("/")
    prefix = f"{folder}/" if folder else ""
    request, root = {"Bucket": bucket, "Prefix": prefix}, f"{fs.unstrip_protocol(bucket)}/"
    is_wanted = ~_KEY.str.ends_with("/") & _is_no_lake(fs, bucket, prefix, corpus)
    if not corpus.hidden:
        is_wanted &= ~_KEY.str.strip_prefix(prefix).str.contains(HIDDEN)
    while True:
        try:
            answer = corpus.retry_policy.call(
                f"listing s3://{path}", partial(fs.call_s3, "list_objects_v2", **request), CorpusError
            )
        except CorpusError as error:
            if (unlisted := unlisted_entry(fs, path, corpus, error.__cause__)) is None:
                raise
            yield object_frames.from_entries([unlisted])
            return
        items = ({**item, "name": item["Key"], "size": item["Size"]} for item in answer.get("Contents", ()))
        page = object_frames.from_entries(items).filter(is_wanted)
        markers = [key for key in page.filter(_MAYBE_MARKER)["uri"] if _is_marker(fs, bucket, key, corpus)]
        yield page.filter(~_KEY.is_in(markers)).with_columns(uri=pl.lit(root) + _KEY)
        if not answer.get("IsTruncated"):
            return
        request["ContinuationToken"] = answer["NextContinuationToken"]


_MAYBE_MARKER = (pl.col("bytes") == 0) & ~_KEY.str.contains(r"\.[^/]*$")


def _is_marker(fs: Any, bucket: str, key: str, corpus: Corpus) -> bool:
    """Tell whether an empty object stands for a folder: other objects lie below its key."""
    ask = partial(fs.call_s3, "list_objects_v2", Bucket=bucket, Prefix=f"{key}/", MaxKeys=1)
    answer = corpus.retry_policy.call(f"listing s3://{bucket}/{key}/", ask, CorpusError)
    return bool(answer.get("Contents"))


def _is_no_lake(fs: Any, bucket: str, prefix: str, corpus: Corpus) -> pl.Expr:
    """Return an expression that is false for keys in our own folders below `prefix`."""
    own = [path.partition("/") for path in paths_on(fs, corpus.own_folders)]
    below = [f"{folder}/" for owner, _, folder in own if owner == bucket and folder.startswith(prefix)]
    return ~pl.any_horizontal(pl.lit(False), *(_KEY.str.starts_with(folder) for folder in below))
