/* Parameters and rows of statements, as far as both databases have them in common. */
#include "clients/store/store_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/store/store_ops.h"

/* parameters */

json_t *json_texts(const char *const *texts, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_push(list, json_text(texts[i]));
    return list;
}

json_t *json_graces(const struct store_stage_grace *stages, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *pair = json_array();
        json_push(pair, json_text(stages[i].stage));
        json_push(pair, json_integer(stages[i].grace_s));
        json_push(list, pair);
    }
    return list;
}

/* statements */

struct store_rows store_query(struct store *store, unsigned which, struct store_params params,
                              struct why *why)
{
    struct store_rows rows = store->ops->query(store, which, params, why);
    rows.why = why;
    return rows;
}

enum err store_write(struct store *store, const struct store_step *steps, size_t n, struct why *why)
{
    return store->ops->write(store, steps, n, why);
}

/* rows */

struct store_rows rows_failed(enum err err)
{
    return (struct store_rows){.err = err};
}

bool rows_next(struct store_rows *rows)
{
    return !rows->err && rows->ops->next(rows);
}

enum err rows_end(struct store_rows *rows)
{
    if (rows->ops)
        rows->ops->close(rows);
    return rows->err;
}

enum err rows_count(struct store_rows rows, size_t *ret_n)
{
    size_t n = 0;
    while (rows_next(&rows))
        n++;
    enum err err = rows_end(&rows);
    if (!err && ret_n)
        *ret_n = n;
    return err;
}

/* Every row is read in the same order, so the next column usually follows the last one. Names are literals
 * and compared by address; a name at another address is looked up again. */
static int column_of(struct store_rows *rows, const char *name)
{
    for (size_t i = 0; i < rows->n_known; i++) {
        size_t k = (rows->next_known + i) % rows->n_known;
        if (rows->known[k].name == name) {
            rows->next_known = k + 1;
            return rows->known[k].column;
        }
    }
    int column = rows->ops->find(rows, name);
    if (column < 0 && !rows->err)
        rows->err = why_set(rows->why, ERR_INTERNAL, "the database's answer has no column %s", name);
    if (column >= 0 && rows->n_known < ROWS_COLUMNS_KNOWN) {
        rows->known[rows->n_known].name = name;
        rows->known[rows->n_known++].column = column;
        rows->next_known = rows->n_known;
    }
    return column;
}

struct store_field rows_field(struct store_rows *rows, const char *name)
{
    int column = column_of(rows, name);
    return column < 0 ? (struct store_field){.is_null = true, .bytes = ""} : rows->ops->field(rows, column);
}

bool rows_null(struct store_rows *rows, const char *name)
{
    return rows_field(rows, name).is_null;
}

int64_t rows_int(struct store_rows *rows, const char *name)
{
    int column = column_of(rows, name);
    return column < 0 ? 0 : rows->ops->number(rows, column);
}

bool rows_bool(struct store_rows *rows, const char *name)
{
    return rows_int(rows, name) != 0;
}

/* A database in SQL_ASCII hands out whatever bytes it was given. */
char *rows_text(struct store_rows *rows, const char *name, size_t max)
{
    struct store_field field = rows_field(rows, name);
    if (field.is_null)
        return NULL;
    if (field.len <= max && utf8_valid_len(field.bytes, field.len) == field.len)
        return mem_dupn(field.bytes, field.len);
    return text_cut(field.bytes, field.len < max ? field.len : max);
}

char *rows_own(struct store_rows *rows, const char *name)
{
    return rows_text(rows, name, LIMIT_STORED_TEXT);
}

struct uuid_text rows_uuid(struct store_rows *rows, const char *name)
{
    struct uuid_text id;
    (void)snprintf(id.s, sizeof id.s, "%s", rows_field(rows, name).bytes);
    return id;
}

bool rows_place(struct store_rows *rows, const char *name, size_t n, size_t *ret)
{
    int64_t place = rows_null(rows, name) ? -1 : rows_int(rows, name);
    if (place >= 0 && (size_t)place < n) {
        *ret = (size_t)place;
        return true;
    }
    if (!rows->err)
        rows->err =
            why_set(rows->why, ERR_INTERNAL, "the database answered about a row that was not asked about");
    return false;
}

/* Doubled whenever it is full. */
void *list_room(void *list, size_t n, size_t size)
{
    enum { FIRST = 16 };
    if (n == 0)
        return mem_grow(list, FIRST, size);
    return n >= FIRST && (n & (n - 1)) == 0 ? mem_grow(list, 2 * n, size) : list;
}
