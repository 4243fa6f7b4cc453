"""Webhook mode: the orchestrator keeps its tasks to itself, and lost events are sent to it again as their senders would have sent
them. A heal counts when the task has been seen to move. On either database."""
import hashlib
import hmac
import json
import re
import signal

import pytest
import yaml

from conftest import ROOT, PostgreSQL, dump, eventually, outcomes, reconciled, rows, seed, stages
from plane_world import Plane, branches, items, jobs, seed_task
from plane_world import outcomes as plane_outcomes
from plane_world import stages as plane_stages
from test_heal import branch, pull, review
from test_openapi import closed, problems, resolved
from test_tasks import explain, instant
from test_messages import settings_of as telegram_settings
from test_messages import texts, messages

GITEA_SECRET, PLANE_SECRET, TOKEN = "gitea-hook-secret", "plane_wh_0123456789abcdef0123456789abcdef", "orchestrators-own"
SECRETS = (GITEA_SECRET, PLANE_SECRET, TOKEN)
TRIES = 6


class Orchestrator:
    """The sandbox's: it verifies what it gets and moves its tasks in the database of the test."""

    def __init__(self, sandbox, database):
        self.sandbox, self.database = sandbox, database
        self.set(database=database.url, gitea_secret=GITEA_SECRET, plane_secret=PLANE_SECRET, token=TOKEN, repo="acme/app")

    def set(self, **settings):
        self.sandbox.control("POST", "orchestrator", settings)

    def received(self):
        return self.sandbox.control("GET", "orchestrator")["received"]

    def move(self):
        """What it took and left undone, it does now."""
        self.sandbox.control("POST", "orchestrator/move")

    def forget(self):
        self.sandbox.control("DELETE", "orchestrator")

    def settings(self, **more):
        return {"ORCH_ADVANCE_VIA": "webhook", "ORCH_ORCHESTRATOR_URL": self.sandbox.url + "/orchestrator",
                "ORCH_GITEA_WEBHOOK_SECRET": GITEA_SECRET, "ORCH_PLANE_WEBHOOK_SECRET": PLANE_SECRET,
                "ORCH_ORCHESTRATOR_TOKEN": TOKEN, "ORCH_UPSTREAM_TIMEOUT_S": "5", **more}


@pytest.fixture
def tables(database):
    assert reconciled("migrate", environment={"ORCH_DATABASE_URL": database.url}).returncode == 0


@pytest.fixture
def orchestrator(sandbox, database, tables):
    return Orchestrator(sandbox, database)


class ReadOnly:
    """The database as the service sees it: where the database has rights, it has none to write tasks or jobs."""

    def __init__(self, database):
        self.url = database.url
        if isinstance(database, PostgreSQL):
            database.script(
                "DROP ROLE IF EXISTS watcher; CREATE ROLE watcher LOGIN; GRANT USAGE ON SCHEMA public TO watcher;"
                "GRANT SELECT ON ALL TABLES IN SCHEMA public TO watcher;")
            for table in database.tables():
                if table.startswith("reconcile_"):
                    database.script(f"GRANT INSERT, UPDATE, DELETE ON {table} TO watcher")
            self.url = database.url.replace("postgres@", "watcher@")


@pytest.fixture
def start(make_service, orchestrator, database):
    """start(ORCH_…="…") starts a service that may read tasks and jobs, and write neither."""
    reader = ReadOnly(database)

    def make(**settings):
        service = make_service(**orchestrator.settings(ORCH_DATABASE_URL=reader.url, **settings)).start()
        eventually(lambda: service.status()["last_run_ts"], "the first pass")
        return service
    yield make
    if isinstance(database, PostgreSQL):
        database.script("DROP OWNED BY watcher")


def replays(database):
    return database.query("SELECT subject, tries FROM reconcile_replays ORDER BY subject")


def is_due(database):
    database.script(f"UPDATE reconcile_replays SET next_at = {database.ago(1)};")


def ledger(database):
    return database.query("SELECT task_id, from_stage, to_stage, side, outcome FROM reconcile_ledger ORDER BY task_id")


def reasons(report):
    return {item["task_id"]: item["reason"] for item in report["items"]}


def development(sandbox, database, *ids):
    """Tasks in development whose CI is green."""
    seed(database, *[{"id": id, "stage": "development"} for id in ids])
    sandbox.world({"full_name": "acme/app", "branches": [branch("main"), *[branch(f"b{id}", "success") for id in ids]]})


