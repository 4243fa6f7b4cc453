#include "handlers/query.h"

#include <string.h>

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "handlers/handler.h"
#include "reconcile/settings/settings_table.h"

/* 18 digits, a limit that a pattern can express: times in microseconds and numbers of rows have fewer. */
#define AFTER_MAX INT64_C(999999999999999999)

static json_t *query_errors(struct query *query)
{
    if (!query->errors)
        query->errors = json_array();
    return query->errors;
}

void query_int(struct query *query, const char *name, int64_t min, int64_t max, int64_t *ret)
{
    const char *text = request_query(query->request, name);
    if (text && !parse_i64(text, min, max, ret))
        problem_add(query_errors(query), name, "must be an integer from %lld to %lld", (long long)min,
                    (long long)max);
}

void query_bool(struct query *query, const char *name, bool *ret)
{
    const char *text = request_query(query->request, name);
    if (text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        problem_add(query_errors(query), name, "must be true or false");
    else if (text)
        *ret = strcmp(text, "true") == 0;
}

void query_text(struct query *query, const char *name, bool (*valid)(const char *text), const char *rule,
                const char **ret)
{
    const char *text = request_query(query->request, name);
    if (text && !valid(text))
        query_refuse(query, name, rule);
    else if (text)
        *ret = text;
}

void query_refuse(struct query *query, const char *name, const char *rule)
{
    problem_add(query_errors(query), name, "%s", rule);
}

void query_need(struct query *query, const char *name)
{
    if (!request_query(query->request, name))
        problem_add(query_errors(query), name, "is missing");
}

bool query_done(struct query *query)
{
    if (query->errors)
        answer_fields(query->request, 400, "invalid query parameters", query->errors);
    return !query->errors;
}

void query_limit(struct query *query, size_t *ret)
{
    int64_t limit = LIMIT_LIST_DEFAULT;
    query_int(query, "limit", 1, LIMIT_LIST_MAX, &limit);
    *ret = (size_t)limit;
}

void query_after(struct query *query, int64_t *ret)
{
    const char *text = request_query(query->request, "after");
    if (text && !parse_i64(text, 1, AFTER_MAX, ret))
        problem_add(query_errors(query), "after", "must be the \"next\" of an earlier answer");
}

bool page_read(struct request *request, struct page *ret)
{
    struct query query = {.request = request};
    ret->after = 0;
    query_limit(&query, &ret->limit);
    query_after(&query, &ret->after);
    return query_done(&query);
}
