#include "clients/http/upstream.h"

#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/http/fetch.h"

enum err upstream_base(const char *url, const char *name, char **ret, struct why *why)
{
    char *base = fetch_url(url, NULL, NULL);
    if (!base || fetch_url_has_user(url)) {
        free(base);
        return why_set(why, ERR_INVALID, "%s must be an http or https URL without a user name", name);
    }
    for (size_t len = strlen(base); len > 0 && base[len - 1] == '/'; len--)
        base[len - 1] = '\0';
    *ret = base;
    return ERR_OK;
}

enum err upstream_token_check(const char *token, const char *name, struct why *why)
{
    for (; token && *token; token++)
        if ((unsigned char)*token < 0x21 || (unsigned char)*token > 0x7e)
            return why_set(why, ERR_INVALID, "%s holds characters that no token has", name);
    return ERR_OK;
}

void upstream_check_send(struct fetch_inbox *inbox, const struct fetch_request *request, const char *about)
{
    fetch_send(inbox, &(const struct fetch_request){.upstream = request->upstream,
                                                    .health = request->health,
                                                    .part = about,
                                                    .forced = true,
                                                    .waited_for = true,
                                                    .method = "GET",
                                                    .url = request->url,
                                                    .headers = request->headers,
                                                    .answer_max = LIMIT_ANSWER_CHECK,
                                                    .attempts = 1,
                                                    .tag = (void *)(uintptr_t)about});
}

static const char *meaning_of(int status)
{
    switch (status) {
    case 401:
        return ", the token is not accepted";
    case 403:
        return ", the token is not accepted, or may not read this";
    case 404:
        return ", there is no such thing, or the token may not see it";
    default:
        return "";
    }
}

char *upstream_words(const struct fetch_answer *answer)
{
    if (answer->result != FETCH_ANSWERED)
        return mem_dup(answer->error);
    return mem_printf("answered %d (%s)%s%s", answer->status,
                      *answer->content_type ? answer->content_type : "no content type",
                      *answer->proxy ? " through " : "", answer->proxy);
}

char *upstream_check_problem(const struct fetch_answer *answer, upstream_own_fn *own, const char *url_name)
{
    const char *about = answer->tag;
    bool good = answer->status >= 200 && answer->status <= 299;
    if (answer->result != FETCH_ANSWERED)
        return mem_printf("%s: %s", about, answer->error);
    if ((good || answer->status == 404) && !own(answer)) {
        AUTO_FREE char *words = upstream_words(answer);
        return mem_printf("%s: %s, which is not the API's; is %s right?", about, words, url_name);
    }
    if (good)
        return NULL;
    if (*answer->proxy && !strstr(answer->content_type, "json")) {
        AUTO_FREE char *words = upstream_words(answer);
        return mem_printf("%s: %s", about, words);
    }
    return mem_printf("%s: answered %d%s", about, answer->status, meaning_of(answer->status));
}

char *upstream_check_end(struct fetch_inbox *inbox, upstream_own_fn *own, const char *url_name)
{
    char *problem = NULL;
    while (fetch_pending(inbox) > 0) {
        struct fetch_answer *answer = fetch_take(inbox, -1);
        if (!problem)
            problem = upstream_check_problem(answer, own, url_name);
        fetch_answer_free(answer);
    }
    fetch_inbox_free(inbox);
    return problem;
}
