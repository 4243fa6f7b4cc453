"""Every transition sends one message, and nothing else does; nothing secret leaves on the way."""
import hmac
import http.server
import itertools
import json
import re
import signal
import threading
import urllib.parse

import pytest
import yaml

from conftest import ROOT, dump, eventually, outcomes, reconciled, seed, stages
from plane_world import Plane, seed_task

TOKEN = "123456:AAF-b0t"


def settings_of(sandbox, **more):
    return {"ORCH_TELEGRAM_BOT_TOKEN": TOKEN, "ORCH_TELEGRAM_CHAT_ID": "42", "ORCH_TELEGRAM_URL": sandbox.url + "/telegram",
            "ORCH_UPSTREAM_TIMEOUT_S": "5", **more}


@pytest.fixture
def sending(make_service, sandbox):
    """sending(ORCH_…="…") starts a service that sends to the sandbox's Telegram."""
    def start(**more):
        service = make_service(**settings_of(sandbox, **more)).start()
        eventually(lambda: service.status()["last_run_ts"], "the first pass")
        eventually(lambda: "losses" in (service.status()["hooks"] or ""), "the look at webhooks, which sends messages of its own")
        return service
    return start


def green(sandbox, database, *ids, **more):
    """Tasks in development whose CI is green, of branches b<id>."""
    seed(database, *[{"id": id, "stage": "development", **more} for id in ids])
    world(sandbox, *ids)


def world(sandbox, *ids, state="success"):
    sandbox.world({"full_name": "acme/app", "branches": [
        {"name": "main"}, *[{"name": f"b{id}", "statuses": [{"context": "ci/build", "state": state}]} for id in ids]]})


def seen(sandbox):
    return sandbox.control("GET", "telegram")


def texts(sandbox):
    return [message["text"] for message in seen(sandbox)["messages"]]


def messages(sandbox, n):
    """The texts of all messages, once there are n."""
    return eventually(lambda: len(sandbox.control("GET", f"telegram?until_messages={n}")["messages"]) >= n and texts(sandbox),
                      f"{n} messages")


def waiting(database):
    return database.query("SELECT count(*) FROM reconcile_outbox WHERE sent_at IS NULL")[0][0]


def unblocked(sandbox, *ids):
    return [f"🔧 reconciler: ORCH-{id} development unblocked (lost webhook)\n"
            f"development → review · {sandbox.url}/gitea/acme/app/src/branch/b{id}" for id in ids]


# ---- what is sent ----


def test_each_transition_is_told_once_with_the_event_that_was_lost(database, sandbox, sending):  # 14, 25
    service = sending()
    green(sandbox, database, 1, 2)
    assert outcomes(service.run()) == {1: "advanced", 2: "advanced"}
    assert sorted(messages(sandbox, 2)) == unblocked(sandbox, 1, 2)
    assert {message["chat_id"] for message in seen(sandbox)["messages"]} == {"42"}
    assert database.query("SELECT missed_source, missed_event FROM reconcile_ledger") == [("gitea", "status")] * 2
    assert all("missed_source=gitea missed_event=status" in line for line in service.logged("task unblocked"))
    service.run()
    assert service.end() == 0  # once what was sent is marked
    assert waiting(database) == 0
    service.start()  # a restart sends nothing again
    eventually(lambda: service.status()["last_run_ts"])
    green(sandbox, database, 3)
    service.run()
    assert messages(sandbox, 3)[2:] == unblocked(sandbox, 3)


def test_what_plane_was_not_heard_to_say_is_told_too(database, sandbox, sending):
    plane = Plane(sandbox)
    plane.issues({"number": 7, "state": "In Progress"}, {"number": 8, "state": "Approved"})
    assert reconciled("migrate", environment={"ORCH_DATABASE_URL": database.url}).returncode == 0
    seed_task(database, plane, "ORCH-8", "analysis")
    sending(**plane.settings(ORCH_NOTIFY_TEMPLATE="{work_item_id} {outcome}: {stage} to {to_stage}"))
    heals = [text for text in messages(sandbox, 3) if not text.startswith("🔕")]  # no webhook is set up
    assert sorted(heals) == ["ORCH-7 started: created to analysis", "ORCH-8 approved: analysis to architecture"]
    assert database.query("SELECT missed_source, missed_event FROM reconcile_ledger") == [("plane", "issue.updated")] * 2


