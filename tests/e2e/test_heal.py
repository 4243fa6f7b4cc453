"""Exactly the green tasks move, on either database, from a real Gitea's answers."""
import pytest

from conftest import dump, eventually, outcomes, rows, seed, stages


def branch(name, *statuses, **more):
    return {"name": name, "statuses": [{"context": f"ci/{at}", "state": state} for at, state in enumerate(statuses)], **more}


def pull(number, head, *reviews, **more):
    return {"number": number, "base": "main", "head": head, "title": head, "reviews": list(reviews), **more}


def review(user, state, **more):
    return {"user": user, "state": state, **more}


GREEN = {1: "review", 2: "testing", 3: "done", 4: "development", 5: "deploy"}


def scene(database, sandbox):
    seed(database,
         {"id": 1, "stage": "development"}, {"id": 2, "stage": "review"}, {"id": 3, "stage": "deploy"},
         {"id": 4, "stage": "architecture"}, {"id": 5, "stage": "testing"},
         {"id": 11, "stage": "development"}, {"id": 12, "stage": "development"}, {"id": 13, "stage": "development"},
         {"id": 14, "stage": "development"}, {"id": 15, "stage": "development"}, {"id": 16, "stage": "testing"},
         {"id": 17, "stage": "review"}, {"id": 18, "stage": "review"}, {"id": 19, "stage": "review"},
         {"id": 20, "stage": "deploy"}, {"id": 21, "stage": "architecture"},
         {"id": 31, "stage": "development", "age": 60}, {"id": 32, "stage": "development", "job": "running"},
         {"id": 33, "stage": "development", "job": "queued"}, {"id": 34, "stage": "analysis"},
         {"id": 35, "stage": "polishing"}, {"id": 36, "stage": "done"}, {"id": 37, "stage": "created"},
         {"id": 41, "stage": "development", "repo": None}, {"id": 42, "stage": "development", "branch": None},
         {"id": 43, "stage": "development", "branch": "gone"})
    many = ["success"] * 60 + ["failure"]
    sandbox.world({"full_name": "acme/app", "branches": [
        branch("main"), branch("b1", "success", "skipped"), branch("b2"), branch("b4", files={
            "docs/work-items/ORCH-4/06-adr/0001.md": "x"}), branch("b5", *["success"] * 70),
        branch("b11", "success", "failure"), branch("b12", "error"), branch("b13", "success", "pending"),
        branch("b14", "warning"), branch("b15"), branch("b16", *many), branch("b17"), branch("b18"), branch("b19"),
        branch("b20"), branch("b21", files={"docs/work-items/ORCH-4/06-adr/0001.md": "x"}),
        *[branch(f"b{at}", "success") for at in (31, 32, 33, 34, 35, 36, 37, 41, 42)]],
        "pulls": [pull(1, "b2", review("ann", "APPROVED")), pull(2, "b3", state="closed", merged=True, head_deleted=True),
                  pull(3, "b17", review("ann", "APPROVED", stale=True)), pull(4, "b18", review("ann", "APPROVED", dismissed=True)),
                  pull(5, "b19", review("ann", "APPROVED"), review("bob", "REQUEST_CHANGES")), pull(6, "b20")]})


def test_exactly_the_green_tasks_move_each_with_one_job(database, sandbox, service):
    scene(database, sandbox)
    before = rows(database, *GREEN)
    report = service.run()
    assert {id: at for id, at in outcomes(report).items() if at == "advanced"} == {id: "advanced" for id in GREEN}
    assert {id: at for id, at in stages(database).items() if id in GREEN} == GREEN
    assert rows(database, *GREEN) == before  # 8: nothing else changed by a byte
    jobs = database.query("SELECT task_id, agent, status FROM jobs WHERE task_id < 10 ORDER BY task_id")
    assert jobs == [(1, "reviewer", "queued"), (2, "tester", "queued"), (4, "developer", "queued"), (5, "deployer", "queued")]
    ledger = database.query("SELECT task_id, from_stage, to_stage, side, outcome FROM reconcile_ledger ORDER BY task_id")
    was = {1: "development", 2: "review", 3: "deploy", 4: "architecture", 5: "testing"}
    assert ledger == [(id, was[id], GREEN[id], "gate", "advanced") for id in GREEN]
    red = {id for id, at in outcomes(report).items() if at == "red"}
    assert red == {11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}
    unknown = {item["task_id"]: item["reason"] for item in report["items"] if item["outcome"] == "unknown"}
    assert set(unknown) == {41, 42, 43}
    assert "repo" in unknown[41] and "branch" in unknown[42] and "gone" in unknown[43]
    assert report["unknown_stage"] == 1
    assert report["gate"]["candidates"] == len(report["items"]) == 19


def test_a_second_pass_does_nothing(database, sandbox, service):
    scene(database, sandbox)
    service.run()
    before = {**dump(database), "reconcile_passes": None}
    assert service.run()["gate"]["advanced"] == 0
    assert {**dump(database), "reconcile_passes": None} == before


def test_a_dry_run_tells_what_would_move_and_writes_nothing(database, sandbox, service):  # 8
    scene(database, sandbox)
    before, asked = dump(database), sandbox.asked()
    assert {"tasks", "jobs", "reconcile_ledger", "reconcile_passes", "reconcile_settings"} <= set(before)
    report = service.run(dry_run=True)
    assert report["dry_run"] and dump(database) == before and sandbox.asked() > asked
    real = service.run()  # the same code: what was announced is what happens
    assert {item["task_id"]: (item["outcome"], item["reason"]) for item in report["items"]} == {
        item["task_id"]: (item["outcome"], item["reason"]) for item in real["items"]}


