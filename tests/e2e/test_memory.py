"""The process stays under 64 MB, whatever an upstream or the database holds, and what is healthy is healed all the same. On either
database."""
import itertools
import json
import os
import pathlib
import subprocess

import pytest

from conftest import RECONCILED, eventually, outcomes, reconciled, seed, stages
from hostile import BODIES, CALLS, KINDS, MIB, Hostile
from plane_world import Plane, seed_task
from plane_world import outcomes as plane_outcomes
from test_heal import branch, pull, review
from test_tell import settings_of as telegram_settings

BOUND = 64 * MIB
STAGE_OF = {"head": "development", "statuses": "development", "pulls": "review", "reviews": "review", "contents": "architecture"}

# A sanitizer's shadow, quarantine and redzones are memory too: there the same runs prove that nothing is read or written beyond its
# end, and the bound is not looked at.
SANITIZED = any(name in pathlib.Path(RECONCILED).read_bytes() for name in (b"__asan_init", b"__tsan_init", b"__msan_init"))


def peak(service):
    """The most memory that was resident at any time, in bytes."""
    status = pathlib.Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def assert_bounded(service):
    found = peak(service)
    print(f"peak {found / MIB:.1f} MiB")
    assert SANITIZED or found < BOUND, f"peak {found / MIB:.1f} MiB"


@pytest.fixture
def tables(database):
    assert reconciled("migrate", environment={"ORCH_DATABASE_URL": database.url}).returncode == 0


@pytest.fixture
def hostile(sandbox):
    it = Hostile(sandbox.address)
    yield it
    it.stop()


# ---- upstreams ----

HEALTHY = 20  # tasks of each kind of gate


def pipeline(folder, hostile):
    """The default one, and a stage that asks a gate."""
    gate = {"kind": "http", "url": hostile.url + "/gate/{branch}"}
    stages = json.loads((pathlib.Path(__file__).parents[2] / "reconcile/pipeline.default.json").read_text())["stages"]
    stages.insert(-1, {"name": "asking", "gates": [gate], "next": "done"})
    next(stage for stage in stages if stage["name"] == "deploy")["next"] = "asking"
    file = folder / "pipeline.json"
    file.write_text(json.dumps({"stages": stages}))
    return str(file)


def evil_tasks():
    """A task for each kind of bytes in each kind of call."""
    ids = itertools.count(10_001)
    tasks = [{"id": next(ids), "stage": STAGE_OF[call], "repo": f"evil/{kind}.{call}", "branch": "b"} for call in CALLS for kind in KINDS]
    return tasks + [{"id": next(ids), "stage": "asking", "branch": f"evil-{kind}"} for kind in KINDS]


def healthy_tasks(sandbox):
    """Tasks of each kind of gate, all green."""
    of = {"development": [], "review": [], "deploy": [], "architecture": [], "asking": []}
    ids = itertools.count(1)
    tasks = []
    for stage in of:
        for _ in range(HEALTHY):
            tasks.append({"id": next(ids), "stage": stage})
            of[stage].append(tasks[-1]["id"])
    files = {id: {f"docs/work-items/ORCH-{id}/06-adr/0001.md": "x"} for id in of["architecture"]}
    sandbox.world(
        {"full_name": "acme/app",
         "branches": [branch("main"), *[branch(f"b{task['id']}", "success", files=files.get(task["id"], {})) for task in tasks]],
         "pulls": [*[pull(id, f"b{id}", review("ann", "APPROVED")) for id in of["review"]],
                   *[pull(id, f"b{id}", state="closed", merged=True) for id in of["deploy"]]]},
        gates=[{"name": f"b{id}", "verdict": "green"} for id in of["asking"]])
    return tasks


EVIL_PROJECTS = {"EVS": r"/states/", "EVI": r"/work-items/\?", "EVA": r"/work-items/.*/activities/"}


@pytest.fixture
def plane(sandbox, hostile):
    """A healthy project, and three of which one kind of answer each is evil: each time another kind of bytes."""
    it = Plane(sandbox, "ORCH", *EVIL_PROJECTS)
    for at, (prefix, call) in enumerate(EVIL_PROJECTS.items()):
        hostile.evil[it.ids[prefix] + call] = itertools.cycle(KINDS[at * 5:] + KINDS[:at * 5])
    return it


def settings(hostile, sandbox, tmp_path, plane):
    return {**telegram_settings(sandbox), **plane.settings(), "ORCH_GITEA_URL": hostile.url + "/gitea",
            "ORCH_PLANE_URL": hostile.url + "/plane", "ORCH_TELEGRAM_URL": hostile.url + "/telegram",
            "ORCH_PIPELINE_FILE": pipeline(tmp_path, hostile), "ORCH_UPSTREAM_TIMEOUT_S": "20"}


