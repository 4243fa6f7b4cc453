"""What the service shows of tasks and of its work: the list, the explanation, the ledger."""
import json
import time
from datetime import datetime, timezone

import pytest

from conftest import dump, eventually, plane_id, seed
from test_heal import branch, pull, review


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def get(service, path, status=200):
    answer = service.call("GET", path)
    assert answer.status == status, (path, answer.status, answer.body)
    return answer.json()


def ids(page):
    return [item["task_id"] for item in page["items"]]


def explain(service, id):
    return get(service, f"/reconcile/tasks/{id}")


# ---- the list ----


def test_the_list_has_what_is_not_done_stuck_first(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development", "age": 60}, {"id": 2, "stage": "review", "age": 7200},
         {"id": 3, "stage": "testing", "age": 9000, "job": "running"}, {"id": 4, "stage": "analysis", "age": 9999},
         {"id": 5, "stage": "done", "age": 9999}, {"id": 6, "stage": "polishing", "age": 8000}, {"id": 7, "stage": "deploy", "age": 8500})
    page = get(service, "/reconcile/tasks")
    assert ids(page) == [7, 2, 4, 3, 6, 1] and page["next"] is None
    by_id = {item["task_id"]: item for item in page["items"]}
    assert [id for id in by_id if by_id[id]["stuck"]] == [7, 2]
    assert {id: item["grace_s"] for id, item in by_id.items()} == {7: 600, 2: 600, 4: None, 3: 600, 6: None, 1: 600}
    assert by_id[3]["job"]["agent"] == "developer" and by_id[3]["job"]["status"] == "running" and by_id[2]["job"] is None
    two = by_id[2]
    assert {name: two[name] for name in ("work_item_id", "plane_id", "title", "repo", "branch", "stage")} == {
        "work_item_id": "ORCH-2", "plane_id": plane_id(2), "title": "a task", "repo": "acme/app", "branch": "b2", "stage": "review"}
    assert 7200 <= two["age_s"] < 7800
    assert abs((datetime.now(timezone.utc) - instant(two["updated_at"])).total_seconds() - two["age_s"]) < 600
    assert sandbox.asked() == 0


def test_the_list_is_narrowed_by_what_is_asked(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development", "repo": "acme/other"}, {"id": 3, "stage": "development", "age": 5},
         {"id": 4, "stage": "done"}, {"id": 5, "stage": "polishing now"}, {"id": 6, "stage": "review", "repo": None})
    assert set(ids(get(service, "/reconcile/tasks?stuck=true"))) == {1, 2, 6}
    assert set(ids(get(service, "/reconcile/tasks?stuck=false"))) == {1, 2, 3, 5, 6}
    assert set(ids(get(service, "/reconcile/tasks?stage=development"))) == {1, 2, 3}
    assert ids(get(service, "/reconcile/tasks?stage=done")) == [4]
    assert ids(get(service, "/reconcile/tasks?stage=polishing%20now")) == [5]
    assert ids(get(service, "/reconcile/tasks?repo=acme/other")) == ids(get(service, "/reconcile/tasks?repo=Acme/OTHER")) == [2]
    assert ids(get(service, "/reconcile/tasks?repo=acme/app&stage=development&stuck=true")) == [1]
    assert ids(get(service, "/reconcile/tasks?stage=nowhere")) == []
    assert ids(get(service, "/reconcile/tasks?q=orch-2")) == [2]
    assert set(ids(get(service, "/reconcile/tasks?q=A%20Task&stage=development&stuck=true"))) == {1, 2}
    assert ids(get(service, "/reconcile/tasks?q=B3")) == [3] and ids(get(service, "/reconcile/tasks?q=%25")) == []


def test_the_list_comes_in_pages(database, sandbox, service):
    seed(database, *[{"id": id, "stage": "development" if id % 3 else "analysis", "age": 5000 + id % 7} for id in range(1, 26)])
    seen, target = [], "/reconcile/tasks?limit=4"
    whole = ids(get(service, "/reconcile/tasks"))
    while target:
        page = get(service, target)
        assert len(page["items"]) <= 4
        seen += ids(page)
        target = page["next"] and f"/reconcile/tasks?limit=4&after={page['next']}"
    assert seen == whole and sorted(seen) == list(range(1, 26))


