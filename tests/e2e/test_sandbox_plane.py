"""The stand-in Plane is itself held to what Plane is known to do.

SANDBOX names the program; build/release/sandbox when unset.
"""
import concurrent.futures
import datetime
import hashlib
import hmac
import json
import socket
import subprocess
import urllib.parse

import pytest

from test_sandbox import PROGRAM, Sandbox, receiver  # noqa: F401  (receiver is a fixture)

KEY = "plane_api_0123456789abcdef0123456789abcdef"
ENVELOPE = {"grouped_by", "sub_grouped_by", "total_count", "next_cursor", "prev_cursor", "next_page_results",
            "prev_page_results", "count", "total_pages", "total_results", "extra_stats", "results"}
ISSUE = {"id", "created_at", "updated_at", "completed_at", "deleted_at", "created_by", "updated_by", "project", "workspace",
         "parent", "state", "estimate_point", "point", "name", "description_html", "description_binary", "priority",
         "start_date", "target_date", "archived_at", "sequence_id", "sort_order", "is_draft", "assignees", "labels",
         "external_source", "external_id", "type", "type_id"}
STATE = {"id", "created_at", "updated_at", "deleted_at", "created_by", "updated_by", "project", "workspace", "name",
         "description", "color", "slug", "sequence", "group", "is_triage", "default", "external_source", "external_id"}
ACTIVITY = {"id", "created_at", "updated_at", "deleted_at", "verb", "field", "old_value", "new_value", "comment", "attachments",
            "issue_comment", "actor", "old_identifier", "new_identifier", "epoch", "issue", "project", "workspace"}


class Plane:
    def __init__(self, box):
        self.box = box

    def load(self, **document):
        return self.box.control("POST", "plane", document)

    def project(self, identifier="ORCH", **more):
        return self.load(projects=[{"identifier": identifier, **more}])

    def clock(self, **document):
        return self.box.control("POST", "plane/clock", document)

    def generate(self, issues, project="ORCH", **more):
        return self.box.control("POST", "plane/generate", {"project": project, "issues": issues, **more})["issues"]

    def change(self, do, **change):
        return self.box.control("POST", "plane/change", {"do": do, **change})["results"]

    def later(self, after_lists, *changes):
        self.box.control("POST", "plane/later", {"after_lists": after_lists, "changes": list(changes)})

    def counters(self):
        return self.box.control("GET", "plane/counters")

    def known(self, identifier="ORCH"):
        return next(p for p in self.box.control("GET", "plane")["projects"] if p["identifier"] == identifier)

    def raw(self, path, method="GET", body=None, **headers):
        return self.box.call(method, "/plane/api/v1/" + path, body, **headers)

    def get(self, path, key=KEY, project="ORCH", **query):
        text = "?" + urllib.parse.urlencode(query) if query else ""
        return self.raw(f"workspaces/acme/projects/{self.known(project)['id']}/{path}{text}", X_Api_Key=key)

    def patch(self, path, body, content_type="application/json"):
        return self.raw(f"workspaces/acme/projects/{self.known()['id']}/{path}", "PATCH", body, X_Api_Key=KEY,
                        Content_Type=content_type)

    def issues(self, **query):
        return self.get("work-items/", **query).json()

    def issue(self, key):
        return self.raw(f"workspaces/acme/work-items/{key}/", X_Api_Key=KEY).json()

    def activities(self, key, **query):
        return self.get(f"work-items/{self.issue(key)['id']}/activities/", **query).json()["results"]


@pytest.fixture(scope="module")
def running():
    sandbox = Sandbox()
    yield sandbox
    assert sandbox.stop() == 0


@pytest.fixture
def plane(running):
    running.control("POST", "reset")
    plane = Plane(running)
    plane.load(limit=0)
    return plane


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


# ---- rows ------------------------------------------------------------------------------------------------------------


def test_an_issue_has_every_column_of_the_public_api_and_its_state_as_a_bare_uuid(plane):
    plane.project(issues=[{"name": "Grün", "state": "In Progress"}])
    page = plane.issues()
    row = page["results"][0]
    assert set(page) == ENVELOPE and set(row) == ISSUE
    assert row["state"] == plane.known()["states"]["In Progress"]
    assert (row["name"], row["sequence_id"], row["description_html"], row["priority"]) == ("Grün", 1, "<p></p>", "none")
    assert isinstance(row["sort_order"], float) and row["assignees"] == [] and row["archived_at"] is None
    assert plane.issue("ORCH-1") == plane.get(f"work-items/{row['id']}/").json() == row


def test_expand_turns_the_state_into_an_object_and_fields_leaves_only_what_it_names(plane):
    plane.project(issues=[{"state": "Approved"}])
    row = plane.issues(expand="state", fields="id,state,nonsense")["results"][0]
    assert set(row) == {"id", "state"}
    assert set(row["state"]) == {"id", "name", "color", "group"} and row["state"]["name"] == "Approved"
    assert plane.issues(fields="name", expand="state")["results"] == [{"name": "Issue 1"}]
    assert plane.issues(fields="nonsense")["results"] == [{}]
    assert set(plane.issues(fields="")["results"][0]) == ISSUE
    assert isinstance(plane.issues()["results"][0]["state"], str)


def test_descriptions_may_be_large_and_stripped_ones_are_not_there(plane):
    plane.project(issues=[{"description_bytes": 100_000}, {"description_html": "<p>\"ä\"</p>"}])
    large, small = plane.issues(order_by="sequence_id")["results"]
    assert len(large["description_html"]) == 100_000 and small["description_html"] == "<p>\"ä\"</p>"
    assert "description_stripped" not in large and "description" not in large


