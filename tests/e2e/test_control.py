"""The control interface: kill switch, passes on request, limits, stopping."""
import datetime
import http.client
import json
import signal
import subprocess
import threading
import time

import pytest

from conftest import DEADLINE_S, RECONCILED, die_with_the_tests, eventually, outcomes, plane_id, rows, seed, stages
from test_heal import branch


def green_tasks(database, sandbox, n, **more):
    seed(database, *[{"id": id, "stage": "development", "age": 3600 + 60 * id, **more} for id in range(1, n + 1)])
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}", "success") for id in range(1, n + 1)]})


def started(make_service, **settings):
    service = make_service(**settings).start()
    eventually(lambda: service.status()["last_run_ts"] or not service.status()["enabled"], "the first pass")
    return service


def finished(service, location):
    def report():
        answer = service.call("GET", location).json()
        return answer if answer["state"] not in ("queued", "running") else None
    return eventually(report, "the pass")


def test_the_switch_survives_kill_9_and_run_then_says_who_and_why(database, sandbox, service):  # 12, 13
    green_tasks(database, sandbox, 2)
    answer = service.put(enabled=False, by="ann", reason="moving Gitea")
    assert answer.status == 200 and answer.json()["enabled"] is False
    assert service.status()["enabled"] is False  # at once
    assert service.status()["pause"] == {"by": "ann", "reason": "moving Gitea", "until": None}
    service.end(signal.SIGKILL)
    service.start()
    eventually(lambda: service.status()["enabled"] is False)
    before = rows(database)
    answer = service.call("POST", "/reconcile/run")
    assert answer.status == 409 and answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["by"] == "ann" and answer.json()["reason"] == "moving Gitea"
    assert "ann" in answer.json()["detail"] and "moving Gitea" in answer.json()["detail"]
    assert service.run(dry_run=True)["gate"]["advanced"] == 2
    assert rows(database) == before
    assert service.put(enabled=None).json()["enabled"] is True
    assert service.run()["gate"]["advanced"] == 2


def test_the_environments_off_cannot_be_overridden(database, sandbox, make_service):
    service = make_service(ORCH_RECONCILE_ENABLED="false").start()
    eventually(lambda: service.call("GET", "/readyz").status == 200)
    document = service.put(enabled=True).json()
    assert document["enabled"] is False and document["sources"]["enabled"]["held_by_environment"] is True
    green_tasks(database, sandbox, 1)
    answer = service.call("POST", "/reconcile/run")
    assert answer.status == 409 and answer.json()["by"] == "environment"
    assert stages(database) == {1: "development"}


def test_a_switch_turns_itself_back(database, sandbox, service):
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    green_tasks(database, sandbox, 1)
    assert service.put(enabled=False, until=until.isoformat()).status == 200
    assert service.call("POST", "/reconcile/run").status == 409
    eventually(lambda: service.call("POST", "/reconcile/run").status == 200, "the end of the switch")
    assert stages(database) == {1: "review"}


def test_a_switch_thrown_in_mid_pass_lets_nothing_more_move(database, sandbox, service):  # 12
    repos = {f"acme/app{at}": range(at, 21, 4) for at in range(1, 5)}  # the first calls about one are few
    seed(database, *[{"id": id, "stage": "development", "repo": repo, "age": 3600 + 60 * id} for repo in repos for id in repos[repo]])
    sandbox.world(*[{"full_name": repo, "branches": [branch(f"b{id}", "success") for id in ids]} for repo, ids in repos.items()])
    sandbox.fault("/gitea/*/status", "hang")
    run = service.call("POST", "/reconcile/run", {"wait": False})
    sandbox.hanging(14)  # and two slots are kept
    assert service.put(enabled=False, by="ann").status == 200
    before = rows(database)
    sandbox.heal()
    report = finished(service, run.headers["location"])
    assert report["gate"]["held"] == 20 and report["gate"]["advanced"] == 0
    assert rows(database) == before


def test_settings_are_changed_by_compare_and_set(service):
    first = service.call("GET", "/reconcile/config")
    etag = first.headers["etag"]
    answer = service.call("PUT", "/reconcile/config", {"interval_s": 3600}, headers={"If-Match": etag})
    assert answer.status == 200 and answer.json()["interval_s"] == 3600 and answer.headers["etag"] != etag
    stale = service.call("PUT", "/reconcile/config", {"interval_s": 7200}, headers={"If-Match": etag})
    assert stale.status == 412
    assert service.call("GET", "/reconcile/config").json()["interval_s"] == 3600
    assert service.put(interval_s=None).json()["interval_s"] == 86400


STRONG = ['"%d"', '"x", "%d"', ' ,"x,y" ,,"%d",', '"%d", junk', "*", "* "]
WEAK = ['W/"%d"', '"x",W/"%d"']
NEITHER = ['"x"', "%d", '"%d', 'w/"%d"', '"x" "%d"', '"*"', '"-%d"', "", ",", "*, *"]