def test_messages_wait_out_a_pause_and_a_kill(database, sandbox, sending):
    service = sending()
    sandbox.control("POST", "telegram", {"refuse": 1000000, "retry_after": 1})
    green(sandbox, database, 1, 2)
    assert set(outcomes(service.run()).values()) == {"advanced"}
    eventually(lambda: seen(sandbox)["refused"] >= 2, "a second refusal")
    assert texts(sandbox) == [] and service.status()["outbox"]["depth"] == 2
    service.end(signal.SIGKILL)
    assert seen(sandbox)["refused_early"] == 0
    sandbox.control("POST", "telegram", {"refuse": 0})
    database.script("DELETE FROM reconcile_leases")  # as if it had run out; that it does is another test's
    service.start()
    assert sorted(messages(sandbox, 2)) == unblocked(sandbox, 1, 2)
    eventually(lambda: service.status()["outbox"] == {"depth": 0, "oldest_age_s": 0} and waiting(database) == 0, "the mark")
    assert len(texts(sandbox)) == 2


def test_sixty_transitions_of_one_pass_are_one_digest(database, sandbox, sending):
    service = sending()
    green(sandbox, database, *range(1, 61))
    assert service.run()["gate"]["advanced"] == 60
    digest, = messages(sandbox, 1)
    first, *lines, last = digest.split("\n")
    assert first == "🔧 reconciler: 60 tasks unblocked (lost webhooks)" and last == "… and 55 more"
    assert len(lines) == 5 and set(line[2:] for line in lines) <= {text.split("\n")[0] for text in unblocked(sandbox, *range(1, 61))}
    eventually(lambda: waiting(database) == 0, "the mark")
    assert len(texts(sandbox)) == 1


def test_what_is_no_transition_is_told_to_nobody(database, sandbox, sending):
    service = sending()
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"})
    world(sandbox, 1, state="failure")
    assert outcomes(service.run()) == {1: "red", 2: "unknown"}
    world(sandbox, 2)
    assert outcomes(service.run(dry_run=True)) == {1: "red", 2: "advanced"}
    assert service.put(mode="observe").status == 200
    assert outcomes(service.run()) == {1: "red", 2: "held"}
    assert service.put(mode=None, notify_unblock=False).status == 200
    assert outcomes(service.run()) == {1: "red", 2: "advanced"}
    assert database.query("SELECT id FROM reconcile_outbox") == []
    assert service.put(notify_unblock=None).status == 200
    green(sandbox, database, 3)
    service.run()
    assert messages(sandbox, 1) == unblocked(sandbox, 3)


def test_without_a_token_a_transition_is_logged_and_no_more(database, sandbox, service):
    green(sandbox, database, 1)
    assert outcomes(service.run()) == {1: "advanced"}
    assert len(service.logged("task unblocked")) == 1
    assert database.query("SELECT id FROM reconcile_outbox") == []
    status = service.status()
    assert status["upstreams"]["telegram"] is None
    assert status["outbox"] == {"depth": 0, "oldest_age_s": 0}


def test_the_template_may_speak_russian_and_titles_may_look_like_html(database, sandbox, sending):
    service = sending(ORCH_NOTIFY_TEMPLATE="🔧 реконсилер: <{work_item_id}> {title} разблокирована: {stage} → {to_stage} & {reason}")
    green(sandbox, database, 1)
    database.script("UPDATE tasks SET title = '<b>Корзина</b> & <script>alert(1)</script> \"x\"', work_item_id = NULL")
    service.run()
    text, = messages(sandbox, 1)
    assert re.fullmatch(r"🔧 реконсилер: &lt;#1&gt; &lt;b&gt;Корзина&lt;/b&gt; &amp; &lt;script&gt;alert\(1\)&lt;/script&gt; \"x\" "
                        r"разблокирована: development → review &amp; ci: 1 of 1 contexts passed on [0-9a-f]{12}", text)


