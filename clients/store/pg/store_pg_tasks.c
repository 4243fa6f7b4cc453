/* Where a page of tasks ends, and how the list goes on there. */
#include "clients/store/pg/store_pg.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The instants that PostgreSQL has, except the first day: a grace can be subtracted from each. */
#define INSTANT_MIN_US INT64_C(-210866716800000000)
#define AS_OF_MIN_US INT64_C(0)

#define PLACE_SEPARATOR '.'
#define INTERVAL_SIZE 80

/* An instant that every version of PostgreSQL reads exactly: "infinity" and nothing to add, or "epoch" and an
 * interval whose numbers are small. */
struct instant_param {
    const char *base;
    char offset[INTERVAL_SIZE];
};

/* Behind which task of its part the list goes on: its updated_at and its id. */
struct place {
    struct instant_param updated_at;
    int64_t id;
};

static struct instant_param instant_finite(int64_t us)
{
    const int64_t second = 1000000, day = 86400 * second;
    int64_t days = us / day - (us % day < 0), rest = us - days * day;
    struct instant_param param = {.base = "epoch"};
    (void)snprintf(param.offset, sizeof param.offset,
                   "%" PRId64 " days %" PRId64 " seconds %" PRId64 " microseconds", days, rest / second,
                   rest % second);
    return param;
}

static struct place place_infinite(const char *base, int64_t id)
{
    return (struct place){.updated_at = {.base = base, .offset = "0"}, .id = id};
}

/* Before all tasks of a part, and behind them. */
static struct place place_first(void)
{
    return place_infinite("-infinity", INT64_MIN);
}

static struct place place_last(void)
{
    return place_infinite("infinity", INT64_MAX);
}

static bool place_parse(const char *key, const char *id, struct place *ret)
{
    int64_t us, number;
    struct place place;
    if (!parse_i64(id, INT64_MIN, INT64_MAX, &number))
        return false;
    if (strcmp(key, "infinity") == 0)
        place = place_infinite("infinity", number);
    else if (strcmp(key, "-infinity") == 0)
        place = place_infinite("-infinity", number);
    else if (parse_i64(key, INSTANT_MIN_US, INT64_MAX, &us))
        place = (struct place){.updated_at = instant_finite(us), .id = number};
    else
        return false;
    *ret = place;
    return true;
}

struct cursor {
    struct place stuck, others;
    bool begun; /* there was a page before */
    struct instant_param as_of;
};

/* Cuts `text` at its separators. False unless that makes n parts. */
static bool parts_cut(char *text, char **parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        parts[i] = text;
        char *end = strchr(text, PLACE_SEPARATOR);
        if ((end != NULL) != (i + 1 < n))
            return false;
        if (end) {
            *end = '\0';
            text = end + 1;
        }
    }
    return true;
}

/* `after`: "1.KEY.ID.AS_OF" behind a stuck task, "2.…" behind another; NULL: from the beginning. */
static bool cursor_parse(const char *after, bool stuck_only, struct cursor *ret)
{
    struct cursor cursor = {.stuck = place_first(), .others = place_first(), .begun = after};
    AUTO_FREE char *text = mem_dup(after);
    char *parts[4];
    int64_t part, as_of_us;
    if (after) {
        struct place place;
        if (!parts_cut(text, parts, ARRAY_LEN(parts)) || !parse_i64(parts[0], 1, 2, &part) ||
            !place_parse(parts[1], parts[2], &place) ||
            !parse_i64(parts[3], AS_OF_MIN_US, INT64_MAX, &as_of_us))
            return false;
        cursor.stuck = part == 1 ? place : place_last();
        cursor.others = part == 1 ? place_first() : place;
        cursor.as_of = instant_finite(as_of_us);
    }
    if (stuck_only)
        cursor.others = place_last();
    *ret = cursor;
    return true;
}

char *pg_tasks_place(struct store_rows *rows, const struct store_task_entry *entry)
{
    AUTO_FREE char *key = rows_own(rows, "key");
    return mem_printf("%d%c%s%c%" PRId64 "%c%" PRId64, entry->stuck ? 1 : 2, PLACE_SEPARATOR, key,
                      PLACE_SEPARATOR, entry->task.id, PLACE_SEPARATOR, rows_int(rows, "as_of_us"));
}

struct store_rows pg_tasks_query(struct store *store, const struct store_tasks_query *query, struct why *why)
{
    struct cursor cursor;
    if (!cursor_parse(query->after, query->stuck_only, &cursor))
        return rows_failed(why_set(why, ERR_INVALID, "this is no place in a list of tasks"));
    json_auto_t *graces = json_graces(query->gated, query->n_gated);
    json_auto_t *terminal = json_texts(query->terminal, query->n_terminal);
    json_auto_t *held = holds_json(query->held);
    struct store_params params = PARAMS(
        JSON_PARAM(graces), JSON_PARAM(terminal), TEXT_PARAM(query->stage),
        TEXT_PARAM(cursor.begun ? cursor.as_of.offset : NULL), TEXT_PARAM(cursor.stuck.updated_at.base),
        TEXT_PARAM(cursor.stuck.updated_at.offset), NUMBER_PARAM(cursor.stuck.id),
        TEXT_PARAM(cursor.others.updated_at.base), TEXT_PARAM(cursor.others.updated_at.offset),
        NUMBER_PARAM(cursor.others.id), ONE_MORE_PARAM(query->limit),
        heals_window_param(query->heals_window_s), TEXT_PARAM(query->repo), TEXT_PARAM(query->part),
        query->held ? JSON_PARAM(held) : TEXT_PARAM(NULL),
        query->often_healed ? NUMBER_PARAM(query->heals) : TEXT_PARAM(NULL));
    bool with = query->part || query->held || query->often_healed;
    unsigned which = with ? PG_TASKS_LIST_WITH : query->repo ? PG_TASKS_LIST_OF_REPO : PG_TASKS_LIST;
    params.n -= with ? 0 : query->repo ? 3 : 4;
    return store_query(store, which, params, why);
}
