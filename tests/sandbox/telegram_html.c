/* HTML as the Bot API reads it (td/telegram/MessageEntity.cpp): few tags, closed in order, and offsets in
 * bytes. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "tests/sandbox/telegram.h"

#define DEPTH_MAX 32
#define TAG_SIZE 24

struct reader {
    const char *html, *at;
    struct out *out;
    char open[DEPTH_MAX][TAG_SIZE];
    size_t depth;
    struct why *why;
};

static bool refuse(struct reader *r, const char *words)
{
    (void)why_set(r->why, ERR_INVALID, "%s", words);
    return false;
}

static bool refuse_at(struct reader *r, const char *words, const char *from)
{
    (void)why_set(r->why, ERR_INVALID, "%s at byte offset %zu", words, (size_t)(from - r->html));
    return false;
}

static bool is_known(const char *tag)
{
    static const char *const known[] = {"a",        "b",   "strong", "i",         "em",   "s",
                                        "strike",   "del", "u",      "ins",       "span", "tg-spoiler",
                                        "tg-emoji", "pre", "code",   "blockquote"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(tag, known[i]) == 0)
            return true;
    return false;
}

/* The name at the reader's place, in lower case; the place is then behind it. */
static void read_name(struct reader *r, char ret[TAG_SIZE])
{
    size_t len = 0;
    for (; *r->at && *r->at != '>' && !isspace((unsigned char)*r->at); r->at++)
        if (len + 1 < TAG_SIZE)
            ret[len++] = (char)tolower((unsigned char)*r->at);
    ret[len] = '\0';
}

static bool read_end_tag(struct reader *r, const char *from)
{
    char tag[TAG_SIZE], words[96];
    r->at = from + 2;
    read_name(r, tag);
    while (isspace((unsigned char)*r->at))
        r->at++;
    if (*r->at != '>')
        return refuse_at(r, "Unclosed end tag", from);
    r->at++;
    if (r->depth == 0)
        return refuse_at(r, "Unexpected end tag", from);
    const char *expected = r->open[--r->depth];
    if (*tag && strcmp(tag, expected) != 0) {
        snprintf(words, sizeof words,
                 "Unmatched end tag at byte offset %zu, expected \"</%s>\", found \"</%s>\"",
                 (size_t)(from - r->html), expected, tag);
        return refuse(r, words);
    }
    return true;
}

/* Attributes are stepped over, quotes and all. */
static bool read_start_tag(struct reader *r, const char *from)
{
    char tag[TAG_SIZE], words[64];
    r->at = from + 1;
    read_name(r, tag);
    if (!*r->at)
        return refuse_at(r, "Unclosed start tag", from);
    if (!is_known(tag)) {
        snprintf(words, sizeof words, "Unsupported start tag \"%s\"", tag);
        return refuse_at(r, words, from);
    }
    for (char quote = '\0'; *r->at && (quote || *r->at != '>'); r->at++) {
        if (quote && *r->at == quote)
            quote = '\0';
        else if (!quote && (*r->at == '"' || *r->at == '\''))
            quote = *r->at;
    }
    if (!*r->at)
        return refuse_at(r, "Unclosed start tag", from);
    r->at++;
    if (r->depth == DEPTH_MAX)
        return refuse_at(r, "Too many open tags", from);
    memcpy(r->open[r->depth++], tag, TAG_SIZE);
    return true;
}

/* Other names stay as they are. */
static void read_entity(struct reader *r)
{
    static const struct {
        const char *name, *text;
    } known[] = {{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}, {"&quot;", "\""}, {"&#39;", "'"}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strncmp(r->at, known[i].name, strlen(known[i].name)) == 0) {
            out_plain(r->out, known[i].text);
            r->at += strlen(known[i].name);
            return;
        }
    out_bytes(r->out, r->at++, 1);
}

bool telegram_plain(const char *html, struct out *out, struct why *why)
{
    struct reader r = {.html = html, .at = html, .out = out, .why = why};
    while (*r.at) {
        const char *from = r.at;
        if (*from == '&')
            read_entity(&r);
        else if (*from != '<')
            out_bytes(out, r.at++, 1);
        else if (!(from[1] == '/' ? read_end_tag(&r, from) : read_start_tag(&r, from)))
            return false;
    }
    if (r.depth) {
        char words[96];
        snprintf(words, sizeof words, "Can't find end tag corresponding to start tag \"%s\"",
                 r.open[r.depth - 1]);
        return refuse(&r, words);
    }
    return true;
}