def test_a_template_that_nothing_fills_in_stops_the_start(sandbox, tmp_path):
    done = reconciled("serve", environment={"ORCH_DATABASE_URL": f"sqlite:{tmp_path}/x.db",
                                            "ORCH_NOTIFY_TEMPLATE": "{work_item} unblocked"})
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "ORCH_NOTIFY_TEMPLATE: has a placeholder" in done.stderr


# ---- when Telegram does not take it ----


def test_a_backlog_is_one_digest_and_the_status_says_how_it_is(database, sandbox, sending):
    service = sending()
    sandbox.fault("/telegram", "status", status=502, body="")
    for at in range(3):
        green(sandbox, database, 2 * at + 1, 2 * at + 2)
        service.run()
    eventually(lambda: service.status()["upstreams"]["telegram"].get("error") == "Telegram answered 502 (application/json)"
               or service.status()["upstreams"]["telegram"]["ok"] is False, "the failure")
    status = eventually(lambda: service.status()["outbox"]["depth"] == 6 and service.status(), "all of the backlog")
    assert "since" in status["upstreams"]["telegram"] and "502" in status["upstreams"]["telegram"]["error"]
    assert status["upstreams"]["database"] == {"ok": True}
    sandbox.heal()
    digest, = messages(sandbox, 1)
    assert digest.startswith("🔧 reconciler: 6 tasks unblocked (lost webhooks)\n")
    status = eventually(lambda: service.status()["outbox"]["depth"] == 0 and service.status(), "the mark")
    assert status["upstreams"]["telegram"] == {"ok": True}
    line, = service.logged("Telegram does not take them")
    assert "level=warn" in line and any(f"messages={n} " in line for n in (1, 2))
    assert len(service.logged("Telegram takes messages again")) == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_refusal_for_good_is_said_in_words_and_the_message_stays(database, sandbox, sending):
    sandbox.control("POST", "telegram", {"chats": [{"id": 42, "forbidden": "bot was blocked by the user"}]})
    service = sending()
    green(sandbox, database, 1)
    service.run()
    told_why = eventually(lambda: service.status()["upstreams"]["telegram"].get("error"), "the refusal")
    assert told_why == "Telegram answered 403: Forbidden: bot was blocked by the user"
    assert waiting(database) == 1 and service.call("GET", "/healthz").status == 200
    assert service.end() == 0
    sandbox.control("POST", "telegram", {"chats": [42]})
    service.start()
    assert messages(sandbox, 1) == unblocked(sandbox, 1)


def test_a_stop_ends_a_call_and_the_next_process_tells(database, sandbox, sending):
    service = sending()
    sandbox.fault("/telegram", "hang")
    green(sandbox, database, 1)
    service.run()
    sandbox.hanging(1)
    assert service.end() == 0
    assert waiting(database) == 1
    sandbox.heal()
    eventually(lambda: sandbox.control("GET", "requests")["hanging"] == 0)
    sandbox.control("DELETE", "telegram")  # whatever became of the call that is not waited for
    service.start()
    assert messages(sandbox, 1) == unblocked(sandbox, 1)


# ---- which process sends ----


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_two_replicas_tell_each_transition_once(database, sandbox, sending):  # 14
    replicas = [sending(), sending()]
    ids = list(range(1, 13))
    green(sandbox, database, *ids)
    sandbox.fault("/gitea/*/status", "hang")
    runs = [(service, service.begin()) for service in replicas]
    sandbox.hanging(2)
    sandbox.heal()
    for service, run in runs:
        service.report(run)
    assert set(stages(database).values()) == {"review"}
    moved = len(database.query("SELECT id FROM reconcile_ledger"))
    eventually(lambda: waiting(database) == 0, "everything sent")
    assert moved == len(ids) == sum(map(stands_for, texts(sandbox)))
    singles = [text for text in texts(sandbox) if stands_for(text) == 1]
    assert len(set(singles)) == len(singles)