# ---- what is sent, and what comes of it ----


KINDS = {1: ("development", "status", "review"), 2: ("review", "pull_request_approved", "testing"),
         3: ("deploy", "pull_request", "done"), 4: ("architecture", "advance", "development"), 5: ("testing", "status", "deploy")}


def scene(sandbox, database):
    """A task of each kind of event, and some that none is due of."""
    seed(database, *[{"id": id, "stage": stage} for id, (stage, _, _) in KINDS.items()],
         {"id": 11, "stage": "development"}, {"id": 12, "stage": "review"}, {"id": 13, "stage": "development", "job": "running"})
    sandbox.world({"full_name": "acme/app", "branches": [
        branch("main"), branch("b1", "success", "skipped"), branch("b2"), branch("b3"),
        branch("b4", files={"docs/work-items/ORCH-4/06-adr/0001.md": "x"}), branch("b5", "success"), branch("b11", "failure"),
        branch("b12"), branch("b13", "success")],
        "pulls": [pull(1, "b2", review("ann", "APPROVED", body="fine <b>&</b> é")), pull(2, "b3", state="closed", merged=True),
                  pull(3, "b12")]})


def test_every_kind_of_gate_is_replayed_verified_and_healed(database, sandbox, orchestrator, start):
    service = start()
    scene(sandbox, database)
    before = rows(database, *KINDS)
    assert {id: at for id, at in outcomes(service.run()).items() if at != "red"} == {id: "advanced" for id in KINDS}
    assert {id: at for id, at in stages(database).items() if id in KINDS} == {id: to for id, (_, _, to) in KINDS.items()}
    received = orchestrator.received()
    assert {got["task_id"]: (got["event"], got["from_stage"], got["to_stage"]) for got in received} == {
        id: (event, stage, to) for id, (stage, event, to) in KINDS.items()}
    assert all(got["verified"] and got["moved"] for got in received) and len(received) == len(KINDS)
    assert rows(database, *KINDS) == before
    assert ledger(database) == [(id, stage, to, "gate", "advanced") for id, (stage, _, to) in KINDS.items()]
    assert replays(database) == []
    service.run()
    assert len(orchestrator.received()) == len(KINDS)
    text = service.log.read_text() + json.dumps(service.status()) + service.call("GET", "/metrics").body.decode()
    assert not any(secret in text for secret in SECRETS)


def test_signatures_and_headers_are_the_senders(database, sandbox, orchestrator, start):
    service = start()
    scene(sandbox, database)
    service.run()
    for got in orchestrator.received():
        headers, body = got["headers"], got["body"].encode()
        assert headers["Content-Type"] == "application/json"
        if got["event"] == "advance":
            assert headers["X-Reconciled-Delivery"] == got["delivery"] == json.loads(body)["delivery"]
            continue
        sha256, sha1 = (hmac.new(GITEA_SECRET.encode(), body, kind).hexdigest() for kind in (hashlib.sha256, hashlib.sha1))
        kind = {"pull_request_approved": "pull_request_review_approved"}.get(got["event"], got["event"])
        for family in ("Gitea", "Gogs"):
            assert headers[f"X-{family}-Signature"] == sha256 and headers[f"X-{family}-Event-Type"] == kind
        for family in ("Gitea", "Gogs", "GitHub"):
            assert headers[f"X-{family}-Delivery"] == got["delivery"] and headers[f"X-{family}-Event"] == got["event"]
        assert headers["X-Hub-Signature"] == "sha1=" + sha1 and headers["X-Hub-Signature-256"] == "sha256=" + sha256
        for family in ("Gitea", "GitHub"):
            assert headers[f"X-{family}-Hook-Installation-Target-Type"] == "repository"
        assert "Accept" not in headers


@pytest.mark.parametrize("version, families, target, named", [
    ("1.22.6", {"Gitea", "Gogs", "GitHub"}, False, False), ("1.23.0", {"Gitea", "Gogs", "GitHub"}, False, True),
    ("1.24.0", {"Gitea", "Gogs", "GitHub"}, True, True),
    ("9.0.3+gitea-1.22.0", {"Gitea", "Gogs", "GitHub", "Forgejo"}, False, True)])
