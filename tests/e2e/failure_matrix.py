"""One cell of the failure matrix: something fails at one kind of call for one task, issue, repository or project, and goes on failing;
its neighbours are healed all the same, and it is healed itself once the failure is over."""
import collections
import contextlib
import itertools
import json
import os
import threading

import test_webhook_mode as webhook_mode
from conftest import ENVIRONMENT, PostgreSQL, Sandbox, Service, SQLite, eventually, seed
from plane_world import Plane, seed_task, stages
from test_heal import branch, pull, review

TIMEOUT_S = 2
PASS_DEADLINE_S = 180  # for a pass of a program under a sanitizer, many of them side by side
PASSES = 2  # within so many the neighbours are healed

FAILURES = {
    "500": {"kind": "status", "status": 500, "json": {"message": "boom"}},
    "502 HTML": {"kind": "status", "status": 502, "html": "<html><h1>Bad Gateway</h1></html>"},
    "429": {"kind": "429", "retry_after": 1},
    "hang": {"kind": "hang"},
    "hang-up": {"kind": "close"},
    "drip": {"kind": "drip", "bytes": 1, "ms": 200},
    "cut": {"kind": "cut", "bytes": 5},
    "garbage": {"kind": "garbage"},
}
TRIGGERS, DATABASES, MODES = ("forced", "timer"), ("sqlite", "postgresql"), ("database", "webhook")
Cell = collections.namedtuple("Cell", "call failure trigger database mode")

GITEA = "/gitea/api/v1/repos/acme/app"


# ---- who is there ----


def gate_tasks(first):
    """A task at each kind of gate: by its distance from the first id, stage and where it goes."""
    return {first + 1: ("development", "review"), first + 2: ("review", "testing"), first + 3: ("architecture", "design"),
            first + 4: ("design", "development")}


REPOS = {"ORCH": 1010, "CALM": 1020, "DAWN": 1030}  # the ids of their tasks begin there
GATES = {id: (prefix, *stage) for prefix, first in REPOS.items() for id, stage in gate_tasks(first).items()}
TASK = 1  # the one for which something fails: the oldest, so that it is asked about first
X = f"ORCH-{TASK}"
AGE_S = 7200


def repo_of(prefix):
    return "acme/" + ("app" if prefix == "ORCH" else prefix.lower())


def sha(id):
    return f"{id:040x}"


def gitea_repo(prefix, *tasks):
    """The repository, and whatever makes the gates of these tasks green."""
    return {"full_name": repo_of(prefix), "branches": [
        branch("main"), *[branch(f"b{id}", "success", sha=sha(id), files={f"docs/work-items/{prefix}-{id}/06-adr/1.md": "x"}) for id in tasks]],
        "pulls": [pull(id, f"b{id}", review("ann", "APPROVED")) for id in tasks]}


PIPELINE = {"stages": [
    {"name": "created", "next": "analysis"},
    {"name": "analysis", "agent": "analyst", "gates": [{"kind": "human"}], "next": "architecture", "on_rejected": "analysis"},
    {"name": "architecture", "agent": "architect", "next": "design",
     "gates": [{"kind": "files", "paths": ["docs/work-items/{work_item_id}/06-adr/"]}]},
    {"name": "design", "agent": "designer", "gates": [{"kind": "http", "url": "GATE?task={task_id}&"}], "next": "development"},
    {"name": "development", "agent": "developer", "gates": [{"kind": "ci"}], "next": "review"},
    {"name": "review", "agent": "reviewer", "gates": [{"kind": "review", "approvals": 1}], "next": "testing", "on_rejected": "development"},
    {"name": "testing", "agent": "tester", "gates": [{"kind": "ci"}], "next": "deploy", "on_rejected": "development"},
    {"name": "deploy", "agent": "deployer", "gates": [{"kind": "merged"}], "next": "done"},
    {"name": "done", "terminal": True}]}


class Call:
    """A kind of call: which stage the task that fails is at (None: it is an issue to be started), where it goes in the end, the path
    that fails, and which neighbours the failure is theirs too."""

    def __init__(self, stage, to, path, shared=(), mode=None, upstream="gitea", **fault):
        self.stage, self.to, self.path, self.shared, self.mode, self.upstream, self.fault = stage, to, path, shared, mode, upstream, fault


