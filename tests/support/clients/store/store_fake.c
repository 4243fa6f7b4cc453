#include "tests/support/clients/store/store_fake.h"

#include <stdlib.h>
#include <string.h>

enum { REVISION, OVERRIDES, NOW_US, COLUMNS };

static bool first_alone(struct store_rows *rows)
{
    return rows->row++ == 0;
}

static int find(const struct store_rows *rows, const char *name)
{
    static const char *const names[] = {"revision", "overrides", "now_us"};
    (void)rows;
    for (int i = 0; i < COLUMNS; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static struct store_field field(const struct store_rows *rows, int column)
{
    (void)column;
    return (struct store_field){.bytes = rows->source, .len = strlen(rows->source)};
}

/* The revision and the clock. */
static int64_t number(const struct store_rows *rows, int column)
{
    const int64_t *numbers = rows->conn;
    return numbers[column == NOW_US];
}

static void done(struct store_rows *rows)
{
    free(rows->source);
    free(rows->conn);
}

struct store_rows store_fake_settings(int64_t revision, const char *overrides, int64_t now_us)
{
    static const struct store_rows_ops ops = {
        .next = first_alone, .find = find, .field = field, .number = number, .close = done};
    int64_t *numbers = mem_zero(2, sizeof *numbers);
    numbers[0] = revision;
    numbers[1] = now_us;
    return (struct store_rows){.ops = &ops, .source = mem_dup(overrides), .conn = numbers};
}

struct store_rows store_fake_nothing(void)
{
    struct store_rows rows = store_fake_settings(0, "", 0);
    rows.row = 1;
    return rows;
}
