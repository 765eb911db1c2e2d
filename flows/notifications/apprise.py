"""Notifications through Apprise: sent within seconds or not at all, and without showing secrets.

A URL may hold a password or a token in any part, and Apprise's log may quote it: neither is shown anywhere.
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
"""Time limit of a run for all of its receivers together."""

_HOST_IS_NO_SECRET = {"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos"}
Kind = Literal["info", "warning", "failure"]


@dataclass(frozen=True)
class Message:
    """A notification's text."""

    subject: str
    body: str
    kind: Kind = "info"


@dataclass(frozen=True, eq=False)
class Receiver:
    """A receiver's URL: a name without secrets, and Apprise's service; None where Apprise does not know it."""

    name: str
    service: Any


def receivers(urls: Iterable[SecretStr]) -> list[Receiver]:
    """Return the receivers of the setting `notify`, in its order."""
    return [_make_receiver(url.get_secret_value()) for url in urls]


def send(targets: Sequence[Receiver], message: Message, *, timeout_s: float = TIMEOUT_S) -> list[Receiver]:
    """Send to all receivers in parallel; return those that did not accept in time."""
    accepted: set[Receiver] = set()

    def send_to(receiver: Receiver) -> None:
        if _send(receiver, message):
            accepted.add(receiver)

    threads = [threading.Thread(target=send_to, args=(receiver,), daemon=True) for receiver in targets]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [receiver for receiver in targets if receiver not in accepted]


def _send(receiver: Receiver, message: Message) -> bool:
    import apprise

    if receiver.service is None:
        return False
    client = apprise.Apprise(asset=_asset())
    client.add(receiver.service)
    accepted = client.notify(
        title=message.subject,
        body=message.body,
        notify_type=apprise.NotifyType(message.kind),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return bool(accepted)


def _make_receiver(url: str) -> Receiver:
    import apprise

    logging.getLogger("apprise").disabled = True
    service = apprise.Apprise.instantiate(url, asset=_asset())
    if service is None:  # a web address of no known service: a webhook
        service = apprise.Apprise.instantiate(re.sub(r"^http(s?)://", r"json\1://", url), asset=_asset())
    if service is None:
        return Receiver(f"a {re.sub(r'://.*', '', url, flags=re.S)[:12]}:// URL that Apprise does not understand", None)
    if not _schemes(service) <= _HOST_IS_NO_SECRET:
        return Receiver(str(service.service_name), service)
    port = f":{service.port}" if service.port else ""
    return Receiver(f"{service.service_name} at {service.host}{port}", service)


def _schemes(service: Any) -> set[str]:
    """Return the URL schemes of the service."""
    named = (service.protocol, service.secure_protocol)
    return {name for each in named if each for name in ((each,) if isinstance(each, str) else each)}


def _asset() -> Any:
    import apprise

    return apprise.AppriseAsset(app_id="Undertone", app_desc="Undertone", app_url="")
