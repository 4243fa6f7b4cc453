"""The sandbox is itself held to what Gitea is known to do, for everything else is tested against it.

SANDBOX names the program; build/release/sandbox when unset.
"""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import pathlib
import queue
import socket
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("SANDBOX", str(ROOT / "build/release/sandbox"))


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Sandbox:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("sandbox listening on http://127.0.0.1:"), line
        self.port = int(line.rsplit(":", 1)[1])

    def stop(self):
        self.process.terminate()
        code = self.process.wait(20)
        self.process.stdout.close()
        return code

    def call(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {k.replace("_", "-"): v for k, v in headers.items()})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def control(self, method, path, body=None):
        answer = self.call(method, "/sandbox/" + path, body)
        assert answer.status < 300, answer.body
        return answer.json()

    def world(self, **document):
        return self.control("POST", "world", document)

    def change(self, **change):
        return self.control("POST", "change", {"repo": "acme/shop", **change})["results"][0]

    def api(self, path, method="GET", body=None, **headers):
        return self.call(method, "/gitea/api/v1/" + path, body, **headers)

    def shop(self, path="", **more):
        return self.api("repos/acme/shop" + path, **more)


@pytest.fixture(scope="module")
def running():
    sandbox = Sandbox()
    yield sandbox
    assert sandbox.stop() == 0


@pytest.fixture
def box(running):
    running.control("POST", "reset")
    running.control("POST", "gitea", {"version": "1.26", "token": None, "token_scope": None, "zone_minutes": 0})
    return running


def shop(branches=(), **more):
    return {"full_name": "acme/shop", "branches": [{"name": "main"}, *branches], **more}


def branch(name, **more):
    return {"name": name, **more}


def at_version(box, version):
    box.control("POST", "gitea", {"version": version})


# ---- the instance --------------------------------------------------------------------------------------------------


def test_version_and_limits_are_told(box):
    at_version(box, "1.25.4")
    assert box.api("version").json() == {"version": "1.25.4"}
    settings = box.api("settings/api").json()
    assert (settings["max_response_items"], settings["default_paging_num"]) == (50, 30)


def test_only_loopback_is_listened_on(box):
    listening = pathlib.Path("/proc/net/tcp").read_text() + pathlib.Path("/proc/net/tcp6").read_text()
    hosts = [line.split()[1].split(":")[0] for line in listening.splitlines() if f":{box.port:04X} " in line]
    assert set(hosts) == {"0100007F"}


def test_a_wrong_token_is_401_and_none_sees_only_what_is_public(box):
    box.world(repos=[shop(), {"full_name": "acme/open", "private": False, "branches": [branch("main")]}])
    box.control("POST", "gitea", {"token": "s3cret"})
    assert box.shop(Authorization="token wrong").status == 401
    assert box.shop(Authorization="token wrong").json()["message"] == "invalid username, password or token"
    assert box.shop().status == 404
    assert box.api("repos/acme/open").status == 200
    basic = base64.b64encode(b"me:s3cret").decode()
    for header in ("token s3cret", "Bearer s3cret", "Basic " + basic):
        assert box.shop(Authorization=header).status == 200
    assert box.shop("?token=s3cret").status == 200
    refused = box.shop("/branches", method="POST", body={"new_branch_name": "x"})
    assert (refused.status, refused.json()["message"]) == (401, "token is required")


def test_a_token_that_may_only_read_is_403_for_writing(box):
    box.world(repos=[shop()])
    box.control("POST", "gitea", {"token": "t", "token_scope": "read:repository"})
    assert box.shop(Authorization="token t").status == 200
    answer = box.shop("/branches", method="POST", body={"new_branch_name": "x"}, Authorization="token t")
    assert answer.status == 403
    assert answer.json()["message"].startswith("token does not have at least one of required scope(s)")


def test_an_invisible_repo_is_404_and_a_renamed_one_301_with_a_relative_path(box):
    box.world(repos=[shop([branch("a/b")])], renamed=[{"from": "acme/old", "to": "acme/shop"}])
    answer = box.api("repos/acme/old/branches/a%2Fb?x=1")
    assert (answer.status, answer.headers["location"]) == (301, "/gitea/api/v1/repos/acme/shop/branches/a%2Fb?x=1")
    assert box.api("repos/Acme/SHOP").status == 200
    box.change(do="rename", to="acme/store")
    assert box.shop().headers["location"] == "/gitea/api/v1/repos/acme/store"
    assert box.api("repos/acme/store").json()["full_name"] == "acme/store"
    box.world(repos=[{"full_name": "acme/store", "hidden": True}])
    answer = box.api("repos/acme/store")
    assert answer.status == 404 and set(answer.json()) == {"message", "url"}


# ---- branches ------------------------------------------------------------------------------------------------------


def test_branch_names_take_slashes_plain_and_escaped_and_the_sha_is_commit_id(box):
    sha = "a" * 40
    box.world(repos=[shop([branch("feature/x y", sha=sha)])])
    for path in ("/branches/feature/x%20y", "/branches/feature%2Fx%20y"):
        row = box.shop(path).json()
        assert (row["name"], row["commit"]["id"]) == ("feature/x y", sha)
        assert "sha" not in row["commit"]
    assert box.shop("/branches/feature").status == 404