def test_a_replay_follows_the_release(database, sandbox, orchestrator, start, version, families, target, named):
    service = start()
    scene(sandbox, database)
    sandbox.fault("/gitea/api/v1/version", "status", status=200, json={"version": version})
    service.run()
    [approved] = [got for got in orchestrator.received() if got["event"] == "pull_request_approved"]
    assert {name.split("-")[1] for name in approved["headers"] if name.endswith("-Event-Type")} == families
    assert ("X-Gitea-Hook-Installation-Target-Type" in approved["headers"]) is target
    if "Forgejo" in families:
        assert approved["headers"]["X-Forgejo-Signature"] == approved["headers"]["X-Gitea-Signature"]
    body = json.loads(approved["body"])
    assert body["requested_reviewer"] == (body["sender"] if named else None)


def test_a_status_is_found_on_a_later_page(database, sandbox, orchestrator, start, tmp_path):
    """Of 120 contexts the gate looks at one, which is on the last page of the combined status."""
    text = (ROOT / "reconcile/pipeline/pipeline.default.json").read_text(encoding="utf-8")
    pipeline = tmp_path / "pipeline.json"
    pipeline.write_text(text.replace('{"kind": "ci"}', '{"kind": "ci", "contexts": ["wanted*"]}'), encoding="utf-8")
    service = start(ORCH_PIPELINE_FILE=str(pipeline))
    seed(database, {"id": 1, "stage": "development"})
    statuses = [{"context": "wanted [1]", "state": "success"}, *[{"context": f"other {i}", "state": "failure"} for i in range(120)]]
    sandbox.world({"full_name": "acme/app", "branches": [branch("main"), {"name": "b1", "statuses": statuses}]})
    assert outcomes(service.run()) == {1: "advanced"}
    [got] = orchestrator.received()
    assert json.loads(got["body"])["context"] == "wanted [1]"


def differing(replayed, sent, path=""):
    """Where two documents differ; that members stand in the same order is asserted."""
    if isinstance(replayed, dict) and isinstance(sent, dict):
        assert list(replayed) == list(sent), path
        return {at for key in sent for at in differing(replayed[key], sent[key], f"{path}.{key}")}
    return set() if replayed == sent else {path}


