"""The process stays under 64 MB, whatever an upstream or the database holds, and what is healthy is healed all the same. On either
database."""
import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import socket

import pytest

from conftest import RECONCILED, eventually, outcomes, reconciled, seed, stages
from hostile import CALLS, KINDS, LONG_LISTS, MIB, SHA, Hostile
from plane_world import Plane, seed_task
from test_heal import branch, pull, review
from test_messages import settings_of as telegram_settings
from test_webhook_mode import Orchestrator

BOUND = 64 * MIB
STAGE_OF = {"head": "development", "statuses": "development", "pulls": "review", "reviews": "review", "trees": "architecture"}

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
    stages = json.loads((pathlib.Path(__file__).parents[2] / "reconcile/pipeline/pipeline.default.json").read_text())["stages"]
    stages.insert(-1, {"name": "asking", "gates": [gate], "next": "done"})
    next(stage for stage in stages if stage["name"] == "deploy")["next"] = "asking"
    file = folder / "pipeline.json"
    file.write_text(json.dumps({"stages": stages}))
    return str(file)


def evil_tasks():
    """A task for each kind of bytes in each kind of call, and ten for each kind of endless list."""
    ids = itertools.count(10_001)
    tasks = [{"id": next(ids), "stage": STAGE_OF[call], "repo": f"evil/{kind}.{call}", "branch": "b"} for call in CALLS for kind in KINDS]
    tasks += [{"id": next(ids), "stage": STAGE_OF[call], "repo": f"evil/long-lists.{call}{n}", "branch": "b"}
              for n in range(10) for call in LONG_LISTS]
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


@pytest.fixture
def worst(database, sandbox, hostile, plane, tables, tmp_path):
    """Tasks and issues, healthy and evil; what the service is to be started with."""
    for number, prefix in ((20_001, "ORCH"), (20_002, "ORCH"), (20_003, "EVA")):
        plane.issues({"number": number, "state": "Approved"}, prefix=prefix)
        seed_task(database, plane, f"{prefix}-{number}", "analysis")
    hostile.evil["/telegram"] = itertools.cycle(KINDS)
    return settings(hostile, sandbox, tmp_path, plane)


def all_healthy_are_healed(database, sandbox, service):
    """One pass over everything."""
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    eventually(lambda: {id: at for id, at in stages(database).items() if id > 20_000} == {
        20_001: "architecture", 20_002: "architecture", 20_003: "analysis"}, "Plane's heals")
    healthy, evil = healthy_tasks(sandbox), evil_tasks()
    seed(database, *healthy, *evil)
    report = service.run(side="both")
    assert {id: at for id, at in outcomes(report).items() if id and id < 1000} == {task["id"]: "advanced" for task in healthy}
    found = {id: at for id, at in outcomes(report).items() if id and 10_000 < id < 20_000}
    assert found == {task["id"]: "unknown" for task in evil}
    assert all(item["reason"] for item in report["items"] if item["outcome"] == "unknown")
    return evil


def test_the_worst_bytes_of_every_upstream_cost_no_memory_and_no_heal(database, sandbox, worst, make_service):
    service = make_service(**worst).start()
    all_healthy_are_healed(database, sandbox, service)
    assert_bounded(service)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_questions_beside_passes_are_bounded_too(database, sandbox, worst, make_service):
    """F-3 and explain, many at once, while passes and messages go on."""
    service = make_service(**worst).start()
    evil = all_healthy_are_healed(database, sandbox, service)
    paths = [f"/reconcile/tasks/{task['id']}" for task in evil]
    paths += [f"/reconcile/resolve?repo={task['repo']}&sha={SHA}" for task in evil if "repo" in task]
    runs = [service.begin(side="both", ignore_grace=True) for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answered = list(pool.map(lambda path: service.call("GET", path).status, paths))
    assert set(answered) <= {200, 404, 409, 503} and 200 in answered
    assert all(service.report(run)["state"] == "done" for run in runs)
    assert_bounded(service)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_events_that_are_sent_again_are_bounded_too(database, sandbox, hostile, tables, make_service):
    """Webhook mode: the documents that an event is made of, and the orchestrator's own answers."""
    kinds = iter(KINDS)
    hostile.evil["^/orchestrator"] = itertools.cycle(KINDS)
    service = make_service(**Orchestrator(sandbox, database).settings(
        ORCH_ORCHESTRATOR_URL=hostile.url + "/orchestrator", ORCH_GITEA_URL=hostile.url + "/gitea")).start()
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    ids = range(1, len(KINDS) + 1)
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}", "success") for id in ids]})
    seed(database, *[{"id": id, "stage": "development"} for id in ids],
         *[{"id": 100 + id, "stage": "development", "repo": f"evil/{next(kinds)}.repo", "branch": "b"} for id in ids])
    service.run()
    eventually(lambda: {kind for path, kind in list(hostile.asked) if path.startswith("/orchestrator")} >= set(KINDS), "an answer of each kind")
    eventually(lambda: {kind for path, kind in list(hostile.asked) if path.endswith(".repo")} >= set(KINDS), "a document of each kind")
    service.run()
    assert_bounded(service)


# ---- a cgroup ----


