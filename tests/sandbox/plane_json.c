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

/* In the order of REST. */
enum issue_field {
    ISSUE_ID,
    ISSUE_TYPE_ID,
    ISSUE_CREATED_AT,
    ISSUE_UPDATED_AT,
    ISSUE_DELETED_AT,
    ISSUE_POINT,
    ISSUE_NAME,
    ISSUE_HTML,
    ISSUE_DESCRIPTION_BINARY,
    ISSUE_PRIORITY,
    ISSUE_START_DATE,
    ISSUE_TARGET_DATE,
    ISSUE_SEQUENCE_ID,
    ISSUE_SORT_ORDER,
    ISSUE_COMPLETED_AT,
    ISSUE_ARCHIVED_AT,
    ISSUE_IS_DRAFT,
    ISSUE_EXTERNAL_SOURCE,
    ISSUE_EXTERNAL_ID,
    ISSUE_CREATED_BY,
    ISSUE_UPDATED_BY,
    ISSUE_PROJECT,
    ISSUE_WORKSPACE,
    ISSUE_PARENT,
    ISSUE_STATE,
    ISSUE_ESTIMATE_POINT,
    ISSUE_TYPE,
    ISSUE_ASSIGNEES,
    ISSUE_LABELS,
};
static const struct field issue_fields[] = {
    [ISSUE_ID] = {"id", NULL},
    [ISSUE_TYPE_ID] = {"type_id", "null"},
    [ISSUE_CREATED_AT] = {"created_at", NULL},
    [ISSUE_UPDATED_AT] = {"updated_at", NULL},
    [ISSUE_DELETED_AT] = {"deleted_at", NULL},
    [ISSUE_POINT] = {"point", "null"},
    [ISSUE_NAME] = {"name", NULL},
    [ISSUE_HTML] = {"description_html", NULL},
    [ISSUE_DESCRIPTION_BINARY] = {"description_binary", "null"},
    [ISSUE_PRIORITY] = {"priority", NULL},
    [ISSUE_START_DATE] = {"start_date", "null"},
    [ISSUE_TARGET_DATE] = {"target_date", "null"},
    [ISSUE_SEQUENCE_ID] = {"sequence_id", NULL},
    [ISSUE_SORT_ORDER] = {"sort_order", NULL},
    [ISSUE_COMPLETED_AT] = {"completed_at", NULL},
    [ISSUE_ARCHIVED_AT] = {"archived_at", NULL},
    [ISSUE_IS_DRAFT] = {"is_draft", NULL},
    [ISSUE_EXTERNAL_SOURCE] = {"external_source", NULL},
    [ISSUE_EXTERNAL_ID] = {"external_id", NULL},
    [ISSUE_CREATED_BY] = {"created_by", NULL},
    [ISSUE_UPDATED_BY] = {"updated_by", NULL},
    [ISSUE_PROJECT] = {"project", NULL},
    [ISSUE_WORKSPACE] = {"workspace", NULL},
    [ISSUE_PARENT] = {"parent", "null"},
    [ISSUE_STATE] = {"state", NULL},
    [ISSUE_ESTIMATE_POINT] = {"estimate_point", "null"},
    [ISSUE_TYPE] = {"type", "null"},
    [ISSUE_ASSIGNEES] = {"assignees", "[]"},
    [ISSUE_LABELS] = {"labels", "[]"},
};

enum state_field {
    STATE_ID,
    STATE_CREATED_AT,
    STATE_UPDATED_AT,
    STATE_DELETED_AT,
    STATE_NAME,
    STATE_DESCRIPTION,
    STATE_COLOR,
    STATE_SLUG,
    STATE_SEQUENCE,
    STATE_GROUP,
    STATE_IS_TRIAGE,
    STATE_DEFAULT,
    STATE_EXTERNAL_SOURCE,
    STATE_EXTERNAL_ID,
    STATE_CREATED_BY,
    STATE_UPDATED_BY,
    STATE_PROJECT,
    STATE_WORKSPACE,
};
static const struct field state_fields[] = {
    [STATE_ID] = {"id", NULL},
    [STATE_CREATED_AT] = {"created_at", NULL},
    [STATE_UPDATED_AT] = {"updated_at", NULL},
    [STATE_DELETED_AT] = {"deleted_at", "null"},
    [STATE_NAME] = {"name", NULL},
    [STATE_DESCRIPTION] = {"description", "\"\""},
    [STATE_COLOR] = {"color", NULL},
    [STATE_SLUG] = {"slug", NULL},
    [STATE_SEQUENCE] = {"sequence", NULL},
    [STATE_GROUP] = {"group", NULL},
    [STATE_IS_TRIAGE] = {"is_triage", NULL},
    [STATE_DEFAULT] = {"default", NULL},
    [STATE_EXTERNAL_SOURCE] = {"external_source", "null"},
    [STATE_EXTERNAL_ID] = {"external_id", "null"},
    [STATE_CREATED_BY] = {"created_by", NULL},
    [STATE_UPDATED_BY] = {"updated_by", "null"},
    [STATE_PROJECT] = {"project", NULL},
    [STATE_WORKSPACE] = {"workspace", NULL},
};