def test_a_replay_says_what_gitea_itself_would_have_sent(database, sandbox, orchestrator, start):
    """The sandbox makes Gitea's webhooks by itself, of the world and not of REST: the same change is sent by it, and replayed."""
    service = start()
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "review"}, {"id": 3, "stage": "deploy"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("main"), branch("b1"), branch("b2"), branch("b3")],
                   "pulls": [pull(1, "b2"), pull(2, "b3")]})
    orchestrator.set(moves=False)
    sandbox.control("POST", "webhooks", {"url": sandbox.url + "/orchestrator/webhook/gitea", "secret": GITEA_SECRET})
    sandbox.change(do="merge", number=2)  # first, for it moves the others' base
    sandbox.change(do="status", branch="b1", state="success", context="ci/build", description="all <good> & done",
                   target_url="http://ci/1?a=b&c=d")
    sandbox.change(do="approve", number=1, user="ann", body="fine — <b>")
    sent = [got for got in sandbox.control("GET", "orchestrator?until_received=4")["received"] if got["event"] != "push"]
    assert len(sent) == 3 and all(got["verified"] for got in sent)
    orchestrator.forget()
    assert set(outcomes(service.run()).values()) == {"held"}
    replayed = {got["event"]: got for got in orchestrator.received()}
    assert set(replayed) == {got["event"] for got in sent} == {"status", "pull_request_approved", "pull_request"}
    for got in sent:
        again = replayed[got["event"]]
        found = differing(json.loads(again["body"]), json.loads(got["body"]))
        assert found <= {".id"}, found  # the database's id of a status, which REST does not answer
        # curl's own is not the sender's: Go sends Go-http-client
        assert set(again["headers"]) - {"User-Agent"} == set(got["headers"]) - {"User-Agent"}
        assert again["delivery"] != got["delivery"]
        # Go's json.MarshalIndent, by its own rules.
        assert again["body"] == json.dumps(json.loads(again["body"]), indent=2, ensure_ascii=False).replace(
            "<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def description():
    written = yaml.safe_load((ROOT / "openapi/openapi.yaml").read_text(encoding="utf-8"))
    return resolved(written, written)


def test_what_is_sent_is_what_openapi_describes(database, sandbox, orchestrator, start):
    document = description()
    plane = Plane(sandbox)
    service = start(**plane.settings())
    plane.issues({"number": 201, "state": "In Progress"})
    plane.change("create", project="ORCH", number=202, state="In Progress", created_ago=4000, updated_ago=3900, webhook="none")
    scene(sandbox, database)
    service.run(side="both")
    described = {"status": "giteaStatus", "pull_request_approved": "giteaApproved", "pull_request": "giteaMerged",
                 "issue": "planeIssue", "advance": "advance"}
    received = orchestrator.received()
    assert {described[got["event"]] for got in received} == set(document["webhooks"])
    for got in received:
        operation = document["webhooks"][described[got["event"]]]["post"]
        own = {name: value for name, value in got["headers"].items() if name.startswith("X-") or value == "Autopilot"}
        names = {parameter["name"] for parameter in operation["parameters"]}
        needed = {parameter["name"] for parameter in operation["parameters"] if parameter.get("required")}
        assert needed <= set(own) <= names
        for parameter in operation["parameters"]:
            if parameter["name"] not in own:
                continue
            assert problems(parameter["schema"], own[parameter["name"]]) == [], parameter["name"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert problems(closed(schema), json.loads(got["body"])) == [], got["event"]
        assert list(json.loads(got["body"])) == list(schema["properties"])  # in the sender's order


# ---- an answer is no heal ----


def test_an_orchestrator_that_answers_200_and_moves_nothing_heals_nothing(database, sandbox, orchestrator, start):  # 18
    service = start()
    development(sandbox, database, 1)
    orchestrator.set(moves=False)
    report = service.run()
    assert outcomes(report) == {1: "held"}
    assert reasons(report)[1] == "replayed (status): answered 200; not seen to move yet"
    assert service.status()["unblocked_total"] == 0 and ledger(database) == []
    report = service.run()
    assert outcomes(report) == {1: "failed"}
    assert re.fullmatch(r"replayed 1 time, and the task has not moved; the next try follows in \d+ s", reasons(report)[1])
    assert len(orchestrator.received()) == 1  # one in flight
    is_due(database)
    assert outcomes(service.run()) == {1: "held"}
    first, second = orchestrator.received()
    assert first["delivery"] == second["delivery"] and first["body"] == second["body"]
    assert replays(database) == [("task/1", 2)]
    orchestrator.move()
    assert outcomes(service.run()) == {1: "advanced"}  # seen to have moved
    assert ledger(database) == [(1, "development", "review", "gate", "advanced")]
    assert service.status()["unblocked_total"] == 1 and replays(database) == []


def test_pauses_grow_and_what_never_moves_is_given_up_and_told_once(database, sandbox, orchestrator, start):
    service = start(**telegram_settings(sandbox))
    service.expected_errors = ["a replay is given up"]
    development(sandbox, database, 1)
    orchestrator.set(moves=False)
    pauses = []
    for _ in range(TRIES):
        assert outcomes(service.run()) == {1: "held"}
        waits = reasons(service.run())[1]
        pauses.append(int(re.search(r"in (\d+) s", waits)[1]))
        is_due(database)
    assert all(60 * 2 ** at - 30 <= pause <= 60 * 2 ** at for at, pause in enumerate(pauses)), pauses
    for _ in range(3):
        report = service.run()
        assert outcomes(report) == {1: "failed"}
        assert reasons(report)[1] == f"replayed {TRIES} times, and the task has not moved: left to a person"
        is_due(database)
    assert len(orchestrator.received()) == TRIES
    assert messages(sandbox, 1) == [f"🚧 reconciler: ORCH-1 (acme/app) stays at development, though its event was sent to the "
                                f"orchestrator {TRIES} times: left to a person"]
    # A person pushed and CI is green again: that is another event.
    sandbox.change(do="push", branch="b1", webhook="none")
    sandbox.change(do="status", branch="b1", state="success", context="ci/build", webhook="none")
    orchestrator.set(moves=True)
    assert outcomes(service.run()) == {1: "advanced"}
    assert len(texts(sandbox)) >= 1


def test_an_explanation_tells_what_was_sent_in_vain(database, sandbox, orchestrator, start):
    service = start()
    service.expected_errors = ["a replay is given up"]
    schema = closed(description()["components"]["schemas"]["Explanation"])
    development(sandbox, database, 1)
    orchestrator.set(moves=False)
    before = explain(service, 1)
    assert before["replay"] is None and (before["next"]["action"], before["next"]["to_stage"]) == ("advance", "review")
    assert before["next"]["words"] == ("its gate is green: the next pass that looks at it sends its event to the orchestrator, "
                                       "which is to move it to review")
    for tries in range(1, TRIES + 1):
        assert outcomes(service.run()) == {1: "held"}
        explained = explain(service, 1)
        assert explained["replay"] == {"delivery": orchestrator.received()[-1]["delivery"], "tries": tries, "given_up": False,
                                  "next_at": explained["replay"]["next_at"]}
        assert instant(explained["next"]["at"]) >= instant(explained["replay"]["next_at"]) and problems(schema, explained) == []
        sent = f"its event was sent {tries} time{'s' if tries > 1 else ''} and it has not been seen to move: "
        if tries < TRIES:
            assert (explained["next"]["action"], explained["next"]["to_stage"]) == ("advance", "review")
            assert explained["next"]["words"] == f"{sent}sent again at {explained['next']['at']}"
        else:
            assert explained["next"] == {"action": "wait", "to_stage": None, "at": explained["next"]["at"],
                                    "words": f"{sent}given up at {explained['next']['at']}"}
        is_due(database)
    assert outcomes(service.run()) == {1: "failed"}
    explained, state = explain(service, 1), dump(database)
    assert explained["replay"] == {"delivery": orchestrator.received()[-1]["delivery"], "tries": TRIES, "next_at": None, "given_up": True}
    assert explained["next"] == {"action": "wait", "to_stage": None, "at": None,
                            "words": f"its event was sent {TRIES} times in vain: left to a person"}
    assert dump(database) == state and problems(schema, explained) == []
    # Another commit is another event, which starts over.
    sandbox.change(do="push", branch="b1", webhook="none")
    sandbox.change(do="status", branch="b1", state="success", context="ci/build", webhook="none")
    assert explain(service, 1)["next"]["words"] == before["next"]["words"]
    orchestrator.set(moves=True)
    assert outcomes(service.run()) == {1: "advanced"}
    assert explain(service, 1)["replay"] is None


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 500}, {"kind": "status", "status": 404}, {"kind": "close"},
                                   {"kind": "status", "status": 302}])
