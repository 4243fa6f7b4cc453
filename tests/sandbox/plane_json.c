/* Plane's rows as JSON: the columns of its models in the serializers of its public API. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sandbox/plane.h"
#include "tests/sandbox/sandbox.h"

/* Fields that the sandbox gives no value are the same constant in every row. */
struct field {
    const char *name, *constant;
};

enum issue_field {
    ISSUE_ID,
    ISSUE_CREATED_AT,
    ISSUE_UPDATED_AT,
    ISSUE_COMPLETED_AT,
    ISSUE_DELETED_AT,
    ISSUE_CREATED_BY,
    ISSUE_UPDATED_BY,
    ISSUE_PROJECT,
    ISSUE_WORKSPACE,
    ISSUE_STATE,
    ISSUE_NAME,
    ISSUE_HTML,
    ISSUE_PRIORITY,
    ISSUE_ARCHIVED_AT,
    ISSUE_SEQUENCE_ID,
    ISSUE_SORT_ORDER,
    ISSUE_IS_DRAFT,
    ISSUE_EXTERNAL_SOURCE,
    ISSUE_EXTERNAL_ID,
    ISSUE_CONSTANT /* from here on */
};
static const struct field issue_fields[] = {
    {"id", NULL},
    {"created_at", NULL},
    {"updated_at", NULL},
    {"completed_at", NULL},
    {"deleted_at", NULL},
    {"created_by", NULL},
    {"updated_by", NULL},
    {"project", NULL},
    {"workspace", NULL},
    {"state", NULL},
    {"name", NULL},
    {"description_html", NULL},
    {"priority", NULL},
    {"archived_at", NULL},
    {"sequence_id", NULL},
    {"sort_order", NULL},
    {"is_draft", NULL},
    {"external_source", NULL},
    {"external_id", NULL},
    {"parent", "null"},
    {"estimate_point", "null"},
    {"point", "null"},
    {"description_binary", "null"},
    {"start_date", "null"},
    {"target_date", "null"},
    {"type", "null"},
    {"type_id", "null"},
    {"assignees", "[]"},
    {"labels", "[]"},
};

static const struct field state_fields[] = {
    {"id", NULL},
    {"created_at", NULL},
    {"updated_at", NULL},
    {"name", NULL},
    {"color", NULL},
    {"slug", NULL},
    {"sequence", NULL},
    {"group", NULL},
    {"is_triage", NULL},
    {"default", NULL},
    {"project", NULL},
    {"workspace", NULL},
    {"created_by", NULL},
    {"updated_by", "null"},
    {"deleted_at", "null"},
    {"description", "\"\""},
    {"external_id", "null"},
    {"external_source", "null"},
};
enum state_field {
    STATE_ID,
    STATE_CREATED_AT,
    STATE_UPDATED_AT,
    STATE_NAME,
    STATE_COLOR,
    STATE_SLUG,
    STATE_SEQUENCE,
    STATE_GROUP,
    STATE_IS_TRIAGE,
    STATE_DEFAULT,
    STATE_PROJECT,
    STATE_WORKSPACE,
    STATE_CREATED_BY
};

static const struct field activity_fields[] = {
    {"id", NULL},          {"created_at", NULL},      {"updated_at", NULL},     {"verb", NULL},
    {"field", NULL},       {"old_value", NULL},       {"new_value", NULL},      {"comment", NULL},
    {"actor", NULL},       {"old_identifier", NULL},  {"new_identifier", NULL}, {"epoch", NULL},
    {"issue", NULL},       {"project", NULL},         {"workspace", NULL},      {"deleted_at", "null"},
    {"attachments", "[]"}, {"issue_comment", "null"},
};
enum activity_field {
    ACTIVITY_ID,
    ACTIVITY_CREATED_AT,
    ACTIVITY_UPDATED_AT,
    ACTIVITY_VERB,
    ACTIVITY_FIELD,
    ACTIVITY_OLD_VALUE,
    ACTIVITY_NEW_VALUE,
    ACTIVITY_COMMENT,
    ACTIVITY_ACTOR,
    ACTIVITY_OLD_IDENTIFIER,
    ACTIVITY_NEW_IDENTIFIER,
    ACTIVITY_EPOCH,
    ACTIVITY_ISSUE,
    ACTIVITY_PROJECT,
    ACTIVITY_WORKSPACE
};

/* which fields */

static bool list_names(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (; *list; list += strcspn(list, ",") + (list[strcspn(list, ",")] == ','))
        if (strcspn(list, ",") == len && strncmp(list, name, len) == 0)
            return true;
    return false;
}

/* Unknown names are ignored; when all are, the rows are empty objects. Left out or ",": everything. */
static uint64_t fields_asked(const struct call *call, const struct field *fields, size_t n)
{
    const char *list = call_query(call, "fields"), *expand = call_query(call, "expand");
    bool all = !list || list[strspn(list, ",")] == '\0';
    uint64_t asked = 0;
    for (size_t i = 0; i < n; i++)
        if (all || list_names(list, fields[i].name))
            asked |= (uint64_t)1 << i;
    return expand && list_names(expand, "state") ? asked | PLANE_EXPAND : asked;
}

