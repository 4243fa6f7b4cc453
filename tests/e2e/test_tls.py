"""TLS on both sides: our own listener's, and that of an upstream with an authority of its own; and the health command over it."""
import contextlib
import http.client
import os
import re
import selectors
import socket
import ssl
import subprocess
import threading

import pytest

from conftest import ROOT, eventually, reconciled, seed, stages
from test_heal import branch

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def make_certificate(folder, name):
    """A certificate for this machine that is its own authority, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out",
                    certificate], check=True, capture_output=True, timeout=60)
    return str(certificate), str(key)


@pytest.fixture
def tls(tmp_path):
    certificate, key = make_certificate(tmp_path, "service")
    return {"ORCH_TLS_CERT_FILE": certificate, "ORCH_TLS_KEY_FILE": key}


class Front:
    """Speaks TLS before a plain server, byte for byte."""

    def __init__(self, address, certificate, key):
        self.host, self.port = address.split(":")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=[self.listener.accept()[0]], daemon=True).start()

    def serve(self, plain):
        with contextlib.suppress(OSError), self.context.wrap_socket(plain, server_side=True) as outside, \
                socket.create_connection((self.host, self.port)) as inside, selectors.DefaultSelector() as selector:
            selector.register(outside, selectors.EVENT_READ, inside)
            selector.register(inside, selectors.EVENT_READ, outside)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    key.data.sendall(data)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def front(sandbox, tmp_path):
    certificate, key = make_certificate(tmp_path, "gitea")
    it = Front(sandbox.address, certificate, key)
    it.certificate = certificate
    yield it
    it.close()


def ask(address, path, authority):
    connection = http.client.HTTPSConnection(address, context=ssl.create_default_context(cafile=authority), timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status


def test_with_a_certificate_https_is_spoken_and_nothing_else(make_service, tls):
    service = make_service(**tls).start()
    assert ask(service.address, "/healthz", tls["ORCH_TLS_CERT_FILE"]) == 200
    eventually(lambda: ask(service.address, "/reconcile/status", tls["ORCH_TLS_CERT_FILE"]) == 200)
    with pytest.raises((http.client.BadStatusLine, ConnectionError)):
        service.call("GET", "/healthz")


def test_readme_says_how_curl_asks(make_service, tls, tmp_path):
    service = make_service(**tls).start()
    line = re.search(r"^curl .* https://localhost:8787.*$", (ROOT / "README.md").read_text(), re.M)[0]
    os.symlink(tls["ORCH_TLS_CERT_FILE"], tmp_path / "ca.pem")
    done = subprocess.run(line.replace("localhost:8787", service.address), shell=True, cwd=tmp_path, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b'{"status":"ok"}')


def test_a_certificate_and_its_key_come_together(database, tls, tmp_path):
    other = make_certificate(tmp_path, "other")[1]
    empty = tmp_path / "empty.pem"
    empty.touch()
    cases = [({"ORCH_TLS_KEY_FILE": ""}, "ORCH_TLS_KEY_FILE: is needed"), ({"ORCH_TLS_CERT_FILE": ""}, "ORCH_TLS_CERT_FILE: is needed"),
             ({"ORCH_TLS_KEY_FILE": "/nowhere.pem"}, "/nowhere.pem: cannot be read"), ({"ORCH_TLS_KEY_FILE": other}, "is not the key"),
             ({"ORCH_CA_FILE": str(empty)}, f"ORCH_CA_FILE: {empty}: holds no certificate")]
    for wrong, words in cases:
        environment = {"ORCH_DATABASE_URL": database.url, "ORCH_HTTP_LISTEN": "127.0.0.1:0", **tls, **wrong}
        done = reconciled("serve", environment=environment)
        assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
        printed = reconciled("check", environment=environment)
        assert printed.returncode == 1 and re.search(r"^settings  BAD: .*" + re.escape(words), printed.stdout, re.M), printed.stdout


def test_an_upstream_of_another_authority_is_trusted_when_that_is_named(database, sandbox, make_service, front):
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success")]})
    stranger = make_service(ORCH_GITEA_URL=front.url + "/gitea").start()
    eventually(lambda: stranger.status()["last_run_ts"])
    seed(database, {"id": 1, "stage": "development"})
    [item] = stranger.run()["items"]
    assert item["outcome"] == "unknown" and "certificate is not trusted" in item["reason"]
    assert "certificate is not trusted" in stranger.command("check").stdout
    stranger.end()
    friend = make_service(ORCH_GITEA_URL=front.url + "/gitea", ORCH_CA_FILE=front.certificate).start()
    eventually(lambda: stages(database) == {1: "review"}, "the heal")
    assert "gitea     ok" in friend.command("check").stdout


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


class Authority:
    """A root, an intermediate that it signed, and the leaves of both, each with a name and an end."""

    def __init__(self, folder):
        self.folder = folder
        self.sign("root", None, "CA:TRUE")
        self.sign("middle", "root", "CA:TRUE")

    def path(self, name):
        return str(self.folder / name)

    def sign(self, name, issuer, basic="CA:FALSE", address="IP:127.0.0.1", days=2):
        """The certificate is NAME.pem; with its chain up to the root, without the root, it is chain-NAME.pem."""
        extensions = f"basicConstraints=critical,{basic}\nsubjectAltName={address}\n"
        (self.folder / f"{name}.ext").write_text(extensions)
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.csr"))
        by = ["-CA", self.path(f"{issuer}.pem"), "-CAkey", self.path(f"{issuer}.key"), "-CAcreateserial"] if issuer else \
            ["-signkey", self.path(f"{name}.key")]
        openssl("x509", "-req", "-in", self.path(f"{name}.csr"), *by, "-days", str(days), "-extfile", self.path(f"{name}.ext"),
                "-out", self.path(f"{name}.pem"))

    def chain(self, *names):
        joined = self.folder / ("chain-" + "-".join(names) + ".pem")
        joined.write_text("".join((self.folder / f"{name}.pem").read_text() for name in names))
        return str(joined)


def test_each_reason_for_no_trust_has_its_own_words(database, sandbox, make_service, tmp_path):
    authority = Authority(tmp_path)
    authority.sign("good", "middle")
    authority.sign("old", "root", days=-1)
    authority.sign("other", "root", address="DNS:elsewhere.example")
    root = authority.path("root.pem")
    cases = [(["good", "middle"], root, None), (["good", "middle", "root"], None, "its authority is unknown"),
             (["good"], root, "its issuer is neither sent nor known: an intermediate certificate is missing, or its authority"),
             (["old"], root, "it has expired"), (["other"], root, "it is for another host name")]
    for names, trusted, reason in cases:
        front = Front(sandbox.address, authority.chain(*names), authority.path(f"{names[0]}.key"))
        settings = {"ORCH_CA_FILE": trusted} if trusted else {}
        environment = {"ORCH_DATABASE_URL": database.url, "ORCH_GITEA_URL": front.url + "/gitea", **settings}
        printed = reconciled("check", environment=environment).stdout
        front.close()
        [line] = [line for line in printed.splitlines() if line.startswith("gitea")]
        assert line.endswith(f"its TLS certificate is not trusted: {reason}" if reason else " ok"), (names, line)


def test_our_own_certificate_is_warned_about_before_it_expires(make_service, tmp_path):
    authority = Authority(tmp_path)
    for name, days, words in (("far", 22, None), ("near", 20, "the certificate expires at "), ("old", -1, "the certificate expired at ")):
        authority.sign(name, "root", days=days)
        service = make_service(ORCH_TLS_CERT_FILE=authority.path(f"{name}.pem"), ORCH_TLS_KEY_FILE=authority.path(f"{name}.key")).start()
        printed, log = service.command("check").stdout, service.log.read_text()
        service.end()
        for text in printed, log:
            assert (f"ORCH_TLS_CERT_FILE: {words}" in text) if words else ("ORCH_TLS_CERT_FILE: " not in text), text


# ---- health ----


def test_health_asks_the_service_of_the_same_settings(database, make_service, tls):
    for settings in ({}, tls, {"ORCH_API_TOKEN": "s3cret-of-16-or-more"}):
        service = make_service(**settings).start()
        at = {"ORCH_HTTP_LISTEN": service.address, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
        eventually(lambda: service.command("health", "--ready", **at).returncode == 0)
        for where in (service.address, service.address.replace("127.0.0.1", "0.0.0.0")):
            done = service.command("health", **{**at, "ORCH_HTTP_LISTEN": where, "ORCH_API_TOKEN": "s3cret-of-16-or-more"})
            assert (done.returncode, done.stdout) == (0, "ok\n")
        service.end()
        done = service.command("health", **at)
        assert (done.returncode, done.stdout) == (1, "no answer: connection refused\n")


def test_health_of_readiness_says_what_is_missing(database, make_service):
    service = make_service().start()
    at = {"ORCH_HTTP_LISTEN": service.address}
    eventually(lambda: service.command("health", "--ready", **at).returncode == 0)
    database.script("ALTER TABLE jobs RENAME TO work")
    done = eventually(lambda: (said := service.command("health", "--ready", **at)).returncode and said, "the look that misses the table")
    assert done.returncode == 1 and "jobs" in done.stdout
    assert service.command("health", **at).returncode == 0


def test_health_needs_a_port_to_ask_at(database):
    done = reconciled("health", environment={"ORCH_HTTP_LISTEN": "127.0.0.1:0"})
    assert done.returncode == 2 and "ORCH_HTTP_LISTEN" in done.stderr
