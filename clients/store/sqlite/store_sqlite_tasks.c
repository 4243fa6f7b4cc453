/* The place where a page of tasks ends, and where the next one begins.
 *
 * A page ends with a place: the part of the list, updated_at as it stands in the column, and the id of the
 * last task. Written as "o3323032362d….17": the part, the type of the value as SQLite numbers it, its bytes
 * in hexadecimal digits, the id. A column may hold anything, and a page must not stumble over it. */
#include "clients/store/sqlite/store_sqlite.h"

#include <stdlib.h>
#include <string.h>

/* The letters stand in the place, the numbers in the statement. */
enum part { PART_NONE, PART_STUCK, PART_OTHERS };
static const char part_letters[] = {[PART_NONE] = ' ', [PART_STUCK] = 's', [PART_OTHERS] = 'o'};

struct place {
    enum part part;
    int type; /* SQLITE_INTEGER … SQLITE_NULL, which are 1 to 5 */
    unsigned char *bytes;
    size_t n;
    int64_t id;
};

/* The bytes that make up a value; a number's are put into `number`. */
static const unsigned char *value_bytes(sqlite3_stmt *row, int column, int64_t *number, size_t *ret_n)
{
    const unsigned char *bytes;
    double real;
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
        *number = sqlite3_column_int64(row, column);
        *ret_n = sizeof *number;
        return (const unsigned char *)number;
    case SQLITE_FLOAT:
        real = sqlite3_column_double(row, column);
        memcpy(number, &real, sizeof *number);
        *ret_n = sizeof *number;
        return (const unsigned char *)number;
    case SQLITE_TEXT:
        bytes = sqlite3_column_text(row, column);
        break;
    default:
        bytes = sqlite3_column_blob(row, column);
    }
    *ret_n = (size_t)sqlite3_column_bytes(row, column);
    return bytes;
}

char *sqlite_tasks_place(struct store_rows *rows, const struct store_task_entry *entry)
{
    static const char digits[] = "0123456789abcdef";
    int column = rows->ops->find(rows, "place");
    int64_t number;
    size_t n;
    int type = sqlite3_column_type(rows->source, column);
    const unsigned char *bytes = value_bytes(rows->source, column, &number, &n);
    AUTO_FREE char *hex = mem_zero(2 * n + 1, 1);
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    return mem_printf("%c%d%s.%lld", part_letters[entry->stuck ? PART_STUCK : PART_OTHERS], type, hex,
                      (long long)entry->task.id);
}

static bool hex_read(const char *hex, size_t n, unsigned char *ret)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 2 * n; i++) {
        const char *digit = memchr(digits, hex[i], sizeof digits - 1);
        if (!digit)
            return false;
        ret[i / 2] = (unsigned char)(ret[i / 2] << 4 | (digit - digits));
    }
    return true;
}

/* place_read: false when the text is none. place->bytes is the caller's in either case. */
static bool place_read(const char *text, struct place *place)
{
    const char *dot = strchr(text, '.');
    size_t head = dot ? (size_t)(dot - text) : 0;
    if (head < 2 || head % 2 != 0 || !parse_i64(dot + 1, INT64_MIN, INT64_MAX, &place->id))
        return false;
    place->part = text[0] == part_letters[PART_STUCK]    ? PART_STUCK
                  : text[0] == part_letters[PART_OTHERS] ? PART_OTHERS
                                                         : PART_NONE;
    place->type = text[1] - '0';
    place->n = head / 2 - 1;
    place->bytes = mem_zero(place->n + 1, 1);
    bool fits = place->type == SQLITE_INTEGER || place->type == SQLITE_FLOAT ? place->n == sizeof(int64_t)
                : place->type == SQLITE_TEXT || place->type == SQLITE_BLOB   ? true
                                                                             : place->n == 0;
    return place->part != PART_NONE && place->type >= SQLITE_INTEGER && place->type <= SQLITE_NULL && fits &&
           hex_read(text + 2, place->n, place->bytes);
}

static void place_put(sqlite3_stmt *statement, int index, const struct place *place)
{
    sqlite3_int64 integer = 0;
    double real = 0;
    if (place->n == sizeof integer) {
        memcpy(&integer, place->bytes, sizeof integer);
        memcpy(&real, place->bytes, sizeof real);
    }
    if (place->type == SQLITE_INTEGER)
        (void)sqlite3_bind_int64(statement, index, integer);
    else if (place->type == SQLITE_FLOAT)
        (void)sqlite3_bind_double(statement, index, real);
    else if (place->type == SQLITE_TEXT)
        (void)sqlite3_bind_text(statement, index, (const char *)place->bytes, (int)place->n,
                                SQLITE_TRANSIENT);
    else if (place->type == SQLITE_BLOB)
        (void)sqlite3_bind_blob(statement, index, place->bytes, (int)place->n, SQLITE_TRANSIENT);
}

/* When a task is stuck, of the stage asked for if there is one. */
static json_t *graces_of(const struct store_tasks_query *query)
{
    if (!query->stage)
        return json_graces(query->gated, query->n_gated);
    for (size_t i = 0; i < query->n_gated; i++)
        if (strcmp(query->gated[i].stage, query->stage) == 0)
            return json_graces(&query->gated[i], 1);
    return json_graces(NULL, 0);
}

struct store_rows sqlite_tasks_query(struct store *store, const struct store_tasks_query *query,
                                     struct why *why)
{
    enum { PLACE_PARAM = 7 };
    struct place place = {0};
    bool placed = !query->after || place_read(query->after, &place);
    AUTO_FREE unsigned char *bytes = place.bytes;
    if (!placed)
        return rows_failed(why_set(why, ERR_INVALID, "no page of tasks ended at this place"));
    json_auto_t *graces = graces_of(query);
    json_auto_t *terminal = json_texts(query->terminal, query->n_terminal);
    json_auto_t *held = holds_json(query->held);
    struct store_rows rows =
        store_query(store, SQL_TASKS_LIST,
                    PARAMS(JSON_PARAM(graces), JSON_PARAM(terminal), TEXT_PARAM(query->stage),
                           TEXT_PARAM(query->repo), NUMBER_PARAM(query->stuck_only), NUMBER_PARAM(place.part),
                           TEXT_PARAM(NULL), NUMBER_PARAM(place.id), ONE_MORE_PARAM(query->limit),
                           TEXT_PARAM(query->part), query->held ? JSON_PARAM(held) : TEXT_PARAM(NULL),
                           query->often_healed ? NUMBER_PARAM(query->heals) : TEXT_PARAM(NULL),
                           heals_window_param(query->heals_window_s)),
                    why);
    if (!rows.err)
        place_put(rows.source, PLACE_PARAM, &place);
    return rows;
}