def test_a_converged_system_asks_gitea_nothing(database, sandbox, service):  # 15
    seed(database, {"id": 1, "stage": "done"}, {"id": 2, "stage": "development", "age": 5},
         {"id": 3, "stage": "development", "job": "running"})
    before = sandbox.asked()
    assert service.run()["gate"]["candidates"] == 0
    assert sandbox.asked() == before


@pytest.mark.parametrize("version", ["1.22", "1.23", "1.24", "1.25", "1.26", "1.27"])
def test_every_gitea_is_understood(database, sandbox, service, version):
    sandbox.control("POST", "gitea", {"version": version})
    name = "feature/ORCH-1-a/b"
    seed(database, {"id": 1, "stage": "development", "branch": name}, {"id": 2, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch(name, "success"), branch("b2")]})
    assert outcomes(service.run()) == {1: "advanced", 2: "red"}


def test_a_renamed_repository_is_followed(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development", "repo": "acme/old"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success")]},
                  renamed=[{"from": "acme/old", "to": "acme/app"}])
    assert outcomes(service.run()) == {1: "advanced"}


def test_a_list_of_gates_needs_all_and_http_gates_are_asked(database, sandbox, make_service, tmp_path):
    pipeline = tmp_path / "pipeline.json"
    pipeline.write_text('{"stages":[{"name":"created","next":"build"},{"name":"build","agent":"builder","next":"done","gates":['
                        '{"kind":"ci","contexts":["ci/*"]},{"kind":"http","url":"%s/gate/ok?task_id={task_id}"}]},'
                        '{"name":"done","terminal":true}]}' % sandbox.url)
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success"), branch("b2", "success")]},
                  gates=[{"name": "ok", "query": "task_id=1", "verdict": "green"},
                         {"name": "ok", "query": "task_id=2", "verdict": "red", "reason": "not yet"}])
    service = make_service(ORCH_PIPELINE_FILE=str(pipeline)).start()
    eventually(lambda: service.status()["last_run_ts"])
    seed(database, {"id": 1, "stage": "build"}, {"id": 2, "stage": "build"})
    assert outcomes(service.run()) == {1: "advanced", 2: "red"}


FAULTS = [("hang", {}), ("cut", {"bytes": 20}), ("close", {}), ("garbage", {}), ("status", {"status": 500}),
          ("status", {"status": 502, "body": "<html>bad gateway</html>", "content_type": "text/html"}),
          ("status", {"status": 404}), ("status", {"status": 403}), ("status", {"status": 429, "retry_after": 600})]


@pytest.mark.parametrize("kind,more", FAULTS, ids=[f"{kind}{more.get('status', '')}" for kind, more in FAULTS])
def test_a_broken_answer_is_unknown_and_delays_nobody(database, sandbox, make_service, kind, more):  # 9, 16
    service = make_service(ORCH_UPSTREAM_TIMEOUT_S="2").start()
    eventually(lambda: service.status()["last_run_ts"])
    seed(database, *[{"id": id, "stage": "development"} for id in range(1, 7)])
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}", "success") for id in range(1, 7)]})
    for bad in ("b1", "b3"):
        sandbox.fault(f"/gitea/*/branches/{bad}", kind, **more)
    before = rows(database, 2, 4, 5, 6)
    report = service.run()
    assert outcomes(report) == {1: "unknown", 2: "advanced", 3: "unknown", 4: "advanced", 5: "advanced", 6: "advanced"}
    assert rows(database, 2, 4, 5, 6) == before
    assert service.call("GET", "/healthz").status == 200
    assert all(item["reason"] for item in report["items"])
    sandbox.heal()
    assert outcomes(service.run()) == {1: "advanced", 3: "advanced"}


def test_a_task_moved_between_reading_and_writing_is_raced(database, sandbox, service):  # 1
    seed(database, {"id": 1, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success")]})
    sandbox.fault("/gitea/*/status", "hang")
    run = service.call("POST", "/reconcile/run", {"wait": False})
    assert run.status == 202
    sandbox.hanging(1)
    database.script(f"UPDATE tasks SET stage = 'review', updated_at = {database.ago(0)} WHERE id = 1")
    sandbox.heal()

    def report():
        answer = service.call("GET", run.headers["location"]).json()
        return answer if answer["state"] == "done" else None

    assert outcomes(eventually(report)) == {1: "raced"}
    assert stages(database) == {1: "review"}
    assert database.query("SELECT id FROM jobs") == [] and database.query("SELECT id FROM reconcile_ledger") == []


def test_rows_that_make_no_sense_harm_nobody(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development", "repo": "no-slash"}, {"id": 2, "stage": "development", "repo": ""},
         {"id": 3, "stage": "development", "branch": ""}, {"id": 4, "stage": "development", "branch": "../../../x"},
         {"id": 5, "stage": "development", "repo": "a/b/c"}, {"id": 6, "stage": "development", "branch": "x" * 20000},
         {"id": 7, "stage": "development", "repo": "acme/..", "branch": "%2e%2e"}, {"id": 8, "stage": "development"},
         {"id": 9, "stage": "development", "branch": "ветка/🔧 'x'"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b8", "success"), branch("ветка/🔧 'x'", "success")]})
    report = service.run()
    assert outcomes(report) == {**{id: "unknown" for id in range(1, 8)}, 8: "advanced", 9: "advanced"}
    assert service.call("GET", "/healthz").status == 200
