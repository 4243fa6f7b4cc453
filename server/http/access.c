#include "server/http/access.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "reconcile/pipeline/settings_text.h"

/* RFC 9110 5.6.2. */
static bool is_token_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_token_char((unsigned char)text[i]))
            return false;
    return len > 0;
}

/* A tab is the one control character a value may hold. */
static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return true;
}

void access_head_add(struct access_head *head, const char *name, size_t name_len, const char *value,
                     size_t value_len)
{
    const struct {
        const char *name;
        const char **slot;
    } wanted[] = {
        {"Host", &head->host},
        {"Origin", &head->origin},
        {"Authorization", &head->authorization},
        {"Content-Type", &head->content_type},
        {"Content-Encoding", &head->content_encoding},
        {"Content-Length", &head->content_length},
        {"Transfer-Encoding", &head->transfer_encoding},
        {"Expect", &head->expect},
    };
    if (!is_token(name, name_len) || (value && !is_plain(value, value_len))) {
        head->odd = true;
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (strlen(wanted[i].name) != name_len || strncasecmp(wanted[i].name, name, name_len) != 0)
            continue;
        if (*wanted[i].slot)
            head->repeated = true;
        *wanted[i].slot = value ? value : "";
    }
}

bool access_head_counts(const struct access_head *head)
{
    return head->host || head->origin || head->authorization || head->content_type ||
           head->content_encoding || head->content_length || head->transfer_encoding || head->expect;
}

static struct refusal refuse(int status, const char *detail)
{
    return (struct refusal){.status = status, .detail = detail};
}

static struct refusal refuse_odd(const char *detail)
{
    return (struct refusal){.status = 400, .detail = detail, .type = PROBLEM_ODD};
}

static const struct refusal no_refusal = {.status = 0};

struct refusal access_framing(const struct access_head *head, bool http_1_1)
{
    int64_t length;
    if (head->odd)
        return refuse_odd(
            "a header is folded, its name is not a token, or its value holds a control character");
    if (head->repeated)
        return refuse_odd("a header that may be there once is there twice");
    if (head->transfer_encoding && head->content_length)
        return refuse_odd("Content-Length and Transfer-Encoding exclude each other");
    if (head->transfer_encoding && (!http_1_1 || strcasecmp(head->transfer_encoding, "chunked") != 0))
        return refuse_odd("the only Transfer-Encoding understood is chunked, in HTTP/1.1");
    if (head->content_length && !parse_i64(head->content_length, 0, INT64_MAX, &length))
        return refuse_odd("Content-Length is not a number");
    if (head->content_length && length > (int64_t)LIMIT_REQUEST_BODY)
        return refuse(413, "the body is larger than 64 KiB");
    return no_refusal;
}

bool access_has_body(const struct access_head *head)
{
    int64_t length = 0;
    if (head->content_length)
        (void)parse_i64(head->content_length, 0, INT64_MAX, &length);
    return head->transfer_encoding || length > 0;
}

/* The length of host[:port] without a port that the scheme implies. */
static size_t authority_len(const char *authority, const char *implied_port)
{
    size_t len = strlen(authority), port_len = strlen(implied_port);
    if (len > port_len && strcmp(authority + len - port_len, implied_port) == 0)
        return len - port_len;
    return len;
}

/* A page may call the origin it was loaded from, whose host is the one in Origin (RFC 6454 7). */
static bool origin_is_own(const char *origin, const char *host)
{
    const char *implied;
    if (strncasecmp(origin, "https://", 8) == 0) {
        origin += 8;
        implied = ":443";
    } else if (strncasecmp(origin, "http://", 7) == 0) {
        origin += 7;
        implied = ":80";
    } else {
        return false;
    }
    size_t len = authority_len(origin, implied);
    return len > 0 && len == authority_len(host, implied) && strncasecmp(origin, host, len) == 0;
}

