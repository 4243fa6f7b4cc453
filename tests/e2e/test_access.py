"""Who may ask, and how: tokens, hosts, origins, content types, framing on the bare socket; errors are problem documents."""
import concurrent.futures
import contextlib
import json
import re
import socket
import time

import pytest

from conftest import dump, eventually, reconciled


@pytest.fixture
def database(sqlite):
    return sqlite


def raw(service, data, end=True):
    """Sends bytes; everything that comes back until the other side closes."""
    host, port = service.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(data)
        if end:
            with contextlib.suppress(OSError):  # refused already: the other side may have closed
                connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):  # closed with some of ours unread
            while part := connection.recv(65536):
                answer += part
    return answer


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else None


def ask(line, *headers, body=b"", host="localhost"):
    return "\r\n".join([line + " HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode() + body


def is_problem(answer, status):
    problem = answer.json()
    assert answer.status == status and answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status and problem["type"] and problem["title"] and problem["detail"]
    return True


def test_an_unknown_path_and_a_wrong_method_are_told_apart(service):
    assert is_problem(service.call("GET", "/reconcile"), 404)
    assert is_problem(service.call("GET", "/reconcile/status/"), 404)
    assert is_problem(service.call("POST", "/reconcile/runs"), 405)
    assert service.call("DELETE", "/reconcile/config").headers["allow"] == "GET, HEAD, PUT"
    assert is_problem(service.call("GET", "/reconcile/runs/no-uuid"), 404)


def test_a_probe_of_http_1_0_needs_no_host(service):
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/reconcile/status", 403), ("/metrics", 403)):
        for method in ("GET", "HEAD"):
            assert status_of(raw(service, f"{method} {path} HTTP/1.0\r\n\r\n".encode())) == status, path


def test_a_target_in_absolute_form_is_as_good_as_a_path(service):
    assert status_of(raw(service, ask(f"GET http://{service.address}/reconcile/runs?limit=1", "Connection: close"))) == 200
    assert status_of(raw(service, ask(f"GET http://{service.address}/reconcile/runs?limt=1", "Connection: close"))) == 400
    assert status_of(raw(service, ask("GET http://evil.example/healthz", "Connection: close"))) == 403


@pytest.mark.parametrize("path", ["/reconcile/status", "/reconcile/config", "/reconcile/runs", "/healthz", "/readyz", "/openapi.json"])
def test_head_answers_like_get_without_a_body(service, path):
    get, head = service.call("GET", path), service.call("HEAD", path)
    assert (head.status, head.body, head.headers["content-type"]) == (get.status, b"", get.headers["content-type"])


BODIES = [(b"{", 400), (b"[]", 400), (b'{"a":1,"a":2}', 400), (b"\xff\xfe", 400), (b'"on"', 400), (b"{} {}", 400),
          (b"[" * 40 + b"]" * 40, 400), (b'{"wait":' + b"[" * 40 + b"]" * 40 + b"}", 400), (b'{"enabled":"no"}', 422),
          (b'{"side":"left"}', 422), (b'{"task_id":0}', 422), (b'{"task_id":1.5}', 422), (b'{"dry_run":1}', 422),
          (b'{"x":"' + b"y" * 70000 + b'"}', 413)]


@pytest.mark.parametrize("body,status", BODIES, ids=[body[:16].decode("latin-1") for body, _ in BODIES])
def test_a_bad_body_is_named_and_changes_nothing(service, database, body, status):
    before = dump(database)
    for method, path in (("POST", "/reconcile/run"), ("PUT", "/reconcile/config")):
        answer = service.call(method, path, body, headers={"Content-Type": "application/json"})
        assert is_problem(answer, status)
        if status == 422:
            assert answer.json()["errors"][0]["field"] and answer.json()["errors"][0]["detail"]
    assert dump(database) == before


def test_a_body_must_be_declared_as_json(service, database):
    before = dump(database)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", ""):
        answer = service.call("PUT", "/reconcile/config", '{"enabled":false}', headers={"Content-Type": kind} if kind else {})
        assert is_problem(answer, 415)
    assert dump(database) == before
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        assert service.call("PUT", "/reconcile/config", '{"enabled":true}', headers={"Content-Type": kind}).status == 200


# ---- tokens, hosts, origins ----


def test_with_a_token_everything_but_the_two_probes_needs_it(make_service):
    service = make_service(ORCH_API_TOKEN="sesame").start()
    eventually(lambda: service.call("GET", "/readyz").status == 200)
    assert service.call("GET", "/healthz").status == 200
    asked = [(method, path, headers) for method, path in
             (("GET", "/reconcile/status"), ("POST", "/reconcile/run"), ("GET", "/reconcile/runs"), ("GET", "/reconcile/config"),
              ("PUT", "/reconcile/config"), ("GET", "/openapi.json"), ("GET", "/nowhere"), ("GET", "/metrics"), ("GET", "/"))
             for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer sesam"}, {"Authorization": "Bearer sesamee"},
                             {"Authorization": "Basic sesame"}, {"Authorization": "sesame"}, {"Authorization": "Bearer "})]
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:  # each wrong one waits for its answer
        for answer in pool.map(lambda one: service.call(one[0], one[1], headers=one[2]), asked):
            assert is_problem(answer, 401) and answer.headers["www-authenticate"].startswith("Bearer")
    right = {"headers": {"Authorization": "Bearer sesame"}}
    assert service.call("GET", "/reconcile/status", **right).status == 200
    assert service.call("POST", "/reconcile/run", **right).status == 200
    assert service.call("GET", "/nowhere", **right).status == 404


def test_a_wrong_token_is_counted_logged_and_answered_late_while_others_are_served(make_service):
    service = make_service(ORCH_API_TOKEN="sesame").start()
    right, wrong = {"headers": {"Authorization": "Bearer sesame"}}, {"headers": {"Authorization": "Bearer wrong"}}
    eventually(lambda: service.call("GET", "/readyz").status == 200)

    def timed(**more):
        begun = time.monotonic()
        answer = service.call("GET", "/reconcile/status", **more)
        return answer.status, time.monotonic() - begun

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(timed, **wrong) for _ in range(40)]  # far more than there are threads that serve
        for _ in range(5):
            status, took = timed(**right)
            assert status == 200 and took < 0.9
        for one in waiting:
            status, took = one.result()
            assert status == 401 and took >= 1
    status, took = timed()
    assert status == 401 and took < 0.9
    text = service.call("GET", "/metrics", **right).body.decode()
    assert 'reconciled_http_auth_failures_total{reason="wrong"} 40' in text and 'reconciled_http_auth_failures_total{reason="missing"} 1' in text
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        last = pool.submit(timed, **wrong)
        time.sleep(0.3)
        assert service.end() == 0 and time.monotonic() - begun < 3
        assert last.result()[0] == 401
    lines = [line for line in service.log.read_text().splitlines() if "authentication failed" in line]
    assert len(lines) == 1 and "address=127.0.0.1" in lines[0] and "count=1" in lines[0]