def stands_for(text):
    digest = re.match(r"🔧 reconciler: (\d+) tasks unblocked \(lost webhooks\)\n", text)
    return int(digest.group(1)) if digest else 1


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_a_killed_replica_left_is_told_by_another(database, sandbox, sending):
    doomed = sending(ORCH_UPSTREAM_TIMEOUT_S="3")
    sandbox.control("POST", "telegram", {"refuse": 1000000, "retry_after": 3600})
    green(sandbox, database, 1)
    doomed.run()
    eventually(lambda: seen(sandbox)["refused"] == 1, "a refusal")
    doomed.end(signal.SIGKILL)
    sandbox.control("POST", "telegram", {"refuse": 0})
    other = sending()  # it waits until the lease has run out: 22 s
    try:
        messages(sandbox, 1)
    except AssertionError:
        pass  # a slow machine has twice the time
    assert messages(sandbox, 1) == unblocked(sandbox, 1)
    assert other.end() == 0


def test_a_single_pass_tells_before_it_ends_and_leaves_the_rest_to_the_next(database, sandbox, tmp_path):
    environment = {"ORCH_DATABASE_URL": database.url, "ORCH_GITEA_URL": sandbox.url + "/gitea", **settings_of(sandbox)}
    assert reconciled("migrate", environment=environment).returncode == 0
    green(sandbox, database, 1, 2)
    done = reconciled("run", environment=environment)
    assert done.returncode == 0 and json.loads(done.stdout)["gate"]["advanced"] == 2
    assert sorted(texts(sandbox)) == unblocked(sandbox, 1, 2) and waiting(database) == 0
    sandbox.fault("/telegram", "status", status=500, body="")
    green(sandbox, database, 3)
    assert reconciled("run", environment=environment).returncode == 0
    assert waiting(database) == 1
    sandbox.heal()
    assert reconciled("run", "--dry-run", environment=environment).returncode == 0
    assert waiting(database) == 1
    assert reconciled("run", environment=environment).returncode == 0
    assert texts(sandbox)[2:] == unblocked(sandbox, 3) and waiting(database) == 0


# ---- quarantine ----


def back_to_development(database):
    database.script("DELETE FROM jobs; UPDATE tasks SET stage = 'development', updated_at = " + database.ago(3600))


def test_a_task_healed_again_and_again_is_left_to_a_person_who_is_told_once(database, sandbox, sending):
    service = sending()
    green(sandbox, database, 1)
    for at in range(1, 5):
        assert outcomes(service.run()) == {1: "advanced"}
        messages(sandbox, at)
        back_to_development(database)
    asked = sandbox.asked("GET /gitea/*")
    report = service.run()
    assert outcomes(report) == {1: "quarantined"} and report["gate"]["quarantined"] == 1
    assert report["items"][0]["reason"] == "healed 4 times in 24 h at this stage: left to a person"
    assert sandbox.asked("GET /gitea/*") == asked and stages(database) == {1: "development"}
    assert messages(sandbox, 5)[4] == "🚧 reconciler: ORCH-1 (acme/app) was healed 4 times in 24 h at development: left to a person"
    assert service.status()["quarantined"] == 1 and service.status()["stuck"]["count"] == 1
    service.run(ignore_grace=True)
    assert len(service.logged("task quarantined")) == 1
    assert service.end() == 0
    service.start()
    eventually(lambda: service.status()["quarantined"] == 1, "another look")
    green(sandbox, database, 2)
    service.run()
    assert messages(sandbox, 6)[5:] == unblocked(sandbox, 2)
    eventually(lambda: waiting(database) == 0, "the mark")
    assert len(texts(sandbox)) == 6  # and nothing else has been sent


# ---- secrets ---- (22)


def secret_names():
    """Every setting that --help settings calls a secret."""
    names, name = [], None
    for line in reconciled("--help", "settings", environment={}).stdout.splitlines():
        start = re.match(r"  (ORCH_\w+) ", line)
        name = start.group(1) if start else name
        if re.match(r" {20,}secret(;|$)", line):
            names.append(name)
    return names


