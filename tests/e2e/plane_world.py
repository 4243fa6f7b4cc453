"""Plane's side of an end-to-end test: its projects, the service's settings for them, its issues and their tasks."""
import json

from conftest import call

KEY = "plane_api_0123456789abcdef0123456789abcdef"


def repo(prefix):
    return "acme/" + ("app" if prefix == "ORCH" else prefix.lower())


class Plane:
    """The sandbox's Plane, and a Gitea repository for each of its projects."""

    def __init__(self, sandbox, *prefixes, limit=0, **more):
        self.sandbox, self.prefixes = sandbox, prefixes or ("ORCH",)
        sandbox.control("POST", "plane", {"limit": limit, "keys": [KEY], "projects": [{"identifier": p} for p in self.prefixes], **more})
        sandbox.world(*[{"full_name": repo(p), "branches": [{"name": "main"}]} for p in self.prefixes])
        self.ids = {p["identifier"]: p["id"] for p in sandbox.control("GET", "plane")["projects"]}

    def settings(self, **more):
        projects = [{"repo": repo(p), "plane_project_id": self.ids[p], "prefix": p} for p in self.prefixes]
        return {"ORCH_PLANE_URL": self.sandbox.url + "/plane", "ORCH_PLANE_API_TOKEN": KEY, "ORCH_PLANE_WORKSPACE": "acme",
                "ORCH_PROJECTS_JSON": json.dumps(projects), **more}

    def issues(self, *issues, prefix="ORCH"):
        """Issues that were moved to their state an hour ago and have rested since."""
        self.sandbox.control("POST", "plane", {"projects": [{"identifier": prefix, "issues": [
            {"state_ago": 3600, "updated_ago": 3590, **issue} for issue in issues]}]})

    def generate(self, issues, prefix="ORCH", **more):
        """Many issues; the work item ids of those in the states that were asked for."""
        made = self.sandbox.control("POST", "plane/generate", {"project": prefix, "issues": issues, **more})["issues"]
        return {issue["key"]: issue["state"] for issue in made}

    def change(self, do, **change):
        return self.sandbox.control("POST", "plane/change", {"do": do, **change})["results"]

    def state(self, key, state, ago=3600, **more):
        """A person moved the issue so long ago."""
        return self.change("state", issue=key, state=state, ago=ago, **more)[0]["id"]

    def later(self, after_lists, *changes):
        self.sandbox.control("POST", "plane/later", {"after_lists": after_lists, "changes": list(changes)})

    def counters(self):
        return self.sandbox.control("GET", "plane/counters")

    def forget_calls(self):
        """As if the test itself had asked nothing: its calls by the API are none of the service's minute."""
        self.sandbox.control("POST", "plane/clock", {"manual": True})
        self.sandbox.control("POST", "plane/clock", {"manual": False})
        self.sandbox.control("DELETE", "plane/counters")

    def asked(self, like="GET /plane/*"):
        return self.sandbox.asked(like)

    def id_of(self, key):
        answer = call(self.sandbox.address, "GET", f"/plane/api/v1/workspaces/acme/issues/{key}/", headers={"X-Api-Key": KEY})
        assert answer.status == 200, answer.body
        return answer.json()["id"]


def seed_task(database, plane, key, stage, age=7200, job=None, id=None):
    """The task of an issue: its id is the issue's number, unless given, and its last transition so long ago."""
    prefix, number = key.split("-")
    id = id or number
    ago = database.ago(age)
    database.script(
        "INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, updated_at) VALUES "
        f"({id}, '{plane.id_of(key)}', '{key}', 'a task', '{repo(prefix)}', 'b{number}', '{stage}', {ago}, {ago});")
    if job:
        database.script(f"INSERT INTO jobs (task_id, agent, status) VALUES ({id}, 'analyst', '{job}');")


def items(report):
    return {item["work_item_id"]: item for item in report["items"] if item["side"] == "plane"}


def outcomes(report):
    return {name: item["outcome"] for name, item in items(report).items()}


def stages(database):
    return dict(database.query("SELECT work_item_id, stage FROM tasks"))


def jobs(database):
    """Work item and agent of every job, in the order in which they were queued."""
    return database.query("SELECT t.work_item_id, j.agent FROM jobs j JOIN tasks t ON t.id = j.task_id ORDER BY j.id")


def ledger(database):
    return database.query("SELECT work_item_id, from_stage, to_stage, outcome FROM reconcile_ledger ORDER BY seq")


def branches(sandbox, prefix="ORCH"):
    found, page = set(), 1
    while True:
        names = {branch["name"] for branch in sandbox.api(f"repos/{repo(prefix)}/branches?limit=50&page={page}")}
        if not names:
            return found - {"main"}
        found, page = found | names, page + 1
