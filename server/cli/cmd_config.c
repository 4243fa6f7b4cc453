/* pause, resume, observe, heal, config: the run-time settings. */
#include <stdio.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "server/cli/cli.h"
#include "server/cli/screen.h"
#include "server/cli/service.h"
#include "server/cli/times.h"

static const char *const config_path[] = {"reconcile", "config", NULL};

/* Where a setting's value comes from. Caller frees. */
static char *source_words(const json_t *config, const char *name)
{
    const json_t *source = json_object_get(json_object_get(config, "sources"), name);
    const char *by = json_get_text(source, "by", NULL), *reason = json_get_text(source, "reason", NULL);
    const char *until = json_get_text(source, "until", NULL);
    char moment[TIME_TEXT_SIZE];
    struct buffer out = {.max = LIMIT_LOG_LINE};
    buffer_puts(&out, json_get_text(source, "source", "-"));
    if (by)
        buffer_printf(&out, " by %s", by);
    if (until)
        buffer_printf(&out, " until %s", moment_of(until, moment));
    if (reason)
        buffer_printf(&out, ": %s", reason);
    if (json_get_bool(source, "held_by_environment", false))
        buffer_puts(&out, "; the environment is off");
    return buffer_take(&out);
}

static void print_config(const json_t *config, const json_t *only)
{
    static const struct column columns[] = {{.head = "NAME"},
                                            {.head = "VALUE", .gives_way = true},
                                            {.head = "SOURCE", .gives_way = true},
                                            {.head = NULL}};
    struct table *table = table_new(columns);
    const char *name;
    json_t *source;
    json_object_foreach(json_object_get(config, "sources"), name, source)
    {
        if (only && !json_object_get(only, name))
            continue;
        const json_t *value = json_object_get(config, name);
        AUTO_FREE char *text = value ? value_words(value) : mem_dup("-");
        AUTO_FREE char *words = source_words(config, name);
        table_add(table, TONE_PLAIN, "%s", name);
        table_add(table, TONE_PLAIN, "%s", text);
        table_add(table, TONE_PLAIN, "%s", words);
    }
    table_print(table);
}

/* Sends a change and shows what it names as it is now; *ret_now, if not NULL: all settings. */
static int change(const struct command_line *line, struct service *service, json_t *body, json_t **ret_now)
{
    const bool json = line->values[OPTION_JSON];
    struct service_answer answer;
    int status = EXIT_DONE;
    if (!remarks_add(line, body))
        return EXIT_USAGE;
    service_send(service, "PUT", config_path, NULL, body, NULL, &answer);
    if (!service_failed(service, &answer, json, &status)) {
        if (json)
            status = service_print(&answer);
        else
            print_config(answer.json, body);
        if (ret_now)
            *ret_now = json_incref(answer.json);
    }
    service_answer_done(&answer);
    return status;
}

static const char *switch_of(const struct command_line *line)
{
    return line->values[OPTION_PLANE] ? "plane_enabled" : "enabled";
}

int command_pause(const struct command_line *line, struct service *service)
{
    json_auto_t *body = json_pack("{s:b}", switch_of(line), 0);
    return change(line, service, body, NULL);
}

int command_resume(const struct command_line *line, struct service *service)
{
    json_auto_t *body = json_pack("{s:n}", switch_of(line)), *now = NULL;
    int status = change(line, service, body, &now);
    if (status == EXIT_DONE && !json_get_bool(now, switch_of(line), false)) {
        fprintf(stderr, "reconciled: %s is still false: the environment switches it off\n", switch_of(line));
        status = EXIT_FAILED;
    }
    return status;
}

int command_mode(const struct command_line *line, struct service *service)
{
    json_auto_t *body = json_pack("{s:s}", "mode", line->command->name);
    return change(line, service, body, NULL);
}

/* NAME=VALUE: a value that is JSON, or else a text; none drops the override. */
static bool add_setting(const char *argument, json_t *body)
{
    const char *equals = strchr(argument, '=');
    if (!equals || equals == argument)
        return false;
    AUTO_FREE char *name = mem_dupn(argument, (size_t)(equals - argument));
    json_t *value =
        equals[1] ? json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL) : json_null();
    json_put(body, name, value ? value : json_text(equals + 1));
    return true;
}

static void print_all(const json_t *config)
{
    print_config(config, NULL);
}

int command_config(const struct command_line *line, struct service *service)
{
    if (line->n_arguments == 1 && strcmp(line->arguments[0], "history") == 0)
        return change_list_show(line, service);
    json_auto_t *body = json_object();
    for (size_t i = 0; i < line->n_arguments; i++) {
        if (!add_setting(line->arguments[i], body))
            return usage_refuse(line->command, "%s is not of the form NAME=VALUE", line->arguments[i]);
    }
    if (line->n_arguments)
        return change(line, service, body, NULL);
    return service_show(service, config_path, NULL, line->values[OPTION_JSON], print_all);
}