def test_a_failing_orchestrator_is_asked_again_when_it_is_due(database, sandbox, orchestrator, start, fault):
    service = start()
    development(sandbox, database, 1)
    sandbox.fault("/orchestrator/*", **fault)
    report = service.run()
    assert outcomes(report) == {1: "failed"}
    assert reasons(report)[1].startswith("replayed (status): the orchestrator: ")
    assert re.search(r"the next try follows in \d+ s$", reasons(report)[1])
    assert sandbox.asked("POST /orchestrator/*") == 1  # and not tried again by itself
    sandbox.heal()
    assert outcomes(service.run()) == {1: "failed"} and sandbox.asked("POST /orchestrator/*") == 1
    is_due(database)
    assert outcomes(service.run()) == {1: "advanced"}


def test_an_orchestrator_that_is_down_or_hangs_fails_in_time(database, sandbox, orchestrator, start):  # 16
    service = start(ORCH_UPSTREAM_TIMEOUT_S="1")
    development(sandbox, database, 1)
    sandbox.fault("/orchestrator/*", "hang")
    report = service.run()
    assert outcomes(report) == {1: "failed"} and "the orchestrator: timed out after " in reasons(report)[1]
    assert service.end() == 0
    sandbox.heal()
    down = start(ORCH_ORCHESTRATOR_URL="http://127.0.0.1:1")
    is_due(database)
    report = down.run()
    assert outcomes(report) == {1: "failed"} and "the orchestrator: " in reasons(report)[1]
    assert replays(database) == [("task/1", 2)]


def test_a_budget_that_is_used_up_holds_a_replay(database, sandbox, orchestrator, start):
    plane = Plane(sandbox, limit=60)
    plane.issues({"number": 1, "state": "In Progress"})
    sandbox.fault("/plane/*/work-items/*", "429", retry_after=100, skip=1)  # the list, and nothing else
    service = start(**plane.settings())
    report = service.call("GET", "/reconcile/runs/" + service.status()["last_pass"]["id"]).json()
    assert set(plane_outcomes(report).values()) <= {"held", "unknown"} and orchestrator.received() == [] and replays(database) == []


def test_a_wrong_secret_moves_nothing(database, sandbox, orchestrator, start):
    service = start(ORCH_GITEA_WEBHOOK_SECRET="another")
    development(sandbox, database, 1)
    report = service.run()
    assert outcomes(report) == {1: "failed"} and "answered 401" in reasons(report)[1]
    assert [got["verified"] for got in orchestrator.received()] == [False]
    assert stages(database) == {1: "development"}


# ---- crashes, replicas, switches ----


