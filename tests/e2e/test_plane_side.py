"""Plane's side: what its lost webhooks left behind is found by asking, and replayed once. On either database, from a Plane with its
true paging, budget and habits."""
import concurrent.futures
import contextlib
import datetime
import json
import re
import signal
import time

import pytest

from conftest import ENVIRONMENT, PostgreSQL, Service, call, dump, eventually, reconciled, seed
from plane_world import KEY, Plane, branches, items, jobs, ledger, outcomes, seed_task, stages
from test_database import locked
from test_heal import branch

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def first_pass(service):
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    return service


def newest_report(service):
    return service.call("GET", "/reconcile/runs/" + service.status()["last_pass"]["id"]).json()


def done(database, key):
    """Its job is done, and it has rested for long."""
    number = f"(SELECT id FROM tasks WHERE work_item_id = '{key}')"
    database.script(f"UPDATE jobs SET status = 'done' WHERE task_id = {number}; "
                    f"UPDATE tasks SET updated_at = {database.ago(7200)} WHERE id = {number};")


def but_for_reports(database):
    return {**dump(database), "reconcile_passes": None}


@pytest.fixture
def plane(sandbox):
    return Plane(sandbox)


@pytest.fixture
def start(make_service, plane):
    """A service whose first pass has seen the Plane of the test as it is by then."""
    def make(**settings):
        return first_pass(make_service(**plane.settings(**settings)).start())
    return make


@pytest.fixture
def tables(database):
    assert reconciled("migrate", environment={"ORCH_DATABASE_URL": database.url}).returncode == 0


# ---- what is replayed ----


def test_of_hundreds_of_issues_exactly_the_missed_ones_are_replayed_once(database, sandbox, plane, tables, start):
    missed = plane.generate(350, ages=[4000, 400000], states={"In Progress": 2})
    plane.issues({"number": 1001, "name": "Начать: basket / корзина", "state": "In Progress"},
                 {"number": 1002, "state": "Approved"}, {"number": 1003, "state": "Rejected"},
                 {"number": 1004, "state": "In Progress", "updated_ago": 30},  # young
                 {"number": 1005, "state": "Approved", "updated_ago": 30},
                 {"number": 1006, "state": "Approved"},  # busy
                 {"number": 1007, "state": "In Progress"},  # under way
                 {"number": 1008, "state": "Approved"},  # handled: the task has moved on
                 {"number": 1009, "state": "Rejected"},  # handled: rejected before the task came back to its gate
                 {"number": 1010, "state": "Approved"},  # it was not started
                 {"number": 1011, "state": "In Progress", "archived": True})
    missed = set(missed) | set(plane.generate(350, ages=[700, 3000], states={"In Progress": 2})) | {"ORCH-1001"}
    untouched = {"ORCH-1005": "analysis", "ORCH-1006": "analysis", "ORCH-1007": "review", "ORCH-1008": "development",
                 "ORCH-1009": "analysis"}
    for key in ("ORCH-1002", "ORCH-1003", *untouched):
        seed_task(database, plane, key, untouched.get(key, "analysis"), age=60 if key == "ORCH-1009" else 7200,
                  job="running" if key in ("ORCH-1006", "ORCH-1007") else None)
    service = start()
    found = items(newest_report(service))
    assert {key: item["outcome"] for key, item in found.items()} == {
        "ORCH-1002": "approved", "ORCH-1003": "rejected", **{key: "started" for key in missed}}
    assert all(item["verdict"] == "green" and item["task_id"] and item["reason"].startswith("Plane: ") for item in found.values())
    assert stages(database) == {**untouched, "ORCH-1002": "architecture", "ORCH-1003": "analysis", **{key: "analysis" for key in missed}}
    assert sorted(jobs(database)) == sorted([("ORCH-1006", "analyst"), ("ORCH-1007", "analyst"), ("ORCH-1002", "architect"),
                                             ("ORCH-1003", "analyst"), *[(key, "analyst") for key in missed]])
    assert sorted(ledger(database)) == sorted([("ORCH-1002", "analysis", "architecture", "approved"),
                                               ("ORCH-1003", "analysis", "analysis", "rejected"),
                                               *[(key, "created", "analysis", "started") for key in missed]])
    assert branches(sandbox) == {name for name, key in database.query("SELECT branch, work_item_id FROM tasks") if key in missed}
    assert "feature/ORCH-1001-basket" in branches(sandbox)
    counts = service.status()["last_pass"]["plane"]
    assert (counts["projects"], counts["started"], counts["approved"], counts["rejected"], counts["errors"]) == (1, 5, 1, 1, 0)
    assert counts["issues"] >= 710
    before = but_for_reports(database)
    for _ in range(2):
        assert items(service.run(side="plane")) == {}
    assert but_for_reports(database) == before


def test_an_edit_replays_no_rejection_and_a_second_rejection_is_one(database, plane, tables, start):
    plane.issues({"number": 7, "state": "Rejected"})
    seed_task(database, plane, "ORCH-7", "analysis")
    service = start()
    assert ledger(database) == [("ORCH-7", "analysis", "analysis", "rejected")]
    done(database, "ORCH-7")  # the old verdict is newer than the task now: that it was replayed is known by its activity alone
    plane.change("edit", issue="ORCH-7", name="Another name", ago=1200)
    assert items(service.run(side="plane")) == {}
    plane.change("comment", issue="ORCH-7", ago=1100)
    assert items(service.run(side="plane", ignore_grace=True)) == {}
    plane.state("ORCH-7", "In Progress", ago=1000)
    plane.state("ORCH-7", "Rejected", ago=900)
    assert outcomes(service.run(side="plane")) == {"ORCH-7": "rejected"}
    assert len(ledger(database)) == 2 and jobs(database) == [("ORCH-7", "analyst")] * 2
    done(database, "ORCH-7")
    service.end()
    service.start()  # 7, 14: and a restart makes it no third
    assert items(newest_report(first_pass(service))) == {} and len(ledger(database)) == 2


FORMS = {"as usual": str, "without hyphens": lambda id: id.replace("-", ""), "in upper case": str.upper,
         "in upper case without hyphens": lambda id: id.replace("-", "").upper()}