static bool bearer_matches(const char *authorization, const char *token)
{
    if (strncasecmp(authorization, "Bearer ", 7) != 0)
        return false;
    authorization += 7;
    authorization += strspn(authorization, " ");
    return secret_equal(authorization, token);
}

const char *access_target(const char *target, char **ret_authority)
{
    static const char *const schemes[] = {"http://", "https://"};
    *ret_authority = NULL;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t scheme_len = strlen(schemes[i]);
        if (strncasecmp(target, schemes[i], scheme_len) != 0)
            continue;
        const char *authority = target + scheme_len, *path = authority + strcspn(authority, "/?");
        *ret_authority = mem_dupn(authority, (size_t)(path - authority));
        return *path == '/' ? path : "/";
    }
    return target;
}

static bool is_read(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* Both tokens are compared, so that the time shows nothing. */
static struct refusal token_judge(const char *authorization, const struct access_tokens *tokens,
                                  const char *method)
{
    if (!authorization)
        return refuse(401, "a bearer token is needed");
    bool all = bearer_matches(authorization, tokens->all);
    bool read = tokens->read && bearer_matches(authorization, tokens->read);
    if (!all && !read)
        return refuse(401, "the token is not the right one");
    if (!all && !is_read(method))
        return refuse(403, "this token may only read");
    return no_refusal;
}

struct refusal access_allowed(const struct access_head *head, const struct access_tokens *tokens,
                              const char *method, bool open)
{
    if (head->origin && !origin_is_own(head->origin, head->host ? head->host : ""))
        return refuse(403, "requests of another origin are not answered");
    if (!tokens->all && !(head->host ? authority_is_loopback(head->host) : open))
        return refuse(403, "without a token only a Host that names this machine is answered");
    return tokens->all && !open ? token_judge(head->authorization, tokens, method) : no_refusal;
}

/* Reads one parameter of a media type (RFC 9110 5.6.6) at *cursor and moves behind it. False: it is no
 * parameter, or names another charset than UTF-8. */
static bool parameter_is_fine(const char **cursor)
{
    static const char blank[] = " \t", utf_8[] = "utf-8";
    const char *at = *cursor + strspn(*cursor, blank), *name;
    char value[sizeof utf_8];
    size_t len = 0;
    if (*at && *at != ';')
        return false;
    at += *at == ';';
    at += strspn(at, blank);
    for (name = at; is_token_char((unsigned char)*at);)
        at++;
    *cursor = at;
    if (at == name)
        return true; /* an empty one, or the end */
    bool is_charset = at - name == 7 && strncasecmp(name, "charset", 7) == 0;
    bool quoted = at[0] == '=' && at[1] == '"';
    if (*at != '=')
        return false;
    for (at += quoted ? 2 : 1; quoted ? *at && *at != '"' : is_token_char((unsigned char)*at); at++) {
        at += quoted && at[0] == '\\' && at[1];
        if (len < sizeof value)
            value[len++] = *at;
    }
    if (quoted ? *at != '"' : len == 0)
        return false;
    *cursor = at + quoted;
    return !is_charset || (len == strlen(utf_8) && strncasecmp(value, utf_8, len) == 0);
}

struct refusal access_media(const struct access_head *head)
{
    static const char json[] = "application/json";
    const char *type = head->content_type ? head->content_type : "";
    const char *coding = head->content_encoding ? head->content_encoding : "";
    size_t len = strcspn(type, "; \t");
    if (*coding && strcasecmp(coding, "identity") != 0)
        return refuse(415, "a body must not be encoded");
    if (len != sizeof json - 1 || strncasecmp(type, json, len) != 0)
        return refuse(415, "a body must be application/json");
    for (const char *cursor = type + len; *cursor;)
        if (!parameter_is_fine(&cursor))
            return refuse(415,
                          "a parameter of Content-Type is malformed, or names another charset than UTF-8");
    return no_refusal;
}