enum activity_field {
    ACTIVITY_ID,
    ACTIVITY_CREATED_AT,
    ACTIVITY_UPDATED_AT,
    ACTIVITY_DELETED_AT,
    ACTIVITY_VERB,
    ACTIVITY_FIELD,
    ACTIVITY_OLD_VALUE,
    ACTIVITY_NEW_VALUE,
    ACTIVITY_COMMENT,
    ACTIVITY_ATTACHMENTS,
    ACTIVITY_OLD_IDENTIFIER,
    ACTIVITY_NEW_IDENTIFIER,
    ACTIVITY_EPOCH,
    ACTIVITY_PROJECT,
    ACTIVITY_WORKSPACE,
    ACTIVITY_ISSUE,
    ACTIVITY_ISSUE_COMMENT,
    ACTIVITY_ACTOR,
};
static const struct field activity_fields[] = {
    [ACTIVITY_ID] = {"id", NULL},
    [ACTIVITY_CREATED_AT] = {"created_at", NULL},
    [ACTIVITY_UPDATED_AT] = {"updated_at", NULL},
    [ACTIVITY_DELETED_AT] = {"deleted_at", "null"},
    [ACTIVITY_VERB] = {"verb", NULL},
    [ACTIVITY_FIELD] = {"field", NULL},
    [ACTIVITY_OLD_VALUE] = {"old_value", NULL},
    [ACTIVITY_NEW_VALUE] = {"new_value", NULL},
    [ACTIVITY_COMMENT] = {"comment", NULL},
    [ACTIVITY_ATTACHMENTS] = {"attachments", "[]"},
    [ACTIVITY_OLD_IDENTIFIER] = {"old_identifier", NULL},
    [ACTIVITY_NEW_IDENTIFIER] = {"new_identifier", NULL},
    [ACTIVITY_EPOCH] = {"epoch", NULL},
    [ACTIVITY_PROJECT] = {"project", NULL},
    [ACTIVITY_WORKSPACE] = {"workspace", NULL},
    [ACTIVITY_ISSUE] = {"issue", NULL},
    [ACTIVITY_ISSUE_COMMENT] = {"issue_comment", "null"},
    [ACTIVITY_ACTOR] = {"actor", NULL},
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

static const char *const expandable[] = {[PLANE_EXPAND_STATE] = "state",
                                         [PLANE_EXPAND_PROJECT] = "project",
                                         [PLANE_EXPAND_CREATED_BY] = "created_by",
                                         [PLANE_EXPAND_ACTOR] = "actor",
                                         [PLANE_EXPAND_LABELS] = "labels"};

/* Unknown names are ignored; when all are, the rows are empty objects. Left out or ",": everything. */
static uint64_t fields_asked(const struct call *call, const struct field *fields, size_t n)
{
    const char *list = call_query(call, "fields"), *expand = call_query(call, "expand");
    bool all = !list || list[strspn(list, ",")] == '\0';
    uint64_t asked = 0;
    for (size_t i = 0; i < n; i++)
        if (all || list_names(list, fields[i].name))
            asked |= (uint64_t)1 << i;
    for (size_t i = 0; expand && i < ARRAY_LEN(expandable); i++)
        if (list_names(expand, expandable[i]))
            asked |= PLANE_EXPAND(i);
    return asked;
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

/* UserLiteSerializer; avatar_url came with 0.24. */
void plane_put_person(struct out *out, const char *key, const struct plane *plane)
{
    out_open(out, key, '{');
    out_text(out, "id", plane->actor.s);
    out_text(out, "first_name", "Ann");
    out_text(out, "last_name", "Dev");
    out_text(out, "email", "ann@example.com");
    out_text(out, "avatar", "");
    if (plane->version >= PLANE_VERSION(0, 24, 0))
        out_null(out, "avatar_url");
    out_text(out, "display_name", "ann");
    out_close(out, '}');
}

/* ProjectLiteSerializer. */
static void put_project(struct out *out, const struct plane_project *project)
{
    static const char *const unset[] = {"cover_image", "icon_prop", "emoji"};
    out_open(out, "project", '{');
    out_text(out, "id", project->id.s);
    out_text(out, "identifier", project->identifier);
    out_text(out, "name", project->name);
    for (size_t i = 0; i < ARRAY_LEN(unset); i++)
        out_null(out, unset[i]);
    out_text(out, "description", "");
    out_null(out, "cover_image_url");
    out_close(out, '}');
}

static bool is_expanded(uint64_t fields, enum plane_expandable what)
{
    return fields & PLANE_EXPAND(what);
}

static void put_issue_field(struct out *out, const struct plane_issue *issue, size_t field, uint64_t fields,
                            int zone_min)
{
    if (field == ISSUE_CREATED_BY && is_expanded(fields, PLANE_EXPAND_CREATED_BY)) {
        plane_put_person(out, "created_by", issue->project->plane);
        return;
    }
    if (field == ISSUE_PROJECT && is_expanded(fields, PLANE_EXPAND_PROJECT)) {
        put_project(out, issue->project);
        return;
    }
    switch (field) {
    case ISSUE_CREATED_AT:
    case ISSUE_UPDATED_AT:
    case ISSUE_COMPLETED_AT:
    case ISSUE_DELETED_AT:
        put_issue_instant(out, issue, field, zone_min);
        break;
    case ISSUE_STATE:
        put_issue_state(out, issue->state, is_expanded(fields, PLANE_EXPAND_STATE));
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
        if (issue_fields[field].constant)
            out_ready(out, issue_fields[field].name, issue_fields[field].constant);
        else
            put_issue_text(out, issue, field);
    }
}

static void put_issue_fields(struct out *out, const struct plane_issue *issue, uint64_t fields, int zone_min)
{
    bool labels_first = is_expanded(fields, PLANE_EXPAND_LABELS);
    for (size_t i = 0; i < ARRAY_LEN(issue_fields); i++) {
        size_t field = !labels_first          ? i
                       : i == ISSUE_ASSIGNEES ? ISSUE_LABELS
                       : i == ISSUE_LABELS    ? ISSUE_ASSIGNEES
                                              : i;
        if (fields >> field & 1)
            put_issue_field(out, issue, field, fields, zone_min);
    }
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

/* IssueExpandSerializer: what it declares, then the columns, with the description's other forms that are
 * shown here alone. Before 1.3.0 `description` was the column that is description_json now; up to 0.23 there
 * was a cycle. */
void plane_put_webhook_data(struct out *out, struct plane_issue *issue)
{
    static const enum issue_field declared[] = {ISSUE_ID, ISSUE_LABELS, ISSUE_ASSIGNEES, ISSUE_STATE};
    const uint64_t expanded = PLANE_EXPAND(PLANE_EXPAND_STATE);
    int version = issue->project->plane->version;
    bool has_both = version >= PLANE_VERSION(1, 3, 0);
    uint64_t first = (uint64_t)1 << ISSUE_TYPE_ID;
    out_open(out, NULL, '{');
    for (size_t i = 0; i < ARRAY_LEN(declared); i++) {
        first |= (uint64_t)1 << declared[i];
        put_issue_field(out, issue, declared[i], expanded, 0);
    }
    if (version < PLANE_VERSION(0, 24, 0))
        out_null(out, "cycle");
    if (has_both)
        out_ready(out, "description", "{}");
    for (size_t i = 0; i < ARRAY_LEN(issue_fields); i++) {
        if (first >> i & 1)
            continue;
        if (i == ISSUE_HTML)
            out_ready(out, has_both ? "description_json" : "description", "{}");
        put_issue_field(out, issue, i, expanded, 0);
        if (i == ISSUE_HTML)
            out_text(out, "description_stripped", "");
    }
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
                               const struct plane_activity *activity, size_t field, uint64_t fields,
                               int zone_min)
{
    const struct plane *plane = issue->project->plane;
    const char *name = activity_fields[field].name;
    if (field == ACTIVITY_CREATED_AT || field == ACTIVITY_UPDATED_AT)
        plane_put_instant(out, name, activity->created_us, zone_min);
    else if (field == ACTIVITY_ACTOR && is_expanded(fields, PLANE_EXPAND_ACTOR))
        plane_put_person(out, name, plane);
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
                put_activity_field(out, issue, activity, i, fields, zone_min);
        }
    out_close(out, '}');
}