def test_times_have_microseconds_unless_they_are_zero_and_the_zone_of_the_keys_user(plane):
    plane.project(issues=[{"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T03:04:05Z"},
                          {"created_at": "2026-01-01T00:00:00.5Z", "updated_at": "2026-01-02T03:04:05.000007Z"}])
    times = [row["updated_at"] for row in plane.issues(order_by="sequence_id")["results"]]
    assert times == ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000007Z"]
    plane.load(zone_minutes=330)
    times = [row["updated_at"] for row in plane.issues(order_by="sequence_id")["results"]]
    assert times == ["2026-01-02T08:34:05+05:30", "2026-01-02T08:34:05.000007+05:30"]
    plane.load(zone_minutes=0, keys=[{"key": KEY, "zone_minutes": -210}])
    assert plane.issue("ORCH-1")["updated_at"] == "2026-01-01T23:34:05-03:30"
    assert plane.get("states/").json()["results"][0]["created_at"].endswith("-03:30")


def test_ages_are_given_in_seconds_before_now(plane):
    plane.clock(now="2026-01-02T00:00:00Z")
    plane.project(issues=[{"created_ago": 7200, "updated_ago": 60.5}])
    row = plane.issue("ORCH-1")
    assert (row["created_at"], row["updated_at"]) == ("2026-01-01T22:00:00Z", "2026-01-01T23:58:59.500000Z")


def test_states_are_a_page_by_sequence_without_triage(plane):
    plane.project(states=[{"name": "Done", "group": "completed", "sequence": 9.5}, {"name": "Triage", "group": "triage"},
                          {"name": "Late", "group": "backlog", "sequence": 10}, {"name": "First", "sequence": 1, "default": True}])
    page = plane.get("states/").json()
    assert set(page) == ENVELOPE and set(page["results"][0]) == STATE
    assert [(row["name"], row["group"]) for row in page["results"]] == [
        ("First", "started"), ("Done", "completed"), ("Late", "backlog")]
    assert page["results"][1]["sequence"] == 9.5 and page["results"][0]["default"] is True
    assert plane.get(f"states/{page['results'][0]['id']}/").json() == page["results"][0]
    assert plane.get(f"states/{plane.known()['states']['Triage']}/").status == 404
    assert [row["name"] for row in plane.get("states/", per_page=1, cursor="1:1:0").json()["results"]] == ["Done"]


def test_a_renamed_state_keeps_its_id_and_a_remade_one_its_name(plane):
    plane.project(issues=[{"state": "Approved"}])
    old = plane.known()["states"]["Approved"]
    plane.issues(expand="state")
    plane.change("rename_state", project="ORCH", state="Approved", name="OK")
    assert plane.issues(expand="state")["results"][0]["state"]["name"] == "OK"
    assert plane.known()["states"]["OK"] == old
    new = plane.change("remake_state", project="ORCH", state="OK")[0]["id"]
    assert plane.issue("ORCH-1")["state"] == new != old


# ---- paging ----------------------------------------------------------------------------------------------------------


def test_pages_are_offsets_behind_a_cursor_that_is_there_even_on_the_last(plane):
    plane.project()
    plane.generate(5)
    first = plane.issues(per_page=2, order_by="sequence_id")
    assert (first["next_cursor"], first["prev_cursor"]) == ("2:1:0", "2:-1:1")
    assert (first["count"], first["total_count"], first["total_results"], first["total_pages"]) == (2, 5, 5, 3)
    assert first["next_page_results"] is True and first["prev_page_results"] is False
    second = plane.issues(per_page=2, order_by="sequence_id", cursor="2:1:0")
    assert second["prev_page_results"] is True and second["prev_cursor"] == "2:0:1"
    last = plane.issues(per_page=2, order_by="sequence_id", cursor="2:2:0")
    assert [row["sequence_id"] for row in last["results"]] == [5]
    assert (last["next_page_results"], last["next_cursor"], last["prev_page_results"]) == (False, "2:3:0", True)
    beyond = plane.issues(per_page=2, cursor="2:9:0")
    assert (beyond["results"], beyond["count"], beyond["next_page_results"]) == ([], 0, False)


def test_the_offset_goes_by_per_page_from_0_27_on_and_by_the_cursor_before(plane):
    plane.project()
    plane.generate(10)

    def numbers():
        page = plane.get("issues/", per_page=2, order_by="sequence_id", cursor="3:1:0").json()
        return [row["sequence_id"] for row in page["results"]]

    assert numbers() == [3, 4]
    plane.load(version="0.26")
    assert numbers() == [4, 5]


def test_a_page_has_1000_rows_unless_asked_otherwise(plane):
    plane.project()
    plane.generate(1001)
    page = plane.issues(fields="id")
    assert (page["count"], page["next_page_results"], page["next_cursor"]) == (1000, True, "1000:1:0")


@pytest.mark.parametrize("query, status, words", [
    ({"per_page": "x"}, 400, "Invalid per_page parameter."), ({"per_page": ""}, 400, "Invalid per_page parameter."),
    ({"per_page": 1001}, 400, "Invalid per_page value. Cannot exceed 1000."),
    ({"cursor": "1:2"}, 400, "Invalid cursor parameter."), ({"cursor": "a:0:0"}, 400, "Invalid cursor parameter."),
    ({"cursor": "100:-1:1", "per_page": 100}, 400, "Error in parsing"),
    ({"per_page": 0}, 500, None), ({"per_page": -5}, 500, None), ({"order_by": "nonsense"}, 500, None)])