@pytest.mark.parametrize("form", [*STRONG, *WEAK, *NEITHER])
def test_a_precondition_is_a_list_of_tags(service, form):
    def ask(method, name):
        tag = form % revision if "%" in form else form
        body = {"enabled": None} if method == "PUT" else None
        return service.call(method, "/reconcile/config", body, headers={name: tag})

    revision = service.put(enabled=None).json()["revision"]
    assert ask("GET", "If-Match").status == (200 if form in STRONG else 412)
    same = ask("GET", "If-None-Match")
    assert same.status == (304 if form in STRONG + WEAK else 200)
    assert same.headers["etag"] == f'"{revision}"' and (same.body == b"") == (same.status == 304)
    assert same.headers["content-length"] == str(len(service.call("GET", "/reconcile/config").body))
    assert ask("PUT", "If-None-Match").status == (412 if form in STRONG + WEAK else 200)
    revision = service.call("GET", "/reconcile/config").json()["revision"]
    assert ask("PUT", "If-Match").status == (200 if form in STRONG else 412)


def test_a_precondition_may_have_several_lines(service):
    revision = service.put(enabled=None).json()["revision"]
    for name, status in (("If-Match", 200), ("If-None-Match", 304)):
        connection = http.client.HTTPConnection(service.address, timeout=60)
        connection.putrequest("GET", "/reconcile/config")
        for tag in ('"x"', f'"{revision}"', '"y"'):
            connection.putheader(name, tag)
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == status
        answer.read()  # nothing, of 304
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()


def test_a_bad_setting_is_named_and_changes_nothing(service):  # 23
    before = service.call("GET", "/reconcile/config").body
    answer = service.put(interval_s=0, mode="sleep", nonsense=1, enabled="no", grace_overrides={"no-stage": 5})
    assert answer.status == 422
    fields = {error["field"] for error in answer.json()["errors"]}
    assert {"interval_s", "mode", "nonsense", "enabled"} <= fields
    assert any(field.startswith("grace_overrides") for field in fields)
    assert service.call("GET", "/reconcile/config").body == before


def test_observing_writes_nothing(database, sandbox, service):
    green_tasks(database, sandbox, 3)
    service.put(mode="observe")
    before = rows(database)
    assert service.run()["gate"]["held"] == 3
    assert rows(database) == before


def test_the_limit_holds_back_and_later_passes_go_on(database, sandbox, service):
    green_tasks(database, sandbox, 5)
    service.put(max_heals_per_pass=2)
    moved = []
    for held in (3, 1, 0):
        report = service.run()
        moved += sorted(id for id, at in outcomes(report).items() if at == "advanced")
        assert report["gate"]["held"] == held
    assert moved == [4, 5, 2, 3, 1]  # the oldest first


def test_no_project_starves_another(database, sandbox, service):  # 2, 21
    seed(database, *[{"id": id, "stage": "development", "repo": "acme/noisy", "age": 90000} for id in range(1, 9)],
         {"id": 100, "stage": "development", "repo": "acme/quiet"})
    sandbox.world({"full_name": "acme/noisy", "branches": [branch(f"b{id}", "success") for id in range(1, 9)]},
                  {"full_name": "acme/quiet", "branches": [branch("b100", "success")]})
    service.put(max_heals_per_pass=2)
    assert outcomes(service.run())[100] == "advanced"


def test_grace_may_change_and_be_ignored(database, sandbox, service):
    green_tasks(database, sandbox, 2)
    database.script(f"UPDATE tasks SET updated_at = {database.ago(100)}")
    assert service.run()["gate"]["candidates"] == 0
    assert outcomes(service.run(task_id=2, ignore_grace=True)) == {2: "advanced"}
    service.put(grace_overrides={"development": 50})
    assert outcomes(service.run()) == {1: "advanced"}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_all_that_is_wrong_with_a_run_is_named(database, sandbox, service):
    answer = service.call("POST", "/reconcile/run", {"wait": 1, "side": "left", "task_id": 0, "ignore_graces": True})
    assert answer.status == 422 and answer.json()["type"] == "/problems/invalid-body"
    assert {error["field"]: error["detail"] for error in answer.json()["errors"]} == {
        "wait": "must be true or false", "side": "must be one of both, gate, plane", "ignore_graces": "is not known",
        "task_id": "must be a whole number from 1 to 9223372036854775807"}
    assert service.call("POST", "/reconcile/run", {"task_id": None, "dry_run": True}).status == 200


@pytest.mark.parametrize("more", [{}, {"dry_run": True}, {"wait": False}, {"side": "plane"}, {"ignore_grace": True, "dry_run": True}])
def test_a_pass_about_a_task_that_is_not_there_is_none(database, sandbox, service, more):
    green_tasks(database, sandbox, 2)
    passes = service.call("GET", "/reconcile/runs").body
    refused = service.call("POST", "/reconcile/run", {"task_id": 3, **more})
    assert (refused.status, refused.headers["content-type"]) == (404, "application/problem+json")
    assert refused.json()["status"] == 404 and "3" in refused.json()["detail"] and "location" not in refused.headers
    assert service.call("GET", "/reconcile/runs").body == passes
    assert service.call("POST", "/reconcile/run", {"task_id": 2, **more}).status == (202 if "wait" in more else 200)