@pytest.mark.parametrize("form", FORMS)
def test_an_issue_and_its_task_belong_together_however_the_uuid_is_written(database, sandbox, plane, tables, start, form):
    plane.issues({"number": 7, "state": "In Progress"}, {"number": 8, "state": "Approved"}, {"number": 9, "state": "In Progress"})
    seed_task(database, plane, "ORCH-7", "development", job="running")
    seed_task(database, plane, "ORCH-8", "analysis")
    for id, plane_id in database.query("SELECT id, plane_id FROM tasks"):
        database.script(f"UPDATE tasks SET plane_id = '{FORMS[form](plane_id)}', work_item_id = 'OTHER-{id}' WHERE id = {id}")
    service = start()
    assert {key: item["outcome"] for key, item in items(newest_report(service)).items()} == {"OTHER-8": "approved", "ORCH-9": "started"}
    assert sorted(jobs(database)) == [("ORCH-9", "analyst"), ("OTHER-7", "analyst"), ("OTHER-8", "architect")]
    assert database.query("SELECT plane_id FROM tasks WHERE work_item_id = 'ORCH-9'") == [(FORMS[form](plane.id_of("ORCH-9")),)]
    before = but_for_reports(database)
    assert items(service.run(side="plane", ignore_grace=True)) == {} and but_for_reports(database) == before


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("plane_id,outcome", [(None, "raced"), ("a task by hand", "raced"), ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "failed")])
def test_a_start_looks_for_the_task_by_its_work_item_too(database, sandbox, plane, tables, start, plane_id, outcome, dry_run):
    service = start()
    plane.issues({"number": 7, "state": "In Progress"}, {"number": 8, "state": "In Progress"})
    seed_task(database, plane, "ORCH-7", "development", job="running")
    database.script(f"UPDATE tasks SET plane_id = {repr(plane_id) if plane_id else 'NULL'}")
    report = items(service.run(side="plane", dry_run=dry_run))
    assert {key: item["outcome"] for key, item in report.items()} == {"ORCH-7": outcome, "ORCH-8": "started"}
    assert "task 7" in report["ORCH-7"]["reason"]
    assert stages(database) == {"ORCH-7": "development", **({} if dry_run else {"ORCH-8": "analysis"})}
    assert branches(sandbox) == (set() if dry_run else {name for name, in database.query("SELECT branch FROM tasks WHERE id <> 7")})


@on_sqlite
def test_the_ledger_tells_which_activity_was_replayed(database, plane, tables, start):
    plane.issues({"number": 7, "state": "Approved"}, {"number": 8, "state": "In Progress"})
    seed_task(database, plane, "ORCH-7", "analysis")
    start()
    evidence = {key: json.loads(text) for key, text in database.query("SELECT work_item_id, evidence FROM reconcile_ledger")}
    verdict, begun = evidence["ORCH-7"], evidence["ORCH-8"]
    assert (verdict["source"], verdict["issue"], verdict["state"]) == ("plane", plane.id_of("ORCH-7"), "Approved")
    assert verdict["html_url"].endswith(f"/acme/projects/{plane.ids['ORCH']}/issues/{verdict['issue']}")
    assert verdict["activity"] and verdict["changed_at"] and verdict["activity"] != verdict["issue"]
    assert (begun["source"], begun["state"], begun["activity"]) == ("plane", "In Progress", None)
    assert begun["branch"] == {"name": "feature/ORCH-8-issue-8", "base": "main", "made": True}
    assert list(verdict) == ["source", "issue", "html_url", "state", "activity", "changed_at", "updated_at"]
    assert list(begun) == [*verdict, "branch"] and begun["changed_at"] is None and begun["updated_at"]


# ---- what is not written ----


def test_a_dry_run_shows_what_would_be_and_leaves_no_trace(database, sandbox, plane, tables, start):  # 8
    plane.issues({"number": 1, "state": "In Progress"}, {"number": 2, "state": "Approved"}, {"number": 3, "state": "Rejected"})
    for key in ("ORCH-2", "ORCH-3"):
        seed_task(database, plane, key, "analysis")
    service = start(ORCH_RECONCILE_PLANE_ENABLED="false")
    before, status = dump(database), service.status()["plane"]
    expected = {"ORCH-1": "started", "ORCH-2": "approved", "ORCH-3": "rejected"}
    for _ in range(2):
        report = service.run(side="plane", dry_run=True)
        assert outcomes(report) == expected and items(report)["ORCH-1"]["task_id"] is None
        assert (items(report)["ORCH-1"]["to_stage"], items(report)["ORCH-2"]["to_stage"]) == ("analysis", "architecture")
    assert dump(database) == before and branches(sandbox) == set()
    assert service.status()["plane"]["projects"] == status["projects"]
    once = service.command("run", "--dry-run", "--side", "plane")
    assert once.returncode == 0 and outcomes(json.loads(once.stdout)) == expected
    assert dump(database) == before


def test_observing_holds_and_shows_it_until_it_may_heal(database, sandbox, plane, tables, start):
    plane.issues({"number": 1, "state": "In Progress"}, {"number": 2, "state": "Approved"})
    seed_task(database, plane, "ORCH-2", "analysis")
    service = start(ORCH_RECONCILE_MODE="observe")
    before = but_for_reports(database)
    for report in (newest_report(service), service.run(side="plane")):
        assert outcomes(report) == {"ORCH-1": "held", "ORCH-2": "held"}
        assert all("observe" in item["reason"] for item in report["items"]) and report["plane"]["held"] == 2
    assert but_for_reports(database) == before and branches(sandbox) == set()


@on_sqlite
@pytest.mark.parametrize("switch", ["enabled", "plane_enabled"])
def test_a_switch_that_is_off_asks_plane_nothing_and_nothing_is_lost(database, plane, tables, start, switch):  # 12, 13
    service = start()
    assert service.put(**{switch: False, "by": "ann"}).status == 200
    plane.issues({"number": 1, "state": "In Progress"}, {"number": 2, "state": "Approved"})
    seed_task(database, plane, "ORCH-2", "analysis")
    asked = plane.asked("GET /plane/*/work-items/?*")
    refused = service.call("POST", "/reconcile/run", {"side": "plane"})
    assert refused.status == 409 and refused.json()["by"] == "ann"
    if switch == "plane_enabled":
        assert items(service.run(side="both")) == {}
    assert plane.asked("GET /plane/*/work-items/?*") == asked
    assert service.put(**{switch: None}).status == 200
    assert outcomes(service.run(side="both")) == {"ORCH-1": "started", "ORCH-2": "approved"}


@on_sqlite
def test_the_limit_on_heals_goes_to_the_oldest_of_each_project_in_turn(database, sandbox, make_service, tables):  # 21
    plane = Plane(sandbox, "LOUD", "CALM")
    plane.issues(*[{"number": n, "state": "In Progress", "updated_ago": 9000 - n} for n in range(1, 21)], prefix="LOUD")
    plane.issues({"number": 1, "state": "In Progress"}, {"number": 2, "state": "In Progress", "updated_ago": 3000}, prefix="CALM")
    service = first_pass(make_service(**plane.settings(ORCH_RECONCILE_MAX_HEALS_PER_PASS="3")).start())
    assert set(stages(database)) == {"LOUD-1", "CALM-1", "LOUD-2"}
    report = newest_report(service)
    assert report["plane"]["started"] == 3 and report["plane"]["held"] == 19
    assert "limit" in items(report)["LOUD-20"]["reason"]
    for _ in range(7):
        service.run(side="plane")
    assert len(stages(database)) == 22 and set(stages(database).values()) == {"analysis"}


@on_sqlite
def test_one_task_may_be_asked_for_alone(database, plane, tables, start):
    plane.issues(*[{"number": n, "state": "Approved", "updated_ago": 5} for n in (1, 2)], {"number": 3, "state": "In Progress", "updated_ago": 5})
    for key in ("ORCH-1", "ORCH-2"):
        seed_task(database, plane, key, "analysis")
    service = start()
    assert items(service.run(side="plane", task_id=1)) == {}
    assert outcomes(service.run(side="plane", task_id=1, ignore_grace=True)) == {"ORCH-1": "approved"}
    assert stages(database) == {"ORCH-1": "architecture", "ORCH-2": "analysis"}
    assert outcomes(service.run(side="plane", ignore_grace=True)) == {"ORCH-2": "approved", "ORCH-3": "started"}


