/* Which event is replayed, and the name under which it is the same event: a replay that an older version
 * began is found again by it. */
#include "clients/base/err.h"
#include "clients/store/store.h"
#include "reconcile/heal/replay_event.h"
#include "reconcile/heal/transition.h"
#include "reconcile/pipeline/evidence.h"
#include "tests/support/test.h"

static char stage[] = "review", sha[] = "abc", other_sha[] = "def";
static const struct store_task task = {.id = 7, .stage = stage, .newest_heal_seq = 3};

static void assert_event(const struct evidence *evidence, enum orchestrator_event kind, const char *name)
{
    const struct transition transition = {.task = &task, .side = SIDE_GATE, .evidence = evidence};
    struct replay_event event;
    replay_event_name(&transition, &event);
    assert_int_equal(event.kind, kind);
    assert_string_equal(event.subject, "task/7");
    assert_string_equal(event.delivery.s, uuid_from_name(name).s);
    replay_event_done(&event);
}

TEST(a_gate_s_event_is_named_by_what_was_seen)
{
    static const struct {
        struct gate_evidence seen;
        enum orchestrator_event kind;
        const char *name;
    } cases[] = {
        {{.gate = GATE_CI, .sha = sha}, EVENT_STATUS, "replay/task/7/review/3/status/abc/0/0"},
        {{.gate = GATE_REVIEW, .sha = sha, .pull_request = 5, .review = 9},
         EVENT_APPROVED,
         "replay/task/7/review/3/pull_request_approved/abc/5/9"},
        {{.gate = GATE_MERGED, .pull_request = 5}, EVENT_CLOSED, "replay/task/7/review/3/pull_request//5/0"},
        {{.gate = GATE_FILES, .sha = sha}, EVENT_ADVANCE, "replay/task/7/review/3/advance/abc/0/0"},
        {{.gate = GATE_HTTP}, EVENT_ADVANCE, "replay/task/7/review/3/advance//0/0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gate_evidence seen = cases[i].seen;
        assert_event(&(struct evidence){.side = SIDE_GATE, .gates = {&seen, 1}}, cases[i].kind,
                     cases[i].name);
    }
}

TEST(the_first_gate_with_an_event_of_gitea_s_counts)
{
    struct gate_evidence seen[] = {{.gate = GATE_HTTP},
                                   {.gate = GATE_FILES, .sha = other_sha},
                                   {.gate = GATE_CI, .sha = sha},
                                   {.gate = GATE_MERGED, .sha = other_sha, .pull_request = 5}};
    assert_event(&(struct evidence){.side = SIDE_GATE, .gates = {seen, ARRAY_LEN(seen)}}, EVENT_STATUS,
                 "replay/task/7/review/3/status/abc/0/0");
    assert_event(&(struct evidence){.side = SIDE_GATE, .gates = {&seen[1], 1}}, EVENT_ADVANCE,
                 "replay/task/7/review/3/advance/def/0/0");
    assert_event(&(struct evidence){.side = SIDE_BOTH}, EVENT_ADVANCE, "replay/task/7/review/3/advance//0/0");
}