def test_bad_paging_is_refused_in_three_ways(plane, query, status, words):
    plane.project()
    answer = plane.get("work-items/", **query)
    assert answer.status == status
    assert answer.json() == ({"detail": words} if words else {"error": "Something went wrong please try again later"})


def test_orders_are_the_columns_and_newest_creation_first_without(plane):
    plane.clock(manual=True)
    plane.project(issues=[{"number": 7, "created_ago": 50, "updated_ago": 1}, {"number": 3, "created_ago": 40, "updated_ago": 3},
                          {"number": 5, "created_ago": 60, "updated_ago": 2}])

    def order(**query):
        return [row["sequence_id"] for row in plane.issues(**query)["results"]]

    assert order() == order(order_by="-created_at") == [3, 7, 5]
    assert order(order_by="-updated_at") == [7, 5, 3] and order(order_by="updated_at") == [3, 5, 7]
    assert order(order_by="-sequence_id") == [7, 5, 3]


def test_filters_are_ignored_and_the_whole_list_comes(plane):
    plane.project(issues=[{"state": "Approved"}, {"state": "Backlog"}])
    state = plane.known()["states"]["Approved"]
    assert plane.issues(state=state, updated_at__gt="2030-01-01", page=2, filters="{}")["total_count"] == 2


def test_rows_of_equal_keys_change_places_from_call_to_call_and_repeatably(plane):
    def look():
        plane.box.control("POST", "reset")
        plane.load(limit=0)
        plane.clock(now="2026-01-01T00:00:00Z")
        plane.project()
        plane.generate(30, ages=[100, 100])
        return [[row["sequence_id"] for row in plane.issues(order_by="-updated_at", per_page=10, cursor=f"10:{page}:0")["results"]]
                for page in (0, 0, 1, 2)]

    seen = look()
    assert seen[0] != seen[1] and sorted(seen[1] + seen[2] + seen[3]) != list(range(1, 31))
    assert look() == seen
    plane.load(shuffle=False)
    assert plane.issues(order_by="-updated_at") == plane.issues(order_by="-updated_at")


def test_rows_move_between_pages_when_control_says_so(plane):
    plane.project()
    plane.generate(6)
    plane.later(1, {"do": "edit", "issue": "ORCH-1"}, {"do": "create", "project": "ORCH", "name": "New"})
    plane.later(2, {"do": "delete", "issues": ["ORCH-2", "ORCH-3"]})

    def page(number):
        rows = plane.issues(order_by="-updated_at", per_page=3, cursor=f"3:{number}:0")["results"]
        return [row["sequence_id"] for row in rows]

    assert page(0) == [6, 5, 4]
    assert page(1) == [5, 4, 3], "two have come to the front"
    assert page(2) == [], "two have gone: ORCH-2 was never shown"
    assert plane.counters()["later_failed"] == 0


def test_what_is_archived_a_draft_in_triage_or_deleted_is_in_no_list_and_answers_404(plane):
    plane.project(issues=[{"name": "A"}, {"name": "B"}, {"name": "C"}, {"name": "D"}, {"draft": True}, {"archived": True}])
    ids = {row["sequence_id"]: row["id"] for row in plane.issues()["results"]}
    assert sorted(ids) == [1, 2, 3, 4]
    plane.change("archive", issue="ORCH-1")
    plane.change("delete", issue="ORCH-2")
    plane.change("state", issue="ORCH-3", state="Triage")
    page = plane.issues()
    assert [row["sequence_id"] for row in page["results"]] == [4] and page["total_count"] == 1
    for number in (1, 2, 3):
        for answer in (plane.get(f"work-items/{ids[number]}/"), plane.raw(f"workspaces/acme/work-items/ORCH-{number}/", X_Api_Key=KEY)):
            assert (answer.status, answer.json()) == (404, {"error": "The requested resource does not exist."})
    plane.change("unarchive", issue="ORCH-1")
    assert plane.issue("ORCH-1")["archived_at"] is None and plane.issues()["total_count"] == 2


def test_moving_to_triage_and_back_takes_an_issue_out_of_every_order_and_puts_it_back(plane):
    plane.project(issues=[{}, {}])

    def counts():
        return [plane.issues(order_by=order)["count"] for order in ("updated_at", "created_at", "sequence_id")]

    assert counts() == [2, 2, 2]
    plane.change("state", issue="ORCH-1", state="Triage")
    assert counts() == [1, 1, 1]
    plane.change("state", issue="ORCH-1", state="Todo")
    assert counts() == [2, 2, 2]


def test_an_archived_project_shows_empty_lists(plane):
    plane.project(issues=[{}])
    plane.change("project", project="ORCH", archived=True)
    assert (plane.issues()["results"], plane.get("states/").json()["results"]) == ([], [])


def test_external_source_and_id_ask_for_one_bare_issue(plane):
    plane.project(issues=[{"external_source": "jira", "external_id": "J-1"}, {}])
    assert plane.issues(external_source="jira", external_id="J-1")["sequence_id"] == 1
    assert plane.get("work-items/", external_source="jira", external_id="J-2").status == 404
    assert plane.issues(external_source="jira")["total_count"] == 2