def test_a_wrong_token_waits_behind_expect_too(make_service):
    service = make_service(ORCH_API_TOKEN="sesame").start()
    eventually(lambda: service.call("GET", "/readyz").status == 200)
    begun = time.monotonic()
    answer = raw(service, ask("PUT /reconcile/config", "Authorization: Bearer wrong", "Content-Length: 2", "Expect: 100-continue",
                              "Connection: close", body=b"{}"), end=False)
    assert b" 401 " in answer and time.monotonic() - begun >= 1


def test_a_short_token_is_refused_beyond_loopback_and_warned_about(make_service, database, tmp_path):
    open_to_all = {"ORCH_DATABASE_URL": f"sqlite:{tmp_path}/other.db", "ORCH_HTTP_LISTEN": "0.0.0.0:0", "ORCH_API_TOKEN": "123456789012345"}
    refused, checked = reconciled(environment=open_to_all), reconciled("check", environment=open_to_all)
    assert refused.returncode == 2 and "ORCH_API_TOKEN: has fewer than 16 characters" in refused.stderr
    assert checked.returncode == 1 and "ORCH_API_TOKEN: has fewer than 16 characters" in checked.stdout
    service = make_service(ORCH_API_TOKEN="1234567890123456").start()
    assert "settings  warning: ORCH_API_TOKEN: has fewer than 32 characters" in service.command("check").stdout
    assert service.end() == 0 and "fewer than 32 characters" in service.log.read_text()