def planted_secrets():
    planted = {name: f"123456:Pl4nted-{at}-s3cret" for at, name in enumerate(secret_names())}
    assert {"ORCH_API_TOKEN", "ORCH_GITEA_TOKEN", "ORCH_TELEGRAM_BOT_TOKEN", "ORCH_PLANE_API_TOKEN"} <= set(planted)
    planted.pop("ORCH_DATABASE_URL")
    planted["ORCH_NOTIFY_WEBHOOK_URL"] = "http://127.0.0.1:9/Pl4nted-path-s3cret"
    return planted


@pytest.fixture
def echo():
    """Answers every request with every secret, in each header and in the body, in several spellings; `asked` keeps the bodies that it got."""
    class Handler(http.server.BaseHTTPRequestHandler):
        secrets, asked, at = [], [], itertools.count()

        def answer(self):
            self.asked.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
            at = next(self.at)
            secret = self.secrets[at % len(self.secrets)]
            spelled = [secret, secret.upper(), urllib.parse.quote(secret, safe=""), secret.replace("-", "\\u002d"), "x" * (at % 90) + secret]
            body = '{"message": "%s", "description": "%s", "reason": "%s"}' % (", ".join(spelled), spelled[at % 5], spelled[at % 5])
            self.send_response((403, 400, 200, 500, 302, 429, 401)[at % 7])
            for name in ("Location", "Content-Type", "X-Total-Count", "Retry-After", "ETag", "Server-Note"):
                self.send_header(name, ("/" if name == "Location" else "x" * (at % 60)) + secret)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_no_secret_that_an_upstream_sends_back_leaves(database, sandbox, make_service, echo, tmp_path):
    url, handler = echo
    planted = planted_secrets()
    handler.secrets = [*planted.values(), planted["ORCH_TELEGRAM_BOT_TOKEN"].split(":")[1]]
    token = {"headers": {"Authorization": "Bearer " + planted["ORCH_API_TOKEN"]}}
    pipeline = tmp_path / "pipeline.json"
    pipeline.write_text(json.dumps({"stages": [
        {"name": "created", "next": "development"},
        {"name": "development", "gates": [{"kind": "http", "url": url + "/gate"}], "next": "review"},
        {"name": "review", "gates": [{"kind": "ci"}], "next": "done"}, {"name": "done", "terminal": True}]}))
    service = make_service(**{**settings_of(sandbox), **planted, "ORCH_GITEA_URL": url, "ORCH_PLANE_URL": url, "ORCH_TELEGRAM_URL": url,
                              "ORCH_ORCHESTRATOR_URL": url, "ORCH_PLANE_WORKSPACE": "acme", "ORCH_PIPELINE_FILE": str(pipeline),
                              "ORCH_LOG_LEVEL": "debug"})
    service.start()
    eventually(lambda: service.call("GET", "/reconcile/status", **token).json()["last_run_ts"], "the first pass")
    seed(database, *[{"id": id, "stage": stage} for id, stage in enumerate(["development", "review"] * 20, 1)])
    answers = [service.call("POST", "/reconcile/run", {"side": "both", "ignore_grace": True}, **token) for _ in range(8)]
    answers += [service.call("GET", path, **token) for path in every_path()]
    answers += [service.call("GET", f"/reconcile/tasks/{id}", **token) for id in range(1, 41)]
    answers += [service.call("GET", f"/reconcile/resolve?repo=acme/app&sha={id:040x}", **token) for id in range(10)]
    text = b"".join(answer.body + repr(answer.headers).encode() for answer in answers).decode()
    for arguments in (("check",), ("run",), ("run", "--dry-run")):
        done = service.command(*arguments)
        text += done.stdout + done.stderr
    assert service.end() == 0
    text += service.log.read_text() + json.dumps({name: rows for name, rows in dump(database).items()}) + "".join(handler.asked)
    assert re.findall(".{60}pl4nt.{60}", text.lower()) == []
    assert "answered 400" in text and "****" in text and len(handler.asked) > 50


def every_path():
    document = yaml.safe_load((ROOT / "openapi/openapi.yaml").read_text(encoding="utf-8"))
    return [re.sub(r"\{\w+\}", "1", path) for path, item in document["paths"].items() if "get" in item]