def test_search_tells_nothing_of_states(plane):
    plane.project(issues=[{"name": "Fix the door"}, {"name": "Window"}])
    found = plane.raw("workspaces/acme/work-items/search/?search=DOOR", X_Api_Key=KEY).json()["issues"]
    assert [set(row) for row in found] == [{"name", "id", "sequence_id", "project__identifier", "project_id", "workspace__slug"}]


# ---- who may ask, where ----------------------------------------------------------------------------------------------


def test_work_items_are_there_from_1_1_0_and_issues_always(plane):
    plane.project(issues=[{}])
    row = plane.issues()["results"][0]
    plane.load(version="1.0.0")
    for path in ("work-items/", f"work-items/{row['id']}/", f"work-items/{row['id']}/activities/"):
        assert (plane.get(path).status, plane.get(path).json()) == (404, {"error": "Page not found."})
    assert plane.get("issues/").json()["results"] == [row] and plane.get(f"issues/{row['id']}/").json() == row
    assert plane.raw("workspaces/acme/work-items/ORCH-1/", X_Api_Key=KEY).status == 404
    assert plane.raw("workspaces/acme/issues/ORCH-1/", X_Api_Key=KEY).json() == row
    plane.load(version="1.1.0")
    assert plane.issues()["results"] == [row]


def test_a_missing_slash_is_redirected_whoever_asks(plane):
    plane.project()
    path = f"/plane/api/v1/workspaces/acme/projects/{plane.known()['id']}/work-items"
    answer = plane.box.call("GET", path + "?per_page=5")
    assert (answer.status, answer.headers["location"]) == (301, path + "/?per_page=5")


def test_no_key_is_401_and_a_wrong_or_revoked_one_403(plane):
    plane.project()
    plane.load(keys=[KEY, "other"])
    path = f"workspaces/acme/projects/{plane.known()['id']}/states/"
    answer = plane.raw(path)
    assert (answer.status, answer.json()) == (401, {"detail": "Authentication credentials were not provided."})
    wrong = plane.get("states/", key="wrong")
    assert (wrong.status, wrong.json()) == (403, {"detail": "Given API token is not valid"})
    assert plane.get("states/").status == 200
    plane.change("revoke_key", key=KEY)
    assert plane.get("states/").json() == {"detail": "Given API token is not valid"}
    assert plane.get("states/", key="other").status == 200
    seen = plane.counters()
    assert (seen["accepted"], seen["unauthorized"], seen["unknown_key"]) == (2, 1, 2)


def test_a_missing_project_a_foreign_one_and_a_wrong_workspace_are_403(plane):
    plane.project()
    plane.project("OTHER", member=False)
    refused = {"detail": "You do not have permission to perform this action."}
    known = plane.known()["id"]
    for path in ("workspaces/acme/projects/11111111-2222-4333-8444-555555555555/states/",
                 f"workspaces/acne/projects/{known}/states/", "workspaces/acme/work-items/NONE-1/",
                 f"workspaces/acme/projects/{plane.known('OTHER')['id']}/work-items/"):
        answer = plane.raw(path, X_Api_Key=KEY)
        assert (answer.status, answer.json()) == (403, refused), path
    plane.change("delete_project", project="ORCH")
    assert plane.raw(f"workspaces/acme/projects/{known}/states/", X_Api_Key=KEY).status == 403


@pytest.mark.parametrize("path", ["nothing/", "workspaces/acme/projects/no-uuid/states/", "workspaces/acme/work-items/nodash/",
                                  "workspaces/acme/projects/11111111-2222-4333-8444-55555555555A/states/"])
def test_what_is_not_routed_is_another_404_without_a_key(plane, path):
    assert (plane.raw(path).status, plane.raw(path).json()) == (404, {"error": "Page not found."})


def test_a_wrong_method_is_405(plane):
    plane.project()
    answer = plane.raw(f"workspaces/acme/projects/{plane.known()['id']}/states/", "DELETE", X_Api_Key=KEY)
    assert (answer.status, answer.json()) == (405, {"detail": "Method \"DELETE\" not allowed."})


# ---- the limit -------------------------------------------------------------------------------------------------------


def test_60_calls_a_minute_for_each_key_over_all_paths(plane):
    plane.project(issues=[{}])
    plane.load(limit=60)
    plane.clock(now="2026-01-01T00:00:00Z")
    for call in range(60):
        answer = plane.get("states/" if call % 2 else "work-items/")
        assert (answer.status, answer.headers["x-ratelimit-remaining"]) == (200, str(59 - call))
        assert answer.headers["x-ratelimit-reset"] == "1767225660"
    refused = plane.get("states/")
    assert refused.status == 429
    assert refused.json() == {"error_code": 5900, "error_message": "RATE_LIMIT_EXCEEDED"}
    assert refused.headers["retry-after"] == "60"
    assert not [name for name in refused.headers if name.startswith("x-ratelimit")]
    assert plane.get("states/", key="another").status == 200


def test_the_window_slides_and_a_refused_call_leaves_no_trace(plane):
    plane.project()
    plane.load(limit=2, window_ms=60000)
    plane.clock(now="2026-01-01T00:00:00Z")
    assert plane.get("states/").status == 200
    plane.clock(advance_ms=20000)
    assert plane.get("states/").status == 200
    plane.clock(advance_ms=20500)
    assert plane.get("states/").headers["retry-after"] == "20", "19.5 s, rounded up"
    plane.clock(advance_ms=19499)
    assert plane.get("states/").status == 429
    plane.clock(advance_ms=1)
    assert [plane.get("states/").status for _ in range(2)] == [200, 429], "only the oldest has left the window"
    plane.clock(advance_ms=20000)
    assert plane.get("states/").status == 200


