"""What Gitea and the orchestrator's gates do wrong: never red, never green, never a delay for others."""
import json

import pytest

from conftest import Sandbox, eventually, outcomes, rows, seed, stages
from test_heal import branch, pull, review


def tasks(database, sandbox, n, stage="development", **more):
    seed(database, *[{"id": id, "stage": stage, **more} for id in range(1, n + 1)])
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}", "success") for id in range(1, n + 1)]})


def reasons(report):
    return {item["task_id"]: item["reason"] for item in report["items"]}


def first_pass(service):
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    return service


@pytest.fixture
def service(make_service):
    return first_pass(make_service(ORCH_UPSTREAM_TIMEOUT_S="1").start())


# ---- one bad answer among good ones ---- (9, 16)

BODIES = [("cut in chunks", "cut", {"bytes": 5, "chunked": True}), ("too large", "huge", {"bytes": 9_000_000}),
          ("too large in chunks", "huge", {"bytes": 9_000_000, "chunked": True}), ("a drip", "drip", {"bytes": 1, "ms": 400}),
          ("401", "status", {"status": 401, "json": {"message": "token is required"}}), ("empty", "status", {"status": 200, "body": ""}),
          ("a list", "status", {"status": 200, "json": []}), ("null", "status", {"status": 200, "json": None, "body": "null"}),
          ("an empty object", "status", {"status": 200, "json": {}}),
          ("HTML", "status", {"status": 200, "html": "<html>sign in</html>"}),
          ("a redirect elsewhere", "status", {"status": 302, "body": "", "location": "http://127.0.0.1:1/"}),
          ("503", "status", {"status": 503, "body": "busy"})]
