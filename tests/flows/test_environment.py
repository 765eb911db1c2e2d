"""Environment of the command: what is set for its libraries and children, and what a user's own setting keeps."""

import urllib.request

import httpx
import pytest

from flows import environment


@pytest.fixture
def proxied(monkeypatch):
    """Prepare an environment with proxies and these variables, and make it the process' own."""

    def prepare(**variables: str) -> dict[str, str]:
        for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        found = {"http_proxy": "http://proxy:3128", "HTTPS_PROXY": "http://proxy:3128"} | variables
        environment.prepare(found)
        for name, value in found.items():
            monkeypatch.setenv(name, value)
        return found

    return prepare


@pytest.mark.parametrize(
    "variables",
    [{}, {"no_proxy": "localhost"}, {"NO_PROXY": "10.0.0.1, .corp"}, {"no_proxy": "", "NO_PROXY": ""}],
)
def test_loopback_is_asked_without_a_proxy_and_other_hosts_by_it(proxied, variables):
    """With http_proxy set, Prefect's own server was asked through it: two minutes, then that it does not start."""
    proxied(**variables)
    with httpx.Client() as client:
        for host in ("127.0.0.1", "localhost", "[::1]"):
            assert urllib.request.proxy_bypass(f"{host.strip('[]')}:4200"), host
            assert client._transport_for_url(httpx.URL(f"http://{host}:4200")) is client._transport, host
        assert not urllib.request.proxy_bypass("s3.amazonaws.com")
        assert client._transport_for_url(httpx.URL("http://s3.amazonaws.com")) is not client._transport


def test_hosts_that_a_user_exempts_stay_exempt_in_both_spellings(proxied):
    for name in ("no_proxy", "NO_PROXY"):
        found = proxied(**{name: "mlflow.corp,localhost"})
        assert found["no_proxy"] == found["NO_PROXY"] == "mlflow.corp,localhost,127.0.0.1,::1"
    assert proxied(no_proxy="*")["no_proxy"] == "*"


def test_without_a_proxy_nothing_is_exempted():
    """On macOS a no_proxy alone would switch the system's proxies off."""
    found: dict[str, str] = {}
    environment.prepare(found)
    assert not {"no_proxy", "NO_PROXY"} & found.keys()


def test_empty_variables_of_libraries_mean_unset():
    """A compose file's `AWS_PROFILE=` was a profile without a name, which botocore does not find."""
    found = {"AWS_PROFILE": "", "PREFECT_API_URL": "", "AWS_REGION": "eu-west-1", "LANG": ""}
    environment.prepare(found)
    assert not {"AWS_PROFILE", "PREFECT_API_URL"} & found.keys()
    assert (found["AWS_REGION"], found["LANG"]) == ("eu-west-1", "")
