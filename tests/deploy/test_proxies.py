"""The proxies of deploy/, as they are but for names, ports and certificates, before a real server."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.architecture.checkout import ROOT
from tests.processes import address_of, hpsearch, running, said
from tests.required import program

_DEPLOY = ROOT / "deploy"
_NAME = "hpsearch.example.com"


@dataclass(frozen=True)
class Behind:
    """A server that knows the name of its proxy."""

    port: int
    token: str


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("behind")
    data, log = folder / "data", folder / "serve.log"
    serve = hpsearch("serve", "--port", "0", "--data-dir", str(data))
    with running(serve, log, environment={"HPSEARCH_ALLOWED_HOSTS": _NAME}) as server:
        port = int(address_of(data, server, log).rpartition(":")[2])
        yield Behind(port, (data / "token").read_text(encoding="utf-8").strip())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _nginx(behind: Behind, folder: Path) -> Iterator[int]:
    nginx, openssl = program("nginx", "nginx", "DEPLOY"), program("openssl", "openssl", "DEPLOY")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", f"/CN={_NAME}", "-addext", f"subjectAltName=DNS:{_NAME}",
         "-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    port = _free_port()
    site = (_DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    for old, new in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "listen 80": f"listen 127.0.0.1:{_free_port()}",
        "/etc/ssl/hpsearch": str(folder),
        "127.0.0.1:8000": f"127.0.0.1:{behind.port}",
    }.items():
        assert old in site, old
        site = site.replace(old, new)
    # Where a distribution's own nginx.conf would include it.
    folders = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root; " if os.geteuid() == 0 else ""
    head = f"{user}daemon off; pid {folder}/pid; error_log stderr; events {{}}"
    whole = f"{head} http {{ access_log off; {folders}\n{site} }}"
    (folder / "nginx.conf").write_text(whole, encoding="utf-8")
    command = [nginx, "-e", "stderr", "-c", str(folder / "nginx.conf")]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    with running(command, folder / "log"):
        yield port


@contextlib.contextmanager
def _caddy(behind: Behind, folder: Path) -> Iterator[int]:
    caddy = program("caddy", "caddy", "DEPLOY")
    port = _free_port()
    site = (_DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    for old, new in {
        # Its own authority signs the certificate, since nobody else would for a name in a test.
        "grace_period 5s": "grace_period 1s\nadmin off\nlocal_certs\nskip_install_trust\nauto_https disable_redirects",
        f"{_NAME} {{": f"{_NAME}:{port} {{",
        "127.0.0.1:8000": f"127.0.0.1:{behind.port}",
    }.items():
        assert old in site, old
        site = site.replace(old, new)
    (folder / "Caddyfile").write_text(site, encoding="utf-8")
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = [caddy, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    with running(command, folder / "log", environment=home):
        yield port


_PROXIES = {"nginx": _nginx, "caddy": _caddy}


@pytest.mark.parametrize("proxy", _PROXIES)
def test_requests_events_and_uploads_go_through_a_proxy(proxy: str, behind: Behind, tmp_path: Path):
    with (
        _PROXIES[proxy](behind, tmp_path) as port,
        httpx2.Client(
            base_url=f"https://127.0.0.1:{port}",
            headers={"Host": _NAME, "Authorization": f"Bearer {behind.token}"},
            verify=False,
            trust_env=False,
            timeout=20,
        ) as client,
    ):
        names = {"sni_hostname": _NAME}
        _wait(client, names, tmp_path / "log")
        assert client.get("/metrics", extensions=names).status_code == 404
        definition = {"name": "s", "dataset": {"builtin": "iris"}, "space": {"units": 8}}
        study = client.post("/v1/studies", json=definition, extensions=names).raise_for_status().json()["study_id"]
        with client.stream("GET", f"/v1/studies/{study}/events", extensions=names) as events:
            # The stream stays open: what a proxy held back until its end, or until a buffer is full, would never come.
            assert "study.created" in next(line for line in events.iter_lines() if line.startswith("event:"))
        # More than nginx takes unless it is told otherwise.
        rows = "a,label\n" + "1.5,x\n2.5,y\n" * 150_000
        sent = client.post("/v1/datasets", files={"file": ("d.csv", rows)}, data={"target": "label"}, extensions=names)
        assert sent.status_code == 201, sent.text
        # The page marks its cookie for TLS alone.
        signed = client.post(
            "/ui/sign-in", data={"token": behind.token}, extensions=names, headers={"Sec-Fetch-Site": "same-origin"}
        )
        assert "secure" in signed.headers["set-cookie"].lower(), signed.text[:500]


def _wait(client: httpx2.Client, names: dict[str, str], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            answer = client.get("/readyz", extensions=names)
        except httpx2.TransportError:
            assert time.monotonic() < deadline, said(log)
            time.sleep(0.05)
        else:
            assert answer.status_code == 200, answer.text
            return


def test_a_name_the_server_does_not_know_is_refused_behind_a_proxy(behind: Behind):
    answer = httpx2.get(f"http://127.0.0.1:{behind.port}/healthz", headers={"Host": "evil.test"}, trust_env=False)
    assert answer.status_code == 400
    assert "HPSEARCH_ALLOWED_HOSTS" in answer.text
    for file in ("Caddyfile", "nginx.conf"):
        assert f"HPSEARCH_ALLOWED_HOSTS={_NAME}" in (_DEPLOY / file).read_text(encoding="utf-8")


def test_caddys_formatter_has_nothing_to_change():
    done = subprocess.run(
        [program("caddy", "caddy", "DEPLOY"), "fmt", str(_DEPLOY / "Caddyfile")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == (_DEPLOY / "Caddyfile").read_text(encoding="utf-8")
