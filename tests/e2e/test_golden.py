"""The sandbox's answers and webhooks, held against what real servers sent: the same members in the same order, of the same types, and
headers of the same names. See tests/golden/README.md."""
import json
import pathlib

import pytest

from test_sandbox import Sandbox, at_version, branch, receiver, shop  # noqa: F401  (receiver is a fixture)
from test_sandbox_plane import KEY, Plane

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
VERSIONS = ["1.25.4", "1.22.6"]
# What curl or a proxy adds, and Go's Content-Length, which every body has.
OF_THE_CLIENT = {"user-agent", "host", "content-length", "accept-encoding", "accept", "connection"}


def answer(server, name):
    record = json.loads((GOLDEN / server / "rest" / f"{name}.json").read_text(encoding="utf-8"))
    return record["status"], json.loads(record["body_text"]), {name.lower() for name in record["headers"]}


def webhook(server, name):
    lines = (GOLDEN / server / "webhooks" / f"{name}.head").read_text(encoding="utf-8").splitlines()[1:]
    body = json.loads((GOLDEN / server / "webhooks" / f"{name}.json").read_text(encoding="utf-8"))
    return body, {line.split(":")[0].lower() for line in lines if line.strip()}


def kind(value):
    return "number" if type(value) in (int, float) and not isinstance(value, bool) else type(value).__name__


def differences(ours, real, path=""):
    """Where the shape differs. Null fits anything, for it has no type; of a list the first items are held."""
    if ours is None or real is None:
        return []
    if kind(ours) != kind(real) or isinstance(ours, float) != isinstance(real, float):
        return [f"{path}: {kind(ours)} for {kind(real)}"]
    if isinstance(real, dict):
        wrong = [] if list(ours) == list(real) else [f"{path}: {list(ours)} for {list(real)}"]
        return wrong + [at for key in real if key in ours for at in differences(ours[key], real[key], f"{path}.{key}")]
    if isinstance(real, list) and ours and real:
        return differences(ours[0], real[0], path + "[]")
    return []


# ---- Gitea -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running():
    sandbox = Sandbox()
    yield sandbox
    assert sandbox.stop() == 0


@pytest.fixture
def box(running):
    running.control("POST", "reset")
    running.control("POST", "gitea", {"version": "1.25.4", "token": None, "token_scope": None, "zone_minutes": 0})
    return running


@pytest.fixture
def gitea(box):
    box.world(repos=[shop([branch("b", statuses=[{"state": "success", "context": "ci"}], files={"a.txt": "x"}), branch("open")],
                          pulls=[{"number": 1, "head": "b"}])])
    box.change(do="review", number=1, user="carol", state="REQUEST_REVIEW")
    box.change(do="approve", number=1, user="bob", body="fine")
    box.change(do="merge", number=1)
    return box


@pytest.mark.parametrize("version", VERSIONS)
def test_gitea_answers_have_the_members_of_the_original(gitea, version):
    at_version(gitea, version)
    gitea.change(do="status", branch="b", state="success", context="ci")
    gitea.shop("/hooks", method="POST", body={"type": "gitea", "active": True, "events": ["push"],
                                              "config": {"url": "http://127.0.0.1:9/", "content_type": "json"}})
    sha, main = (gitea.shop(f"/branches/{name}").json()["commit"]["id"] for name in ("b", "main"))
    paths = {"repo": "", "branches": "/branches?page=1&limit=50", "branch_main": "/branches/main",
             "commit1": f"/git/commits/{sha}", "commit1_status": f"/commits/{sha}/status?page=1&limit=50",
             "commit0_status": f"/commits/{main}/status?page=1&limit=50", "commit0_statuses": f"/commits/{main}/statuses?page=1&limit=50",
             "commit1_statuses": f"/commits/{sha}/statuses?page=1&limit=50", "pull1": "/pulls/1", "hooks": "/hooks",
             "pulls_all": "/pulls?state=all&page=1&limit=50", "pulls_open": "/pulls?state=open&page=1&limit=50",
             "pull1_reviews": "/pulls/1/reviews?page=1&limit=50"}
    wrong = {}
    for name, path in paths.items():
        status, real, headers = answer(f"gitea-{version}", name)
        got = gitea.shop(path)
        found = differences(got.json(), real)
        found += [f"header {header}" for header in headers - set(got.headers)]
        if found or got.status != status:
            wrong[name] = (got.status, found)
    for name, path in {"version": "version", "settings_api": "settings/api"}.items():
        wrong.update({name: found for found in [differences(gitea.api(path).json(), answer(f"gitea-{version}", name)[1])] if found})
    assert wrong == {}