def test_a_window_may_be_short_and_then_pass_by_itself(plane):
    plane.project()
    plane.load(limit=1, window_ms=50)
    assert plane.get("states/").status == 200
    while plane.get("states/").status == 429:
        pass


def test_refusals_are_counted_and_those_in_a_row_apart(plane):
    plane.project()
    plane.load(limit=1)
    plane.clock(now="2026-01-01T00:00:00Z")
    assert [plane.get("states/").status for _ in range(3)] == [200, 429, 429]
    plane.clock(advance_ms=60000)
    assert [plane.get("states/").status for _ in range(2)] == [200, 429]
    seen = plane.counters()
    assert (seen["accepted"], seen["refused"], seen["refused_again"], seen["refused_early"]) == (2, 3, 1, 1)
    plane.box.control("DELETE", "plane/counters")
    assert plane.counters()["refused"] == 0


def test_401_and_403_are_not_counted_and_404_is(plane):
    plane.project()
    plane.load(limit=10, keys=[KEY])
    plane.get("states/", key="wrong")
    plane.raw(f"workspaces/acme/projects/{plane.known()['id']}/states/")
    plane.raw("workspaces/acme/work-items/NONE-1/", X_Api_Key=KEY)
    missing = plane.raw("workspaces/acme/work-items/ORCH-9/", X_Api_Key=KEY)
    assert (missing.status, missing.headers["x-ratelimit-remaining"]) == (404, "9")


def test_a_key_may_have_its_own_limit(plane):
    plane.project()
    plane.load(limit=60, keys=[KEY, {"key": "service", "limit": 300}])
    assert plane.get("states/", key="service").headers["x-ratelimit-remaining"] == "299"


# ---- changes ---------------------------------------------------------------------------------------------------------


def test_a_state_change_moves_updated_at_twice_and_writes_its_activity_later(plane):
    plane.load(activity_delay_ms=2000)
    plane.clock(now="2026-01-01T00:00:00Z")
    plane.project(issues=[{"created_ago": 3600, "updated_ago": 3600}])
    plane.change("state", issue="ORCH-1", state="In Progress")
    assert plane.issue("ORCH-1")["updated_at"] == "2026-01-01T00:00:00Z"
    assert [row["field"] for row in plane.activities("ORCH-1")] == [None]
    plane.clock(advance_ms=2000)
    assert plane.issue("ORCH-1")["updated_at"] == "2026-01-01T00:00:02.000001Z"
    row = plane.activities("ORCH-1")[1]
    states = plane.known()["states"]
    assert set(row) == ACTIVITY
    assert (row["verb"], row["field"]) == ("updated", "state")
    assert (row["old_value"], row["new_value"]) == ("Backlog", "In Progress")
    assert (row["old_identifier"], row["new_identifier"]) == (states["Backlog"], states["In Progress"])
    assert row["epoch"] == 1767225600 and row["created_at"] == "2026-01-01T00:00:02.000001Z"


def test_the_epoch_is_a_float(plane):
    plane.project(issues=[{}])
    issue = plane.issue("ORCH-1")["id"]
    assert isinstance(plane.get(f"issues/{issue}/activities/").json()["results"][0]["epoch"], float)


def test_an_edit_or_comment_moves_updated_at_and_makes_no_state_activity(plane):
    plane.project(issues=[{"state": "Rejected", "state_ago": 900}])
    before = plane.issue("ORCH-1")
    plane.change("edit", issue="ORCH-1", name="Other")
    edited = plane.issue("ORCH-1")
    plane.change("comment", issue="ORCH-1")
    commented = plane.issue("ORCH-1")
    assert instant(before["updated_at"]) < instant(edited["updated_at"]) < instant(commented["updated_at"])
    assert edited["name"] == "Other" and edited["state"] == commented["state"] == before["state"]
    assert [row["field"] for row in plane.activities("ORCH-1")] == [None, "state", "name"]


def test_a_state_set_to_what_it_is_moves_updated_at_alone(plane):
    plane.project(issues=[{"state": "Rejected", "state_ago": 900}])
    before = plane.issue("ORCH-1")["updated_at"]
    plane.change("state", issue="ORCH-1", state="Rejected")
    assert plane.issue("ORCH-1")["updated_at"] > before
    assert [row["field"] for row in plane.activities("ORCH-1")] == [None, "state"]


def test_history_is_written_with_its_ages(plane):
    plane.clock(now="2026-01-01T00:00:00Z")
    plane.project(issues=[{"history": [{"state": "In Progress", "ago": 300}, {"state": "Rejected", "ago": 200},
                                       {"state": "Approved", "ago": 100, "automatic": True}], "updated_ago": 10}])
    rows = plane.activities("ORCH-1")
    assert [(row["old_value"], row["new_value"]) for row in rows[1:]] == [
        ("Backlog", "In Progress"), ("In Progress", "Rejected"), (None, "Approved")]
    assert [row["epoch"] for row in rows[1:]] == [1767225300, 1767225400, 1767225500]
    assert plane.issue("ORCH-1")["updated_at"] == "2025-12-31T23:59:50Z"
    newest = plane.activities("ORCH-1", order_by="-created_at", per_page=1)
    assert [row["new_value"] for row in newest] == ["Approved"]


def test_an_issue_made_in_a_column_has_no_activity_for_its_state(plane):
    plane.project(issues=[{"state": "In Progress"}])
    assert [row["verb"] for row in plane.activities("ORCH-1")] == ["created"]