def test_a_kill_before_the_answer_loses_nothing_and_doubles_nothing(database, sandbox, orchestrator, start):
    service = start()
    development(sandbox, database, 1, 2)
    sandbox.fault("/orchestrator/*", "drip", bytes=1, ms=600000)  # carried out at once, and the answer does not come
    service.begin()
    eventually(lambda: stages(database) == {1: "review", 2: "review"}, "the orchestrator's moves")
    assert replays(database) == [("task/1", 1), ("task/2", 1)]
    assert service.end(signal.SIGKILL) == -signal.SIGKILL
    sandbox.heal()
    service.start()
    eventually(lambda: len(ledger(database)) == 2, "the rows of the ledger")
    assert len(orchestrator.received()) == 2
    assert database.query("SELECT count(*) FROM jobs") == [(2,)]


def test_a_kill_before_anything_was_sent_is_made_good_when_it_is_due(database, sandbox, orchestrator, start):
    service = start()
    development(sandbox, database, 1)
    sandbox.fault("/orchestrator/*", "hang")
    service.begin()
    sandbox.hanging(1)
    service.end(signal.SIGKILL)
    sandbox.heal()
    assert orchestrator.received() == []
    delivery = database.query("SELECT CAST(delivery AS text) FROM reconcile_replays")[0][0]
    service.start()
    assert outcomes(service.run()) == {1: "failed"} and orchestrator.received() == []
    is_due(database)
    assert outcomes(service.run()) == {1: "advanced"}
    assert [got["delivery"] for got in orchestrator.received()] == [delivery]


def test_two_replicas_have_one_replay_in_flight_per_task(database, sandbox, orchestrator, start):
    one, two = start(), start()
    development(sandbox, database, *range(1, 21))
    orchestrator.set(moves=False)
    runs = [service.begin() for service in (one, two)]
    for service, run in zip((one, two), runs):
        assert service.report(run)["state"] == "done"
    received = orchestrator.received()
    assert len(received) == 20 == len({got["delivery"] for got in received})
    orchestrator.move()
    runs = [service.begin() for service in (one, two)]
    for service, run in zip((one, two), runs):
        service.report(run)
    assert len(ledger(database)) == 20


def test_when_the_switch_is_off_nothing_is_sent(database, sandbox, orchestrator, start):  # 12
    service = start()
    development(sandbox, database, 1)
    for off in ({"enabled": False}, {"enabled": None, "mode": "observe"}):
        assert service.put(**off).status == 200
        service.call("POST", "/reconcile/run", {"side": "gate"})
        assert orchestrator.received() == [] and replays(database) == []
    assert service.put(mode=None).status == 200
    assert outcomes(service.run()) == {1: "advanced"}


def test_a_dry_run_sends_and_writes_nothing(database, sandbox, orchestrator, start):  # 8
    service = start()
    scene(sandbox, database)
    before = dump(database)
    report = service.run(dry_run=True)
    assert {id for id, at in outcomes(report).items() if at == "advanced"} == set(KINDS)
    assert dump(database) == before and orchestrator.received() == []


def test_the_limit_on_heals_counts_what_is_sent(database, sandbox, orchestrator, start):
    service = start(ORCH_RECONCILE_MAX_HEALS_PER_PASS="2")
    development(sandbox, database, 1, 2, 3)
    report = service.run()
    assert sorted(outcomes(report).values()) == ["advanced", "advanced", "held"]
    assert len(orchestrator.received()) == 2


def test_a_status_that_cannot_be_read_again_is_not_replayed(database, sandbox, orchestrator, start):  # 10
    service = start()
    development(sandbox, database, 1)
    sandbox.fault("/gitea/api/v1/repos/acme/app/git/commits/*", "status", status=500, count=1)
    report = service.run()
    assert outcomes(report) == {1: "failed"} and reasons(report)[1].startswith("not replayed: Gitea")
    assert orchestrator.received() == [] and replays(database) == []
    assert outcomes(service.run()) == {1: "advanced"}


def test_a_status_of_another_commit_is_not_replayed(database, sandbox, orchestrator, start):
    """Gitea takes a branch named like a commit for it: here one that appears between the verdict and the replay."""
    service = start()
    development(sandbox, database, 1)
    evil = {"sha": "f" * 40, "state": "success", "total_count": 1, "statuses": [{"id": 1, "status": "success", "context": "ci/0", "created_at": "2026-11-23T10:00:00Z"}]}
    sandbox.fault("/gitea/*/status", "status", query="page=1&limit=50", status=200, json=evil, count=1)  # the gate asks limit=50&page=1
    report = service.run()
    assert outcomes(report) == {1: "failed"} and "with the statuses of another commit" in reasons(report)[1]
    assert orchestrator.received() == [] and replays(database) == []
    assert outcomes(service.run()) == {1: "advanced"}