def test_no_secret_leaves_whatever_fails(database, sandbox, make_service):
    planted = planted_secrets()
    bot = planted["ORCH_TELEGRAM_BOT_TOKEN"]
    quotes = {"/gitea": planted["ORCH_GITEA_TOKEN"], "/plane": planted["ORCH_PLANE_API_TOKEN"],
              "/telegram": f"{bot} {bot.replace(':', '%3A')}"}
    url = database.url.replace("postgres@", "postgres:Pl4nted-s3cret@")
    token = {"headers": {"Authorization": "Bearer " + planted["ORCH_API_TOKEN"]}}
    service = make_service(**{**settings_of(sandbox), **planted, "ORCH_DATABASE_URL": url}, ORCH_LOG_LEVEL="debug",
                           ORCH_PLANE_URL=sandbox.url + "/plane", ORCH_PLANE_WORKSPACE="acme")
    service.start()

    def get(path):
        return service.call("GET", path, **token)

    def run():
        return service.call("POST", "/reconcile/run", {"side": "both"}, **token)

    eventually(lambda: get("/reconcile/status").json()["last_run_ts"], "the first pass")
    answers = []
    breaks = [lambda quoted: {"kind": "status", "status": 403, "json": {"message": quoted, "description": quoted, "detail": quoted}},
              lambda quoted: {"kind": "status", "status": 400, "json": {"message": quoted, "description": quoted, "error": quoted}},
              lambda quoted: {"kind": "status", "status": 502, "body": quoted, "content_type": "text/html"},
              lambda quoted: {"kind": "status", "status": 429, "json": {"description": quoted}},
              lambda quoted: {"kind": "garbage"}, lambda quoted: {"kind": "close"}]
    for at, broken in enumerate(breaks):
        for path, quoted in quotes.items():
            sandbox.fault(path, **broken(quoted))
        green(sandbox, database, 10 + at)
        answers.append(run())  # fails
        sandbox.heal()
        sandbox.fault("/telegram", **broken(quotes["/telegram"]))
        answers.append(run())  # heals, and sends nothing
    sandbox.heal()
    answers += [get(path) for path in every_path()]
    answers.append(service.call("GET", "/reconcile/status", headers={"Authorization": "Bearer wrong"}))
    answers.append(service.call("PUT", "/reconcile/config", {"reason": "x"}, **token))
    text = b"".join(answer.body + repr(answer.headers).encode() for answer in answers).decode()
    sandbox.fault("/telegram", "status", status=403, json={"description": quotes["/telegram"]})
    for arguments in (("check",), ("--help", "settings"), ("status",), ("run",), ("run", "--dry-run"), ("migrate",), ("serve",)):
        done = service.command(*arguments, ORCH_HTTP_LISTEN=service.address)
        text += done.stdout + done.stderr
    text += service.command("check", ORCH_DATABASE_URL=url.replace("/e2e", "/none")).stdout
    service.expected_errors.append("reason=")
    assert service.end() == 0
    text += service.log.read_text() + json.dumps({name: rows for name, rows in dump(database).items()})
    assert "Telegram" in text and len(text) > 10000
    assert not [secret for secret in planted.values() if secret in text]
    assert "Pl4nted" not in text


# ---- a webhook beside Telegram ----

WEBHOOK_SECRET = "wh-s3cret-0123456789"
WEBHOOK_PATH = "/services/T0001/s3cret-path-0123456789?key=s3cret-query"