def test_activities_of_an_unknown_issue_are_an_empty_page(plane):
    plane.project()
    answer = plane.get("work-items/11111111-2222-4333-8444-555555555555/activities/")
    assert (answer.status, answer.json()["results"]) == (200, [])
    assert plane.get("work-items/11111111-2222-4333-8444-555555555555/activities/", order_by="nonsense").status == 500


def test_done_completes_and_coming_back_does_not(plane):
    plane.project(issues=[{}])
    plane.change("state", issue="ORCH-1", state="Done")
    assert plane.issue("ORCH-1")["completed_at"]
    plane.change("state", issue="ORCH-1", state="Backlog")
    assert plane.issue("ORCH-1")["completed_at"] is None


def test_patch_changes_the_state_and_answers_the_whole_issue(plane):
    plane.project(issues=[{}])
    row = plane.issue("ORCH-1")
    state = plane.known()["states"]["Approved"]
    answer = plane.patch(f"work-items/{row['id']}/", {"state": state})
    assert answer.status == 200 and set(answer.json()) == ISSUE and answer.json()["state"] == state
    assert [activity["new_value"] for activity in plane.activities("ORCH-1")][-1] == "Approved"


def test_patch_refuses_what_makes_no_sense(plane):
    plane.project(issues=[{}])
    plane.project("OTHER")
    path = f"work-items/{plane.issue('ORCH-1')['id']}/"
    foreign = plane.known("OTHER")["states"]["Approved"]
    answer = plane.patch(path, {"state": foreign})
    assert (answer.status, answer.json()) == (400, {"non_field_errors": ["State is not valid please pass a valid state_id"]})
    assert list(plane.patch(path, {"state": "11111111-2222-4333-8444-555555555555"}).json()) == ["state"]
    assert list(plane.patch(path, {"name": "x" * 256}).json()) == ["name"]
    assert list(plane.patch(path, {"name": ""}).json()) == ["name"]
    assert list(plane.patch(path, ["x"]).json()) == ["non_field_errors"]
    assert plane.patch(path, {"name": "x"}, content_type="text/plain").status == 415
    assert plane.patch("work-items/11111111-2222-4333-8444-555555555555/", {"name": "x"}).status == 404


# ---- webhooks --------------------------------------------------------------------------------------------------------


def hook(plane, url, **more):
    plane.load(webhook={"url": url, "secret": "plane_wh_s", **more})


def take(got):
    headers, body = got.get(timeout=10)
    return headers, body, json.loads(body)


def test_a_webhook_is_signed_over_its_bytes_which_are_as_python_writes_them(plane, receiver):
    plane.project(issues=[{"name": "Grün \"x\" \u20ac \U0001f527"}])
    hook(plane, receiver[0] + "/hook")
    plane.change("state", issue="ORCH-1", state="Approved")
    headers, body, payload = take(receiver[1])
    assert headers["X-Plane-Signature"] == hmac.new(b"plane_wh_s", body, hashlib.sha256).hexdigest()
    assert (headers["X-Plane-Event"], headers["User-Agent"], headers["Content-Type"]) == ("issue", "Autopilot", "application/json")
    assert len(headers["X-Plane-Delivery"]) == 36
    assert json.dumps(payload).encode() == body
    assert list(payload) == ["event", "action", "webhook_id", "workspace_id", "data", "activity"]
    assert (payload["event"], payload["action"]) == ("issue", "updated")
    states = plane.known()["states"]
    activity = payload["activity"]
    assert (activity["field"], activity["old_value"], activity["new_value"]) == ("state_id", states["Backlog"], states["Approved"])
    assert activity["old_identifier"] is None and activity["actor"]["display_name"] == "ann"
    data = payload["data"]
    assert data["state"]["name"] == "Approved" and data["project"] == plane.known()["id"]
    assert {"description_stripped", "description_html", "assignees"} <= set(data)
    assert receiver[1].empty()


def test_without_a_secret_there_is_no_signature(plane, receiver):
    plane.project(issues=[{}])
    plane.load(webhook={"url": receiver[0]}, zone_minutes=60)
    plane.change("create", project="ORCH", name="New")
    headers, _, payload = take(receiver[1])
    assert headers["X-Plane-Signature"] is None
    assert (payload["action"], payload["activity"]["field"]) == ("created", None)
    assert payload["data"]["created_at"].endswith("Z")


def test_a_drag_gives_two_posts_with_the_same_data(plane, receiver):
    plane.project(issues=[{}])
    hook(plane, receiver[0])
    plane.change("state", issue="ORCH-1", state="Approved", drag=True)
    (one_headers, _, one), (two_headers, _, two) = take(receiver[1]), take(receiver[1])
    assert {one["activity"]["field"], two["activity"]["field"]} == {"state_id", "sort_order"}  # in either order, as with Plane
    assert one["data"] == two["data"] and one_headers["X-Plane-Delivery"] != two_headers["X-Plane-Delivery"]


def test_data_may_be_younger_than_the_change_it_tells_of(plane, receiver):
    plane.project(issues=[{}])
    hook(plane, receiver[0])
    plane.box.control("POST", "plane/change", [{"do": "state", "issue": "ORCH-1", "state": state} for state in ("Approved", "Rejected")])
    posts = [take(receiver[1])[2] for _ in range(2)]
    states = plane.known()["states"]
    assert {post["activity"]["new_value"] for post in posts} == {states["Approved"], states["Rejected"]}
    assert [post["data"]["state"]["name"] for post in posts] == ["Rejected", "Rejected"]