# ---- Plane's side ----


@pytest.fixture
def plane(sandbox):
    return Plane(sandbox)


def plane_run(service):
    return service.run(side="plane")


def test_starts_and_verdicts_are_replayed_verified_and_healed(database, sandbox, orchestrator, plane, start):
    plane.issues({"number": 1, "name": "Basket — корзина 🔧", "state": "In Progress"}, {"number": 2, "state": "Approved"},
                 {"number": 3, "state": "Rejected"}, {"number": 4, "state": "In Progress"})
    plane.change("create", project="ORCH", number=5, state="In Progress", created_ago=4000, updated_ago=3900, webhook="none")
    for id, (key, stage) in enumerate((("ORCH-2", "analysis"), ("ORCH-3", "analysis"), ("ORCH-4", "review")), 100):
        seed_task(database, plane, key, stage, id=id)  # out of the way of the ids that the orchestrator makes
    service = start(**plane.settings())
    assert plane_stages(database) == {"ORCH-1": "analysis", "ORCH-2": "architecture", "ORCH-3": "analysis", "ORCH-4": "review",
                                      "ORCH-5": "analysis"}
    assert sorted(jobs(database)) == [("ORCH-1", "analyst"), ("ORCH-2", "architect"), ("ORCH-3", "analyst"), ("ORCH-5", "analyst")]
    written = database.query("SELECT work_item_id, from_stage, to_stage, outcome FROM reconcile_ledger ORDER BY work_item_id")
    assert written == [("ORCH-1", "created", "analysis", "started"), ("ORCH-2", "analysis", "architecture", "approved"),
                       ("ORCH-3", "analysis", "analysis", "rejected"), ("ORCH-5", "created", "analysis", "started")]
    assert database.query("SELECT count(*) FROM reconcile_verdicts") == [(2,)]
    assert branches(sandbox) == set()  # it makes none
    received = orchestrator.received()
    assert len(received) == 4 and all(got["verified"] and got["moved"] and got["event"] == "issue" for got in received)
    for got in received:
        body = json.loads(got["body"])
        assert got["body"] == json.dumps(body)  # as Python writes it
        signature = hmac.new(PLANE_SECRET.encode(), got["body"].encode(), hashlib.sha256).hexdigest()
        assert got["headers"]["X-Plane-Signature"] == signature and got["headers"]["User-Agent"] == "Autopilot"
        made = body["data"]["sequence_id"] == 5
        assert body["action"] == ("created" if made else "updated")
        assert body["activity"]["new_value"] == (None if made else body["data"]["state"]["id"])
    assert items(plane_run(service)) == {} and len(orchestrator.received()) == 4
    assert replays(database) == []


def test_what_an_old_plane_does_not_record_is_replayed_as_no_creation(database, sandbox, orchestrator, start):
    plane = Plane(sandbox, version="0.26.1")
    plane.issues({"number": 1, "state": "Todo"}, {"number": 2, "state": "Todo"}, {"number": 3, "state": "In Progress"})
    plane.state("ORCH-1", "In Progress", by="api")
    plane.state("ORCH-2", "Done", ago=4000)
    plane.state("ORCH-2", "In Progress", by="api")
    start(**plane.settings())
    assert plane_stages(database) == {"ORCH-1": "analysis", "ORCH-2": "analysis", "ORCH-3": "analysis"}
    sent = {body["data"]["sequence_id"]: body for body in (json.loads(got["body"]) for got in orchestrator.received())}
    for number, body in sent.items():
        assert (body["action"], body["activity"]["field"]) == ("updated", "state_id")
        assert body["activity"]["new_value"] == body["data"]["state"]["id"]
        assert (body["activity"]["old_value"] is None) == (body["activity"]["actor"]["id"] is None) == (number != 3)