@pytest.mark.parametrize("host,status", [("localhost", 200), ("127.0.0.1:80", 200), ("[::1]:8787", 200), ("LOCALHOST:1", 200),
                                         ("evil.example", 403), ("127.0.0.1.evil.example", 403), ("localhost.evil.example", 403),
                                         ("10.0.0.1", 403), ("", 403), ("localhost:port", 403)])
def test_without_a_token_only_names_of_this_machine_are_answered(service, host, status):
    assert status_of(raw(service, ask("GET /reconcile/status", "Connection: close", host=host))) == status


def test_with_a_token_any_host_is_fine(make_service):
    service = make_service(ORCH_API_TOKEN="sesame").start()
    eventually(lambda: service.call("GET", "/readyz").status == 200)
    answer = raw(service, ask("GET /reconcile/status", "Connection: close", "Authorization: Bearer sesame", host="recon.example"))
    assert status_of(answer) == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1:1"])
def test_a_page_of_another_origin_drives_nothing(service, database, origin):  # neither by a simple request nor by a preflight
    before = dump(database)
    for method, path, body in (("POST", "/reconcile/run", None), ("PUT", "/reconcile/config", '{"enabled":false}'), ("GET", "/reconcile/status", None),
                               ("OPTIONS", "/reconcile/config", None)):
        answer = service.call(method, path, body, headers={"Origin": origin, "Content-Type": "application/json"})
        assert is_problem(answer, 403) and not any(name.startswith("access-control") for name in answer.headers)
    assert dump(database) == before


def test_a_page_of_our_own_may_ask(service):
    assert service.call("GET", "/reconcile/status", headers={"Origin": f"http://{service.address}"}).status == 200


# ---- framing ----

OFF = b'{"enabled":false}'
SIZE = f"Content-Length: {len(OFF)}"
PUT = "PUT /reconcile/config"
JSON = "Content-Type: application/json"
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(OFF), OFF)