@pytest.mark.parametrize("version, by, fields", [
    ("1.3.0", "api", ["state"]), ("1.2.3", "api", []), ("1.3.0", "automation", []), ("1.2.3", "web", ["state_id"]),
    ("0.26.0", "web", ["state_id", "state"]), ("0.26.1", "web", ["state_id"])])
def test_who_is_told_depends_on_version_and_writer(plane, receiver, version, by, fields):
    plane.load(version=version)
    plane.project(issues=[{}])
    hook(plane, receiver[0])
    plane.change("state", issue="ORCH-1", state="Approved", by=by)
    plane.change("edit", issue="ORCH-1", name="End")
    received = []
    while (payload := take(receiver[1])[2])["activity"]["field"] != "name":
        received.append(payload)
    assert [payload["activity"]["field"] for payload in received] == fields
    if len(fields) > 1:
        assert received[1]["activity"]["new_value"] == "Approved", "a name"
        assert received[1]["activity"]["new_identifier"] == plane.known()["states"]["Approved"]


@pytest.mark.parametrize("version, by, rows", [("1.0.0", "api", 1), ("1.0.0", "web", 2), ("1.1.0", "api", 2)])
def test_a_change_by_api_is_recorded_from_1_1_0(plane, version, by, rows):
    plane.load(version=version)
    plane.project(issues=[{}])
    plane.change("state", issue="ORCH-1", state="Approved", by=by)
    issue = plane.get("issues/").json()["results"][0]["id"]
    assert len(plane.get(f"issues/{issue}/activities/").json()["results"]) == rows


def test_no_state_is_the_default_one_and_its_row_has_no_values(plane):
    plane.project(issues=[{"state": "Approved"}])
    issue = plane.issue("ORCH-1")["id"]
    answer = plane.patch(f"work-items/{issue}/", {"state": None})
    default = next(row for row in plane.get("states/").json()["results"] if row["default"])
    assert (answer.status, answer.json()["state"]) == (200, default["id"])
    row = plane.activities("ORCH-1")[-1]
    assert (row["field"], row["old_value"], row["new_value"], row["new_identifier"]) == ("state", None, None, None)


def test_persons_and_the_project_are_spelt_out_when_asked(plane):
    plane.project(issues=[{}])
    row = plane.issues(expand="created_by,project", fields="created_by,project")["results"][0]
    person = ["id", "first_name", "last_name", "email", "avatar", "avatar_url", "display_name"]
    assert list(row["created_by"]) == person and row["project"]["identifier"] == "ORCH"
    assert list(plane.activities("ORCH-1", expand="actor", fields="actor")[0]["actor"]) == person


def test_head_is_no_method_of_plane(plane):
    plane.project(issues=[{}])
    answer = plane.raw(f"workspaces/acme/projects/{plane.known()['id']}/states/", "HEAD", X_Api_Key=KEY)
    assert answer.status == 405


def test_patch_tells_as_the_api_does(plane, receiver):
    plane.project(issues=[{}])
    hook(plane, receiver[0])
    plane.patch(f"work-items/{plane.issue('ORCH-1')['id']}/", {"state": plane.known()["states"]["Approved"]})
    assert take(receiver[1])[2]["activity"]["field"] == "state"


def test_deleting_and_archiving_tell_nobody(plane, receiver):
    plane.project(issues=[{}, {}])
    hook(plane, receiver[0])
    plane.change("archive", issue="ORCH-1")
    plane.change("delete", issue="ORCH-2")
    plane.change("edit", issue="ORCH-1", name="End")
    assert take(receiver[1])[2]["activity"]["new_value"] == "End"


def test_an_issue_that_is_gone_before_its_webhook_is_made_tells_nobody(plane, receiver):
    plane.project(issues=[{}, {}])
    hook(plane, receiver[0])
    plane.box.control("POST", "plane/change", [{"do": "edit", "issue": "ORCH-1", "name": "Gone"}, {"do": "delete", "issue": "ORCH-1"},
                                               {"do": "edit", "issue": "ORCH-2", "name": "Here"}])
    assert take(receiver[1])[2]["activity"]["new_value"] == "Here"


def test_webhooks_can_be_lost_on_purpose_and_are_counted(plane, receiver):
    plane.project(issues=[{}])
    hook(plane, receiver[0], lose=True)
    plane.change("state", issue="ORCH-1", state="Approved")
    plane.change("state", issue="ORCH-1", state="Rejected", webhook="none")
    plane.change("state", issue="ORCH-1", state="Done", webhook="send")
    assert take(receiver[1])[2]["data"]["state"]["name"] == "Done"
    seen = plane.counters()["webhooks"]
    assert seen["lost"] == 1 and seen["deliveries"][0]["outcome"] == "lost"
    assert plane.box.control("GET", "webhooks")["lost"] == 0, "Gitea's are counted apart"


def test_any_answer_counts_as_delivered(plane, receiver):
    plane.project(issues=[{}])
    hook(plane, receiver[0] + "/broken", retries=5)
    plane.change("edit", issue="ORCH-1", name="A")
    plane.change("edit", issue="ORCH-1", name="B")
    assert [take(receiver[1])[2]["activity"]["new_value"] for _ in range(2)] == ["A", "B"]
    plane.change("edit", issue="ORCH-1", name="C")
    assert take(receiver[1])[2]["activity"]["new_value"] == "C"
    assert plane.counters()["webhooks"]["active"] is True


