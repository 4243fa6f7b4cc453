#include "server/http/values.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/err.h"
#include "clients/base/jsonx.h"
#include "clients/base/text.h"

static struct value *value_named(const struct values *values, enum value_kind kind, const char *name)
{
    for (size_t i = 0; i < values->n; i++) {
        struct value *value = &values->rows[i];
        int differs = kind == VALUE_QUERY ? strcmp(value->name, name) : strcasecmp(value->name, name);
        if (value->kind == kind && differs == 0)
            return value;
    }
    return NULL;
}

static enum MHD_Result copy_one(void *arg, enum MHD_ValueKind kind, const char *name, const char *text)
{
    struct values *values = arg;
    enum value_kind copied = kind == MHD_GET_ARGUMENT_KIND ? VALUE_QUERY : VALUE_HEADER;
    struct value *earlier = copied == VALUE_HEADER ? value_named(values, copied, name) : NULL;
    if (earlier) {
        AUTO_FREE char *first = earlier->text;
        earlier->text = mem_printf("%s, %s", first ? first : "", text ? text : "");
        return MHD_YES;
    }
    values->rows = mem_grow(values->rows, values->n + 1, sizeof *values->rows);
    values->rows[values->n++] =
        (struct value){.kind = copied, .name = mem_dup(name), .text = text ? mem_dup(text) : NULL};
    return MHD_YES;
}

void values_copy(struct MHD_Connection *connection, struct values *ret)
{
    *ret = (struct values){.n = 0};
    (void)MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, copy_one, ret);
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, copy_one, ret);
}

const char *values_get(const struct values *values, enum value_kind kind, const char *name)
{
    const struct value *value = value_named(values, kind, name);
    return value ? value->text : NULL;
}

void values_done(struct values *values)
{
    for (size_t i = 0; i < values->n; i++) {
        free(values->rows[i].name);
        free(values->rows[i].text);
    }
    free(values->rows);
    *values = (struct values){.n = 0};
}

/* Addresses of the library's strings. The strings need not be in one object, so addresses are compared as
 * numbers. */
struct layout {
    uintptr_t end; /* of what was seen so far */
    bool folded,
        spaced; /* a name is not where its line is; a line does not begin where the one before ended */
};

static uintptr_t address(const char *at)
{
    return (uintptr_t)at;
}

static enum MHD_Result check_line(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                  const char *value, size_t value_len)
{
    struct layout *layout = arg;
    (void)kind;
    layout->folded = layout->folded || address(value) <= address(name) + name_len;
    layout->spaced = layout->spaced || address(name) != layout->end + strlen("\r\n");
    layout->end = address(value) + value_len;
    return MHD_YES;
}

bool header_is_plain(struct MHD_Connection *connection, const char *method, const char *target_end,
                     const char *version)
{
    if (MHD_VERSION >= 0x01000000)
        return true;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    struct layout layout = {.end = address(version) + strlen(version)};
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, check_line, &layout);
    return !layout.folded && !layout.spaced && address(version) == address(target_end) + strlen(" ") &&
           address(method) + info->header_size == layout.end + strlen("\r\n\r\n");
}

bool trailer_has_folds(struct MHD_Connection *connection)
{
    struct layout layout = {.end = 0};
    if (MHD_VERSION < 0x01000000)
        (void)MHD_get_connection_values_n(connection, MHD_FOOTER_KIND, check_line, &layout);
    return layout.folded;
}

/* Faults that one answer names; the target may hold a thousand parameters. */
enum { FAULTS_MAX = 8 };

struct query_check {
    const char *const *known;
    unsigned seen; /* a bit for each of `known` */
    json_t *faults;
};

static json_t *faults_of(struct query_check *check)
{
    return check->faults ? check->faults : (check->faults = json_array());
}

static void fault_unknown(struct query_check *check, const char *name)
{
    AUTO_FREE char *known = check->known ? text_list(check->known) : NULL;
    problem_add(faults_of(check), name, "is not known; %s%s",
                known ? "known: " : "this path takes no parameters", known ? known : "");
}

static enum MHD_Result check_one(void *arg, enum MHD_ValueKind kind, const char *name, const char *text)
{
    struct query_check *check = arg;
    (void)kind;
    (void)text;
    size_t at = 0;
    while (check->known && check->known[at] && strcmp(check->known[at], name) != 0)
        at++;
    if (!check->known || !check->known[at])
        fault_unknown(check, name);
    else if (check->seen & 1u << at)
        problem_add(faults_of(check), name, "is there twice");
    else
        check->seen |= 1u << at;
    return json_array_size(check->faults) < FAULTS_MAX ? MHD_YES : MHD_NO;
}

json_t *query_faults(struct MHD_Connection *connection, const char *const *known)
{
    struct query_check check = {.known = known};
    (void)MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, check_one, &check);
    return check.faults;
}