# ---- starts ----


@contextlib.contextmanager
def nobody_writes(database):
    """Readers go on; a writer waits for a lock."""
    if database.kind == "sqlite":
        with locked(database):
            yield
    else:
        with contextlib.closing(PostgreSQL(database.server)) as session:
            session.script("BEGIN; LOCK TABLE tasks, jobs IN EXCLUSIVE MODE")
            yield


def kill_before_the_task(database, sandbox, plane, service):
    with nobody_writes(database):
        lists = plane.asked("GET /plane/*/work-items/?*")
        service.begin(side="plane")
        eventually(lambda: plane.asked("GET /plane/*/work-items/?*") > lists, "the list")
        service.end(signal.SIGKILL)


def kill_before_the_branch(database, sandbox, plane, service):
    sandbox.fault("/gitea/*/branches", "hang", method="POST")
    service.begin(side="plane")
    sandbox.hanging(1)
    service.end(signal.SIGKILL)


def kill_after_the_branch(database, sandbox, plane, service):
    sandbox.fault("/gitea/*/branches", "drip", method="POST", bytes=1, ms=60000)
    service.begin(side="plane")
    eventually(lambda: branches(sandbox), "the branch")
    service.end(signal.SIGKILL)


def kill_in_the_transition(database, sandbox, plane, service):
    sandbox.fault("/gitea/*/branches", "hang", method="POST")
    service.begin(side="plane")
    sandbox.hanging(1)
    with nobody_writes(database):
        sandbox.heal()
        eventually(lambda: branches(sandbox), "the branch")
        service.end(signal.SIGKILL)


@pytest.mark.parametrize("kill", [kill_before_the_task, kill_before_the_branch, kill_after_the_branch, kill_in_the_transition])
def test_a_start_that_is_killed_at_any_step_is_finished_by_a_later_pass(database, sandbox, plane, start, kill):  # 7
    service = start()
    plane.issues({"number": 1, "state": "In Progress", "name": "Once and only once"})
    kill(database, sandbox, plane, service)
    sandbox.heal()
    assert stages(database) == ({} if kill == kill_before_the_task else {"ORCH-1": "created"}) and jobs(database) == []
    first_pass(service.start())
    assert items(newest_report(service)) == {} or kill == kill_before_the_task  # a task that was made must rest first
    service.run(side="plane", ignore_grace=True)
    assert stages(database) == {"ORCH-1": "analysis"} and jobs(database) == [("ORCH-1", "analyst")]
    assert branches(sandbox) == {"feature/ORCH-1-once-and-only-once"}
    assert ledger(database) == [("ORCH-1", "created", "analysis", "started")]
    assert items(service.run(side="plane", ignore_grace=True)) == {}


def test_starts_that_race_make_one_task_one_branch_and_one_job_each(postgresql, sandbox, tmp_path):  # 17
    """Four replicas and a late webhook, a hundred issues, twenty times over."""
    plane, webhook, raced = Plane(sandbox), PostgreSQL(postgresql.server), 0
    settings = {**ENVIRONMENT, **plane.settings(), "ORCH_DATABASE_URL": postgresql.url, "ORCH_HTTP_LISTEN": "127.0.0.1:0",
                "ORCH_GITEA_URL": sandbox.url + "/gitea", "ORCH_RECONCILE_INTERVAL_S": "86400"}
    replicas = [first_pass(Service(settings, tmp_path / f"replica{n}.log").start()) for n in range(4)]
    racer = concurrent.futures.ThreadPoolExecutor(5)
    try:
        for round in range(20):
            sandbox.control("POST", "reset")
            Plane(sandbox)
            first = 100 * round + 1
            plane.issues(*[{"number": n, "state": "In Progress"} for n in range(first, first + 100)])
            ids = {n: plane.id_of(f"ORCH-{n}") for n in range(first, first + 100, 5)}
            passes = [racer.submit(replica.run, side="plane") for replica in replicas]
            late = racer.submit(lambda: [webhook.script(
                "INSERT INTO tasks (plane_id, work_item_id, title, repo, branch, stage) VALUES "
                f"('{id}', 'ORCH-{n}', 'late', 'acme/app', 'feature/ORCH-{n}-issue-{n}', 'created') ON CONFLICT DO NOTHING") for n, id in ids.items()])
            late.result()
            reports = [each.result() for each in passes]
            reports.append(replicas[round % 4].run(side="plane", ignore_grace=True))  # the webhook's own starts are finished too
            assert all(report["plane"]["failed"] == report["plane"]["errors"] == 0 for report in reports)
            assert set(stages(postgresql).values()) == {"analysis"} and len(branches(sandbox)) == 100
            raced += sum(report["plane"]["raced"] for report in reports)
        for table, key in [("tasks", "plane_id"), ("jobs", "task_id"), ("reconcile_ledger", "task_id")]:
            assert postgresql.query(f"SELECT count(*) AS n, count(DISTINCT {key}) AS different FROM {table}") == [(2000, 2000)]
        assert raced > 0
    finally:
        webhook.close()
        for replica in replicas:
            replica.end()


def test_of_two_replicas_one_asks_plane_until_it_ends(postgresql, sandbox, tmp_path):
    plane = Plane(sandbox)
    settings = {**ENVIRONMENT, **plane.settings(), "ORCH_DATABASE_URL": postgresql.url, "ORCH_HTTP_LISTEN": "127.0.0.1:0",
                "ORCH_GITEA_URL": sandbox.url + "/gitea", "ORCH_RECONCILE_INTERVAL_S": "1"}
    replicas = [first_pass(Service(settings, tmp_path / f"replica{n}.log").start()) for n in range(2)]
    try:
        elsewhere = [replica.status()["plane"]["elsewhere"] for replica in replicas]
        assert sorted(elsewhere) == [False, True]
        asking, idle = replicas[elsewhere.index(False)], replicas[elsewhere.index(True)]
        plane.issues({"number": 1, "state": "In Progress"})
        eventually(lambda: stages(postgresql) == {"ORCH-1": "analysis"}, "the start")
        last = idle.status()["last_pass"]["id"]
        eventually(lambda: idle.status()["last_pass"]["id"] != last, "another pass of the idle one")
        status = idle.status()["plane"]
        assert status["elsewhere"] and status["projects"][0] == {**status["projects"][0], "listing": "full", "pages_read": 0}
        plane.issues({"number": 2, "state": "In Progress"})
        assert outcomes(idle.run(side="plane")) in ({"ORCH-2": "started"}, {"ORCH-2": "raced"}, {})  # a forced pass asks no lease
        assert idle.status()["plane"]["projects"][0]["listing"] == "incremental"
        assert asking.end() == 0
        plane.issues({"number": 3, "state": "In Progress"})
        eventually(lambda: stages(postgresql).get("ORCH-3") == "analysis", "the other's turn")
        eventually(lambda: idle.status()["plane"]["elsewhere"] is False, "the status to show it")
    finally:
        for replica in replicas:
            if replica.process.poll() is None:
                replica.end()


# ---- Plane breaks ----