ODD = {
    "both lengths": ask(PUT, JSON, SIZE, "Transfer-Encoding: chunked", body=CHUNKED),
    "two lengths": ask(PUT, JSON, SIZE, "Content-Length: 3", body=OFF),
    "the same length twice": ask(PUT, JSON, SIZE, SIZE, body=OFF),
    "an unknown coding": ask(PUT, JSON, "Transfer-Encoding: gzip, chunked", body=CHUNKED),
    "an unknown coding last": ask(PUT, JSON, "Transfer-Encoding: identity", body=OFF),
    "chunked twice": ask(PUT, JSON, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=CHUNKED),
    "a signed length": ask(PUT, JSON, f"Content-Length: +{len(OFF)}", body=OFF),
    "a length in hexadecimal": ask(PUT, JSON, f"Content-Length: {len(OFF):#x}", body=OFF),
    "a list of lengths": ask(PUT, JSON, f"Content-Length: {len(OFF)}, {len(OFF)}", body=OFF),
    "a huge length": ask(PUT, JSON, "Content-Length: 99999999999999999999", body=OFF),
    "two hosts": ask(PUT, JSON, SIZE, "Host: evil.example", body=OFF),
    "no host": f"{PUT} HTTP/1.1\r\n{JSON}\r\n{SIZE}\r\n\r\n".encode() + OFF,
    "a space before the colon": ask(PUT, JSON, f"Content-Length : {len(OFF)}", body=OFF),
    "a control character in a value": ask(PUT, JSON, SIZE, "X-A: b\x01c", body=OFF),
    "chunked in HTTP/1.0": ask(PUT, JSON, "Transfer-Encoding: chunked", body=CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "two origins": ask(PUT, JSON, SIZE, "Origin: http://localhost", "Origin: http://evil.example", body=OFF),
    "a folded length": ask(PUT, JSON, "Content-Length:", f" {len(OFF)}", body=OFF),
    "a folded length, by a tab": ask(PUT, JSON, "Content-Length: 1", f"\t{len(OFF)}", body=OFF),
    "a length that a fold makes": ask(PUT, JSON, f"Content-L: {len(OFF)}", " ength", body=OFF),
    "a folded coding": ask(PUT, JSON, "Transfer-Encoding:", "  chunked", body=CHUNKED),
    "any other fold": ask(PUT, JSON, SIZE, "X-A: b", " c", body=OFF),
    "a NUL in a value": ask(PUT, JSON, f"{SIZE}\0", body=OFF),
    "a NUL in a name": ask(PUT, JSON, SIZE, "X-\0A: b", body=OFF),
    "no name": ask(PUT, JSON, ": a", SIZE, body=OFF),
    "a bare LF": ask(PUT, JSON, f"X-A: b\n{SIZE}", body=OFF),
    "a bare LF at the end": ask(PUT, JSON, SIZE, body=OFF).replace(b"\r\n\r\n", b"\r\n\n"),
    "a length in a trailer": ask(PUT, JSON, "Transfer-Encoding: chunked", body=CHUNKED.replace(b"0\r\n", b"0\r\nContent-Length: 1\r\n")),
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a bad chunk": ask(PUT, JSON, "Transfer-Encoding: chunked", body=b"zz\r\n" + OFF),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_framing_is_refused_and_what_follows_it_is_never_read(service, database, name):
    before = dump(database)
    answer = raw(service, ODD[name] + ask(PUT, JSON, SIZE, body=OFF), end=False)  # so it is the service that closes
    # None: closed without a word. Some answers of libmicrohttpd bear their status line twice.
    assert set(re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)) <= {b"400", b"413"}
    assert dump(database) == before
    if b"/problems/" in answer:
        assert answer.count(b"HTTP/1.1 ") == 1 and b'"/problems/odd-request"' in answer
    assert service.call("GET", "/healthz").status == 200


def test_a_chunked_body_is_understood(service):
    answer = raw(service, ask(PUT, JSON, "Transfer-Encoding: chunked", "Connection: close", body=CHUNKED))
    assert status_of(answer) == 200
    assert service.status()["enabled"] is False


def test_a_chunked_body_without_end_is_cut(service, database):
    before = dump(database)
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    with contextlib.suppress(ConnectionError):
        assert status_of(raw(service, ask(PUT, JSON, "Transfer-Encoding: chunked", body=chunk * 100), end=False)) in (413, None)
    assert dump(database) == before and service.call("GET", "/healthz").status == 200


def test_expect_100_is_answered_before_the_body_is_sent(service):
    host, port = service.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(ask(PUT, "Content-Type: text/plain", SIZE, "Expect: 100-continue"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 415")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(ask(PUT, JSON, SIZE, "Expect: 100-continue"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")
        connection.sendall(OFF)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_pipelined_requests_are_answered_in_order(service):
    answer = raw(service, ask("GET /healthz") + ask("GET /nowhere") + ask("GET /reconcile/runs", "Connection: close"))
    assert re.findall(rb"HTTP/1\.1 (\d{3}) ", answer) == [b"200", b"404", b"200"]


def test_a_long_target_and_many_headers_are_refused(service):
    assert status_of(raw(service, ask("GET /reconcile/status?x=" + "y" * 5000))) == 414
    assert status_of(raw(service, ask("GET /reconcile/status", *[f"X-{at}: {'y' * 200}" for at in range(200)]))) in (431, 413, 400)
    assert service.call("GET", "/healthz").status == 200


def test_paths_are_taken_as_they_stand(service):
    for target in ("/reconcile/../healthz", "//healthz", "/healthz/.", "/reconcile/runs/..%2fconfig", "/%68ealthz", "/healthz%00", "/reconcile/runs/%00",
                   "/reconcile/runs/" + "a" * 200):
        assert status_of(raw(service, ask(f"GET {target}", "Connection: close"))) in (400, 404), target


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "limit=-1", "after=x", "after=0", "limit=", "after=%ff"])
def test_a_query_parameter_that_makes_no_sense_is_named(service, query):
    answer = service.call("GET", f"/reconcile/runs?{query}")
    assert is_problem(answer, 400) and answer.json()["errors"][0]["field"] == query.split("=")[0]


def test_answers_are_not_kept_by_anybody_between(service):
    for path in ("/reconcile/status", "/reconcile/config", "/reconcile/runs"):
        answer = service.call("GET", path)
        assert answer.headers["cache-control"] in ("no-store", "no-cache") and answer.headers["x-content-type-options"] == "nosniff"
        assert json.loads(answer.body) is not None