BAD = {"limit=0": "limit", "limit=501": "limit", "limit=x": "limit", "stuck=maybe": "stuck", "stuck=": "stuck", "stage=": "stage", "stage=" + "x" * 65: "stage",
       "stage=%01": "stage", "stage=%ff": "stage", "repo=acme": "repo", "repo=a/b/c": "repo", "after=": "after", "after=%20": "after",
       "after=nonsense": "after", "after=" + "1" * 201: "after", "after=1": "after", "q=": "q", "q=" + "x" * 101: "q", "q=%01": "q",
       "limit=x&stuck=x&stage=&repo=x&after=%00x".replace("%00", "%2F"):
       "limit after stuck stage repo"}


@pytest.mark.parametrize("query", BAD)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_value_that_makes_no_sense_is_named(database, sandbox, service, query):
    answer = get(service, f"/reconcile/tasks?{query}", status=400)
    assert [error["field"] for error in answer["errors"]] == BAD[query].split()


def test_a_task_shows_what_a_pass_saw_of_it_last(database, sandbox, service):
    scene(database, sandbox)
    last = lambda: {item["task_id"]: item["last"] for item in get(service, "/reconcile/tasks")["items"]}
    service.run(dry_run=True)
    assert not any(last().values())  # a dry run leaves no trace
    report = {item["task_id"]: item for item in service.run()["items"]}
    seen = last()
    for id in report.keys() & seen.keys():
        assert {name: seen[id][name] for name in ("verdict", "reason", "outcome")} == {
            name: report[id][name] for name in ("verdict", "reason", "outcome")}
    assert [seen[id] for id in (8, 9, 12)] == [None] * 3
    assert seen[2]["outcome"] == "red" and instant(seen[2]["at"]) < instant(seen[2]["next_at"])
    assert seen[1]["outcome"] == "advanced" and seen[1]["next_at"] is None  # at its next stage
    assert explain(service, 2)["last"]["reason"] == seen[2]["reason"]


# ---- the explanation ----


def scene(database, sandbox):
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"}, {"id": 3, "stage": "review"}, {"id": 4, "stage": "deploy"},
         {"id": 5, "stage": "architecture"}, {"id": 6, "stage": "development", "branch": "gone"}, {"id": 7, "stage": "testing", "repo": None},
         {"id": 8, "stage": "development", "age": 60}, {"id": 9, "stage": "development", "job": "queued"}, {"id": 10, "stage": "analysis"},
         {"id": 11, "stage": "created"}, {"id": 12, "stage": "polishing"}, {"id": 13, "stage": "done"})
    sandbox.world({"full_name": "acme/app", "branches": [
        branch("main"), branch("b1", "success", "skipped"), branch("b2", "success", "failure"), branch("b3"), branch("b4"),
        branch("b5", files={"docs/work-items/ORCH-5/06-adr/1.md": "x"}), branch("b8", "success"), branch("b9", "success")],
        "pulls": [pull(1, "b3", review("ann", "APPROVED"), review("bob", "REQUEST_CHANGES")), pull(2, "b4")]})


def test_an_explanation_tells_what_was_seen(database, sandbox, service):
    scene(database, sandbox)
    sha = sandbox.api("repos/acme/app/branches/b2")["commit"]["id"]
    two = explain(service, 2)
    assert two["gate"]["verdict"] == "red" and "ci/1 is failure" in two["gate"]["reason"]
    assert two["gate"]["evidence"][0]["contexts"] == {"ci/0": "success", "ci/1": "failure"}
    assert two["gate"]["evidence"][0]["sha"] == sha and two["gate"]["evidence"][0]["url"].startswith(sandbox.url)
    assert two["gate"]["evidence"][0]["html_url"] == f"{sandbox.url}/gitea/acme/app/commit/{sha}"
    assert two["stuck"] and two["grace_s"] == 600 and two["age_s"] >= 3600 and two["holds"] == [] and two["transitions"] == []
    assert (two["recent_heals"], two["quarantined"], two["replay"]) == (0, False, None)
    assert two["next"] == {"action": "wait", "to_stage": None, "at": two["next"]["at"], "words": f"waits for its gate: {two['gate']['reason']}"}
    assert instant(two["next"]["at"]).timestamp() > time.time()  # when it is looked at again
    assert explain(service, 3)["gate"]["evidence"][0]["reviews"] == {"ann": "approved", "bob": "changes requested"}