def test_the_worst_bytes_of_every_upstream_cost_no_memory_and_no_heal(database, sandbox, hostile, plane, tables, make_service, tmp_path):
    for number, prefix in ((20_001, "ORCH"), (20_002, "ORCH"), (20_003, "EVA")):
        plane.issues({"number": number, "state": "Approved"}, prefix=prefix)
        seed_task(database, plane, f"{prefix}-{number}", "analysis")
    hostile.evil["/telegram"] = itertools.cycle(KINDS)
    service = make_service(**settings(hostile, sandbox, tmp_path, plane)).start()
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    healthy, evil = healthy_tasks(sandbox), evil_tasks()
    seed(database, *healthy, *evil)
    assert eventually(lambda: {id: at for id, at in stages(database).items() if id > 20_000} == {
        20_001: "architecture", 20_002: "architecture", 20_003: "analysis"}, "Plane's heals")
    report = service.run(side="both")
    assert {id: at for id, at in outcomes(report).items() if id and id < 1000} == {task["id"]: "advanced" for task in healthy}
    found = {id: at for id, at in outcomes(report).items() if id and 10_000 < id < 20_000}
    assert found == {task["id"]: "unknown" for task in evil}
    assert all(item["reason"] for item in report["items"] if item["outcome"] == "unknown")
    assert_bounded(service)



# ---- what we stored ourselves ----

REPORTS, ITEMS, ROWS = 200, 1000, 500


def stored_report(at):
    """As a pass writes it, with a thousand items of some five hundred bytes."""
    item = {"task_id": 1, "work_item_id": "ORCH-1", "stage": "development", "to_stage": None, "side": "gate", "verdict": "unknown",
            "outcome": "unknown", "reason": "Gitea: timed out after 10 s, asked for branch ,\"items\":[ " + "x" * 300}
    report = {"id": f"00000000-0000-4000-8000-{at:012}", "state": "done", "trigger": "timer", "dry_run": False, "side": "both",
              "started_at": f"2026-01-01T00:{at // 60:02}:{at % 60:02}.000Z", "duration_ms": 5, "gate": {"candidates": ITEMS},
              "plane": {"projects": 0}, "unknown_stage": 0, "error": None, "items_left_out": 0, "items": [item] * ITEMS}
    return report, json.dumps(report, separators=(",", ":"))


def literal(text):
    return "'" + text.replace("'", "''") + "'"


def test_a_list_of_passes_reads_no_items(database, tables, make_service):
    start = 1767225600  # 2026-01-01
    for at in range(REPORTS):
        report, text = stored_report(at)
        database.script(f"INSERT INTO reconcile_passes (id, started_us, report) VALUES ('{report['id']}', {(start + at) * 1000000},"
                        f" {literal(text)});")
    service = make_service().start()
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    before = peak(service)
    answer = service.call("GET", "/reconcile/runs?limit=500")
    assert answer.status == 200
    listed = [item for item in answer.json()["items"] if item["id"].startswith("0000")]
    expected = [stored_report(at)[0] for at in reversed(range(REPORTS))][:len(listed)]
    for report in expected:
        del report["items"]
    assert listed == expected and len(listed) >= REPORTS - 1  # the service's own first pass may have pushed one out
    assert all("items" not in item for item in answer.json()["items"])
    assert SANITIZED or peak(service) - before < 8 * MIB
    assert_bounded(service)
    whole = service.call("GET", f"/reconcile/runs/{expected[0]['id']}")
    assert whole.json() == stored_report(REPORTS - 1)[0]
    assert_bounded(service)


def test_a_long_history_is_read_in_parts_and_misses_nothing(database, tables, make_service):
    """Rows as large as a gate's evidence can be."""
    evidence = json.dumps([{"gate": "ci", "verdict": "green", "contexts": {f"{at:03}" + "c" * 250: "success" for at in range(50)}}] * 8)
    for at in range(ROWS):
        database.script(
            "INSERT INTO reconcile_ledger (id, at, task_id, work_item_id, repo, from_stage, to_stage, side, outcome, reason, evidence)"
            f" VALUES ('10000000-0000-4000-8000-{at:012}', '2026-01-01 00:00:00', 1, 'ORCH-1', 'acme/app', 'development', 'review',"
            f" 'gate', 'advanced', 'ci', {literal(evidence)});")
    service = make_service().start()
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    found, path = [], "/reconcile/history?limit=500"
    while path:
        answer = service.call("GET", path)
        assert answer.status == 200 and len(answer.body) < 3 * MIB
        body = answer.json()
        assert body["items"]
        found += [item["id"] for item in body["items"]]
        path = body["next"] and f"/reconcile/history?limit=500&after={body['next']}"
    assert found == [f"10000000-0000-4000-8000-{at:012}" for at in reversed(range(ROWS))]
    assert_bounded(service)
