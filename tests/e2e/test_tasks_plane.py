"""What the explanation shows of tasks that Plane's side moves: asked of Plane, decided by the code of a pass, within its budget."""
import concurrent.futures

import pytest
import yaml

from conftest import ROOT, dump, eventually, reconciled, seed
from plane_world import KEY, Plane, items, seed_task
from test_openapi import Description
from test_tasks import explain, instant

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def plane(sandbox):
    return Plane(sandbox)


@pytest.fixture
def start(make_service, plane, database):
    """A service whose first pass moved nothing: it was held. What a pass would do is still to be done."""
    assert reconciled("migrate", environment={"ORCH_DATABASE_URL": database.url}).returncode == 0

    def make(**settings):
        service = make_service(**plane.settings(ORCH_RECONCILE_MODE="observe", **settings)).start()
        eventually(lambda: service.status()["last_run_ts"], "the first pass")
        assert service.put(mode="heal").status == 200
        return service
    return make


def scene(database, plane):
    plane.issues({"number": 1, "state": "Approved"}, {"number": 2, "state": "Rejected"}, {"number": 3, "state": "In Progress"},
                 {"number": 4, "state": "Approved", "updated_ago": 30}, {"number": 5, "state": "Approved"}, {"number": 6, "state": "Approved"},
                 {"number": 7, "state": "Approved", "archived": True}, {"number": 8, "state": "Todo"})
    for number in range(1, 9):
        if number != 7:
            seed_task(database, plane, f"ORCH-{number}", "analysis", age=60 if number == 5 else 7200, job="running" if number == 6 else None)


def test_an_explanation_says_what_a_pass_makes_of_an_issue(database, plane, start):
    scene(database, plane)
    seed(database, {"id": 70, "stage": "analysis"}, {"id": 71, "stage": "analysis", "repo": "acme/other"})
    database.script("UPDATE tasks SET plane_id = 'by hand' WHERE id = 70; UPDATE tasks SET work_item_id = 'OTHER-71' WHERE id = 71;")
    service = start()
    before = dump(database)
    explained = {id: explain(service, id) for id in (1, 2, 3, 4, 5, 6, 8, 70, 71)}
    assert dump(database) == before
    description = Description(yaml.safe_load((ROOT / "openapi/openapi.yaml").read_text(encoding="utf-8")))
    for id in explained:
        description.check("GET", f"/reconcile/tasks/{id}", service.call("GET", f"/reconcile/tasks/{id}"))
    assert all(explained[id]["gate"] is None for id in explained)
    said = {id: (explained[id]["next"]["action"], explained[id]["next"]["to_stage"]) for id in explained}
    assert said == {1: ("approve", "architecture"), 2: ("reject", "analysis"), **{id: ("wait", None) for id in (3, 4, 5, 6, 8, 70, 71)}}
    words = {id: explained[id]["next"]["words"] for id in explained}
    assert "In Progress" in words[3] and "rested for 600 s" in words[4] and "was handled" in words[5] and "job" in words[6]
    assert "Todo" in words[8] and "plane_id" in words[70] and "ORCH_PROJECTS_JSON" in words[71]
    one = explained[1]["plane"]
    assert (one["state"], one["error"]) == ("Approved", None) and one["issue"] == explained[1]["plane_id"] and one["activity"]
    assert one["html_url"].endswith(f"/plane/acme/projects/{plane.ids['ORCH']}/issues/{one['issue']}")
    assert explained[4]["plane"]["activity"] is None and explained[6]["plane"] is None and explained[70]["plane"] is None
    assert instant(explained[4]["next"]["at"]) > instant(explained[4]["plane"]["updated_at"])
    report = items(service.run(side="plane", dry_run=True))  # and that is what a pass does
    assert {key: item["to_stage"] for key, item in report.items()} == {"ORCH-1": "architecture", "ORCH-2": "analysis"}
    moved = items(service.run(side="plane"))
    assert {key: item["outcome"] for key, item in moved.items()} == {"ORCH-1": "approved", "ORCH-2": "rejected"}
    again = explain(service, 2)
    database.script("UPDATE jobs SET status = 'done'")
    assert "job" in again["next"]["words"] and "was handled" in explain(service, 2)["next"]["words"]
    assert again["transitions"][0]["outcome"] == "rejected" and again["transitions"][0]["evidence"]["activity"]
    description.check("GET", "/reconcile/history", service.call("GET", "/reconcile/history"))


