/* settings_table.h - the table of settings, and the check of one value. For settings*.c, policy.c,
 * server/settings_help.c, handlers that check a request as a setting is checked, and tests.
 *
 * A value travels as JSON, wherever it comes from (a default, the environment, a file, a PUT, the stored
 * overrides), so that there is one check and one place that stores it.
 */
#ifndef RECONCILED_SETTINGS_TABLE_H
#define RECONCILED_SETTINGS_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/base/err.h"
#include "reconcile/settings/settings.h"

enum setting_type {
    SETTING_BOOL,        /* bool */
    SETTING_INT,         /* int64_t */
    SETTING_ENUM,        /* int: index into words */
    SETTING_TEXT,        /* char * */
    SETTING_TEMPLATE,    /* char *: text with placeholders of message.h */
    SETTING_TOKEN,       /* char *: visible ASCII, fit for a header */
    SETTING_URL,         /* char *: http or https, no credentials, no query; trailing slashes dropped */
    SETTING_WEBHOOK_URL, /* char *: as URL, but with a query, and kept as it is */
    SETTING_PATH,        /* char *: the path of a URL, from its slash on */
    SETTING_DATABASE,    /* char * */
    SETTING_LISTEN,      /* char * */
    SETTING_GRACES,      /* json_t *: object stage → seconds */
    SETTING_PROJECTS,    /* json_t *: array, see struct project */
    SETTING_STATES,      /* json_t *: object */
    SETTING_TYPE_MAX_
};

struct setting {
    const char *name;
    const char *member; /* at run time, in PUT /reconcile/config; NULL: fixed at the start */
    enum setting_type type;
    size_t offset;              /* of the field in struct settings */
    const char *fallback;       /* the default, as it would be written in the environment; NULL: none */
    int64_t min, max;           /* of an INT, and of each value of GRACES */
    const char *const *choices; /* of an ENUM, NULL-terminated, in the order of the C enum */
    bool secret;
    bool off_wins; /* a kill switch: false in the environment cannot be overridden */
    const char *help;
};

enum setting_origin { ORIGIN_DEFAULT, ORIGIN_ENVIRONMENT, ORIGIN_FILE };
struct setting_source {
    enum setting_origin origin;
};

/* settings_table: the rows, ended by one whose name is NULL. */
const struct setting *settings_table(void);
/* setting_of_member: the row of a run-time member, or NULL. setting_of_name: of a variable, or NULL. */
const struct setting *setting_of_member(const char *member);
const struct setting *setting_of_name(const char *name);
/* setting_nearest: the variable, a setting's or a secret's NAME_FILE, that `variable` may be a misspelling
 * of: it differs from that in at most two letters, not counting case, and "export" or a byte order mark
 * before it. NULL: none. Caller frees. */
char *setting_nearest(const char *variable);

/* What the name of a variable must not begin with unless it is a setting's. */
#define SETTING_PREFIX "ORCH_RECONCILE_"

/* setting_origin: where the value at the start came from. */
enum setting_origin setting_origin(const struct settings *settings, const struct setting *row);

/* setting_from_text: the JSON value that a text stands for. A text that is not of the row's type is returned
 * as a string, which setting_check refuses. If it cannot be read at all, adds to `errors` and returns NULL.
 */
json_t *setting_from_text(const struct setting *row, const char *text, json_t *errors);

/* setting_check: adds every fault of a value to `errors`, under the name `field`. True when there is none. */
bool setting_check(const struct setting *row, const char *field, const json_t *value, json_t *errors);

/* graces_check_stages: every key of a grace object is one of `stages` (NULL-terminated). */
void graces_check_stages(const char *field, const json_t *graces, const char *const *stages, json_t *errors);

/* setting_store: sets the field to a value that was checked. setting_value: the field as JSON, null when not
 * set; caller owns it. setting_clear: frees what the field owns. */
void setting_store(const struct setting *row, const json_t *value, struct settings *settings);
json_t *setting_value(const struct setting *row, const struct settings *settings);
void setting_clear(const struct setting *row, struct settings *settings);

/* projects_check, states_check: the two settings with a shape of their own (settings_projects.c). */
void projects_check(const char *field, const json_t *projects, json_t *errors);
void states_check(const char *field, const json_t *states, json_t *errors);
/* states_complete: the states with the defaults filled in. Caller owns it. */
json_t *states_complete(const json_t *states);
/* projects_bind: makes settings->projects, which borrow from settings->projects_json. */
void projects_bind(struct settings *settings);

/* overrides_check: ERR_OK if a stored document can be understood: every entry is an object with a value, its
 * known fields have their types, and every member that this version knows has a valid value. Members of a
 * newer version are allowed. */
ATTR_NODISCARD enum err overrides_check(const json_t *overrides, struct why *why);

/* override_live: the entry of a member, or NULL when there is none or its `until` has come. */
const json_t *override_live(const json_t *overrides, const char *member, int64_t now_us);

#endif