def test_a_delivery_without_answer_is_repeated_and_then_switches_the_webhook_off(plane):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    plane.project(issues=[{}])
    hook(plane, url, retries=2)
    plane.change("state", issue="ORCH-1", state="Approved")
    while plane.counters()["webhooks"]["active"]:
        pass
    seen = plane.counters()["webhooks"]
    assert seen["failed"] == 3 and len({row["delivery"] for row in seen["deliveries"]}) == 3
    plane.change("state", issue="ORCH-1", state="Rejected")
    assert plane.counters()["webhooks"]["missed_inactive"] == 1


# ---- the whole -------------------------------------------------------------------------------------------------------


def test_generated_issues_are_spread_over_ages_and_pages(plane):
    plane.project()
    special = plane.generate(1000, states={"In Progress": 3, "Approved": 1, "Rejected": 1}, ages=[600, 86400], description_bytes=200)
    assert sorted(row["state"] for row in special) == ["Approved", "In Progress", "In Progress", "In Progress", "Rejected"]
    states = plane.known()["states"]
    pages, cursor, more = [], "100:0:0", True
    while more:
        page = plane.issues(order_by="-updated_at", per_page=100, cursor=cursor)
        pages.append(page["results"])
        cursor, more = page["next_cursor"], page["next_page_results"]
    assert len(pages) == 10 and len({row["id"] for page in pages for row in page}) == 1000
    found = {row["id"]: at for at, page in enumerate(pages) for row in page if row["state"] != states["Backlog"]}
    assert set(found) == {row["id"] for row in special} and sorted(found.values()) == [0, 2, 4, 6, 8]
    assert len(pages[0][0]["description_html"]) == 200
    assert [row["field"] for row in plane.activities(special[0]["key"])] == [None, "state"]


def test_faults_and_counters_hold_for_plane_too(plane):
    plane.project()
    plane.box.control("POST", "faults", {"path": "/plane/*/work-items/", "kind": "status", "status": 502, "html": "<h1>Bad</h1>", "count": 1})
    answer = plane.get("work-items/")
    assert (answer.status, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert plane.get("work-items/").status == 200
    seen = plane.box.control("GET", "requests")
    assert seen["routes"]["GET /plane/api/v1/workspaces/{}/projects/{}/work-items"] == 2
    assert seen["requests"][0]["authorized"] is True


def test_many_may_ask_while_things_change_and_none_is_counted_twice(plane):
    plane.project()
    plane.generate(300)
    plane.load(limit=150)
    plane.later(3, {"do": "edit", "issues": [f"ORCH-{number}" for number in range(1, 50)]})
    path = f"/plane/api/v1/workspaces/acme/projects/{plane.known()['id']}/work-items/?per_page=100&order_by=-updated_at"

    def ask(number):
        if number % 10 == 0:
            plane.change("state", issue=f"ORCH-{number + 1}", state="Approved")
        return plane.box.call("GET", path, X_Api_Key=KEY).status

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(ask, range(200)))
    assert sorted(statuses) == [200] * 150 + [429] * 50
    seen = plane.counters()
    assert (seen["accepted"], seen["refused"], seen["lists"]) == (150, 50, 150)


def test_a_world_may_hold_plane_and_a_reset_forgets_it(plane):
    plane.box.world(plane={"projects": [{"identifier": "ORCH", "issues": [{}]}], "generate": [{"project": "ORCH", "issues": 5}]},
                    repos=[{"full_name": "acme/shop"}])
    assert plane.issues()["total_count"] == 6
    plane.box.control("POST", "reset")
    assert plane.box.control("GET", "plane")["projects"] == []


def test_what_makes_no_sense_is_refused_in_words(plane):
    plane.project(issues=[{}])
    for path, body in (("plane", {"version": "x"}), ("plane", {"projects": [{}]}), ("plane", [1]), ("plane", {"limit": -1}),
                       ("plane", {"projects": [{"identifier": "ORCH", "issues": [{"number": 1}]}]}),
                       ("plane", {"projects": [{"identifier": "ORCH", "issues": [{"state": "None"}]}]}),
                       ("plane/change", {"do": "odd"}), ("plane/change", {"do": "state", "issue": "ORCH-9", "state": "Done"}),
                       ("plane/change", {"do": "state", "issue": "ORCH-1", "state": "None"}), ("plane/change", {"do": "edit"}),
                       ("plane/change", {"do": "edit", "issue": "ORCH-1", "webhook": "odd"}),
                       ("plane/generate", {"project": "NONE", "issues": 1}), ("plane/generate", {"project": "ORCH", "issues": 1, "states": {"Done": 2}}),
                       ("plane/later", {"after_lists": 0}), ("plane/clock", {"advance_ms": -1}), ("plane/clock", {"now": "x"})):
        answer = plane.box.call("POST", "/sandbox/" + path, body)
        assert answer.status == 400 and answer.json()["error"], path


def test_the_command_line_sets_version_key_and_workspace():
    assert subprocess.run([PROGRAM, "--plane-version", "x"], capture_output=True, check=False).returncode == 2
    own = Sandbox("--plane-version", "1.0.0", "--plane-key", KEY, "--plane-workspace", "acme")
    plane = Plane(own)
    for _ in range(2):
        plane.project(issues=[{}])
        assert plane.get("issues/").status == 200 and plane.get("work-items/").status == 404
        assert plane.get("issues/", key="wrong").status == 403
        own.control("POST", "reset")
    assert own.stop() == 0