@pytest.fixture
def webhook():
    """A receiver that keeps the texts whose signature is right, and answers with `answer`."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.looked.append(self.path)
            self.reply(200, {})

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            signature = "sha256=" + hmac.new(WEBHOOK_SECRET.encode(), body, "sha256").hexdigest()
            if self.path != WEBHOOK_PATH or self.headers["X-Reconciled-Signature"] != signature:
                self.server.wrong.append((self.path, self.headers["X-Reconciled-Signature"]))
            status, headers = self.server.answer
            self.server.asked += 1
            if status == 200:
                self.server.texts.append(json.loads(body)["text"])
            self.reply(status, headers)

        def reply(self, status, headers):
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.texts, server.wrong, server.looked, server.asked, server.answer = [], [], [], 0, (200, {})
    server.settings = {"ORCH_NOTIFY_WEBHOOK_URL": f"http://127.0.0.1:{server.server_port}{WEBHOOK_PATH}",
                       "ORCH_NOTIFY_WEBHOOK_SECRET": WEBHOOK_SECRET}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
    assert server.wrong == []


def told_by(webhook, n):
    return eventually(lambda: len(webhook.texts) >= n and webhook.texts, f"{n} messages of the webhook")


def test_a_webhook_gets_what_telegram_gets_signed_and_as_plain_text(database, sandbox, sending, webhook):
    service = sending(**webhook.settings, ORCH_NOTIFY_TEMPLATE="<{work_item_id}> {title}")
    green(sandbox, database, 1)
    database.script("UPDATE tasks SET title = 'a & b'")
    service.run()
    assert messages(sandbox, 1) == ["&lt;ORCH-1&gt; a &amp; b"]
    assert told_by(webhook, 1) == ["<ORCH-1> a & b"]
    eventually(lambda: waiting(database) == 0, "both marks")
    assert database.query("SELECT destination FROM reconcile_outbox ORDER BY seq") == [(None,), ("webhook",)]
    assert service.status()["upstreams"]["notify_webhook"] == {"ok": True}


@pytest.mark.parametrize("dead", ["webhook", "telegram"])
def test_a_dead_destination_delays_no_other(database, sandbox, sending, webhook, dead):
    service = sending(**webhook.settings)
    webhook.answer = (500, {}) if dead == "webhook" else (200, {})
    if dead == "telegram":
        sandbox.fault("/telegram", "status", status=500, body="")
    green(sandbox, database, 1, 2)
    service.run()
    assert sorted(messages(sandbox, 2) if dead == "webhook" else told_by(webhook, 2)) == unblocked(sandbox, 1, 2)
    eventually(lambda: waiting(database) == 2, "the marks")
    name = "notify_webhook" if dead == "webhook" else "telegram"
    eventually(lambda: "500" in service.status()["upstreams"][name].get("error", ""), "the failure")
    eventually(lambda: service.status()["outbox"]["depth"] == 2, "what waits")
    webhook.answer = (200, {})
    sandbox.heal()
    assert sorted(told_by(webhook, 2) if dead == "webhook" else messages(sandbox, 2)) == unblocked(sandbox, 1, 2)
    eventually(lambda: waiting(database) == 0, "the marks of the other")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_webhook_alone_is_enough_and_a_pause_that_it_asks_for_is_kept(database, sandbox, make_service, webhook):
    webhook.answer = (429, {"Retry-After": "3600"})
    service = make_service(**webhook.settings).start()
    eventually(lambda: service.status()["last_run_ts"])
    green(sandbox, database, 1)
    service.run()
    eventually(lambda: service.logged("the webhook does not take them"), "the warning")
    assert webhook.asked == 1 and service.status()["upstreams"]["telegram"] is None
    assert database.query("SELECT DISTINCT destination FROM reconcile_outbox") == [("webhook",)]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_neither_url_nor_secret_of_a_webhook_is_ever_shown(database, sandbox, make_service, webhook):
    webhook.answer = (403, {})
    environment = {**webhook.settings, "ORCH_LOG_LEVEL": "debug"}
    service = make_service(**environment).start()
    eventually(lambda: service.status()["last_run_ts"])
    green(sandbox, database, 1)
    service.run()
    eventually(lambda: service.status()["upstreams"]["notify_webhook"].get("error") == "the webhook answered 403", "the refusal")
    shown = [service.call("GET", path).body.decode() for path in ("/reconcile/status", "/reconcile/config", "/metrics")]
    done = reconciled("check", environment={**service.environment, **environment})
    assert "notify    ok" in done.stdout and webhook.looked == ["/"] and webhook.asked >= 1
    assert service.end() == 0
    for text in (*shown, done.stdout, done.stderr, "\n".join(service.logged(""))):
        assert "s3cret" not in text and "T0001" not in text