def test_lists_hold_30_unless_asked_and_never_more_than_50(box):
    box.world(repos=[shop([branch(f"b{i:03}", time="2026-01-01T00:00:00Z") for i in range(120)])])
    for query, n in (("", 30), ("?limit=500", 50), ("?limit=7", 7), ("?limit=0", 30)):
        answer = box.shop("/branches" + query)
        assert (len(answer.json()), answer.headers["x-total-count"]) == (n, "121")
    names = [row["name"] for page in (1, 2, 3) for row in box.shop(f"/branches?limit=50&page={page}").json()]
    assert names[0] == "main" and names[1:] == sorted(names[1:]) and len(set(names)) == 121
    past = box.shop("/branches?page=9&limit=50")
    assert past.json() == [] and past.headers["x-total-count"] == "121"


def test_links_are_absolute_and_built_from_the_root_url(box):
    box.world(repos=[shop([branch(f"b{i}") for i in range(5)])], gitea={"root_url": "https://git.example.com/"})
    link = box.shop("/branches?limit=2&page=2").headers["link"]
    assert '<https://git.example.com/api/v1/repos/acme/shop/branches?limit=2&page=3>; rel="next"' in link
    for rel in ("last", "first", "prev"):
        assert f'rel="{rel}"' in link
    assert "link" not in box.shop("/branches?limit=50").headers
    box.control("POST", "gitea", {"root_url": f"http://127.0.0.1:{box.port}/gitea/"})


def test_a_broken_branch_makes_its_page_short_without_being_the_last(box):
    box.world(repos=[shop([branch(f"b{i}", broken=i == 1, time="2026-01-01T00:00:00Z") for i in range(4)])])
    first = box.shop("/branches?limit=3")
    assert [row["name"] for row in first.json()] == ["main", "b0"]
    assert first.headers["x-total-count"] == "5"
    assert [row["name"] for row in box.shop("/branches?limit=3&page=2").json()] == ["b2", "b3"]


def test_an_empty_repo_has_no_list_of_pulls(box):
    box.world(repos=[{"full_name": "acme/shop", "empty": True}])
    assert box.shop("/pulls?state=open").status == 404


def test_the_branches_of_an_empty_repo_are_null(box):
    box.world(repos=[{"full_name": "acme/shop", "empty": True}])
    assert box.shop("/branches").body.strip() == b"null"


def test_creating_a_branch_answers_as_gitea_does(box):
    box.world(repos=[shop(), {"full_name": "acme/cold", "archived": True, "branches": [branch("main")]},
                     {"full_name": "acme/copy", "mirror": True, "branches": [branch("main")]}])

    def create(name, repo="acme/shop", **source):
        return box.api(f"repos/{repo}/branches", method="POST", body={"new_branch_name": name, **source})

    made = create("ORCH-9", old_ref_name="main")
    assert made.status == 201
    assert made.json()["commit"]["id"] == box.shop("/branches/main").json()["commit"]["id"]
    assert create("ORCH-9", old_ref_name="main").status == 409
    assert create("x", old_branch_name="gone").status == 404
    unknown = create("x", old_ref_name="gone")
    assert (unknown.status, unknown.json()["message"]) == (500, "")
    assert create("ORCH-9/a", old_ref_name="main").status == 409
    assert create("a/b", old_ref_name="main").status == 201 and create("a", old_ref_name="main").status == 409
    for bad in ("a..b", "a b", "a~", "x.lock", "/x", "x/", "@{"):
        refused = create(bad, old_ref_name="main")
        assert refused.status == 422 and "GitRefName" in refused.json()["message"], bad
    assert create("x", repo="acme/cold").status == 423
    assert create("x", repo="acme/copy").status == 403


def test_generated_branches_are_there_without_being_stored(box):
    box.control("POST", "generate", {"repo": "acme/big", "branches": 200000, "state": "success"})
    row = box.api("repos/acme/big/branches/task-199999").json()
    status = box.api(f"repos/acme/big/commits/{row['commit']['id']}/status").json()
    assert (status["state"], status["total_count"]) == ("success", 1)
    assert box.api("repos/acme/big/branches/task-200001").status == 404
    assert box.api("repos/acme/big/branches?limit=1").headers["x-total-count"] == "200001"
    box.control("POST", "change", {"repo": "acme/big", "do": "status", "branch": "task-5", "state": "failure"})
    assert box.api("repos/acme/big/commits/task-5/status").json()["state"] == "failure"
    assert box.api("repos/acme/big/commits/task-6/status").json()["state"] == "success"
    rows = box.api("repos/acme/big/branches?limit=10").json()
    assert [r["name"] for r in rows] == ["main"] + [f"task-{i}" for i in range(1, 10)]


# ---- commit statuses -----------------------------------------------------------------------------------------------


def test_no_status_at_all_looks_different_from_version_to_version(box):
    box.world(repos=[shop()])
    at_version(box, "1.24")
    zero = box.shop("/commits/main/status")
    assert zero.status == 200 and "x-total-count" not in zero.headers
    assert zero.json() == {"state": "", "sha": "", "total_count": 0, "statuses": None, "repository": None,
                           "commit_url": "", "url": ""}
    for version, state in (("1.25", ""), ("1.26", "pending"), ("1.27", "pending")):
        at_version(box, version)
        combined = box.shop("/commits/main/status").json()
        assert (combined["state"], combined["statuses"], combined["total_count"]) == (state, None, 0)
        assert combined["sha"] == box.shop("/branches/main").json()["commit"]["id"]
        assert combined["repository"]["full_name"] == "acme/shop"