APPROVAL, START = "analysis", None
# First those that one mode alone knows, so that all other failures meet every combination, see test_the_sample_is_pairwise.
CALLS = {
    "branch": Call(START, "analysis", GITEA + "/branches", shared=("ORCH-1016",), mode="database", method="POST"),
    "orchestrator": Call("development", "review", "/orchestrator/*", mode="webhook", upstream="orchestrator", method="POST", sent=f"*{sha(TASK)}*"),
    "head": Call("development", "review", f"/gitea/*/acme/app/branches/b{TASK}", method="GET"),
    "statuses": Call("development", "review", f"{GITEA}/commits/{sha(TASK)}/*"),
    "pulls": Call("review", "testing", "/gitea/*/acme/app/pulls", shared=("ORCH-1012",)),
    "reviews": Call("review", "testing", f"/gitea/*/acme/app/pulls/{TASK}/reviews"),
    "trees": Call("architecture", "design", f"{GITEA}/git/trees/{sha(TASK)}*"),
    "states": Call(APPROVAL, "architecture", "/plane/*/projects/{project}/states/*", shared=("ORCH-1015", "ORCH-1016"), upstream="plane"),
    "list": Call(APPROVAL, "architecture", "/plane/*/projects/{project}/work-items/", shared=("ORCH-1015", "ORCH-1016"), upstream="plane"),
    "detail": Call(START, "analysis", "/plane/*/work-items/{issue}/", upstream="plane"),
    "activities": Call(APPROVAL, "architecture", "/plane/*/work-items/{issue}/activities/", upstream="plane"),
    "gate": Call("design", "development", "/gate/design", upstream="gate", query=f"task={TASK}&*"),
}
PROJECT_WIDE = ("states", "list")


def modes_of(call):
    return (CALLS[call].mode,) if CALLS[call].mode else MODES


def full_product():
    return [Cell(call, failure, trigger, database, mode) for call in CALLS for failure in FAILURES
            for trigger in TRIGGERS for database in DATABASES for mode in modes_of(call)]


def sample():
    """Each call with each failure once, and over these the combinations of the rest in turn: each failure and each call meets them all."""
    rest = list(itertools.product(TRIGGERS, DATABASES, MODES))
    cells = []
    for at, call in enumerate(CALLS):
        for failure_at, failure in enumerate(FAILURES):
            trigger, database, mode = rest[(at + failure_at) % len(rest)]
            cells.append(Cell(call, failure, trigger, database, CALLS[call].mode or mode))
    return cells


def cells():
    return full_product() if os.environ.get("MATRIX") == "full" else sample()


# ---- a cell ----


class Databases:
    """A database for each cell; PostgreSQL's on one server."""

    def __init__(self, server):
        self.server, self.lock, self.n = server, threading.Lock(), itertools.count()

    def admin(self, sql):
        with self.lock, contextlib.closing(PostgreSQL(self.server, "postgres")) as admin:
            admin.script(sql)

    @contextlib.contextmanager
    def of(self, kind, folder):
        if kind == "sqlite":
            yield SQLite(folder)
            return
        name = f"cell{next(self.n)}"
        self.admin(f"CREATE DATABASE {name}")
        with contextlib.closing(PostgreSQL(self.server, name)) as database:
            yield database
        self.admin(f"DROP DATABASE {name} WITH (FORCE)")


