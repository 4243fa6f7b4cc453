/* How texts of ours are stored: in ASCII, which a database of any encoding holds. */
#include "clients/store/store_rows.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"

static bool is_ascii(char byte)
{
    return (unsigned char)byte < 0x80;
}

char *string_stored(const char *text)
{
    json_auto_t *value = json_text(text);
    char *string = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    if (!string)
        abort();
    return string;
}

/* In a JSON document, other characters stand in its strings alone. */
char *document_stored(const char *json)
{
    struct buffer stored = {.max = LIMIT_STORED_TEXT};
    while (json && *json) {
        size_t plain = 0, other = 0;
        while (json[plain] && is_ascii(json[plain]))
            plain++;
        buffer_put(&stored, json, plain);
        json += plain;
        while (json[other] && !is_ascii(json[other]))
            other++;
        AUTO_FREE char *run = mem_dupn(json, other);
        AUTO_FREE char *string = string_stored(run);
        buffer_put(&stored, string + 1, strlen(string) - 2);
        json += other;
    }
    return json ? buffer_take(&stored) : NULL;
}

char *text_stored(const char *text)
{
    const char *at = text;
    while (at && *at && is_ascii(*at))
        at++;
    return !text || (!*at && *text != '"') ? mem_dup(text) : string_stored(text);
}

char *rows_stored(struct store_rows *rows, const char *name)
{
    char *stored = rows_own(rows, name);
    json_auto_t *value = stored && *stored == '"' ? json_loads(stored, JSON_DECODE_ANY, NULL) : NULL;
    if (!json_is_string(value))
        return stored;
    char *text = mem_dup(json_string_value(value));
    free(stored);
    return text;
}
