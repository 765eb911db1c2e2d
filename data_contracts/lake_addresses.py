"""Addresses at which a lake may lie: folders and URLs that Delta, Polars and DuckDB spell alike."""

import re

from data_contracts.addresses import is_url, normalize, protocol_of
from data_contracts.errors import UsageError

_DELTA_CAN_WRITE = {"file", "s3", "s3a", "gs", "gcs", "az", "abfs"}
# In a folder's name: patterns of files, escapes and ends of URLs, what Delta has no URL for, what Polars takes for a
# partition, control characters and bytes that are no UTF-8.
_ODD_IN_PATHS = re.compile(r"[]\[*?%#\\|^=\x00-\x1f\x7f\ud800-\udfff]")
_ODD_IN_URLS = re.compile(r"[^A-Za-z0-9/:._+@,~-]")


def lake_address(uri: str) -> str:
    """Return the one spelling of a lake's address. Raises UsageError where no lake can lie."""
    uri = normalize(uri)
    if protocol_of(uri) not in _DELTA_CAN_WRITE:
        raise UsageError(
            f"the lake must be a folder or an s3://, gs:// or az:// URL; found {uri!r}; set UNDERTONE_LAKE"
        )
    if is_url(uri) and {"", ".", ".."} & set(uri.partition("://")[2].split("/")):
        raise UsageError(
            f"the lake's address may not hold //, . or .. behind its protocol; found {uri!r}: take them out"
        )
    odd = sorted(set((_ODD_IN_URLS if is_url(uri) else _ODD_IN_PATHS).findall(uri)))
    if odd:
        allowed = (
            "a URL of ASCII letters, digits and . _ - + @ , ~"
            if is_url(uri)
            else r"a folder without [ ] * ? % # \ | ^ ="
        )
        raise UsageError(
            f"the lake must be {allowed}, because Delta, Polars and DuckDB spell others in different ways; found "
            f"{' '.join(map(repr, odd))} in {uri!r}: give it another name, or set UNDERTONE_LAKE"
        )
    return uri