BROKEN = {"down": lambda plane: plane.sandbox.fault("/plane/*", "close"),
          "slow": lambda plane: plane.sandbox.fault("/plane/*", "hang"),
          "HTML": lambda plane: plane.sandbox.fault("/plane/*", "status", status=502, html="<h1>Bad Gateway</h1>"),
          "cut": lambda plane: plane.sandbox.fault("/plane/*", "cut", bytes=40),
          "garbage": lambda plane: plane.sandbox.fault("/plane/*", "garbage"),
          "key revoked": lambda plane: plane.change("revoke_key", key=KEY),
          "project deleted": lambda plane: plane.change("project", project="ORCH", deleted=True)}
WORDS = {"down": "lost|connect", "slow": "timed out after", "HTML": "502", "cut": "lost in the middle", "garbage": "JSON",
         "key revoked": "API key", "project deleted": "403"}


@pytest.mark.parametrize("how", BROKEN)
@on_sqlite
def test_a_plane_that_breaks_is_named_and_the_gates_go_on_and_nothing_is_lost(database, sandbox, plane, tables, start, how):  # 9, 16
    plane.issues({"number": 1, "state": "Backlog"}, {"number": 2, "state": "In Progress"})
    seed(database, *[{"id": id, "stage": "development"} for id in (11, 12)])
    sandbox.world({"full_name": "acme/gate", "branches": [branch("b11", "success"), branch("b12", "success")]})
    database.script("UPDATE tasks SET repo = 'acme/gate'")
    service = start(ORCH_UPSTREAM_TIMEOUT_S="1")
    assert stages(database)["ORCH-2"] == "analysis"
    BROKEN[how](plane)
    plane.state("ORCH-1", "In Progress")
    for id in (21, 22):
        seed(database, {"id": id, "stage": "development", "repo": "acme/gate", "branch": "b11"})
        report = service.run(side="both")
        assert stages(database)[f"ORCH-{id}"] == "review" and report["state"] == "done"
        assert report["plane"]["errors"] == 1 and report["plane"]["started"] == 0
    status = service.status()
    for words in (status["upstreams"]["plane"]["error"], status["plane"]["projects"][0]["error"]):
        assert re.search(WORDS[how], words) and KEY not in words and "<" not in words
    assert status["upstreams"]["plane"]["ok"] is False and status["upstreams"]["plane"]["since"]
    assert service.call("GET", "/healthz").status == 200 and service.call("GET", "/readyz").status == 200
    sandbox.heal()
    if how == "key revoked":
        plane.change("revoke_key", key=KEY, revoked=False)
    if how == "project deleted":
        plane.change("project", project="ORCH", deleted=False)
    assert outcomes(service.run(side="both")) == {"ORCH-1": "started"}
    status = service.status()
    assert status["upstreams"]["plane"] == {"ok": True} and status["plane"]["projects"][0]["error"] is None
    assert len(service.logged("Plane can be read again")) == len(service.logged("Plane cannot be read")) == 1


BROKEN_ISSUE = {"500": {"kind": "status", "status": 500, "json": {"error": "Something went wrong please try again later"}},
                "HTML": {"kind": "status", "status": 502, "html": "<h1>Bad Gateway</h1>"}, "hang": {"kind": "hang"},
                "hang-up": {"kind": "close"}, "cut": {"kind": "cut", "bytes": 40}, "drip": {"kind": "drip", "bytes": 1, "ms": 200}}


def approvals(database, plane, *numbers, prefix="ORCH", base=0):
    plane.issues(*[{"number": n, "state": "Approved", "updated_ago": 9000 - n} for n in numbers], prefix=prefix)
    for n in numbers:
        seed_task(database, plane, f"{prefix}-{n}", "analysis", age=10000, id=base + n)


def approved(database):
    return {key for key, stage in stages(database).items() if stage == "architecture"}


@on_sqlite
@pytest.mark.parametrize("how", BROKEN_ISSUE)
def test_one_issue_that_fails_delays_no_other(database, sandbox, make_service, tables, how):
    plane = Plane(sandbox, "ORCH", "SHOP")
    approvals(database, plane, 1, 2, 3)
    approvals(database, plane, 1, 2, prefix="SHOP", base=100)
    fault = BROKEN_ISSUE[how]
    sandbox.fault(f"/plane/*/{plane.id_of('ORCH-1')}/activities/", fault["kind"], **{k: v for k, v in fault.items() if k != "kind"})
    service = first_pass(make_service(**plane.settings(ORCH_UPSTREAM_TIMEOUT_S="1")).start())
    report = newest_report(service)
    assert outcomes(report) == {"ORCH-1": "unknown", **{key: "approved" for key in ("ORCH-2", "ORCH-3", "SHOP-1", "SHOP-2")}}
    assert "activities of issue" in items(report)["ORCH-1"]["reason"] and "<" not in items(report)["ORCH-1"]["reason"]
    assert report["plane"]["errors"] == 0 and service.status()["plane"]["projects"][0]["error"] is None
    assert outcomes(service.run(side="plane")) == {"ORCH-1": "unknown"}
    sandbox.heal()
    assert outcomes(service.run(side="plane")) == {"ORCH-1": "approved"}


@on_sqlite
def test_an_issue_that_fails_backs_off_by_itself_and_is_healed_by_the_timer(database, sandbox, plane, tables, start):
    approvals(database, plane, 1)
    like = f"/plane/*/{plane.id_of('ORCH-1')}/activities/"
    sandbox.fault(like, "status", status=500)
    service = start(ORCH_RECONCILE_INTERVAL_S="5")
    eventually(lambda: plane.asked(f"GET {like}*") >= 2, "another try", deadline_s=60)
    sandbox.heal()
    eventually(lambda: approved(database) == {"ORCH-1"}, "the approval", deadline_s=90)


@on_sqlite
def test_issues_that_hang_leave_the_healthy_ones_their_turn(database, sandbox, plane, tables, start):
    approvals(database, plane, *range(1, 10))
    for n in range(1, 6):  # the oldest
        sandbox.fault(f"/plane/*/{plane.id_of(f'ORCH-{n}')}/activities/", "hang")
    service = start(ORCH_UPSTREAM_TIMEOUT_S="1")
    assert approved(database) == {f"ORCH-{n}" for n in range(6, 10)}
    assert service.status()["plane"]["projects"][0]["error"] is None


@on_sqlite
@pytest.mark.parametrize("call", ["states/", "*-items/", "*"])
def test_a_project_that_breaks_delays_no_other(database, sandbox, make_service, tables, call):
    plane = Plane(sandbox, "BAD", "ORCH", "SHOP")
    for at, prefix in enumerate(plane.prefixes):
        approvals(database, plane, 1, 2, prefix=prefix, base=100 * at)
    sandbox.fault(f"/plane/*/{plane.ids['BAD']}/{call}", "status", status=500)
    service = first_pass(make_service(**plane.settings(ORCH_RECONCILE_INTERVAL_S="5")).start())
    assert approved(database) == {"ORCH-1", "ORCH-2", "SHOP-1", "SHOP-2"}
    status = service.status()
    assert [bool(project["error"]) for project in status["plane"]["projects"]] == [True, False, False]
    assert status["upstreams"]["plane"]["ok"] is True
    sandbox.heal()
    eventually(lambda: len(approved(database)) == 6, "the last project", deadline_s=90)


