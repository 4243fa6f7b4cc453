#include "clients/facts/http_gate.h"

#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/facts/fact_source.h"

struct asked_gate {
    struct fact_request request;
    struct http_gate fact;
};

static const char *const verdict_names[] = {
    [HTTP_GATE_GREEN] = "green", [HTTP_GATE_RED] = "red", [HTTP_GATE_UNKNOWN] = "unknown"};

/* NULL, or what is wrong with the answer. */
static const char *verdict_read(const json_t *json, struct arena *arena, struct http_gate *gate)
{
    const char *verdict = json_get_text(json, "verdict", NULL);
    if (!verdict)
        return "it names no verdict";
    for (size_t i = 0; i < ARRAY_LEN(verdict_names); i++) {
        if (strcmp(verdict, verdict_names[i]) != 0)
            continue;
        gate->verdict = (enum http_gate_verdict)i;
        const char *reason = json_get_text(json, "reason", "");
        AUTO_FREE char *cut = text_cut(reason, LIMIT_REASON);
        gate->reason = arena_text(arena, cut);
        return NULL;
    }
    return "its verdict is none of green, red and unknown";
}

static void gate_answered(struct facts *facts, void *arg, const struct fetch_answer *answer)
{
    struct asked_gate *asked = arg;
    struct arena *arena = facts_arena(facts);
    const char *error = NULL;
    json_t *json = NULL;
    struct why why;
    if (answer->result == FETCH_ABORTED)
        error = "stopped before the gate answered";
    else if (answer->result != FETCH_ANSWERED)
        error = arena_printf(arena, "the gate: %s", answer->error);
    else if (answer->status != 200)
        error = arena_printf(arena, "the gate answered %d (%s)", answer->status,
                             *answer->content_type ? answer->content_type : "no content type");
    else if (!answer->body)
        error = "the gate answered with an empty body";
    else if (json_read_within(answer->body, answer->body_len, LIMIT_JSON_TREE_SMALL, &json, &why))
        error = arena_printf(arena, "the gate's answer is cut or broken: %s", why.text);
    if (json) {
        const char *wrong = verdict_read(json, arena, &asked->fact);
        error = wrong ? arena_printf(arena, "the gate's answer is invalid: %s", wrong) : NULL;
        json_decref(json);
    }
    fact_settle(facts, &asked->request, error ? FACT_FAILED : FACT_KNOWN, error);
}

const struct http_gate *http_gate(struct facts *facts, const char *url, const char *repo)
{
    static const char *const headers[] = {"Accept: application/json", NULL};
    AUTO_FREE char *key = mem_printf("http gate\n%s", url);
    bool is_new;
    struct asked_gate *asked =
        (struct asked_gate *)(void *)fact_request_get(facts, key, sizeof *asked, &is_new);
    if (is_new) {
        AUTO_FREE char *shown = fetch_url_shown(url);
        asked->request.fact = &asked->fact.fact;
        asked->fact.fact.url = arena_text(facts_arena(facts), shown);
        asked->fact.reason = "";
        facts_get(facts,
                  &(const struct fetch_request){.upstream = FETCH_TO_ORCHESTRATOR,
                                                .part = repo,
                                                .method = "GET",
                                                .url = url,
                                                .headers = headers,
                                                .answer_max = LIMIT_ANSWER_GATE},
                  gate_answered, asked);
    }
    fact_await(facts, &asked->request);
    return &asked->fact;
}
