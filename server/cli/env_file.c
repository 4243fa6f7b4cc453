#include "server/cli/env_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/settings/settings_table.h"

/* One value, from *at on; moves behind its line. As systemd's parse_env_file reads it: quotes may begin
 * anywhere, a backslash takes the next character as it is (within double quotes only where the shell does),
 * before the end of a line it joins two; spaces at the end do not count. */
static char *value_read(const char **at)
{
    struct buffer out = {.max = LIMIT_SETTING_FILE};
    const char *from = *at + strspn(*at, " \t");
    size_t kept = 0;
    char quote = '\0';
    for (; *from && (quote || *from != '\n'); from++) {
        if (quote ? *from == quote : (*from == '"' || *from == '\'')) {
            quote = quote ? '\0' : *from;
            kept = out.len;
            continue;
        }
        if (*from == '\\' && quote != '\'' && from[1]) {
            from++;
            if (*from == '\n')
                continue;
            if (quote && !strchr("\"\\`$", *from))
                buffer_putc(&out, '\\');
            buffer_putc(&out, *from);
            kept = out.len;
            continue;
        }
        buffer_putc(&out, *from);
        if (quote || !isspace((unsigned char)*from))
            kept = out.len;
    }
    *at = from + (*from == '\n');
    char *value = buffer_take(&out);
    value[kept] = '\0';
    return value;
}

static bool name_valid(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (name[i] != '_' && !isalpha((unsigned char)name[i]) && !(i && isdigit((unsigned char)name[i])))
            return false;
    }
    return len > 0;
}

/* NAME=VALUE pairs into `pairs`, the last of a name counts. */
static void text_read(const char *text, json_t *pairs)
{
    while (*text) {
        text += strspn(text, " \t\r\n");
        size_t len = strcspn(text, "=\n");
        size_t name_len = len;
        while (name_len && strchr(" \t", text[name_len - 1]))
            name_len--;
        if (*text == '#' || *text == ';' || text[len] != '=') {
            text += strcspn(text, "\n");
            continue;
        }
        AUTO_FREE char *name = mem_dupn(text, name_len);
        text += len + 1;
        AUTO_FREE char *value = value_read(&text);
        if (name_valid(name, name_len))
            json_object_set_new(pairs, name, json_string(value));
    }
}

enum err env_file_load(const char *path, struct why *why)
{
    AUTO_FREE char *text = mem_zero(1, LIMIT_SETTING_FILE + 2);
    json_auto_t *pairs = json_object();
    const char *name;
    json_t *value;
    ssize_t len = file_read(path, text, LIMIT_SETTING_FILE + 1);
    if (len < 0)
        return why_set(why, ERR_INVALID, "%s cannot be read: %s%s", path, file_error(),
                       errno == EACCES ? " (sudo reads it)" : "");
    if ((size_t)len > LIMIT_SETTING_FILE)
        return why_set(why, ERR_INVALID, "%s is longer than %zu bytes", path, LIMIT_SETTING_FILE);
    text_read(text + text_bom_len(text, (size_t)len), pairs);
    json_object_foreach(pairs, name, value)(void) setenv(name, json_string_value(value), 0);
    return ERR_OK;
}

/* Whether the environment has one of our settings, or names a file for one. */
static bool has_settings(void)
{
    for (const struct setting *row = settings_table(); row->name; row++) {
        AUTO_FREE char *of_file = mem_printf("%s_FILE", row->name);
        if (getenv(row->name) || getenv(of_file))
            return true;
    }
    return false;
}

enum err env_file_packaged(const char *path, const char *folder, bool must_enter, struct why *why)
{
    if (has_settings() || (access(path, F_OK) != 0 && errno != EACCES))
        return ERR_OK;
    enum err err = env_file_load(path, why);
    if (!err && chdir(folder) != 0 && must_enter)
        err = why_set(why, ERR_INVALID, "%s sets paths from %s, which cannot be entered: %s%s", path, folder,
                      strerror(errno), errno == EACCES ? " (sudo can)" : "");
    return err;
}