@on_sqlite
def test_a_plane_that_is_down_is_asked_four_things_a_pass_and_found_up_by_the_next(database, sandbox, make_service, tables):
    plane = Plane(sandbox, *[f"P{n}" for n in range(6)])
    service = first_pass(make_service(**plane.settings(ORCH_UPSTREAM_TIMEOUT_S="1")).start())
    assert service.status()["upstreams"]["plane"] == {"ok": True}
    for at, prefix in enumerate(plane.prefixes):
        approvals(database, plane, 1, prefix=prefix, base=100 * at)
    sandbox.fault("/plane/*", "hang")
    assert service.run(side="plane")["plane"]["errors"] == 6
    for _ in range(2):
        asked = plane.asked()
        report = service.run(side="plane")
        assert plane.asked() - asked == 4 and report["plane"]["errors"] == 6 and report["duration_ms"] < 30000
    status = service.status()
    assert status["upstreams"]["plane"]["ok"] is False and "timed out" in status["upstreams"]["plane"]["error"]
    assert all("down" in project["error"] or "timed out" in project["error"] for project in status["plane"]["projects"])
    sandbox.heal()
    report = service.run(side="plane")
    assert len(approved(database)) == 6 and report["plane"]["errors"] == 0
    assert service.status()["upstreams"]["plane"] == {"ok": True}