def test_requests_that_arrive_during_a_pass_share_the_next(database, sandbox, service):  # 17
    green_tasks(database, sandbox, 1)
    sandbox.fault("/gitea/*/status", "hang")
    first = service.call("POST", "/reconcile/run", {"wait": False}).json()["id"]
    sandbox.hanging(1)
    others = {service.call("POST", "/reconcile/run", {"wait": False}).json()["id"] for _ in range(5)}
    assert len(others) == 1 and first not in others
    sandbox.heal()
    assert finished(service, f"/reconcile/runs/{others.pop()}")["gate"]["advanced"] == 0
    assert finished(service, f"/reconcile/runs/{first}")["gate"]["advanced"] == 1


def test_runs_are_listed_and_paged(service):
    ids = [service.run()["id"] for _ in range(3)]
    page = service.call("GET", "/reconcile/runs?limit=2").json()
    assert [item["id"] for item in page["items"]] == ids[:0:-1] and page["next"]
    rest = service.call("GET", f"/reconcile/runs?limit=2&after={page['next']}").json()
    assert rest["items"][0]["id"] == ids[0]
    assert service.call("GET", "/reconcile/runs?limit=0").status == 400
    assert service.call("GET", "/reconcile/runs/00000000-0000-4000-8000-000000000000").status == 404


def test_a_stop_in_mid_pass_is_quick_and_leaves_no_half_state(database, sandbox, service):  # 24
    green_tasks(database, sandbox, 3)
    sandbox.fault("/gitea/*/status", "hang")
    before = rows(database)
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(service.call("POST", "/reconcile/run")))
    waiter.start()
    sandbox.hanging(3)
    assert service.end() == 0
    waiter.join(30)
    assert answers[0].status == 503 and answers[0].json()["report"]["state"] == "interrupted"
    assert rows(database) == before
    sandbox.heal()
    service.start()
    assert finished(service, f"/reconcile/runs/{answers[0].json()['report']['id']}")["state"] == "interrupted"


def test_kill_9_loses_nothing_and_doubles_nothing(database, sandbox, make_service):
    service = started(make_service)
    n = 300
    database.script("INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, updated_at) "
                    + " UNION ALL ".join(f"SELECT {id}, '{plane_id(id)}', 'ORCH-{id}', 't', 'acme/app', 'task-{id}', 'development', "
                                         f"{database.ago(9000)}, {database.ago(9000)}" for id in range(1, n + 1)))
    sandbox.control("POST", "generate", {"repo": "acme/app", "branches": n, "state": "success"})
    service.put(max_heals_per_pass=100000)
    for part in (50, 170, 260):
        service.call("POST", "/reconcile/run", {"wait": False})
        eventually(lambda: len(database.query("SELECT id FROM reconcile_ledger")) >= min(part, n), "some transitions")
        service.end(signal.SIGKILL)
        service.start()
    service.run()
    assert set(stages(database).values()) == {"review"}
    assert sorted(row[0] for row in database.query("SELECT task_id FROM reconcile_ledger")) == list(range(1, n + 1))
    assert sorted(row[0] for row in database.query("SELECT task_id FROM jobs")) == list(range(1, n + 1))
    eventually(lambda: service.status()["unblocked_total"] == n)


def test_a_thousand_idle_connections_keep_nobody_out(service):
    import socket
    host, port = service.address.split(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(700)]
    for connection in idle[::2]:
        connection.sendall(b"GET /reconcile/status HTTP/1.1\r\nHost: loc")
    assert service.call("GET", "/reconcile/status").status == 200
    assert service.call("POST", "/reconcile/run", {"side": "gate"}).status == 200
    for connection in idle:
        connection.close()


def test_liveness_stays_green_while_gitea_hangs(database, sandbox, service):  # 16
    green_tasks(database, sandbox, 2)
    sandbox.fault("/gitea", "hang")
    service.call("POST", "/reconcile/run", {"wait": False})
    sandbox.hanging(2)
    begin = time.monotonic()
    assert service.call("GET", "/healthz").status == 200
    assert service.status()["running"] is True
    assert service.call("GET", "/reconcile/config").status == 200
    assert time.monotonic() - begin < 8  # none of them waited for Gitea's ten seconds
    sandbox.heal()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_single_pass_whose_upstream_hangs(database, sandbox, make_service, how):
    service = make_service(ORCH_UPSTREAM_TIMEOUT_S="60")
    service.log.touch()
    assert service.command("migrate").returncode == 0
    green_tasks(database, sandbox, 2)
    sandbox.fault("/gitea", "hang")
    process = subprocess.Popen([RECONCILED, "run", "--side", "gate"], env=service.environment, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, preexec_fn=die_with_the_tests)
    try:
        sandbox.hanging(1)
        process.send_signal(how)
        out, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 1
    finally:
        process.kill()
    assert json.loads(out)["state"] == "interrupted"
    assert stages(database) == {1: "development", 2: "development"}