@pytest.fixture
def cgroup():
    """A memory cgroup of 128 MiB, version 1 or 2."""
    root = pathlib.Path("/sys/fs/cgroup")
    first = root / "memory" / f"reconciled-test-{os.getpid()}" if (root / "memory").is_dir() else root / f"reconciled-test-{os.getpid()}"
    limit = "memory.limit_in_bytes" if (root / "memory").is_dir() else "memory.max"
    try:
        if limit == "memory.max":
            (root / "cgroup.subtree_control").write_text("+memory")
        first.mkdir()
    except OSError as error:
        pytest.skip(f"this machine allows no memory cgroup: {error}")
    try:
        (first / limit).write_text(str(128 * MIB))
        yield first
    finally:
        eventually(lambda: not (first / "cgroup.procs").read_text(), "the end of what runs in the cgroup")
        first.rmdir()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.skipif(SANITIZED, reason="a sanitizer takes more than 128 MiB for itself")
def test_in_a_cgroup_of_128_mb_it_survives(database, sandbox, cgroup, worst, make_service):
    service = make_service(**worst)
    service.arguments = ["sh", "-c", f'echo $$ > {cgroup}/cgroup.procs && exec "$@"', "sh", *service.arguments]
    service.start()
    all_healthy_are_healed(database, sandbox, service)
    assert str(service.process.pid) in (cgroup / "cgroup.procs").read_text().split()
    assert service.end() == 0


# ---- our own callers ----

SENDERS = 900


def put_config(service, body):
    return service.call("PUT", "/reconcile/config", body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_many_bodies_that_never_end_are_bounded(database, tables, make_service):
    service = make_service().start()
    host, port = service.address.rsplit(":", 1)
    large = b'{"interval_s":3600}'.ljust(64 * 1024)
    head = b"PUT /reconcile/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 65536\r\n\r\n"
    with contextlib.ExitStack() as senders:
        for _ in range(SENDERS):
            sender = senders.enter_context(socket.create_connection((host, int(port))))
            sender.sendall(head + large[:-1])
        eventually(lambda: put_config(service, large).status == 503, "a body without room")
        assert put_config(service, b'{"enabled":false}').status == 200
        assert service.status()["enabled"] is False
    eventually(lambda: put_config(service, large).status == 200, "room")
    assert_bounded(service)


# ---- what we stored ourselves ----

REPORTS, ITEMS, ROWS = 200, 1000, 500


def literal(text):
    return "'" + text.replace("'", "''") + "'"


def numbers(n):
    return f"WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < {n - 1})"


def digits(database, expression, width):
    return f"lpad(({expression})::text, {width}, '0')" if database.kind == "postgresql" else f"printf('%0{width}d', {expression})"


def stored_report(number, time):
    """As a pass writes it, with a thousand items of some five hundred bytes."""
    item = {"task_id": 1, "work_item_id": "ORCH-1", "stage": "development", "to_stage": None, "side": "gate", "verdict": "unknown",
            "outcome": "unknown", "reason": "Gitea: timed out after 10 s, asked for branch ,\"items\":[ " + "x" * 300}
    return {"id": f"00000000-0000-4000-8000-{number}", "state": "done", "trigger": "timer", "dry_run": False, "side": "both",
            "started_at": f"2026-01-01T00:{time}.000Z", "duration_ms": 5, "gate": {"candidates": ITEMS}, "plane": {"projects": 0},
            "unknown_stage": 0, "error": None, "items_left_out": 0, "items": [item] * ITEMS}


def nth_report(at):
    return stored_report(f"{at:012}", f"{at // 60:02}:{at % 60:02}")


def test_a_list_of_passes_reads_no_items(database, tables, make_service):
    text = json.dumps(stored_report("@id@", "@time@"), separators=(",", ":"))
    id, time = digits(database, "i", 12), f"{digits(database, 'i / 60', 2)} || ':' || {digits(database, 'i % 60', 2)}"
    uuid = f"'00000000-0000-4000-8000-' || {id}"
    database.script(f"{numbers(REPORTS)} INSERT INTO reconcile_passes (id, started_us, report) SELECT {uuid}, 1767225600000000 + i * 1000000,"
                    f" replace(replace({literal(text)}, '@id@', {id}), '@time@', {time}) FROM numbers;")
    service = make_service().start()
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    before = peak(service)
    answer = service.call("GET", "/reconcile/runs?limit=500")
    assert answer.status == 200
    listed = [item for item in answer.json()["items"] if item["id"].startswith("0000")]
    expected = [nth_report(at) for at in reversed(range(REPORTS))][:len(listed)]
    for report in expected:
        del report["items"]
    assert listed == expected and len(listed) >= REPORTS - 1  # the service's own first pass may have pushed one out
    assert all("items" not in item for item in answer.json()["items"])
    assert SANITIZED or peak(service) - before < 8 * MIB
    whole = service.call("GET", f"/reconcile/runs/{expected[0]['id']}")
    assert whole.json() == nth_report(REPORTS - 1)
    assert_bounded(service)


def test_a_long_history_is_read_in_parts_and_misses_nothing(database, tables, make_service):
    """Rows with as much evidence as gates can have. The look at losses reads them too, by itself."""
    evidence = json.dumps([{"gate": "ci", "verdict": "green", "contexts": {f"{at:03}" + "c" * 250: "success" for at in range(50)}}] * 8)
    uuid = f"('10000000-0000-4000-8000-' || {digits(database, 'i', 12)})" + ("::uuid" if database.kind == "postgresql" else "")
    database.script(
        f"{numbers(ROWS)} INSERT INTO reconcile_ledger (id, at, task_id, work_item_id, repo, from_stage, to_stage, side, outcome, reason,"
        f" evidence) SELECT {uuid}, '2026-01-01 00:00:00', 1, 'ORCH-1', 'acme/app', 'development', 'review', 'gate', 'advanced', 'ci',"
        f" {literal(evidence)} FROM numbers ORDER BY i;")
    service = make_service().start()
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    eventually(lambda: "losses" in (service.status()["hooks"] or ""), "the look at losses")
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