@pytest.mark.parametrize("states, old, new", [
    (["success"], "success", "success"),
    (["success", "pending"], "pending", "pending"),
    (["success", "warning"], "warning", "failure"),
    (["warning", "failure"], "failure", "failure"),
    (["success", "error"], "failure", "failure"),
    (["success", "skipped"], None, "success"),
])
def test_the_combined_state_follows_the_rule_of_its_version(box, states, old, new):
    rows = [{"context": f"c{i}", "state": state} for i, state in enumerate(states)]
    box.world(repos=[shop([branch("b", statuses=rows)])])
    for version, expected in (("1.22", old), ("1.24", old), ("1.25", new), ("1.26", new)):
        at_version(box, version)
        if expected:
            assert box.shop("/commits/b/status").json()["state"] == expected, version


def test_the_combined_state_is_that_of_its_page_alone(box):
    rows = [{"context": "old red", "state": "failure"}] + [{"context": f"c{i}", "state": "success"} for i in range(60)]
    box.world(repos=[shop([branch("b", statuses=rows)])])
    first = box.shop("/commits/b/status?limit=50")
    assert (first.json()["state"], first.json()["total_count"]) == ("success", 50)
    assert first.headers["x-total-count"] == "61" and 'rel="next"' in first.headers["link"]
    assert box.shop("/commits/b/status?limit=50&page=2").json()["state"] == "failure"
    at_version(box, "1.25")
    assert "link" not in box.shop("/commits/b/status?limit=50").headers


def test_the_newest_row_of_a_context_counts_and_rows_say_status(box):
    box.world(repos=[shop([branch("b", statuses=[{"state": "failure"}, {"context": "lint", "state": "success"},
                                                 {"state": "success"}])])])
    combined = box.shop("/commits/b/status").json()
    assert combined["state"] == "success"
    assert [(row["id"], row["context"], row["status"]) for row in combined["statuses"]] == [
        (2, "lint", "success"), (3, "ci/build", "success")]
    assert "state" not in combined["statuses"][0]
    assert combined["statuses"][0]["updated_at"] == combined["statuses"][0]["created_at"]


def test_the_history_has_every_row_newest_first_with_filters(box):
    box.world(repos=[shop([branch("b", statuses=[{"state": state, "created_at": f"2026-11-24T01:00:0{at}Z"} for at, state in
                                                 enumerate(["pending", "failure", "success"])])])])
    sha = box.shop("/branches/b").json()["commit"]["id"]
    for path in ("/commits/b/statuses", f"/statuses/{sha}"):
        assert [row["id"] for row in box.shop(path).json()] == [3, 2, 1]
        assert [row["id"] for row in box.shop(path + "?sort=oldest").json()] == [1, 2, 3]
        assert [row["status"] for row in box.shop(path + "?state=failure").json()] == ["failure"]
        assert len(box.shop(path + "?state=skipped").json()) == 3
    paged = box.shop("/commits/b/statuses?limit=1&page=2")
    assert paged.json()[0]["id"] == 2 and paged.headers["x-total-count"] == "3"


def test_the_history_comes_whole_without_page_and_goes_by_seconds(box):
    at = [f"2026-11-24T01:00:0{i}Z" for i in (1, 2, 2, 3)] + ["2026-11-24T01:00:04Z"] * 56
    box.world(repos=[shop([branch("b", statuses=[{"state": "success", "created_at": when} for when in at])])])
    whole = box.shop("/commits/b/statuses?limit=50").json()
    assert [row["id"] for row in whole] == [*range(5, 61), 4, 2, 3, 1]
    assert [row["id"] for row in box.shop("/commits/b/statuses?limit=50&page=2").json()] == [row["id"] for row in whole[50:]]


def test_an_index_restarts_with_each_commit(box):
    box.world(repos=[shop([branch("a", statuses="success"), branch("b", statuses="success")])])
    for name in "ab":
        assert box.shop(f"/commits/{name}/status").json()["statuses"][0]["id"] == 1


def test_a_slash_in_a_ref_works_unescaped_only_from_1_25_4(box):
    box.world(repos=[shop([branch("feature/x", statuses="success")])])
    for version, plain in (("1.25.3", 404), ("1.25.4", 200), ("1.26", 200)):
        at_version(box, version)
        assert box.shop("/commits/feature/x/status").status == plain
        assert box.shop("/commits/feature%2Fx/status").json()["state"] == "success"


def test_a_ref_is_a_branch_then_a_tag_then_a_commit(box):
    sha, other = "1234567" + "0" * 33, "f" * 40
    box.world(repos=[shop([branch("v1", sha=sha)], tags=[{"name": "v1", "sha": other}, {"name": "v2", "sha": other}])])
    box.change(do="status", sha=sha, state="success")
    for ref, expected in (("v1", sha), ("v2", other), (sha, sha), ("1234567", sha)):
        assert box.shop(f"/commits/{ref}/status").json()["sha"] == expected
    assert box.shop("/commits/123456/status").status == 404
    assert box.shop("/commits/nothing/status").status == 404