def test_an_explanation_says_what_a_pass_does(database, sandbox, service):
    scene(database, sandbox)
    before = dump(database)
    explained = {id: explain(service, id) for id in range(1, 14)}
    assert dump(database) == before  # it writes nothing
    report = {item["task_id"]: item for item in service.run(dry_run=True)["items"]}
    assert set(report) == {id for id in explained if explained[id]["stuck"]} == {1, 2, 3, 4, 5, 6, 7}
    for id, item in report.items():
        assert (explained[id]["gate"]["verdict"], explained[id]["gate"]["reason"]) == (item["verdict"], item["reason"]), id
        assert explained[id]["next"]["to_stage"] == item["to_stage"]
        assert (explained[id]["next"]["action"] == "advance") == (item["outcome"] == "advanced")


def test_an_explanation_says_what_comes_next_and_when(database, sandbox, service):
    scene(database, sandbox)
    now = time.time()
    one = explain(service, 1)["next"]
    assert (one["action"], one["to_stage"]) == ("advance", "review") and "the next pass" in one["words"]
    assert 86400 * 0.8 < instant(one["at"]).timestamp() - now < 86400 * 1.2  # the timer's, out of the way
    unknown = explain(service, 6)["next"]
    assert unknown["action"] == "wait" and "gone" in unknown["words"] and unknown["at"]
    assert explain(service, 7)["gate"]["reason"] == "the task has no repo of the form owner/name"
    assert (explain(service, 8)["gate"]["verdict"], explain(service, 8)["next"]["action"]) == ("green", "advance")
    assert "rested for 600 s" in explain(service, 8)["next"]["words"]
    nine = explain(service, 9)
    assert nine["next"]["action"] == "wait" and nine["job"]["status"] == "queued" and "queued" in nine["next"]["words"]
    assert nine["gate"]["verdict"] == "green"  # seen all the same
    for id, action, word in ((10, "wait", "person"), (11, "wait", "start"), (12, "none", "polishing"), (13, "none", "done")):
        explained = explain(service, id)
        assert explained["gate"] is None and explained["next"]["action"] == action and word in explained["next"]["words"], id