@pytest.mark.parametrize("version, name, event", [
    ("1.25.4", "status", "status"), *[(version, name, event) for version in VERSIONS for name, event in (
        ("pull_request_review_approved", "pull_request_approved"), ("pull_request_review_request", "pull_request"),
        ("pull_request_merged", "pull_request"), ("push", "push"))]])
def test_gitea_webhooks_have_the_members_and_headers_of_the_original(box, receiver, version, name, event):
    at_version(box, version)
    box.world(repos=[shop([branch("b"), branch("f")], pulls=[{"number": 1, "head": "b"}])])
    box.shop("/hooks", method="POST", body={
        "type": "gitea", "active": True, "events": ["push", "status", "pull_request"],
        "config": {"url": receiver[0], "content_type": "json", "secret": "s3cret"}})
    changes = {"status": {"do": "status", "branch": "b", "state": "success"}, "push": {"do": "push", "branch": "f"},
               "pull_request_review_approved": {"do": "approve", "number": 1, "user": "bob"},
               "pull_request_review_request": {"do": "review", "number": 1, "user": "carol", "state": "REQUEST_REVIEW"},
               "pull_request_merged": {"do": "merge", "number": 1}}
    if name == "pull_request_merged":
        box.change(do="approve", number=1, user="bob")
    box.change(**changes[name])
    real, names = webhook(f"gitea-{version}", name)
    while True:
        headers, body = receiver[1].get(timeout=10)
        if headers["X-Gitea-Event"] == event:
            break
    assert differences(json.loads(body), real) == []
    assert {header.lower() for header in headers.keys()} - OF_THE_CLIENT == names - OF_THE_CLIENT


# ---- Plane -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def plane(box):
    plane = Plane(box)
    plane.load(version="1.3.1")
    plane.project(issues=[{"state": "In Progress"}])
    plane.change("state", issue="ORCH-1", state="Approved")
    return plane


def test_plane_answers_have_the_members_of_the_original(plane):
    issue = plane.issue("ORCH-1")["id"]
    wrong = {}
    for name, path, query in (
            ("approve_by_web_issue", f"work-items/{issue}/", {}),
            ("approve_by_web_issue_expanded", f"work-items/{issue}/", {"expand": "state,labels,assignees,created_by"}),
            ("approve_by_web_activities", f"work-items/{issue}/activities/", {"order_by": "-created_at", "expand": "actor"}),
            ("approve_by_web_states", "states/", {"per_page": 100}),
            ("list_page", "work-items/", {"per_page": 5, "fields": "id,name,state,updated_at,sequence_id,project"})):
        status, real, headers = answer("plane-1.3.1", name)
        got = plane.get(path, **query)
        found = differences(got.json(), real) + [f"header {header}" for header in headers - set(got.headers)]
        if found or got.status != status:
            wrong[name] = (got.status, found)
    assert wrong == {}


def test_plane_refuses_in_the_words_of_the_original(plane):
    plane.load(keys=[KEY])
    path = f"workspaces/acme/projects/{plane.known()['id']}/states/"
    for name, got in (("no_key", plane.raw(path)), ("unknown_key", plane.raw(path, X_Api_Key="plane_api_no")),
                      ("not_routed", plane.raw("workspaces/acme/nosuch/", X_Api_Key=KEY)),
                      ("wrong_workspace", plane.raw(path.replace("acme", "nosuch"), X_Api_Key=KEY))):
        status, real, _ = answer("plane-1.3.1", name)
        assert (got.status, got.json()) == (status, real), name


@pytest.mark.parametrize("name, by", [("reject_by_web", "web"), ("approve_by_api_key", "api")])
def test_plane_webhooks_have_the_members_and_headers_of_the_original(plane, receiver, name, by):
    plane.load(webhook={"url": receiver[0], "secret": "plane_wh_0123456789abcdef0123456789abcdef"})
    plane.change("edit", issue="ORCH-1", name="del \x7f", webhook="none")
    plane.change("state", issue="ORCH-1", state="Rejected", by=by)
    real, names = webhook("plane-1.3.1", name)
    headers, body = receiver[1].get(timeout=10)
    got = json.loads(body)
    assert differences(got, real) == [] and got["activity"]["field"] == real["activity"]["field"]
    assert {header.lower() for header in headers.keys()} - OF_THE_CLIENT == names - OF_THE_CLIENT
    assert got["data"]["name"] == "del \x7f" and body == json.dumps(got).encode()  # DEL is escaped too