AT = ["/gitea/*/branches/b1", "/gitea/*/commits/*/status*"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("at", range(len(AT)), ids=["head", "statuses"])
@pytest.mark.parametrize("kind,more", [body[1:] for body in BODIES], ids=[body[0] for body in BODIES])
def test_an_answer_that_cannot_be_understood_is_unknown(database, sandbox, service, at, kind, more):
    tasks(database, sandbox, 2)
    sha = sandbox.api("repos/acme/app/branches/b1")["commit"]["id"]
    sandbox.fault(AT[at] if at == 0 else f"/gitea/*/commits/{sha}/status*", kind, **more)
    before = rows(database, 2)
    report = service.run()
    assert outcomes(report) == {1: "unknown", 2: "advanced"}
    assert "Gitea" in reasons(report)[1] and len(reasons(report)[1]) > 20
    assert rows(database, 2) == before
    assert service.call("GET", "/healthz").status == 200
    sandbox.heal()
    assert outcomes(service.run()) == {1: "advanced"}
    assert service.status()["upstreams"]["gitea"] == {"ok": True}


@pytest.mark.parametrize("kind,more", [("status", {"status": 500}), ("cut", {"bytes": 100}), ("garbage", {}), ("hang", {}), ("close", {})])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_second_page_that_is_missing_is_no_green(database, sandbox, service, kind, more):
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", *["success"] * 60), branch("b2", "success")]})
    sandbox.fault("/gitea/*", kind, query="*page=2*", **more)
    assert outcomes(service.run()) == {1: "unknown", 2: "advanced"}
    sandbox.heal()
    assert outcomes(service.run()) == {1: "advanced"}


@pytest.mark.parametrize("path,stage", [("/gitea/*/pulls/*/reviews", "review"), ("/gitea/*/pulls", "review"), ("/gitea/*/pulls", "deploy"),
                                        ("/gitea/*/git/trees/*", "architecture")])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_every_gate_knows_what_it_does_not_know(database, sandbox, service, path, stage):
    seed(database, {"id": 1, "stage": stage}, {"id": 2, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [
        branch("main"), branch("b1", files={"docs/work-items/ORCH-1/06-adr/1.md": "x"}), branch("b2", "success")], "pulls": [
            pull(1, "b1", review("ann", "APPROVED"), **({"state": "closed", "merged": True} if stage == "deploy" else {}))]})
    sandbox.fault(path + "*", "status", status=500, body="")
    assert outcomes(service.run()) == {1: "unknown", 2: "advanced"}
    sandbox.heal()
    assert outcomes(service.run()) == {1: "advanced"}


def test_what_passes_in_a_moment_is_asked_again_in_the_same_pass(database, sandbox, service):
    tasks(database, sandbox, 4)
    sandbox.fault("/gitea/*/branches/b1", "status", status=502, html="<p>bad gateway", count=1)
    sandbox.fault("/gitea/*/branches/b2", "close", count=1)
    sandbox.fault("/gitea/*/branches/b3", "429", retry_after=0, count=1)
    sandbox.fault("/gitea/*/branches/b4", "cut", bytes=10, count=1)
    assert outcomes(service.run()) == {id: "advanced" for id in (1, 2, 3, 4)}


# ---- all of it ----


def test_a_gitea_that_is_down_is_named_and_healed_from(database, sandbox, make_service):
    gitea = Sandbox()
    port = gitea.address.rsplit(":", 1)[1]
    try:
        service = first_pass(make_service(ORCH_GITEA_URL=gitea.url + "/gitea").start())
        tasks(database, gitea, 3)
        gitea.stop()
        report = service.run()
        assert outcomes(report) == {1: "unknown", 2: "unknown", 3: "unknown"}
        health = service.status()["upstreams"]["gitea"]
        assert health["ok"] is False and "connect" in health["error"] and health["since"]
        assert service.status()["last_pass"]["gate"]["unknown"] == 3 and service.status()["stuck"]["count"] == 3
        assert service.call("GET", "/healthz").status == 200
        service.become_ready()
        gitea = Sandbox("--port", port)
        tasks_again = [branch(f"b{id}", "success") for id in (1, 2, 3)]
        gitea.world({"full_name": "acme/app", "branches": tasks_again})
        assert eventually(lambda: service.run()["gate"]["candidates"] == 0)
        assert set(stages(database).values()) == {"review"}
        assert service.status()["upstreams"]["gitea"] == {"ok": True} and service.status()["stuck"]["count"] == 0
    finally:
        gitea.stop()


def test_a_gitea_that_hangs_on_everything_ends_with_the_pass(database, sandbox, service):  # 16
    tasks(database, sandbox, 40)
    before = rows(database)
    sandbox.fault("/gitea", "hang")
    report = service.run()
    assert set(outcomes(report).values()) == {"unknown"} and report["gate"]["unknown"] == 40
    assert rows(database) == before
    assert service.status()["upstreams"]["gitea"]["ok"] is False
    assert "timed out" in service.status()["upstreams"]["gitea"]["error"]
    sandbox.heal()
    assert eventually(lambda: service.run()["gate"]["candidates"] == 0)
    assert set(stages(database).values()) == {"review"}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_gitea_at_all_is_said(database, sandbox, make_service):
    service = first_pass(make_service(ORCH_GITEA_URL="").start())
    tasks(database, sandbox, 1)
    assert "ORCH_GITEA_URL is not set" in reasons(service.run())[1]
    assert service.status()["upstreams"] == {"database": {"ok": True}, "gitea": None, "plane": None, "telegram": None, "notify_webhook": None, "orchestrator": None}
    assert not [line for line in service.call("GET", "/metrics").body.decode().splitlines() if line.startswith("reconciled_upstream_up")]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_token_that_gitea_does_not_take_is_named(database, sandbox, make_service):
    sandbox.control("POST", "gitea", {"token": "right"})
    service = first_pass(make_service(ORCH_GITEA_TOKEN="wrong").start())
    tasks(database, sandbox, 1)
    report = service.run()
    assert outcomes(report) == {1: "unknown"} and "401" in reasons(report)[1]
    assert "is ORCH_GITEA_TOKEN right?" in reasons(report)[1]
    assert service.status()["upstreams"]["gitea"]["ok"] is False
    assert service.call("GET", "/healthz").status == 200
    sandbox.control("POST", "gitea", {"token": "wrong"})
    assert outcomes(service.run()) == {1: "advanced"}


# ---- gates ----


def write_pipeline(folder, *gates):
    file = folder / "pipeline.json"
    file.write_text(json.dumps({"stages": [{"name": "created", "next": "build"}, {"name": "build", "gates": list(gates), "next": "done"},
                                           {"name": "done", "terminal": True}]}))
    return str(file)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_http_gate_that_hangs_or_talks_nonsense_is_unknown_and_delays_nobody(database, sandbox, make_service, tmp_path):
    pipeline = write_pipeline(tmp_path, {"kind": "http", "url": sandbox.url + "/gate/ok?task={task_id}&branch={branch}"})
    service = first_pass(make_service(ORCH_PIPELINE_FILE=pipeline, ORCH_UPSTREAM_TIMEOUT_S="1").start())
    seed(database, *[{"id": id, "stage": "build", "branch": f"x/{id}&task=7"} for id in range(1, 8)])
    for id, answer in {3: {"verdict": "maybe"}, 4: {"reason": "none"}, 5: {"verdict": True}}.items():
        sandbox.fault("/gate/ok", "status", query=f"task={id}&*", status=200, json=answer)
    sandbox.fault("/gate/ok", "hang", query="task=1&*")
    sandbox.fault("/gate/ok", "status", query="task=2&*", status=500, body="")
    sandbox.world(gates=[{"name": "ok", "query": f"task={id}&branch=x%2F{id}%26task%3D7", "verdict": verdict, "reason": "as it was set"}
                         for id, verdict in ((6, "green"), (7, "unknown"))])
    report = service.run()
    assert outcomes(report) == {**{id: "unknown" for id in (1, 2, 3, 4, 5, 7)}, 6: "advanced"}
    assert "as it was set" in reasons(report)[7]
    assert database.query("SELECT * FROM jobs") == []  # a stage without an agent queues nothing


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_required_check_that_never_reports_is_red_and_named(database, sandbox, make_service, tmp_path):  # 11
    service = first_pass(make_service(ORCH_PIPELINE_FILE=write_pipeline(tmp_path, {"kind": "ci", "contexts": ["ci/*", "security"]})).start())
    seed(database, {"id": 1, "stage": "build"}, {"id": 2, "stage": "build"}, {"id": 3, "stage": "build"})
    secure = {"context": "security", "state": "success"}
    sandbox.world({"full_name": "acme/app", "branches": [
        branch("b1", "success"), {"name": "b2", "statuses": [{"context": "ci/0", "state": "success"}, secure]},
        {"name": "b3", "statuses": [{"context": "ci/0", "state": "success"}, secure, {"context": "lint", "state": "failure"}]}]})
    report = service.run()
    assert outcomes(report) == {1: "red", 2: "advanced", 3: "advanced"}
    assert "security" in reasons(report)[1]


def test_the_newest_status_of_a_context_counts(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"})
    again = [{"context": "ci/build", "state": state} for state in ("failure", "success")]
    sandbox.world({"full_name": "acme/app", "branches": [{"name": "b1", "statuses": again}, {"name": "b2", "statuses": again[::-1]}]})
    assert outcomes(service.run()) == {1: "advanced", 2: "red"}


def test_approvals_must_stand_on_what_is_there_now(database, sandbox, service):
    seed(database, *[{"id": id, "stage": "review"} for id in range(1, 6)])
    sandbox.world({"full_name": "acme/app", "branches": [branch("main"), *[branch(f"b{id}") for id in range(1, 6)]], "pulls": [
        pull(1, "b1", review("ann", "REQUEST_CHANGES"), review("ann", "APPROVED")), pull(2, "b2", review("ann", "APPROVED"), review("ann", "REQUEST_CHANGES")),
        pull(3, "b3", review("ann", "COMMENT")), pull(4, "b4", review("ann", "APPROVED"), state="closed")]})
    report = service.run()
    assert outcomes(report) == {1: "advanced", 2: "red", 3: "red", 4: "red", 5: "red"}
    sandbox.change(do="push", branch="b1", files={"x": "y"})


@pytest.mark.parametrize("official", [True, False])
def test_only_official_reviews_count_unless_the_gate_says_otherwise(database, sandbox, make_service, tmp_path, official):
    gate = {"kind": "review"} if official else {"kind": "review", "official": False}
    service = first_pass(make_service(ORCH_PIPELINE_FILE=write_pipeline(tmp_path, gate)).start())
    seed(database, *[{"id": id, "stage": "build"} for id in range(1, 5)])
    sandbox.world({"full_name": "acme/app", "branches": [branch("main"), *[branch(f"b{id}") for id in range(1, 5)]],
                   "pulls": [pull(id, f"b{id}") for id in range(1, 5)]})
    sandbox.change(do="approve", number=1, user="eve", official=False)
    sandbox.change(do="approve", number=2, user="ann")
    sandbox.change(do="review", number=2, user="ann", state="REQUEST_REVIEW")
    sandbox.change(do="approve", number=3, user="ann")
    sandbox.change(do="reject", number=3, user="eve", official=False)
    sandbox.change(do="reject", number=4, user="ann")
    report = service.run()
    if official:
        assert outcomes(report) == {1: "red", 2: "red", 3: "advanced", 4: "red"}
        assert "the one by eve is not official" in reasons(report)[1] and "the one by ann is not official" in reasons(report)[2]
    else:
        assert outcomes(report) == {1: "advanced", 2: "advanced", 3: "red", 4: "red"}
    sandbox.change(do="approve", number=2, user="ann")
    assert outcomes(service.run()).get(2) == ("advanced" if official else None)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_pull_request_into_another_base_is_named(database, sandbox, service):
    seed(database, *[{"id": id, "stage": "review"} for id in (1, 2, 3)])
    sandbox.world({"full_name": "acme/app", "branches": [branch(name) for name in ("main", "develop", "b1", "b2", "b3")],
                   "pulls": [pull(1, "b1", base="develop"), pull(2, "b2", base="develop", merged=True, state="closed")]})
    report = service.run()
    assert outcomes(report) == {1: "red", 2: "red", 3: "red"}
    assert reasons(report)[1] == "review: no pull request of the branch into main; #1 into develop is open"
    assert reasons(report)[2] == "review: no pull request of the branch into main; #2 into develop is merged"
    assert reasons(report)[3] == "review: no pull request of the branch into main"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_file_is_too_long_and_no_folder_too_full_for_its_gate(database, sandbox, make_service, tmp_path):
    paths = ["big/{work_item_id}.bin", "many/", "many/2999.md"]
    service = first_pass(make_service(ORCH_PIPELINE_FILE=write_pipeline(tmp_path, {"kind": "files", "paths": paths}),
                                      ORCH_UPSTREAM_TIMEOUT_S="3").start())
    seed(database, {"id": 1, "stage": "build"}, {"id": 2, "stage": "build"})
    many = {f"many/{at:04}.md": "" for at in range(3000)}
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", files={**many, "big/ORCH-1.bin": "x" * 9_000_000}),
                                                         branch("b2", files={**many, "big/ORCH-1.bin": "x"})]})
    sandbox.fault("/gitea/*/contents*", "delay", ms=13_000)
    report = service.run()
    assert outcomes(report) == {1: "advanced", 2: "red"}
    assert "big/ORCH-2.bin holds no file" in reasons(report)[2]
    assert sandbox.asked("*/contents*") == 0 and sandbox.asked("*/git/trees/*") > 0