def test_an_explanation_names_who_holds_it(database, sandbox, service):
    scene(database, sandbox)
    until = "2099-01-01T00:00:00Z"
    assert service.put(mode="observe", by="ann", reason="a look first").status == 200
    one = explain(service, 1)
    assert one["holds"] == [{"switch": "mode", "scope": None, "by": "ann", "reason": "a look first", "until": None,
                             "words": "set to observe by ann: a look first"}]
    assert one["next"]["action"] == "hold" and one["next"]["at"] is None and "observe by ann" in one["next"]["words"]
    assert service.put(plane_enabled=False, by="bob").status == 200
    until = datetime.fromtimestamp(int(time.time()) + 7200, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert service.put(enabled=False, by="eve", reason="moving Gitea", until=until).status == 200
    one = explain(service, 1)
    assert [(hold["switch"], hold["by"], hold["until"]) for hold in one["holds"]] == [
        ("enabled", "eve", until), ("plane_enabled", "bob", None), ("mode", "ann", None)]
    assert (one["next"]["action"], one["next"]["to_stage"], one["next"]["at"]) == ("hold", "review", until)
    assert "eve" in one["next"]["words"] and "moving Gitea" in one["next"]["words"]
    assert explain(service, 2)["next"]["action"] == "wait"  # red holds it, whatever the switches
    service.expected_errors = ["the database cannot be asked"]  # should the sweeper look at its settings just now
    database.script("UPDATE reconcile_settings SET revision = revision + 1, overrides = 'no JSON'")
    one = explain(service, 1)
    assert [hold["switch"] for hold in one["holds"]] == ["enabled"] and "not JSON" in one["holds"][0]["words"]
    assert one["next"]["action"] == "hold"
    assert len(ids(get(service, "/reconcile/tasks"))) == 12


def test_an_explanation_tells_of_the_last_transitions_and_of_quarantine(database, sandbox, service):
    scene(database, sandbox)
    for times in range(1, 5):
        database.script(f"UPDATE tasks SET stage = 'development', updated_at = {database.ago(3600)} WHERE id = 1; DELETE FROM jobs WHERE task_id = 1")
        assert service.run(task_id=1)["gate"]["advanced"] == 1
        assert explain(service, 1)["transitions"] == get(service, f"/reconcile/history?task_id=1&limit={times}")["items"]
    database.script(f"UPDATE tasks SET stage = 'development', updated_at = {database.ago(3600)} WHERE id = 1; DELETE FROM jobs WHERE task_id = 1")
    one = explain(service, 1)
    assert (one["recent_heals"], one["quarantined"], one["next"]["action"]) == (4, True, "quarantine")
    assert "4 times in 24 h" in one["next"]["words"]
    assert [moved["to_stage"] for moved in one["transitions"]] == ["review"] * 4


def test_an_explanation_without_gitea_is_unknown_in_words(database, sandbox, make_service):
    service = make_service(ORCH_UPSTREAM_TIMEOUT_S="1").start()
    eventually(lambda: service.status()["last_run_ts"])
    scene(database, sandbox)
    sandbox.fault("/gitea", "hang")
    one = explain(service, 1)
    assert one["gate"]["verdict"] == "unknown" and "timed out" in one["gate"]["reason"]
    assert one["next"]["action"] == "wait" and "timed out" in one["next"]["words"]


@pytest.mark.parametrize("id", ["0", "-1", "abc", "1.5", "99", "9223372036854775807", "9223372036854775808", "1x"])
def test_a_task_that_is_none_is_not_found(database, sandbox, service, id):
    seed(database, {"id": 1, "stage": "done"})
    assert get(service, f"/reconcile/tasks/{id}", status=404)["detail"] == f"there is no task {id}"


# ---- the ledger ----


def test_the_ledger_tells_what_moved_and_why(database, sandbox, service):
    scene(database, sandbox)
    assert get(service, "/reconcile/history") == {"items": [], "next": None}
    report = service.run()
    moved = {item["task_id"]: item for item in report["items"] if item["outcome"] == "advanced"}
    page = get(service, "/reconcile/history")
    assert {item["task_id"] for item in page["items"]} == set(moved) == {1, 5} and page["next"] is None
    one = next(item for item in page["items"] if item["task_id"] == 1)
    assert {name: one[name] for name in ("pass_id", "work_item_id", "repo", "from_stage", "to_stage", "side", "outcome", "agent", "reason")} == {
        "pass_id": report["id"], "work_item_id": "ORCH-1", "repo": "acme/app", "from_stage": "development", "to_stage": "review", "side": "gate",
        "outcome": "advanced", "agent": "reviewer", "reason": moved[1]["reason"]}
    assert one["evidence"][0]["contexts"] == {"ci/0": "success", "ci/1": "skipped"}
    assert abs(instant(one["at"]).timestamp() - time.time()) < 600
    assert ids(get(service, "/reconcile/history?task_id=5")) == [5] and ids(get(service, "/reconcile/history?task_id=2")) == []


def test_the_ledger_comes_in_pages_newest_first(database, sandbox, service):
    seed(database, *[{"id": id, "stage": "development"} for id in range(1, 12)])
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}", "success") for id in range(1, 12)]})
    for id in range(1, 12):
        assert service.run(task_id=id)["gate"]["advanced"] == 1
    seen, target = [], "/reconcile/history?limit=3"
    while target:
        page = get(service, target)
        seen += ids(page)
        target = page["next"] and f"/reconcile/history?limit=3&after={page['next']}"
        if len(seen) == 3:  # what comes meanwhile is on no later page
            database.script(f"UPDATE tasks SET stage = 'development', updated_at = {database.ago(3600)} WHERE id = 5; DELETE FROM jobs WHERE task_id = 5")
            assert service.run(task_id=5)["gate"]["advanced"] == 1
    assert seen == list(range(11, 0, -1))


@pytest.mark.parametrize("query,field", [("limit=0", "limit"), ("after=x", "after"), ("after=0", "after"), ("task_id=", "task_id"), ("task_id=%0a", "task_id")])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_page_of_the_ledger_that_makes_no_sense_is_named(database, sandbox, service, query, field):
    answer = get(service, f"/reconcile/history?{query}", status=400)
    assert [error["field"] for error in answer["errors"]] == [field]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_evidence_that_nobody_of_us_wrote_spoils_no_page(database, sandbox, service):
    scene(database, sandbox)
    service.run()
    database.script("UPDATE reconcile_ledger SET evidence = 'no JSON' WHERE task_id = 1")
    by_id = {item["task_id"]: item for item in get(service, "/reconcile/history")["items"]}
    assert by_id[1]["evidence"] is None and by_id[5]["evidence"]
    json.dumps(by_id)