class Scene:
    """What a cell consists of, until the first of the passes that count."""

    def __init__(self, cell, database, folder, sandbox):
        self.cell, self.call, self.database, self.sandbox = cell, CALLS[cell.call], database, sandbox
        self.remembers = cell.call == "detail" and cell.mode == "database"
        self.plane = Plane(sandbox, *REPOS)
        self.service = Service(self.settings(folder), folder / "service.log")

    def settings(self, folder):
        pipeline = folder / "pipeline.json"
        pipeline.write_text(json.dumps(PIPELINE).replace("GATE", self.sandbox.url + "/gate/design"))
        settings = {**ENVIRONMENT, "ORCH_DATABASE_URL": self.database.url, "ORCH_HTTP_LISTEN": "127.0.0.1:0",
                    "ORCH_GITEA_URL": self.sandbox.url + "/gitea", "ORCH_RECONCILE_INTERVAL_S": "86400",
                    "ORCH_PIPELINE_FILE": str(pipeline), **self.plane.settings()}
        if self.cell.mode == "webhook":
            orchestrator = webhook_mode.Orchestrator(self.sandbox, self.database)
            settings.update(orchestrator.settings())
        return {**settings, "ORCH_UPSTREAM_TIMEOUT_S": str(TIMEOUT_S)}

    def neighbours(self):
        """Work item and the stage that it must reach."""
        to = {f"{prefix}-{id}": to for id, (prefix, _, to) in GATES.items()}
        for prefix, first in REPOS.items():
            to.update({f"{prefix}-{first + 5}": "architecture", f"{prefix}-{first + 6}": "analysis"})
        return {key: stage for key, stage in to.items() if key not in self.call.shared}

    def fill(self):
        ids = list(GATES) + ([TASK] if self.call.stage not in (START, APPROVAL) else [])
        for prefix in REPOS:
            self.sandbox.world(gitea_repo(prefix, *[id for id in ids if GATES.get(id, ("ORCH",))[0] == prefix]))
        self.sandbox.world(gates=[{"name": "design", "verdict": "green", "reason": "drawn"}])
        seed(self.database, *[{"id": id, "repo": repo_of(GATES[id][0]), "stage": GATES[id][1]} for id in GATES])
        for prefix, first in REPOS.items():
            self.database.script(f"UPDATE tasks SET work_item_id = '{prefix}-' || id WHERE id BETWEEN {first} AND {first + 9};")
        if self.call.stage not in (START, APPROVAL):
            seed(self.database, {"id": TASK, "stage": self.call.stage, "age": AGE_S})
        self.fill_plane()
        if self.cell.database == "postgresql":  # whose sequence has not noticed the ids that were given
            self.database.script("SELECT setval(pg_get_serial_sequence('tasks', 'id'), 2000);")

    def fill_plane(self):
        for prefix, first in REPOS.items():
            ago = {"state_ago": 700, "updated_ago": 690} if self.remembers and prefix == "ORCH" else {}
            self.plane.issues({"number": first + 5, "state": "Approved", **ago}, {"number": first + 6, "state": "In Progress", **ago}, prefix=prefix)
            seed_task(self.database, self.plane, f"{prefix}-{first + 5}", "analysis")

    def fill_plane_first(self):
        """The issue for which something fails."""
        if self.cell.call == "states":  # so that they are read again
            self.plane.change("remake_state", project="ORCH", state="Approved")
        if self.call.stage in (START, APPROVAL):
            self.plane.issues({"number": TASK, "state": "Approved" if self.call.stage else "In Progress",
                               "state_ago": AGE_S, "updated_ago": AGE_S})
        if self.call.stage == APPROVAL:
            seed_task(self.database, self.plane, X, "analysis", age=2 * AGE_S)

    def remember(self):
        """What is to be asked about alone has been seen by an earlier pass, and lies behind the first page of a later one."""
        self.plane.generate(150, ages=[1000, 3000])
        assert self.service.put(mode="observe").status == 200
        assert self.service.run(side="plane")["plane"]["held"] == 1
        assert self.service.put(mode="heal").status == 200

    def path(self):
        return self.call.path.replace("{project}", self.plane.ids["ORCH"]).replace(
            "{issue}", self.plane.id_of(X) if "{issue}" in self.call.path else "")

    def fault(self):
        """A request whose answer is lost changed nothing either: what fails goes on failing."""
        more = {**FAILURES[self.cell.failure], **self.call.fault}
        if more.get("method") == "POST" and more["kind"] in ("cut", "drip"):
            more.update(status=201 if self.cell.call == "branch" else 200, json={"name": "x", "ok": True})
        if self.cell.failure == "429" and self.cell.trigger == "timer" and self.call.upstream != "plane":
            more.update(kind="status", status=429, retry_after=-1)  # which Plane never leaves out
        self.sandbox.fault(self.path(), **more)

    def prepare(self):
        self.service.start()
        eventually(lambda: self.service.status()["last_run_ts"], "the first pass", PASS_DEADLINE_S)
        self.fill_plane_first()
        if self.remembers:
            self.remember()
        self.fill()
        self.plane.forget_calls()
        self.fault()


# ---- passes ----


def reports(service):
    """Those of all passes that are over, oldest first, by their ids."""
    listed = service.call("GET", "/reconcile/runs?limit=100").json()["items"]
    return [run["id"] for run in reversed(listed) if run.get("state", "done") not in ("queued", "running")]


