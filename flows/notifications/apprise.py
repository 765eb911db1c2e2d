"""Telling those who want to know, by Apprise: within seconds or not at all, and without a word of their secrets.

A URL may hold a password or a token in any of its parts, and so may what Apprise logs of it: neither is shown anywhere.
"""

import logging
import re
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr

TIMEOUT_S = 5.0
"""How long a run waits for all of its receivers together."""

_HOST_IS_NO_SECRET = {"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos"}
Kind = Literal["info", "warning", "failure"]


@dataclass(frozen=True)
class Message:
    """What is told."""

    subject: str
    body: str
    kind: Kind = "info"


@dataclass(frozen=True, eq=False)
class Receiver:
    """One URL: how it may be named, and Apprise's object behind it; None where Apprise does not understand it."""

    name: str
    service: Any


def receivers(urls: Iterable[SecretStr]) -> list[Receiver]:
    """What the setting `notify` names, in its order."""
    return [_make_receiver(url.get_secret_value()) for url in urls]


def send(chosen: Sequence[Receiver], message: Message, *, patience_s: float = TIMEOUT_S) -> list[Receiver]:
    """Tells all of them at the same time; returns those who did not take it in time."""
    took: set[Receiver] = set()

    def to(receiver: Receiver) -> None:
        if _is_accepted(receiver, message):
            took.add(receiver)

    threads = [threading.Thread(target=to, args=(receiver,), daemon=True) for receiver in chosen]
    for thread in threads:
        thread.start()
    until = time.monotonic() + patience_s
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return [receiver for receiver in chosen if receiver not in took]


def _is_accepted(receiver: Receiver, message: Message) -> bool:
    import apprise

    if receiver.service is None:
        return False
    client = apprise.Apprise(asset=_asset())
    client.add(receiver.service)
    took = client.notify(
        title=message.subject,
        body=message.body,
        notify_type=apprise.NotifyType(message.kind),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return bool(took)


def _make_receiver(url: str) -> Receiver:
    import apprise

    logging.getLogger("apprise").disabled = True
    service = apprise.Apprise.instantiate(url, asset=_asset())
    if service is None:  # a web address that is no known service's: somebody's own webhook
        service = apprise.Apprise.instantiate(re.sub(r"^http(s?)://", r"json\1://", url), asset=_asset())
    if service is None:
        return Receiver(f"a {re.sub(r'://.*', '', url, flags=re.S)[:12]}:// URL that Apprise does not understand", None)
    if not _schemes(service) <= _HOST_IS_NO_SECRET:
        return Receiver(str(service.service_name), service)
    port = f":{service.port}" if service.port else ""
    return Receiver(f"{service.service_name} at {service.host}{port}", service)


def _schemes(service: Any) -> set[str]:
    """The names by which a URL may ask for the service."""
    named = (service.protocol, service.secure_protocol)
    return {name for each in named if each for name in ((each,) if isinstance(each, str) else each)}


def _asset() -> Any:
    import apprise

    return apprise.AppriseAsset(app_id="Undertone", app_desc="Undertone", app_url="")