ODD_ROWS = {"bad id": {"id": "seven"}, "no id": {"id": None}, "negative number": {"sequence_id": -7}, "number as text": {"sequence_id": "7"},
            "no number": {"sequence_id": None}, "of another project": {"project": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
            "bad time": {"updated_at": "yesterday"}, "no time": {"updated_at": None}, "bad state": {"state": "Approved"}}


@on_sqlite
@pytest.mark.parametrize("odd", ODD_ROWS)
def test_a_row_that_makes_no_sense_costs_only_itself(database, sandbox, plane, tables, start, odd):
    plane.issues({"number": 6, "state": "In Progress"}, {"number": 7, "state": "In Progress", "updated_ago": 3000},
                 {"number": 8, "state": "In Progress"})
    listing = f"/plane/api/v1/workspaces/acme/projects/{plane.ids['ORCH']}/work-items/"
    page = call(sandbox.address, "GET", listing + "?order_by=-updated_at&per_page=100", headers={"X-Api-Key": KEY}).json()
    row = next(row for row in page["results"] if row["sequence_id"] == 7)
    row.update(ODD_ROWS[odd])
    sandbox.fault(listing, "status", status=200, json=page)
    service = start()
    assert {key: item["outcome"] for key, item in items(newest_report(service)).items()} == {"ORCH-6": "started", "ORCH-8": "started"}
    for report in (newest_report(service), service.run(side="plane")):
        assert (report["plane"]["unreadable"], report["plane"]["errors"]) == (1, 0)
    project = service.status()["plane"]["projects"][0]
    assert project["error"] is None and project["unreadable"]["count"] == 1 and "an issue " in project["unreadable"]["error"]
    logged = service.logged("an issue in Plane cannot be read and is skipped")
    assert len(logged) == 1 and project["unreadable"]["error"].split(": ")[-1] in logged[0]
    sandbox.heal()
    plane.change("edit", issue="ORCH-7", name="Another name", ago=1200)
    report = service.run(side="plane")
    assert outcomes(report) == {"ORCH-7": "started"}
    if row["id"] == plane.id_of("ORCH-7"):
        assert report["plane"]["unreadable"] == 0


@on_sqlite
def test_a_verdict_is_found_below_two_thousand_activities(database, sandbox, plane, tables, start):
    plane.issues({"number": 7, "state": "Todo", "state_ago": 20000, "updated_ago": 19990})
    seed_task(database, plane, "ORCH-7", "analysis", age=10000)
    plane.state("ORCH-7", "Approved", ago=9000)
    sandbox.control("POST", "plane/change", [{"issue": "ORCH-7", "do": "edit", "name": f"Name {n}", "ago": 8000 - n} for n in range(2000)])
    asked = plane.asked("GET *activities*")
    service = start()
    assert outcomes(newest_report(service)) == {"ORCH-7": "approved"}
    assert plane.asked("GET *activities*") - asked == 21 and stages(database) == {"ORCH-7": "architecture"}


def test_what_an_old_plane_does_not_record_is_named_and_settled_by_nothing_older(database, sandbox, tables, make_service):
    plane = Plane(sandbox, version="0.26.1")
    plane.issues({"number": 1, "state": "Todo"}, {"number": 2, "state": "Approved", "state_ago": 9000},
                 {"number": 3, "state": "Todo"}, {"number": 4, "state": "Todo"}, {"number": 5, "state": "Rejected", "state_ago": 9000, "updated_ago": 8990})
    for id, key in enumerate(("ORCH-1", "ORCH-2", "ORCH-3", "ORCH-5"), 101):
        seed_task(database, plane, key, "analysis", id=id)
    plane.state("ORCH-1", "Approved", by="api")
    plane.state("ORCH-2", "Todo", ago=5000, by="api")
    plane.state("ORCH-2", "Approved", by="api")  # of which the change 9000 s ago seems to be the last
    plane.state("ORCH-3", "Approved")
    plane.state("ORCH-4", "In Progress", by="api")
    service = first_pass(make_service(**plane.settings()).start())
    assert {key: item["outcome"] for key, item in items(newest_report(service)).items()} == {
        "ORCH-1": "unknown", "ORCH-2": "unknown", "ORCH-3": "approved", "ORCH-4": "started"}
    why = service.status()["plane"]["unrecorded"]
    assert "records no change of state made with an API key" in why
    for id in (101, 102):
        assert service.call("GET", f"/reconcile/tasks/{id}").json()["next"]["words"] == f"its issue is Approved, but {why}"
    service.run(side="plane")
    assert stages(database)["ORCH-1"] == stages(database)["ORCH-2"] == "analysis"
    assert len(service.logged("Plane does not record all verdicts")) == 1
    plane.state("ORCH-2", "Todo", ago=1300)
    plane.state("ORCH-2", "Approved", ago=1200)  # now on the web
    assert outcomes(service.run(side="plane"))["ORCH-2"] == "approved"


# ---- Plane's budget ----


@on_sqlite
def test_sixty_calls_a_minute_heal_everything_and_leave_a_forced_run_its_share(database, sandbox, make_service, tables):
    """35 calls show 3,000 issues, 40 find which changes the verdicts are: what the first minute cannot do the next does."""
    plane = Plane(sandbox, "AAA", "BBB", "CCC", "DDD", "EEE", limit=60)
    wanted = {}
    for prefix in plane.prefixes:
        made = plane.generate(600, prefix=prefix, ages=[700, 90000], states={"In Progress": 4, "Approved": 4, "Rejected": 4})
        wanted.update({key: "architecture" if state == "Approved" else "analysis" for key, state in made.items()})
        for at, (key, state) in enumerate(made.items()):
            if state != "In Progress":
                seed_task(database, plane, key, "analysis", age=100000, id=len(wanted) * 100 + at)
    plane.forget_calls()
    service = first_pass(make_service(**plane.settings(ORCH_RECONCILE_INTERVAL_S="2")).start())
    first = newest_report(service)
    assert first["plane"]["issues"] == 3000 and first["plane"]["started"] == 20
    assert first["plane"]["approved"] + first["plane"]["rejected"] == 15
    assert eventually(lambda: service.status()["plane"]["waiting"]) >= 25 and service.status()["plane"]["budget"]["left"] == 0
    forced = service.run(side="plane")
    assert forced["plane"]["approved"] + forced["plane"]["rejected"] == 5 and forced["plane"]["projects"] == 5
    eventually(lambda: service.status()["unblocked_total"] == 60, "the next minute", deadline_s=150)
    assert stages(database) == wanted
    counters = plane.counters()
    assert counters["refused"] == 0 and counters["refused_again"] == 0, counters
    status = eventually(lambda: (now := service.status())["plane"]["waiting"] == 0 and now)
    assert [project["error"] for project in status["plane"]["projects"]] == [None] * 5


@on_sqlite
def test_a_plane_that_takes_no_more_calls_is_no_silent_success(database, sandbox, tables):
    """Three calls a minute: two are gone, the third shows the states of a project and no issue, and what follows is refused."""
    plane = Plane(sandbox, "ORCH", "TWO", limit=3)
    plane.issues({"number": 7, "state": "In Progress"})
    environment = {"ORCH_DATABASE_URL": database.url, "ORCH_GITEA_URL": sandbox.url + "/gitea", **plane.settings()}
    for _ in range(2):
        plane.id_of("ORCH-7")
    for said in ("used up, for 61 s more", "(429: RATE_LIMIT_EXCEEDED)", "(429: RATE_LIMIT_EXCEEDED)"):
        done = reconciled("run", "--side", "plane", environment=environment)
        waiting = json.loads(done.stdout)["plane"]["waiting"]
        assert done.returncode == 1 and (waiting["projects"], waiting["issues"]) == (2, 0)
        assert 0 < waiting["seconds"] <= 61 and said in waiting["reason"] and f" {waiting['seconds']} s" in waiting["reason"]
        assert f"reconciled: Plane was not read to the end: 2 projects and 0 issues wait ({waiting['reason']})" in done.stderr
        assert 'msg="Plane is not read to the end"' in done.stderr
    checked = reconciled("check", environment=environment)
    assert checked.returncode == 1 and re.search(r"plane +BAD: .*\(429: .*; it takes calls again in \d+ s\n", checked.stdout)


@on_sqlite
@pytest.mark.parametrize("limit", [5, 10, 30])
def test_a_lower_limit_is_shown_and_leaves_the_timer_enough(database, sandbox, make_service, tables, limit):
    plane = Plane(sandbox, limit=limit)
    plane.issues({"number": 7, "state": "In Progress"})
    plane.forget_calls()
    service = first_pass(make_service(**plane.settings()).start())
    assert outcomes(newest_report(service)) == {"ORCH-7": "started"}
    budget = service.status()["plane"]["budget"]
    assert budget["limit"] == limit and 0 < budget["reserve"] <= limit * 2 // 3
    metrics = service.call("GET", "/metrics").body.decode()
    assert f"\nreconciled_plane_budget_limit {limit}\n" in metrics


@on_sqlite
def test_a_service_logs_once_that_plane_takes_no_more_calls(database, sandbox, make_service, tables):
    plane = Plane(sandbox, "ORCH", "TWO", limit=60)
    plane.issues({"number": 7, "state": "In Progress"})
    sandbox.fault("/plane/*", "429", retry_after=600)
    service = first_pass(make_service(**plane.settings()).start())
    for _ in range(3):
        waiting = service.run(side="plane")["plane"]["waiting"]
        assert waiting["projects"] == 2 and 500 < waiting["seconds"] <= 601
    assert len(service.logged("Plane is not read to the end")) == 1
    assert not re.search("Plane is read to the end again", service.log.read_text())


# ---- more of what may happen ----


@on_sqlite
def test_check_names_what_is_wrong_with_plane(plane, make_service, tables):
    service = make_service(**plane.settings())

    def line():
        done = service.command("check")
        found = next(line for line in done.stdout.splitlines() if line.startswith("plane"))
        assert (done.returncode == 0) == (" ok" in found)
        return found

    service.log.touch()
    assert line().split() == ["plane", "ok"]
    plane.change("rename_state", project="ORCH", state="Approved", name="Fine")
    assert 'acme/app: Plane\'s project has no state "Approved"' in line()
    service.environment["ORCH_PLANE_WORKSPACE"] = "acne"
    assert "BAD" in line() and "is ORCH_PLANE_WORKSPACE right" in line()
    service.environment["ORCH_PLANE_WORKSPACE"] = "acme"
    plane.change("revoke_key", key=KEY)
    assert "BAD" in line() and "API key" in line() and KEY not in line()


@on_sqlite
def test_a_branch_that_is_there_is_fine_and_one_that_cannot_be_made_is_told_and_made_later(database, sandbox, plane, tables, start):
    plane.issues({"number": 1, "state": "In Progress"}, {"number": 2, "state": "In Progress"})
    sandbox.change(do="push", branch="feature/ORCH-1-issue-1")
    sandbox.fault("/gitea/*/branches", "status", method="POST", status=500, json={"message": ""})
    service = start()
    first = newest_report(service)
    assert outcomes(first) == {"ORCH-1": "started", "ORCH-2": "failed"} and "Gitea" in items(first)["ORCH-2"]["reason"]
    assert stages(database) == {"ORCH-1": "analysis", "ORCH-2": "created"}
    assert outcomes(service.run(side="plane")) == {"ORCH-2": "failed"}  # at once: what this process began need not rest
    assert outcomes(service.run(side="plane", ignore_grace=True)) == {"ORCH-2": "failed"}
    sandbox.heal()
    assert outcomes(service.run(side="plane")) == {"ORCH-2": "started"}
    assert "interrupted" in items(newest_report(service))["ORCH-2"]["reason"]
    assert branches(sandbox) == {"feature/ORCH-1-issue-1", "feature/ORCH-2-issue-2"}


def test_several_projects_of_plane_may_have_one_repository(database, sandbox, make_service, tables):
    plane = Plane(sandbox, "ORCH", "ЗАДАЧИ")
    projects = [{"repo": repo, "plane_project_id": plane.ids[prefix], "prefix": prefix, "base_branch": base}
                for prefix, repo, base in (("ORCH", "acme/app", "main"), ("ЗАДАЧИ", "Acme/App", "next"))]
    sandbox.change(do="push", branch="next")
    for prefix in plane.prefixes:
        id, ago = 10 + len(prefix), database.ago(7200)
        plane_id = f"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a{id}"
        plane.issues({"number": 1, "state": "In Progress"}, {"number": 2, "id": plane_id, "state": "Approved"}, prefix=prefix)
        database.script("INSERT INTO tasks (id, plane_id, work_item_id, repo, branch, stage, created_at, updated_at) VALUES "
                        f"({id}, '{plane_id}', '{prefix}-2', 'acme/app', 'b{id}', 'analysis', {ago}, {ago});")
    service = first_pass(make_service(**plane.settings(ORCH_PROJECTS_JSON=json.dumps(projects))).start())
    for id, in database.query("SELECT id FROM tasks WHERE work_item_id LIKE '%-2'"):
        assert service.call("GET", f"/reconcile/tasks/{id}").status == 200
    assert stages(database) == {"ORCH-1": "analysis", "ORCH-2": "architecture", "ЗАДАЧИ-1": "analysis", "ЗАДАЧИ-2": "architecture"}
    assert branches(sandbox) == {"next", "feature/ORCH-1-issue-1", "feature/ЗАДАЧИ-1-issue-1"}


@pytest.mark.parametrize("together", [True, False])
def test_a_branch_belongs_to_one_task(database, sandbox, plane, tables, start, together):
    twins = [{"number": 1, "id": f"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1{n}", "name": "the basket", "state": "In Progress",
              "twin": True} for n in (1, 2)]
    plane.issues(*twins[:2 if together else 1], {"number": 2, "state": "In Progress"})
    service = start()
    if not together:
        plane.issues({**twins[1], "updated_ago": 1})
        assert [item["outcome"] for item in service.run(side="plane", ignore_grace=True, dry_run=True)["items"]] == ["failed"]
        service.run(side="plane", ignore_grace=True)
    found = [item for id in service.call("GET", "/reconcile/runs").json()["items"]
             for item in service.call("GET", f"/reconcile/runs/{id['id']}").json()["items"] if item["work_item_id"] == "ORCH-1"]
    assert {item["outcome"] for item in found} == {"started", "failed"}
    assert sorted(jobs(database)) == [("ORCH-1", "analyst"), ("ORCH-2", "analyst")]
    assert branches(sandbox) == {"feature/ORCH-1-the-basket", "feature/ORCH-2-issue-2"}


def test_a_branch_of_a_task_of_another_item_is_not_shared(database, sandbox, plane, tables, start):
    plane.issues({"number": 1, "state": "In Progress"}, {"number": 2, "state": "In Progress"})
    old = database.ago(7200)
    for id, stage, repo, branch in (7, "done", "Acme/App", "feature/ORCH-1-issue-1"), (8, "created", "acme/app", "feature/ORCH-1-issue-1"):
        database.script(f"INSERT INTO tasks (id, work_item_id, repo, branch, stage, created_at, updated_at) VALUES "
                        f"({id}, 'OTHER-{id}', '{repo}', '{branch}', '{stage}', {old}, {old});")
    service = start()
    for dry_run in True, False:
        report = items(newest_report(service) if not dry_run else service.run(side="plane", dry_run=True, ignore_grace=True))
        assert {key: report[key]["outcome"] for key in ("ORCH-1", "OTHER-8")} == {"ORCH-1": "failed", "OTHER-8": "failed"}
        assert "task 7" in report["OTHER-8"]["reason"] and re.search("task [78]", report["ORCH-1"]["reason"])
    assert stages(database) == {"OTHER-7": "done", "OTHER-8": "created", "ORCH-2": "analysis"}
    following = service.call("GET", "/reconcile/tasks/8").json()["next"]
    assert following["action"] != "start" and "belongs to task 7" in following["words"]


@on_sqlite
@pytest.mark.parametrize("how", ["status", "hang"])
def test_a_branch_that_cannot_be_made_is_shown_and_tried_again_soon(database, sandbox, plane, tables, start, how):
    plane.issues({"number": 1, "state": "In Progress"})
    more = {"status": 500, "json": {"message": ""}} if how == "status" else {}
    sandbox.fault("/gitea/*/branches", how, method="POST", **more)
    service = start(ORCH_UPSTREAM_TIMEOUT_S="1")
    assert outcomes(newest_report(service)) == {"ORCH-1": "failed"} and stages(database) == {"ORCH-1": "created"}
    shown = service.status()["plane"]["interrupted_starts"]
    assert shown["count"] == 1 and "Gitea" in shown["error"]
    (id,) = database.query("SELECT id FROM tasks")[0]
    following = service.call("GET", f"/reconcile/tasks/{id}").json()["next"]
    assert following["action"] == "start" and "failed 1 time" in following["words"] and "Gitea" in following["words"]
    sandbox.heal()
    assert service.put(interval_s=5).status == 200  # the first pause is over long before the grace of ten minutes
    eventually(lambda: stages(database) == {"ORCH-1": "analysis"}, "the start", deadline_s=60)
    eventually(lambda: service.status()["plane"]["interrupted_starts"] == {"count": 0, "error": None}, "the status")
    assert branches(sandbox) == {"feature/ORCH-1-issue-1"} and jobs(database) == [("ORCH-1", "analyst")]


@on_sqlite
def test_what_moves_while_pages_are_read_is_not_missed(database, plane, tables, start):
    plane.generate(420, ages=[10000, 500000])
    plane.issues(*[{"number": n, "state": "In Progress", "updated_ago": 100000 + n} for n in range(1001, 1021)])
    plane.later(2, {"do": "delete", "issues": [f"ORCH-{n}" for n in range(400, 412)]}, {"do": "edit", "issues": ["ORCH-1", "ORCH-2"]})
    plane.later(3, {"do": "archive", "issues": [f"ORCH-{n}" for n in range(380, 390)]})
    service = start()
    service.run(side="plane")
    assert set(stages(database)) == {f"ORCH-{n}" for n in range(1001, 1021)} and plane.counters()["later_failed"] == 0


@on_sqlite
def test_an_issue_that_is_gone_when_its_time_comes_is_not_started(database, plane, tables, start):  # 10
    plane.issues(*[{"number": n, "state": "In Progress", "state_ago": 300, "updated_ago": 300} for n in range(1, 6)])
    service = start()
    plane.change("delete", issue="ORCH-1")
    plane.change("archive", issue="ORCH-2", ago=200)
    plane.state("ORCH-3", "Backlog", ago=200)
    plane.generate(150, ages=[10, 150])  # the kept issues lie far below the watermark
    assert items(service.run(side="plane")) == {} and stages(database) == {}
    assert outcomes(service.run(side="plane", ignore_grace=True)) == {"ORCH-4": "started", "ORCH-5": "started"}
    assert stages(database) == {"ORCH-4": "analysis", "ORCH-5": "analysis"}


@on_sqlite
def test_a_verdict_without_an_activity_is_waited_for(database, plane, tables, start):  # 9
    plane.sandbox.control("POST", "plane", {"projects": [{"identifier": "ORCH", "issues": [
        {"number": 1, "state": "Approved", "updated_ago": 3000}]}]})  # made in that column: no activity has the time
    seed_task(database, plane, "ORCH-1", "analysis")
    service = start()
    report = service.run(side="plane")
    assert outcomes(report) == {"ORCH-1": "unknown"} and items(report)["ORCH-1"]["verdict"] == "unknown"
    assert stages(database) == {"ORCH-1": "analysis"} and ledger(database) == []
    plane.state("ORCH-1", "In Progress", ago=2000)
    plane.state("ORCH-1", "Approved", ago=1000)
    assert outcomes(service.run(side="plane")) == {"ORCH-1": "approved"}


def shift_clock(plane, seconds):
    """From now on Plane's clock stands still, so many seconds from the others."""
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    plane.sandbox.control("POST", "plane/clock", {"now": now.strftime("%Y-%m-%dT%H:%M:%SZ")})


@pytest.mark.parametrize("skew", [-300, 300])
def test_a_verdict_is_compared_with_its_task_by_one_clock(database, plane, tables, start, skew):
    shift_clock(plane, skew)
    for number, ago in [(1, 100), (2, 300)]:  # by Plane's clock, as its person saw it
        plane.sandbox.control("POST", "plane", {"projects": [{"identifier": "ORCH", "issues": [{"number": number, "state": "In Progress"}]}]})
        seed_task(database, plane, f"ORCH-{number}", "analysis", age=200)
        plane.state(f"ORCH-{number}", "Approved", ago=ago)
    service = start(ORCH_RECONCILE_GRACE_DEFAULT_S="60")
    shift_clock(plane, skew)
    service.run(side="plane")
    assert stages(database) == {"ORCH-1": "architecture", "ORCH-2": "analysis"}
    assert abs(service.status()["upstreams"]["plane"]["clock_skew_s"] - skew) < 15
    assert len(service.logged("clock and the database's differ")) == 1
    plane.sandbox.control("POST", "plane/clock", {"manual": False})
    service.run(side="both")
    assert "clock_skew_s" not in service.status()["upstreams"]["plane"]
    assert len(service.logged("clock and the database's agree again")) == 1


def test_a_bot_that_edits_an_issue_does_not_postpone_its_verdict(database, plane, tables, start):
    plane.issues({"number": 1, "state": "In Progress"})
    seed_task(database, plane, "ORCH-1", "analysis")
    plane.state("ORCH-1", "Approved", ago=10)
    service = start(ORCH_RECONCILE_GRACE_DEFAULT_S="15")

    def edited():
        time.sleep(2)  # within the minute's budget
        plane.change("edit", issue="ORCH-1")
        service.run(side="plane")
        return stages(database) == {"ORCH-1": "architecture"}
    eventually(edited, "the verdict")


@on_sqlite
def test_states_are_known_by_name_or_id_and_a_new_one_is_learnt(database, plane, tables, start):
    states = plane.sandbox.control("GET", "plane")["projects"][0]["states"]
    plane.issues({"number": 1, "state": "Todo"}, {"number": 2, "state": "Done"})
    service = start(ORCH_PLANE_STATES_JSON=json.dumps({"in_progress": "tODO", "approved": states["Done"].upper(), "rejected": "відхилено É"}))
    assert stages(database) == {"ORCH-1": "analysis"}
    status = service.status()["plane"]["projects"][0]
    assert status["error"].endswith('no state "відхилено É" (see ORCH_PLANE_STATES_JSON)')
    seed_task(database, plane, "ORCH-2", "analysis")
    plane.change("rename_state", project="ORCH", state="Cancelled", name="ВІДХИЛЕНО é")
    plane.issues({"number": 3, "state": "ВІДХИЛЕНО é"})
    seed_task(database, plane, "ORCH-3", "analysis")
    service.run(side="plane")
    service.run(side="plane")
    assert stages(database) == {"ORCH-1": "analysis", "ORCH-2": "architecture", "ORCH-3": "analysis"}
    assert ledger(database)[-1] == ("ORCH-3", "analysis", "analysis", "rejected") and service.status()["plane"]["projects"][0]["error"] is None


@on_sqlite
@pytest.mark.parametrize("version", ["0.23", "0.26", "1.0", "1.3.1"])
def test_older_planes_are_read_as_well(database, plane, tables, start, version):
    plane.sandbox.control("POST", "plane", {"version": version, "zone_minutes": 330})
    plane.generate(230, states={"In Progress": 3})
    plane.issues({"number": 1001, "state": "Approved"})
    seed_task(database, plane, "ORCH-1001", "analysis")
    service = start()
    assert service.status()["last_pass"]["plane"]["started"] == 3 and stages(database)["ORCH-1001"] == "architecture"


def test_tables_that_take_no_task_stop_nothing_else(database, sandbox, plane, start):
    key = "SERIAL" if database.kind == "postgresql" else "INTEGER"
    at = "timestamptz" if database.kind == "postgresql" else "TEXT"
    database.script(f"CREATE TABLE tasks (id {key} PRIMARY KEY, plane_id TEXT, work_item_id TEXT, title TEXT, repo TEXT, branch TEXT, "
                    f"stage TEXT, created_at {at} DEFAULT CURRENT_TIMESTAMP, updated_at {at} DEFAULT CURRENT_TIMESTAMP)")
    assert reconciled("migrate", environment={"ORCH_DATABASE_URL": database.url}).returncode == 0
    plane.issues({"number": 1, "state": "In Progress"}, {"number": 2, "state": "Approved"})
    seed_task(database, plane, "ORCH-2", "analysis")
    service = start()
    service.expected_errors = ["no task can be made"]
    first = newest_report(service)
    assert first["state"] == "done" and outcomes(first) == {"ORCH-1": "failed", "ORCH-2": "approved"}
    assert "key" in items(first)["ORCH-1"]["reason"] and service.status()["upstreams"]["database"] == {"ok": True}


@on_sqlite
def test_one_row_that_the_database_refuses_stops_no_other(database, plane, tables, start):  # 3
    database.script("CREATE TRIGGER poison BEFORE INSERT ON tasks WHEN new.work_item_id = 'ORCH-2' BEGIN SELECT RAISE(ABORT, 'no'); END;")
    plane.issues(*[{"number": n, "state": "In Progress"} for n in (1, 2, 3)])
    service = start()
    service.expected_errors = ["refused to make a task"]
    assert outcomes(newest_report(service)) == {"ORCH-1": "started", "ORCH-2": "failed", "ORCH-3": "started"}
    database.script("DROP TRIGGER poison")
    assert outcomes(service.run(side="plane")) == {"ORCH-2": "started"}


@on_sqlite
def test_a_pipeline_whose_first_stage_has_a_gate_starts_nothing_and_says_so(database, plane, tables, start, tmp_path):
    gated = {"stages": [{"name": "analysis", "agent": "analyst", "gates": [{"kind": "human"}], "next": "done"}, {"name": "done", "terminal": True}]}
    (tmp_path / "pipeline.json").write_text(json.dumps(gated))
    plane.issues({"number": 1, "state": "In Progress"}, {"number": 2, "state": "Approved"})
    seed_task(database, plane, "ORCH-2", "analysis")
    service = start(ORCH_PIPELINE_FILE=str(tmp_path / "pipeline.json"))
    first = newest_report(service)
    assert outcomes(first) == {"ORCH-1": "held", "ORCH-2": "approved"} and "gate" in items(first)["ORCH-1"]["reason"]


@on_sqlite
def test_a_quiet_plane_costs_one_call_a_project_and_nothing_is_written(database, plane, tables, start):  # 15
    plane.generate(300)
    plane.issues(*[{"number": n, "state": state} for n, state in [(1001, "In Progress"), (1002, "Approved"), (1003, "Rejected")]])
    for key, stage in [("ORCH-1001", "review"), ("ORCH-1002", "development"), ("ORCH-1003", "analysis")]:
        seed_task(database, plane, key, stage, age=60)
    service = start()
    for _ in range(2):
        service.run(side="plane")
    before, asked = but_for_reports(database), plane.asked()
    for _ in range(4):
        assert items(service.run(side="plane")) == {}
    assert plane.asked() - asked == 4 and but_for_reports(database) == before
