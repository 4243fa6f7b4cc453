/* store_columns.h - what columns of the orchestrator's tables must be, for both databases. Private to
 * clients/store*.c. */
#ifndef RECONCILED_STORE_COLUMNS_H
#define RECONCILED_STORE_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

enum column_kind {
    COLUMN_INTEGER, /* of any width */
    COLUMN_UUID,    /* a uuid, or text */
    COLUMN_FILLED,  /* gets a value by itself in a row that is inserted without one */
    COLUMN_KINDS_
};

struct column_rule {
    const char *table, *column;
    enum column_kind kind;
};
extern const struct column_rule column_rules[];
extern const size_t column_rules_n;

/* What the database says of such a column. */
struct column_seen {
    const char *type;       /* as it was declared; "" if it was not */
    bool is[COLUMN_KINDS_]; /* whether it is of that kind */
};
/* column_check: ERR_UNAVAILABLE, naming table, column, what it is and what would be right. */
ATTR_NODISCARD enum err column_check(const struct column_rule *rule, const struct column_seen *seen,
                                     struct why *why);

/* In fewer characters that can be printed, no UUID can be written: such a text counts nowhere below. */
#define UUID_TEXT_MIN 20

/* What tasks.plane_id holds in the rows that were looked at. */
struct plane_ids_seen {
    int64_t known;                /* UUIDs that uuid_read knows */
    int64_t odd;                  /* UUIDs written otherwise, and bytes */
    int64_t other;                /* texts that are no UUIDs, or are written in a way of their own */
    int64_t odd_task, other_task; /* one of those tasks each */
    struct uuid_form form;        /* of the newest UUID; without one, what the column has room for */
};
/* plane_ids_check: ERR_UNAVAILABLE when a UUID stands there that we would not find, or long texts and not one
 * UUID among them. A single text that is no UUID is of no issue and costs its own task alone. */
ATTR_NODISCARD enum err plane_ids_check(const struct plane_ids_seen *seen, struct why *why);

#endif