def test_a_status_is_created_with_state_and_shown_with_status(box):
    box.world(repos=[shop()])
    sha = box.shop("/branches/main").json()["commit"]["id"]
    made = box.shop(f"/statuses/{sha}", method="POST", body={"state": "success", "context": "ci", "target_url": "http://x"})
    assert made.status == 201 and (made.json()["status"], made.json()["target_url"]) == ("success", "http://x")
    at_version(box, "1.22.6")
    for state in ("bogus", "SUCCESS", "", "skipped"):
        made = box.shop(f"/statuses/{sha}", method="POST", body={"state": state})
        assert (made.status, made.json()["status"]) == (201, state)


def test_times_are_whole_seconds_in_the_zone_of_the_server(box):
    box.world(repos=[shop([branch("b", time="2026-11-23T20:00:00Z")])], gitea={"zone_minutes": -210})
    assert box.shop("/branches/b").json()["commit"]["timestamp"] == "2026-11-23T16:30:00-03:30"


# ---- pull requests -------------------------------------------------------------------------------------------------


def pulls(box, *rows, branches=("a", "b", "c")):
    box.world(repos=[shop([branch(name) for name in branches], pulls=list(rows))])


def test_pulls_are_listed_by_state_sort_and_from_1_24_by_base(box):
    pulls(box, {"number": 1, "head": "a", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-09T00:00:00Z"},
          {"number": 2, "head": "b", "base": "c", "created_at": "2026-01-02T00:00:00Z",
           "updated_at": "2026-01-03T00:00:00Z"},
          {"number": 3, "head": "c", "state": "closed", "created_at": "2026-01-03T00:00:00Z"})

    def numbers(query):
        return [row["number"] for row in box.shop("/pulls" + query).json()]

    assert numbers("") == [2, 1]
    assert numbers("?state=all") == [3, 2, 1]
    assert numbers("?state=closed") == [3]
    assert numbers("?sort=oldest&state=all") == [1, 2, 3]
    assert numbers("?sort=recentupdate") == [1, 2]
    assert numbers("?base_branch=c") == [2]
    at_version(box, "1.23")
    assert numbers("?base_branch=c") == [2, 1]
    assert numbers("?head=a") == [2, 1]


def test_an_open_pull_shows_its_ends_and_that_its_url_is_the_page(box):
    pulls(box, {"number": 4, "head": "a", "draft": True})
    pull = box.shop("/pulls/4").json()
    sha = box.shop("/branches/a").json()["commit"]["id"]
    assert (pull["state"], pull["merged"], pull["merged_at"], pull["merge_commit_sha"], pull["merged_by"]) == (
        "open", False, None, None, None)
    assert (pull["head"]["label"], pull["head"]["ref"], pull["head"]["sha"]) == ("a", "a", sha)
    assert pull["url"] == pull["html_url"] and pull["url"].endswith("/acme/shop/pulls/4")
    assert pull["draft"] is True and pull["base"]["ref"] == "main"
    assert box.shop("/pulls/4/merge").status == 404
    assert box.shop("/pulls/99").status == 404


def test_a_merged_pull_whose_branch_is_gone_shows_the_pull_ref_and_keeps_the_label(box):
    pulls(box, {"number": 5, "head": "a"})
    sha = box.shop("/pulls/5").json()["head"]["sha"]
    box.change(do="merge", number=5, delete_branch=True)
    pull = box.shop("/pulls/5").json()
    assert (pull["state"], pull["merged"], pull["merged_by"]["login"]) == ("closed", True, "merger")
    assert (pull["head"]["label"], pull["head"]["ref"], pull["head"]["sha"]) == ("a", "refs/pull/5/head", sha)
    assert pull["merge_commit_sha"] == box.shop("/branches/main").json()["commit"]["id"]
    assert box.shop("/pulls/5/merge").status == 204
    assert box.shop("/branches/a").status == 404


def test_a_deleted_fork_and_an_agit_pull_look_as_they_do(box):
    pulls(box, {"number": 6, "head": "a", "head_repo": None}, {"number": 7, "head": "b", "agit": True})
    fork, agit = box.shop("/pulls/6").json()["head"], box.shop("/pulls/7").json()["head"]
    assert (fork["repo"], fork["repo_id"], fork["ref"], fork["label"]) == (None, -1, "refs/pull/6/head", "a")
    assert (agit["label"], agit["ref"]) == ("", "refs/pull/7/head")


def test_by_base_and_head_an_old_closed_pull_may_hide_the_open_one(box):
    pulls(box, {"number": 1, "head": "feature/x", "state": "closed"}, {"number": 2, "head": "feature/x"},
          branches=("feature/x",))
    for head in ("feature/x", "feature%2Fx", "acme:feature/x", "acme/shop:feature/x"):
        assert box.shop(f"/pulls/main/{head}").json()["number"] == 1
    assert box.shop("/pulls/main/none").status == 404


def test_reviews_are_a_history_without_links_that_hides_but_counts_pending_ones(box):
    pulls(box, {"number": 1, "head": "a", "reviews": [
        {"user": "ann", "state": "REQUEST_CHANGES"}, {"user": "bob", "state": "PENDING"},
        {"user": "ann", "state": "APPROVED", "dismissed": True}, {"team": "qa", "state": "REQUEST_REVIEW"},
        {"state": "COMMENT", "stale": True, "official": False}]})
    answer = box.shop("/pulls/1/reviews")
    rows = answer.json()
    assert [row["state"] for row in rows] == ["REQUEST_CHANGES", "APPROVED", "REQUEST_REVIEW", "COMMENT"]
    assert answer.headers["x-total-count"] == "5" and "link" not in box.shop("/pulls/1/reviews?limit=2").headers
    assert rows[1]["dismissed"] is True and rows[3]["stale"] is True
    assert rows[2]["user"] is None and rows[2]["team"]["name"] == "qa"
    assert rows[3]["user"]["login"] == "Ghost" and rows[3]["user"]["id"] == -1


def test_deleting_the_head_branch_closes_an_open_pull(box):
    box.world(repos=[shop([branch("b")], pulls=[{"number": 1, "head": "b"}])])
    box.change(do="delete_branch", branch="b")
    row = box.shop("/pulls/1").json()
    assert (row["state"], row["merged"], row["head"]["ref"]) == ("closed", False, "refs/pull/1/head")


def test_a_new_verdict_voids_the_earlier_one_and_a_request_its_weight(box):
    box.world(repos=[shop([branch("b")], pulls=[{"number": 1, "head": "b"}])])
    box.change(do="approve", number=1, user="ann")
    box.change(do="approve", number=1, user="bob")
    box.change(do="review", number=1, user="ann", state="REQUEST_REVIEW")
    box.change(do="reject", number=1, user="bob")
    rows = box.shop("/pulls/1/reviews").json()
    assert [(row["user"]["login"], row["state"], row["official"], row["dismissed"]) for row in rows] == [
        ("ann", "APPROVED", False, False), ("bob", "APPROVED", False, True), ("ann", "REQUEST_REVIEW", True, False),
        ("bob", "REQUEST_CHANGES", True, False)]


def test_a_request_to_a_stranger_voids_nothing_and_a_new_review_ends_it(box):
    box.world(repos=[shop([branch("b")], pulls=[{"number": 1, "head": "b"}])])
    box.change(do="approve", number=1, user="eve", official=False)
    box.change(do="approve", number=1, user="ann")
    box.change(do="review", number=1, user="ann", state="REQUEST_REVIEW", official=False)
    rows = box.shop("/pulls/1/reviews").json()
    assert [(row["user"]["login"], row["state"], row["official"]) for row in rows] == [
        ("eve", "APPROVED", False), ("ann", "APPROVED", True), ("ann", "REQUEST_REVIEW", False)]
    box.change(do="review", number=1, user="ann", state="COMMENT")
    assert [row["state"] for row in box.shop("/pulls/1/reviews").json()] == ["APPROVED", "APPROVED", "COMMENT"]


def test_a_push_makes_reviews_stale_and_moves_the_head(box):
    pulls(box, {"number": 1, "head": "a"})
    box.change(do="approve", number=1, user="ann")
    assert box.shop("/pulls/1/reviews").json()[0]["stale"] is False
    sha = box.change(do="push", branch="a")["sha"]
    assert box.shop("/pulls/1").json()["head"]["sha"] == sha
    assert box.shop("/pulls/1/reviews").json()[0]["stale"] is True
    box.change(do="dismiss", number=1, user="ann")
    assert box.shop("/pulls/1/reviews").json()[0]["dismissed"] is True


# ---- files ---------------------------------------------------------------------------------------------------------


def test_a_file_is_an_object_and_a_folder_an_array_without_content(box):
    box.world(repos=[shop([branch("b", files={"docs/adr/1.md": "hällo", "docs/adr/sub/2.md": "x", "docs/adr/sub/3.md": "y",
                                              "docs/adrx": "not in there"})])])
    folder = box.shop("/contents/docs/adr?ref=b").json()
    assert [(row["name"], row["type"], row["content"]) for row in folder] == [("1.md", "file", None), ("sub", "dir", None)]
    file = box.shop("/contents/docs/adr/1.md?ref=b").json()
    assert base64.b64decode(file["content"]).decode() == "hällo" and file["encoding"] == "base64"
    assert box.shop("/contents/docs/adr/?ref=b").status == 200
    assert [row["name"] for row in box.shop("/contents?ref=b").json()] == ["docs"]
    assert box.shop("/contents/docs/none?ref=b").status == 404
    assert box.shop("/contents/docs?ref=none").status == 404
    assert box.shop("/contents/docs/adr").status == 404
    assert box.shop("/raw/docs/adr/1.md?ref=b").body.decode() == "hällo"
    sha = box.shop("/branches/b").json()["commit"]["id"]
    assert box.shop(f"/contents/docs/adr?ref={sha}").status == 200


def test_trees_are_asked_for_by_commit_by_path_and_by_id(box):
    files = {"docs/adr/1.md": "x", "docs/adr.md": "y", "docs/adrx/2.md": "z", "top": ""}
    box.world(repos=[shop([branch("b", files=files), branch("none")])])
    sha = box.shop("/branches/b").json()["commit"]["id"]
    box.change(do="push", branch=sha, files={"evil": ""})  # git takes it for the commit

    assert box.shop(f"/git/commits/{sha}").json()["sha"] == sha
    made = box.shop("/branches", method="POST", body={"new_branch_name": "new", "old_ref_name": sha})
    assert made.status == 201 and made.json()["commit"]["id"] == sha

    def rows(name, query=""):
        return [(row["path"], row["type"], row["mode"]) for row in box.shop(f"/git/trees/{name}{query}").json()["tree"]]

    top = box.shop(f"/git/trees/{sha}").json()
    assert [(row["path"], row["type"]) for row in top["tree"]] == [("docs", "tree"), ("top", "blob")]
    assert (top["truncated"], top["page"], top["total_count"]) == (False, 1, 2)
    docs = [("adr.md", "blob", "100644"), ("adr", "tree", "040000"), ("adrx", "tree", "040000")]
    assert rows(f"{sha}:docs") == rows(f"{sha}%3Adocs") == rows("b:docs") == rows(top["tree"][0]["sha"]) == docs
    assert rows(f"{sha}:docs%2Fadr") == [("1.md", "blob", "100644")]
    first = box.shop(f"/git/trees/{sha}:docs?per_page=2").json()
    assert ([row["path"] for row in first["tree"]], first["truncated"], first["total_count"]) == (["adr.md", "adr"], True, 3)
    assert rows(f"{sha}:docs", "?per_page=2&page=2") == docs[2:]
    beyond = box.shop(f"/git/trees/{sha}:docs?per_page=2&page=3").json()
    assert (beyond["tree"], beyond["truncated"], beyond["total_count"]) == (None, False, 3)
    for name in (f"{sha}:none", f"{sha}:top", f"{sha}:docs%2Fadr%2F1.md", "f" * 40):
        refused = box.shop(f"/git/trees/{name}")
        assert refused.status == 400 and refused.json()["message"].startswith("sha not found [")


def test_a_blob_above_10_mib_has_neither_encoding_nor_content(box):
    box.world(repos=[shop([branch("b", files={"big": "x" * (10 * 1024 * 1024 + 1)})])])
    file = box.shop("/contents/big?ref=b").json()
    assert (file["content"], file["encoding"], file["size"]) == (None, None, 10 * 1024 * 1024 + 1)


# ---- webhooks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver():
    got = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.put((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))  # before the next may be sent
            self.send_response(500 if self.path == "/broken" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_status_webhook_is_signed_over_its_bytes_and_names_no_branch(box, receiver):
    url, got = receiver
    box.world(repos=[shop([branch("b")])], webhook={"url": url + "/hook", "secret": "s3"})
    box.change(do="status", branch="b", state="success")
    headers, body = got.get(timeout=10)
    signature = hmac.new(b"s3", body, hashlib.sha256).hexdigest()
    assert headers["X-Gitea-Signature"] == signature
    assert headers["X-Hub-Signature-256"] == "sha256=" + signature
    assert (headers["X-Gitea-Event"], headers["X-Gitea-Event-Type"]) == ("status", "status")
    payload = json.loads(body)
    assert payload["state"] == "success" and payload["sha"] == payload["commit"]["id"]
    assert not {"branch", "branches", "ref", "name"} & set(payload)


def test_without_a_secret_the_signature_headers_are_there_and_empty(box, receiver):
    url, got = receiver
    box.world(repos=[shop()], webhook={"url": url})
    box.change(do="push", branch="main")
    headers, _ = got.get(timeout=10)
    assert headers["X-Gitea-Signature"] == "" and headers["X-Hub-Signature-256"] == "sha256="


def test_an_approval_is_sent_as_pull_request_approved_and_a_dismissal_not_at_all(box, receiver):
    url, got = receiver
    pulls(box, {"number": 1, "head": "a"})
    box.shop("/hooks", method="POST", body={"type": "gitea", "active": True, "events": ["pull_request", "nonsense"],
                                            "config": {"url": url, "content_type": "json"}})
    events = box.shop("/hooks").json()[0]["events"]
    assert {"pull_request", "pull_request_review", "pull_request_sync"} < set(events) and "nonsense" not in events and "push" not in events
    box.change(do="approve", number=1, user="ann")
    headers, body = got.get(timeout=10)
    assert headers["X-Gitea-Event"] == "pull_request_approved"
    assert headers["X-Gitea-Event-Type"] == "pull_request_review_approved"
    assert json.loads(body)["sender"]["login"] == "ann"
    box.change(do="dismiss", number=1, user="ann")
    box.change(do="merge", number=1)
    headers, body = got.get(timeout=10)
    assert json.loads(body)["action"] == "closed" and json.loads(body)["pull_request"]["merged"] is True


def test_a_hook_is_inactive_unless_asked_and_listens_to_push_alone(box):
    box.world(repos=[shop()])
    made = box.shop("/hooks", method="POST", body={"type": "gitea", "config": {"url": "http://127.0.0.1:1"}})
    assert (made.status, made.json()["active"], made.json()["events"]) == (201, False, ["push"])


def test_webhooks_of_the_organization_and_of_the_server_get_every_repositorys_events(box, receiver):
    url, got = receiver
    box.world(repos=[shop()])
    for at, path in (("orgs/acme/hooks", "/org"), ("orgs/other/hooks", "/other"), ("admin/hooks", "/admin")):
        made = box.api(at, method="POST", body={"type": "gitea", "active": True, "events": ["push"], "config": {"url": url + path}})
        assert made.status == 201
    assert [hook["config"]["url"] for hook in box.api("orgs/ACME/hooks").json()] == [url + "/org"]
    assert [hook["config"]["url"] for hook in box.api("admin/hooks").json()] == [url + "/admin"]
    box.change(do="push", branch="main")
    types = [got.get(timeout=10)[0]["X-Gitea-Hook-Installation-Target-Type"] for _ in range(2)]
    assert sorted(types) == ["organization", "system"] and got.empty()


def test_webhooks_can_be_lost_on_purpose_and_are_counted(box, receiver):
    url, got = receiver
    box.world(repos=[shop()], webhook={"url": url, "lose": True})
    box.change(do="status", branch="main", state="failure")
    box.change(do="status", branch="main", state="success", webhook="send")
    _, body = got.get(timeout=10)
    assert json.loads(body)["state"] == "success"
    box.change(do="status", branch="main", state="success", webhook="none")
    counted = box.control("GET", "webhooks")
    assert counted["lost"] == 1 and [row["outcome"] for row in counted["deliveries"]][0] == "lost"


def test_a_refused_delivery_is_never_repeated(box, receiver):
    url, got = receiver
    box.world(repos=[shop()], webhook={"url": url + "/broken"})
    box.change(do="status", branch="main", state="success")
    box.change(do="status", branch="main", state="failure")
    assert [json.loads(got.get(timeout=10)[1])["state"] for _ in range(2)] == ["success", "failure"]
    assert got.empty()


# ---- gates, faults, counters ---------------------------------------------------------------------------------------


def test_a_gate_answers_what_was_set_for_its_query_or_its_name(box):
    box.world(gates=[{"name": "deploy", "verdict": "red", "reason": "freeze"},
                     {"name": "deploy", "query": "task_id=7", "verdict": "green"}])
    assert box.call("GET", "/gate/deploy?task_id=8").json() == {"verdict": "red", "reason": "freeze"}
    assert box.call("GET", "/gate/deploy?task_id=7").json()["verdict"] == "green"
    assert box.call("GET", "/gate/other").status == 404


def fault(box, **rule):
    return box.control("POST", "faults", rule)["id"]


def test_a_fault_answers_a_status_for_as_many_times_as_asked(box):
    box.world(repos=[shop()])
    fault(box, path="/gitea/*/branches*", kind="status", status=502, html="<h1>Bad gateway</h1>", skip=1, count=2)
    assert [box.shop("/branches").status for _ in range(4)] == [200, 502, 502, 200]
    fault(box, path="/gitea", kind="429", retry_after=7)
    limited = box.shop("/branches")
    assert (limited.status, limited.headers["retry-after"]) == (429, "7")
    box.control("DELETE", "faults")
    fault(box, path="/gitea", kind="status", status=429)
    limited = box.shop("/branches")
    assert limited.status == 429 and "retry-after" not in limited.headers
    box.control("DELETE", "faults")
    assert box.shop("/branches").status == 200


def test_a_fault_may_ask_for_a_query_and_a_method(box):
    box.world(repos=[shop()])
    fault(box, query="*page=2*", kind="status", status=500)
    fault(box, method="POST", kind="status", status=503)
    assert box.shop("/branches").status == 200
    assert box.shop("/branches?page=2").status == 500
    assert box.shop("/branches", method="POST", body={"new_branch_name": "x"}).status == 503


def test_a_fault_may_ask_for_what_was_sent(box):
    box.world(repos=[shop()])
    fault(box, path="/gitea/*/branches", sent="*\"x/*", kind="status", status=503)
    assert box.shop("/branches", method="POST", body={"new_branch_name": "x/1"}).status == 503
    assert box.shop("/branches", method="POST", body={"new_branch_name": "y/1"}).status == 201
    assert box.shop("/branches").status == 200
    assert box.control("GET", "faults")["faults"][0]["sent"] == "*\"x/*"


def test_a_made_answer_that_is_cut_or_drips_carries_nothing_out(box):
    box.world(repos=[shop()])
    made = {"method": "POST", "status": 201, "json": {"name": "x"}, "count": 1}
    fault(box, kind="cut", bytes=5, **made)
    with pytest.raises(http.client.IncompleteRead) as caught:
        box.shop("/branches", method="POST", body={"new_branch_name": "x"})
    assert len(caught.value.partial) == 5
    fault(box, kind="drip", bytes=4, ms=1, **made)
    dripped = box.shop("/branches", method="POST", body={"new_branch_name": "x"})
    assert (dripped.status, dripped.json()) == (201, {"name": "x"})
    assert box.shop("/branches/x").status == 404
    fault(box, method="POST", kind="drip", bytes=400, ms=1, count=1)
    assert box.shop("/branches", method="POST", body={"new_branch_name": "x"}).status == 201
    assert box.shop("/branches/x").status == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_cut_answer_ends_in_the_middle(box, chunked):
    box.world(repos=[shop()])
    fault(box, path="/gitea", kind="cut", bytes=10, chunked=chunked)
    with pytest.raises(http.client.IncompleteRead) as caught:
        box.shop("/branches")
    assert len(caught.value.partial) == 10


def test_an_answer_may_be_missing_garbage_mistyped_huge_or_dripping(box):
    box.world(repos=[shop()])
    true = box.shop("/branches").body
    fault(box, kind="close", count=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        box.shop("/branches")
    fault(box, kind="garbage", count=1)
    with pytest.raises(ValueError):
        box.shop("/branches").json()
    fault(box, kind="content_type", content_type="text/html", count=1)
    mistyped = box.shop("/branches")
    assert mistyped.headers["content-type"] == "text/html" and mistyped.body == true
    fault(box, kind="huge", bytes=5_000_000, count=1)
    huge = box.shop("/branches")
    assert len(huge.body) == 5_000_000 and huge.json() == []
    fault(box, kind="drip", bytes=200, ms=1, count=1)
    assert box.shop("/branches").body == true
    assert box.shop("/branches").body == true


def test_a_delayed_answer_is_the_true_one_and_comes_later(box):
    box.world(repos=[shop()])
    fault(box, path="/gitea", kind="delay", ms=60)
    start = time.monotonic()
    assert box.shop("/branches").status == 200
    assert time.monotonic() - start >= 0.059


def open_hanging(box, n, path="/gitea/api/v1/version"):
    sockets = []
    for _ in range(n):
        opened = socket.create_connection(("127.0.0.1", box.port), 20)
        opened.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        sockets.append(opened)
    return sockets


def read_all(opened):
    text = b""
    while chunk := opened.recv(65536):
        text += chunk
    opened.close()
    return text


def test_thousands_may_hang_at_once_while_others_are_answered(box):
    box.world(repos=[shop()])
    fault(box, path="/gitea/api/v1/version", kind="hang")
    sockets = open_hanging(box, 2000)
    seen = box.control("GET", "requests?until_hanging=2000&limit=1")
    assert (seen["hanging"], seen["in_flight"], seen["max_in_flight"]) == (2000, 2000, 2000)
    assert box.shop("/branches").status == 200
    assert box.control("POST", "release")["released"] == 2000
    assert all(b'"version"' in read_all(opened) for opened in sockets)
    assert box.control("GET", "requests?limit=0")["in_flight"] == 0


def test_it_ends_cleanly_with_requests_hanging_and_waiting(box):
    own = Sandbox("--gitea-version", "1.24")
    own.control("POST", "faults", {"path": "/gitea", "kind": "hang"})
    sockets = open_hanging(own, 5)
    own.control("GET", "requests?until_hanging=5")
    sockets += open_hanging(own, 1, "/sandbox/requests?until_total=99")
    assert own.stop() == 0
    for opened in sockets:
        opened.close()


def test_requests_are_counted_by_route_and_listed(box):
    box.world(repos=[shop([branch("feature/x")])])
    box.shop("/branches/main")
    box.shop("/branches/feature%2Fx", Authorization="token x")
    box.shop("/nothing/here")
    seen = box.control("GET", "requests")
    assert seen["total"] == 3 and seen["max_in_flight"] == 1 and seen["in_flight"] == 0
    assert seen["routes"]["GET /gitea/api/v1/repos/{}/{}/branches/*"] == 2
    assert [(row["method"], row["path"], row["status"], row["authorized"]) for row in seen["requests"]] == [
        ("GET", "/gitea/api/v1/repos/acme/shop/branches/main", 200, False),
        ("GET", "/gitea/api/v1/repos/acme/shop/branches/feature%2Fx", 200, True),
        ("GET", "/gitea/api/v1/repos/acme/shop/nothing/here", 404, False)]
    assert [row["number"] for row in box.control("GET", "requests?like=*feature*")["requests"]] == [
        seen["requests"][1]["number"]]
    box.control("DELETE", "requests")
    assert box.control("GET", "requests")["total"] == 0


def test_what_makes_no_sense_is_refused_in_words(box):
    for path, body in (("world", {"repos": [{"full_name": "noslash"}]}), ("world", [1]), ("faults", {"kind": "odd"}),
                       ("change", {"do": "odd"}), ("change", {"do": "push", "repo": "no/where"}),
                       ("gitea", {"version": "1.2"}), ("generate", {"repo": "a/b", "branches": -1})):
        answer = box.call("POST", "/sandbox/" + path, body)
        assert answer.status == 400 and answer.json()["error"], path
    assert box.call("GET", "/sandbox/odd").status == 404
    assert box.call("GET", "/sandbox/reset").status == 405


def test_the_command_line_is_checked_and_a_world_file_read(tmp_path):
    assert subprocess.run([PROGRAM, "--port", "x"], capture_output=True, check=False).returncode == 2
    assert subprocess.run([PROGRAM, "--gitea-version", "1.20"], capture_output=True, check=False).returncode == 2
    assert subprocess.run([PROGRAM, "--world", str(tmp_path / "none")], capture_output=True, check=False).returncode == 2
    world = tmp_path / "world.json"
    world.write_text(json.dumps({"repos": [shop()]}))
    own = Sandbox("--world", str(world), "--token", "t")
    assert own.shop("/branches", Authorization="token t").status == 200
    assert own.shop("/branches").status == 404
    assert own.stop() == 0


def demo(folder, script=ROOT / "tests/sandbox/demo.sh"):
    return subprocess.run(["sh", str(script)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          env={**os.environ, "OUT": os.path.dirname(os.path.abspath(PROGRAM)), "DEMO_RUN": str(folder)})


def test_the_demo_heals_what_is_green_and_stops_by_itself(tmp_path):
    done = demo(tmp_path / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "As expected: 8 healed, 12 left alone." in done.stdout
