"""Notifications over real protocols on loopback: no secret is shown, and no run waits for long."""

import threading

import pytest
from helpers.mailboxes import mail_server, webhook
from pydantic import SecretStr

from data_contracts.errors import UsageError
from flows.notifications.apprise import Message, receivers, send
from flows.settings import Settings

MESSAGE = Message("Undertone: nightly failed", "expected a lake\nfound none", "failure")


def _unreached(*urls: str, timeout_s: float = 10.0) -> list[str]:
    unreached = send(receivers(map(SecretStr, urls)), MESSAGE, timeout_s=timeout_s)
    return [receiver.name for receiver in unreached]


@pytest.mark.parametrize("scheme", ["json", "http"])
def test_a_webhook_gets_json(scheme):
    with webhook() as mailbox:
        assert _unreached(f"{scheme}://127.0.0.1:{mailbox.port}/hook") == []
    (document,) = mailbox.taken
    assert (document["title"], document["message"]) == (MESSAGE.subject, MESSAGE.body)
    assert (document["type"], mailbox.paths) == ("failure", ["/hook"])


def test_slack_gets_its_own_form(monkeypatch):
    """Slack's address is Apprise's own; here it leads to loopback."""
    from apprise.plugins.slack import NotifySlack

    with webhook() as mailbox:
        monkeypatch.setattr(NotifySlack, "webhook_url", f"http://127.0.0.1:{mailbox.port}/services")
        assert _unreached("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#night") == []
    (document,) = mailbox.taken
    assert mailbox.paths == ["/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"]
    assert document["channel"] == "#night"
    (attachment,) = document["attachments"]
    assert (attachment["title"], attachment["text"].splitlines()[0]) == (MESSAGE.subject, "expected a lake")


def test_an_e_mail_arrives():
    with mail_server() as mailbox:
        url = f"mailto://127.0.0.1:{mailbox.port}?from=night@example.org&to=day@example.org&mode=insecure&format=text"
        assert _unreached(url) == []
    (letter,) = mailbox.taken
    assert (letter["Subject"], "day@example.org" in letter["To"]) == (MESSAGE.subject, True)
    assert "found none" in letter.get_content()


def test_secrets_stay_in_their_urls(caplog):
    urls = [
        "jsons://me:pass-word@example.org/se-cret?+token=to-ken",
        "https://example.org/se-cret",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "mailto://me:pass-word@example.org",
        "nothing://se-cret",
    ]
    names = [receiver.name for receiver in receivers(map(SecretStr, urls))]
    assert names[:2] == ["JSON at example.org", "JSON at example.org"]
    assert names[2] == "Slack"
    assert names[4] == "a nothing:// URL that Apprise does not understand"
    said = f"{names} {Settings(notify=urls)!r} {caplog.text}"
    assert not [word for word in ("pass-word", "se-cret", "to-ken", "A1BRTD4JD", "TIiajk") if word in said]


def test_who_is_not_there_is_named_and_the_others_are_told():
    with webhook() as gone:
        pass
    with webhook() as mailbox:
        unreached = _unreached(f"json://127.0.0.1:{gone.port}", f"json://127.0.0.1:{mailbox.port}")
    assert unreached == [f"JSON at 127.0.0.1:{gone.port}"]
    assert len(mailbox.taken) == 1


def test_who_does_not_answer_is_not_waited_for():
    answer = threading.Event()
    with webhook(before_answer=answer.wait) as mailbox:
        assert _unreached(f"json://127.0.0.1:{mailbox.port}", timeout_s=0.2) == [f"JSON at 127.0.0.1:{mailbox.port}"]
        answer.set()


def test_settings_take_urls_that_hold_commas(monkeypatch):
    monkeypatch.setenv("UNDERTONE_NOTIFY", "mailto://example.org?to=a@x.org,b@x.org json://here/,slack://a/b/c")
    urls = [url.get_secret_value() for url in Settings.load().notify]
    assert urls == ["mailto://example.org?to=a@x.org,b@x.org", "json://here/", "slack://a/b/c"]
    monkeypatch.setenv("UNDERTONE_NOTIFY_ON", "failed, drift")
    assert Settings.load().notify_on == ("failed", "drift")


@pytest.mark.parametrize(("name", "value"), [("NOTIFY", "to-ken"), ("NOTIFY_ON", "everything")])
def test_wrong_settings_say_what_is_expected(monkeypatch, name, value):
    monkeypatch.setenv(f"UNDERTONE_{name}", value)
    with pytest.raises(UsageError, match=r"expected URLs such as|'failed', 'stopped' or 'drift'") as raised:
        Settings.load()
    assert "to-ken" not in str(raised.value)