def test_a_branch_named_like_a_commit_is_not_taken_for_it(database, sandbox, service):
    sha = "%040x" % 0xabc
    seed(database, {"id": 1, "stage": "architecture"}, {"id": 2, "stage": "development"}, {"id": 3, "stage": "development", "branch": sha})
    adr = {f"docs/work-items/ORCH-{id}/06-adr/1.md": "x" for id in (1, 2)}
    sandbox.world({"full_name": "acme/app", "branches": [
        {"name": "b1", "sha": sha}, {"name": "b2", "sha": sha}, branch(sha, "success", files=adr)]})
    report = service.run()
    assert outcomes(report) == {1: "red", 2: "unknown", 3: "advanced"}
    assert "holds no file" in reasons(report)[1] and "another commit" in reasons(report)[2]


# ---- the point of it all ----


def test_what_a_lost_webhook_left_behind_is_healed_by_the_timer(database, sandbox, make_service):
    service = first_pass(make_service(ORCH_RECONCILE_INTERVAL_S="1").start())
    seed(database, {"id": 1, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "pending")]})
    sandbox.control("POST", "webhooks", {"url": "http://127.0.0.1:1/", "secret": "s", "lose": True})
    eventually(lambda: service.status()["last_pass"]["gate"]["red"] == 1, "a look at the red gate")
    assert stages(database) == {1: "development"}
    sandbox.change(do="status", branch="b1", context="ci/0", state="success", webhook="lose")
    eventually(lambda: stages(database) == {1: "review"}, "the heal")
    eventually(lambda: service.status()["unblocked_total"] == 1)
    assert service.status()["last_unblocked"] == "ORCH-1"
    logged = service.logged("task unblocked")
    assert len(logged) == 1 and "work_item_id=ORCH-1" in logged[0] and "to_stage=review" in logged[0]


def test_a_red_gate_is_silence(database, sandbox, make_service):
    service = first_pass(make_service(ORCH_RECONCILE_INTERVAL_S="1").start())
    tasks(database, sandbox, 1)
    sandbox.change(do="status", branch="b1", context="ci/0", state="failure", webhook="none")
    before, log = rows(database), service.log.read_text()
    seen = set()
    eventually(lambda: seen.add(service.status()["last_run_ts"]) or len(seen) >= 4, "some passes")
    assert rows(database) == before and database.query("SELECT * FROM reconcile_ledger") == [] and service.log.read_text() == log