@on_sqlite
def test_an_explanation_names_who_holds_planes_side(database, plane, start):
    scene(database, plane)
    service = start()
    service.put(plane_enabled=False, by="ann", reason="Plane is moved")
    one = explain(service, 1)
    assert (one["next"]["action"], one["next"]["to_stage"]) == ("hold", "architecture") and "Plane is moved" in one["next"]["words"]
    assert [hold["switch"] for hold in one["holds"]] == ["plane_enabled"]


def test_an_explanation_of_what_was_never_started(database, plane, sandbox, make_service, start):
    service = start()
    seed(database, {"id": 1, "stage": "created"}, {"id": 2, "stage": "created", "age": 5})
    assert explain(service, 1)["next"]["action"] == "start" and explain(service, 1)["next"]["to_stage"] == "analysis"
    assert "rested for 600 s" in explain(service, 2)["next"]["words"]
    assert explain(service, 1)["plane"] is None
    nowhere = make_service().start()
    eventually(lambda: nowhere.status()["last_run_ts"], "the first pass")
    assert explain(nowhere, 1)["next"] == {"action": "wait", "to_stage": None, "at": None,
                                           "words": "waits for its start; ORCH_PLANE_URL is not set: it is not started here"}


@on_sqlite
def test_an_issue_that_is_gone_is_said(database, plane, start):
    plane.issues({"number": 1, "state": "Approved"})
    seed_task(database, plane, "ORCH-1", "analysis")
    plane.change("archive", issue="ORCH-1")
    one = explain(start(), 1)
    assert "archived" in one["next"]["words"] and "archived" in one["plane"]["error"]


@on_sqlite
def test_a_state_that_was_renamed_is_named(database, plane, start):
    plane.issues({"number": 1, "state": "Todo"})
    seed_task(database, plane, "ORCH-1", "analysis")
    plane.change("rename_state", project="ORCH", state="Approved", name="Signed off")
    service = start()
    assert "Approved" in explain(service, 1)["next"]["words"]  # what the project lacks


FAULTS = [("status", {"status": 502, "html": "<p>bad gateway"}), ("status", {"status": 403, "json": {"detail": "Given API token is not valid"}}),
          ("garbage", {}), ("close", {}), ("429", {"retry_after": 30}), ("hang", {})]


@on_sqlite
@pytest.mark.parametrize("kind,more", FAULTS, ids=[kind + str(more.get("status", "")) for kind, more in FAULTS])
def test_a_plane_that_does_not_answer_is_said_in_words(database, plane, sandbox, start, kind, more):
    scene(database, plane)
    service = start(ORCH_UPSTREAM_TIMEOUT_S="1")
    sandbox.fault("/plane", kind, **more)
    one = explain(service, 1)
    assert one["next"]["action"] == "wait" and one["next"]["words"].startswith("waits for a person's verdict in Plane")
    assert len(one["plane"]["error"]) > 10 and one["plane"]["error"] in one["next"]["words"]
    assert KEY not in str(one)
    assert service.call("GET", "/healthz").status == 200


@on_sqlite
def test_explaining_leaves_planes_calls_to_passes(database, plane, sandbox, make_service, start):
    scene(database, plane)
    service = start()
    for _ in range(30):
        explain(service, 1)
    one = explain(service, 1)
    assert "kept for passes" in one["plane"]["error"] and "kept for passes" in one["next"]["words"]
    assert plane.counters()["refused"] == 0
    assert set(items(service.run(side="plane"))) == {"ORCH-1", "ORCH-2"}  # which find them there


@on_sqlite
def test_a_plane_that_hangs_delays_no_other_question(database, plane, sandbox, start):
    scene(database, plane)
    seed(database, {"id": 90, "stage": "development", "branch": "main"})
    service = start(ORCH_UPSTREAM_TIMEOUT_S="60")
    sandbox.fault("/plane", "hang")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(service.call, "GET", f"/reconcile/tasks/{id}") for id in (1, 2, 3)]
        sandbox.hanging(1)
        assert explain(service, 90)["gate"]["verdict"] == "red"
        head = sandbox.api("repos/acme/app/branches/main")["commit"]["id"]
        assert service.call("GET", f"/reconcile/resolve?repo=acme/app&sha={head}").status == 200
        assert service.call("GET", "/reconcile/status").status == 200
        assert not any(future.done() for future in waiting)
        assert service.end() == 0
        answers = [future.result() for future in waiting]  # the one under way is cut short, and may still answer so
        assert sorted(answer.status for answer in answers)[1:] == [503, 503]