uint64_t plane_issue_fields(const struct call *call)
{
    return fields_asked(call, issue_fields, ARRAY_LEN(issue_fields));
}

uint64_t plane_state_fields(const struct call *call)
{
    return fields_asked(call, state_fields, ARRAY_LEN(state_fields));
}

uint64_t plane_activity_fields(const struct call *call)
{
    return fields_asked(call, activity_fields, ARRAY_LEN(activity_fields));
}

/* values */

void plane_put_instant(struct out *out, const char *key, int64_t us, int zone_min)
{
    if (us == 0) {
        out_null(out, key);
        return;
    }
    time_t local = (time_t)(us / 1000000 + (int64_t)zone_min * 60);
    char day[24], fraction[16] = "", zone[16] = "Z";
    struct tm tm;
    gmtime_r(&local, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    if (us % 1000000)
        snprintf(fraction, sizeof fraction, ".%06d", (int)(us % 1000000));
    int east = abs(zone_min);
    if (zone_min)
        snprintf(zone, sizeof zone, "%c%02d:%02d", zone_min < 0 ? '-' : '+', east / 60 % 24, east % 60);
    out_made(out, key, "%s%s%s", day, fraction, zone);
}

/* A float as Python prints it: a whole one keeps its ".0". */
static void put_float(struct out *out, const char *key, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.15g", value);
    if (!strpbrk(text, ".e"))
        snprintf(text, sizeof text, "%.1f", value);
    out_ready(out, key, text);
}

static void put_date(struct out *out, const char *key, int64_t us)
{
    char text[INSTANT_TEXT_SIZE];
    instant_format(us, text);
    text[10] = '\0';
    out_text(out, key, us ? text : NULL);
}

/* issues */

static void put_issue_state(struct out *out, const struct plane_state *state, bool expanded)
{
    if (!state || !expanded) {
        out_text(out, "state", state ? state->id.s : NULL);
        return;
    }
    out_open(out, "state", '{');
    out_text(out, "id", state->id.s);
    out_text(out, "name", state->name);
    out_text(out, "color", state->color);
    out_text(out, "group", plane_group_names[state->group]);
    out_close(out, '}');
}

static void put_issue_instant(struct out *out, const struct plane_issue *issue, size_t field, int zone_min)
{
    int64_t us = field == ISSUE_CREATED_AT     ? issue->created_us
                 : field == ISSUE_UPDATED_AT   ? issue->updated_us
                 : field == ISSUE_COMPLETED_AT ? issue->completed_us
                                               : issue->deleted_us;
    plane_put_instant(out, issue_fields[field].name, us, zone_min);
}

static void put_issue_text(struct out *out, const struct plane_issue *issue, size_t field)
{
    const struct plane *plane = issue->project->plane;
    const char *text = field == ISSUE_ID                ? issue->id.s
                       : field == ISSUE_PROJECT         ? issue->project->id.s
                       : field == ISSUE_WORKSPACE       ? plane->workspace_id.s
                       : field == ISSUE_NAME            ? issue->name
                       : field == ISSUE_HTML            ? issue->html
                       : field == ISSUE_PRIORITY        ? issue->priority
                       : field == ISSUE_EXTERNAL_SOURCE ? issue->external_source
                       : field == ISSUE_EXTERNAL_ID     ? issue->external_id
                                                        : plane->actor.s;
    out_text(out, issue_fields[field].name, text);
}

static void put_issue_field(struct out *out, const struct plane_issue *issue, size_t field, bool expanded,
                            int zone_min)
{
    switch (field) {
    case ISSUE_CREATED_AT:
    case ISSUE_UPDATED_AT:
    case ISSUE_COMPLETED_AT:
    case ISSUE_DELETED_AT:
        put_issue_instant(out, issue, field, zone_min);
        break;
    case ISSUE_STATE:
        put_issue_state(out, issue->state, expanded);
        break;
    case ISSUE_ARCHIVED_AT:
        put_date(out, "archived_at", issue->archived_us);
        break;
    case ISSUE_SEQUENCE_ID:
        out_int(out, "sequence_id", issue->number);
        break;
    case ISSUE_SORT_ORDER:
        put_float(out, "sort_order", issue->sort_order);
        break;
    case ISSUE_IS_DRAFT:
        out_bool(out, "is_draft", issue->draft);
        break;
    default:
        if (field < ISSUE_CONSTANT)
            put_issue_text(out, issue, field);
        else
            out_ready(out, issue_fields[field].name, issue_fields[field].constant);
    }
}

static void put_issue_fields(struct out *out, const struct plane_issue *issue, uint64_t fields, int zone_min)
{
    for (size_t i = 0; i < ARRAY_LEN(issue_fields); i++)
        if (fields >> i & 1)
            put_issue_field(out, issue, i, fields & PLANE_EXPAND, zone_min);
}

void plane_put_issue(struct out *out, struct plane_issue *issue, uint64_t fields, int zone_min)
{
    if (!issue->shown || issue->shown_as != fields || issue->shown_zone_min != zone_min) {
        struct out made = {0};
        out_open(&made, NULL, '{');
        put_issue_fields(&made, issue, fields, zone_min);
        out_close(&made, '}');
        free(issue->shown);
        issue->shown_len = made.len;
        issue->shown = out_take(&made);
        issue->shown_as = fields;
        issue->shown_zone_min = zone_min;
    }
    if (out->len && out->text[out->len - 1] == '}')
        out_bytes(out, ",", 1);
    out_bytes(out, issue->shown, issue->shown_len);
}

/* All columns and the state as an object; here alone are the description's other forms shown. */
void plane_put_webhook_data(struct out *out, struct plane_issue *issue)
{
    out_open(out, NULL, '{');
    put_issue_fields(out, issue, (((uint64_t)1 << ARRAY_LEN(issue_fields)) - 1) | PLANE_EXPAND, 0);
    out_ready(out,
              issue->project->plane->version < PLANE_VERSION(1, 3, 0) ? "description" : "description_json",
              "{}");
    out_text(out, "description_stripped", "");
    out_null(out, "cycle");
    out_null(out, "module");
    out_close(out, '}');
}

/* states and activities */

static void put_state_field(struct out *out, const struct plane_state *state, size_t field, int zone_min)
{
    const struct plane *plane = state->project->plane;
    const char *name = state_fields[field].name;
    char slug[64];
    switch ((enum state_field)field) {
    case STATE_CREATED_AT:
    case STATE_UPDATED_AT:
        plane_put_instant(out, name, state->created_us, zone_min);
        break;
    case STATE_SLUG:
        snprintf(slug, sizeof slug, "%s", state->name);
        for (char *c = slug; *c; c++)
            *c = (char)(*c == ' ' ? '-' : *c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
        out_text(out, name, slug);
        break;
    case STATE_SEQUENCE:
        put_float(out, name, state->sequence);
        break;
    case STATE_IS_TRIAGE:
    case STATE_DEFAULT:
        out_bool(out, name, field == STATE_DEFAULT ? state->is_default : state->group == PLANE_TRIAGE);
        break;
    default:
        out_text(out, name,
                 field == STATE_ID          ? state->id.s
                 : field == STATE_NAME      ? state->name
                 : field == STATE_COLOR     ? state->color
                 : field == STATE_GROUP     ? plane_group_names[state->group]
                 : field == STATE_PROJECT   ? state->project->id.s
                 : field == STATE_WORKSPACE ? plane->workspace_id.s
                                            : plane->actor.s);
    }
}

void plane_put_state(struct out *out, const struct plane_state *state, uint64_t fields, int zone_min)
{
    out_open(out, NULL, '{');
    for (size_t i = 0; i < ARRAY_LEN(state_fields); i++)
        if (fields >> i & 1) {
            if (state_fields[i].constant)
                out_ready(out, state_fields[i].name, state_fields[i].constant);
            else
                put_state_field(out, state, i, zone_min);
        }
    out_close(out, '}');
}

static void put_activity_field(struct out *out, const struct plane_issue *issue,
                               const struct plane_activity *activity, size_t field, int zone_min)
{
    const struct plane *plane = issue->project->plane;
    const char *name = activity_fields[field].name;
    if (field == ACTIVITY_CREATED_AT || field == ACTIVITY_UPDATED_AT)
        plane_put_instant(out, name, activity->created_us, zone_min);
    else if (field == ACTIVITY_EPOCH) /* the model has a FloatField */
        put_float(out, name, (double)activity->epoch_s);
    else
        out_text(out, name,
                 field == ACTIVITY_ID               ? activity->id.s
                 : field == ACTIVITY_VERB           ? activity->verb
                 : field == ACTIVITY_FIELD          ? activity->field
                 : field == ACTIVITY_OLD_VALUE      ? activity->old_value
                 : field == ACTIVITY_NEW_VALUE      ? activity->new_value
                 : field == ACTIVITY_COMMENT        ? activity->comment
                 : field == ACTIVITY_OLD_IDENTIFIER ? activity->old_identifier
                 : field == ACTIVITY_NEW_IDENTIFIER ? activity->new_identifier
                 : field == ACTIVITY_ISSUE          ? issue->id.s
                 : field == ACTIVITY_PROJECT        ? issue->project->id.s
                 : field == ACTIVITY_WORKSPACE      ? plane->workspace_id.s
                                                    : plane->actor.s);
}

void plane_put_activity(struct out *out, const struct plane_issue *issue,
                        const struct plane_activity *activity, uint64_t fields, int zone_min)
{
    out_open(out, NULL, '{');
    for (size_t i = 0; i < ARRAY_LEN(activity_fields); i++)
        if (fields >> i & 1) {
            if (activity_fields[i].constant)
                out_ready(out, activity_fields[i].name, activity_fields[i].constant);
            else
                put_activity_field(out, issue, activity, i, zone_min);
        }
    out_close(out, '}');
}