def test_a_replay_says_what_plane_itself_would_have_sent(database, sandbox, orchestrator, plane, start):
    plane.issues({"number": 2, "name": "é <b>", "state": "Todo"})
    seed_task(database, plane, "ORCH-2", "analysis")
    service = start(**plane.settings())
    orchestrator.set(moves=False)
    sandbox.control("POST", "plane", {"webhook": {"url": sandbox.url + "/orchestrator/webhook/plane", "secret": PLANE_SECRET}})
    plane.state("ORCH-2", "Approved", webhook="send")
    sent = sandbox.control("GET", "orchestrator?until_received=1")["received"][0]
    orchestrator.forget()
    assert plane_outcomes(plane_run(service)) == {"ORCH-2": "held"}
    again = orchestrator.received()[0]
    assert sent["verified"] and again["verified"]
    assert set(again["headers"]) == set(sent["headers"])
    replayed, original = json.loads(again["body"]), json.loads(sent["body"])
    # The id of the webhook is not in REST answers.
    assert differing(replayed, original) <= {".webhook_id"}


def test_a_start_that_is_not_seen_is_asked_for_again_and_never_twice_at_once(database, sandbox, orchestrator, plane, start):
    orchestrator.set(moves=False)
    plane.issues({"number": 1, "state": "In Progress"})
    service = start(**plane.settings())
    assert len(orchestrator.received()) == 1 and plane_stages(database) == {}
    assert plane_outcomes(plane_run(service)) == {"ORCH-1": "failed"}
    is_due(database)
    assert plane_outcomes(plane_run(service)) == {"ORCH-1": "held"}
    first, second = orchestrator.received()
    assert first["delivery"] == second["delivery"]
    orchestrator.move()
    report = plane_run(service)
    assert plane_outcomes(report) == {"ORCH-1": "started"}
    assert plane_stages(database) == {"ORCH-1": "analysis"} and replays(database) == []
    assert items(plane_run(service)) == {}


def test_a_verdict_is_replayed_once(database, sandbox, orchestrator, plane, start):
    plane.issues({"number": 3, "state": "Rejected"})
    seed_task(database, plane, "ORCH-3", "analysis")
    service = start(**plane.settings())
    assert jobs(database) == [("ORCH-3", "analyst")]
    database.script(f"UPDATE jobs SET status = 'done'; UPDATE tasks SET updated_at = {database.ago(7200)};")
    plane.change("edit", issue="ORCH-3", name="Another name", ago=1200)
    assert items(plane_run(service)) == {} and len(orchestrator.received()) == 1
    plane.state("ORCH-3", "In Progress", ago=1100)
    plane.state("ORCH-3", "Rejected", ago=1000)
    assert plane_outcomes(plane_run(service)) == {"ORCH-3": "rejected"}
    one, two = orchestrator.received()
    assert one["delivery"] != two["delivery"]


def test_an_explanation_tells_of_a_verdict_that_was_sent(database, sandbox, orchestrator, plane, start):
    service = start(**plane.settings())
    plane.issues({"number": 3, "state": "Approved"})
    seed_task(database, plane, "ORCH-3", "analysis")
    [(id,)] = database.query("SELECT id FROM tasks")
    orchestrator.set(moves=False)
    before = explain(service, id)
    assert before["replay"] is None and before["next"]["words"].endswith(
        "the next pass that looks at it sends its event to the orchestrator, which is to move it to architecture")
    assert plane_outcomes(plane_run(service)) == {"ORCH-3": "held"}
    explained = explain(service, id)
    assert (explained["replay"]["delivery"], explained["replay"]["tries"]) == (orchestrator.received()[0]["delivery"], 1)
    assert (explained["next"]["action"], explained["next"]["to_stage"]) == ("approve", "architecture")
    assert explained["next"]["words"] == f"its event was sent 1 time and it has not been seen to move: sent again at {explained['next']['at']}"


def test_the_switch_of_planes_side_holds_its_replays(database, sandbox, orchestrator, plane, start):  # 12
    service = start(**plane.settings())
    plane.issues({"number": 1, "state": "In Progress"})
    assert service.put(plane_enabled=False).status == 200
    service.call("POST", "/reconcile/run", {"side": "both"})
    assert orchestrator.received() == [] and replays(database) == []
    assert service.put(plane_enabled=None).status == 200
    assert plane_outcomes(plane_run(service)) == {"ORCH-1": "started"}


def test_check_asks_whether_the_orchestrator_answers(database, sandbox, orchestrator, start):
    service = start()
    good = service.command("check")
    assert "webhooks  ok: the orchestrator answers" in good.stdout
    bad = service.command("check", ORCH_ORCHESTRATOR_URL="http://127.0.0.1:1")
    assert bad.returncode == 1 and "webhooks  BAD: the orchestrator: " in bad.stdout
    assert orchestrator.received() == []