def passes_of_timer(scene):
    """Plane's own Retry-After is heeded by everyone: the timer comes round again after it."""
    before = set(reports(scene.service))
    patient = scene.cell.failure == "429" and scene.call.upstream == "plane"
    assert scene.service.put(interval_s=5 if patient else 1).status == 200
    made = []

    def enough():
        made[:] = [id for id in reports(scene.service) if id not in before]
        return len(made) >= PASSES
    eventually(enough, "passes of the timer", PASS_DEADLINE_S)
    return [scene.service.report(id) for id in made[:PASSES]]


def passes_forced(scene):
    """One in which Plane, which asked to wait, was not asked does not count."""
    made = []

    def one():
        asked = scene.plane.asked()
        report = scene.service.run(side="both")
        if not made or scene.plane.asked() > asked:
            made.append(report)
        return len(made) == PASSES
    eventually(one, "forced passes", PASS_DEADLINE_S)
    return made


# ---- what must be ----


MOVED = {"advanced", "started", "approved", "rejected"}
FAILED = {"unknown", "failed"}


def check_neighbours(scene, made):
    wanted, found = scene.neighbours(), stages(scene.database)
    assert len(wanted) >= 4
    late = {key: (found.get(key), stage) for key, stage in wanted.items() if found.get(key) != stage}
    moved = {item["work_item_id"] for report in made for item in report["items"] if item["outcome"] in MOVED}
    assert not late and set(wanted) <= moved, f"not healed within {PASSES} passes: {late or set(wanted) - moved}"


def may_be_held(cell):
    """An answer of 200 is no failure until the next pass finds the task where it was; and a replay waits for as long as Plane asks."""
    return (cell.call, cell.failure) == ("orchestrator", "garbage") or (
        (cell.mode, cell.failure, CALLS[cell.call].upstream) == ("webhook", "429", "plane"))


def check_failing(scene, made):
    """Never red, never green, never moved, and with a reason."""
    items = [item for report in made for item in report["items"] if item["work_item_id"] == X]
    assert scene.sandbox.control("GET", "faults")["faults"][0]["hits"] > 0
    if scene.cell.call in PROJECT_WIDE:
        shown = next(project for project in scene.service.status()["plane"]["projects"] if project["prefix"] == "ORCH")
        assert made[0]["plane"]["errors"] >= 1 and shown["error"], shown
        assert not items or {item["outcome"] for item in items} <= FAILED
    else:
        waits = {"held"} if may_be_held(scene.cell) else set()
        assert items and items[0]["outcome"] in FAILED | waits, items
        assert {item["outcome"] for item in items[1:]} <= FAILED | waits, items
        assert all(len(item["reason"] or "") > 10 and item["verdict"] != "red" for item in items), items
    assert stages(scene.database).get(X) in (scene.call.stage, "created" if scene.call.stage is START else scene.call.stage)
    assert scene.database.query(f"SELECT * FROM reconcile_ledger WHERE work_item_id = '{X}'") == []


def check_recovery(scene):
    """Once the failure is over, a pass that a person asks for heals it, however long it would have rested."""
    scene.sandbox.heal()
    if scene.cell.call == "orchestrator":
        webhook_mode.is_due(scene.database)
    passes = []

    def healed():
        asked = scene.plane.asked()
        passes.append(scene.service.run(side="both"))
        waited = scene.call.upstream == "plane" and scene.plane.asked() == asked
        if waited:
            passes.pop()
        assert len(passes) <= PASSES or stages(scene.database).get(X) == scene.call.to, passes[-1]
        return stages(scene.database).get(X) == scene.call.to
    eventually(healed, "the heal of what had failed", PASS_DEADLINE_S)


def run(cell, databases, folder):
    folder.mkdir()
    with databases.of(cell.database, folder) as database, contextlib.closing(contextlib.ExitStack()) as ends:
        sandbox = Sandbox()
        ends.callback(sandbox.stop)
        scene = Scene(cell, database, folder, sandbox)
        ends.callback(lambda: scene.service.process and scene.service.process.poll() is None and scene.service.process.kill())
        scene.prepare()
        made = passes_of_timer(scene) if cell.trigger == "timer" else passes_forced(scene)
        check_neighbours(scene, made)
        check_failing(scene, made)
        assert scene.service.call("GET", "/healthz").status == 200
        if cell.trigger == "timer":
            assert scene.service.put(interval_s=86400).status == 200
        check_recovery(scene)
        assert scene.service.end() == 0
        errors = [line for line in scene.service.log.read_text().splitlines() if " level=error " in line or not line.startswith("ts=")]
        assert not errors, errors
