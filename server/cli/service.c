#include "server/cli/service.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/http/fetch.h"
#include "reconcile/pipeline/settings_text.h"
#include "reconcile/settings/settings.h"
#include "server/cli/cli.h"

enum { QUERY_MAX = 24, WAIT_STEP_MS = 200 };

struct service {
    struct fetch *fetch;
    struct fetch_inbox *inbox;
    const char *url;
    char *authorization; /* NULL: none */
};

char *service_url(const struct settings *settings)
{
    struct listen_address address;
    if (!listen_address_parse(settings->http_listen, &address) || address.port == 0)
        return NULL;
    const char *host = address.host;
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    return mem_printf(address.v6 ? "%s://[%s]:%d" : "%s://%s:%d", settings->tls_cert_file ? "https" : "http",
                      host, address.port);
}

enum err service_open(const struct service_place *place, struct service **ret, struct why *why)
{
    const struct fetch_options options = {.timeout_ms = place->timeout_ms,
                                          .per_host = 1,
                                          .ca_file = place->ca_file,
                                          .ourselves = place->ourselves};
    struct fetch *fetch = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return why_set(why, ERR_INTERNAL, "libcurl cannot be initialised");
    enum err err = fetch_new(&options, &fetch, why);
    if (err) {
        curl_global_cleanup();
        return err;
    }
    struct service *service = mem_zero(1, sizeof *service);
    service->fetch = fetch;
    service->inbox = fetch_inbox_new(fetch);
    service->url = place->url;
    if (place->token)
        service->authorization = mem_printf("Authorization: Bearer %s", place->token);
    *ret = service;
    return ERR_OK;
}

void service_close(struct service *service)
{
    if (!service)
        return;
    fetch_inbox_free(service->inbox);
    fetch_free(service->fetch);
    free(service->authorization);
    free(service);
    curl_global_cleanup();
}

const char *service_shown(const struct service *service)
{
    const char *rest = strstr(service->url, "://");
    return rest ? rest + 3 : service->url;
}

void service_answer_done(struct service_answer *answer)
{
    free(answer->body);
    json_decref(answer->json);
    *answer = (struct service_answer){.status = 0};
}

/* Waits for the answer to the one request that was sent. */
static void take(struct service *service, service_wait_fn *on_wait, struct service_answer *ret)
{
    int64_t begin = clock_mono_ms();
    struct fetch_answer *answer = fetch_take(service->inbox, WAIT_STEP_MS);
    while (!answer) {
        if (on_wait)
            on_wait(clock_mono_ms() - begin);
        answer = fetch_take(service->inbox, WAIT_STEP_MS);
    }
    *ret = (struct service_answer){.status = 0};
    if (answer->result == FETCH_ANSWERED) {
        ret->status = answer->status;
        ret->body_len = answer->body ? answer->body_len : 0;
        ret->body = mem_dupn(answer->body ? answer->body : "", ret->body_len);
        if (json_read_within(ret->body, ret->body_len, LIMIT_COMMAND_TREE, &ret->json, NULL) != ERR_OK)
            ret->json = NULL;
    } else {
        snprintf(ret->error, sizeof ret->error, "%s", answer->error);
    }
    fetch_answer_free(answer);
}

static void call(struct service *service, const struct fetch_request *what, const char *const *segments,
                 const char *const *query, service_wait_fn *on_wait, struct service_answer *ret)
{
    const char *headers[3] = {NULL};
    size_t n = 0;
    AUTO_FREE char *url = fetch_url(service->url, segments, query);
    if (!url) {
        *ret = (struct service_answer){.error = "that makes no URL"};
        return;
    }
    if (service->authorization)
        headers[n++] = service->authorization;
    if (what->body)
        headers[n] = "Content-Type: application/json";
    struct fetch_request request = *what;
    request.url = url;
    request.headers = headers;
    request.attempts = 1;
    request.forced = true;
    fetch_send(service->inbox, &request);
    take(service, on_wait, ret);
}

void service_get(struct service *service, const char *const *segments, const char *const *query,
                 struct service_answer *ret)
{
    call(service, &(const struct fetch_request){.method = "GET"}, segments, query, NULL, ret);
}

void service_send(struct service *service, const char *method, const char *const *segments,
                  const char *const *query, const json_t *body, service_wait_fn *on_wait,
                  struct service_answer *ret)
{
    AUTO_FREE char *text = body ? json_line(body) : NULL;
    const struct fetch_request request = {
        .method = method, .body = text, .body_len = text ? strlen(text) : 0};
    call(service, &request, segments, query, on_wait, ret);
}

int service_print(const struct service_answer *answer)
{
    fwrite(answer->body, 1, answer->body_len, stdout);
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_DONE : EXIT_FAILED;
}

/* A task with its branch where branches are looked for, else with its number and place. */
static void candidate_add(struct buffer *out, const char *separator, const json_t *task)
{
    const char *item = json_get_text(task, "work_item_id", "no task");
    if (json_object_get(task, "repo"))
        buffer_printf(out, "%s#%" PRId64 " %s (%s, %s)", separator, json_get_int(task, "task_id", 0), item,
                      json_get_text(task, "repo", "no repo"), json_get_text(task, "stage", "no stage"));
    else
        buffer_printf(out, "%s%s (%s)", separator, item, json_get_text(task, "branch", "no branch"));
}

/* Adds what a problem document lists besides its detail: bad fields, or the tasks that it may be about. */
static void add_list(struct buffer *out, const json_t *problem)
{
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(problem, "errors"), i, row)
        buffer_printf(out, "; %s %s", json_get_text(row, "field", ""), json_get_text(row, "detail", ""));
    json_array_foreach(json_object_get(problem, "candidates"), i, row)
        candidate_add(out, i ? ", " : ": ", row);
}

/* Of an answer that is no success. */
static int exit_status_of(int status, const json_t *problem)
{
    if (strcmp(json_get_text(problem, "type", ""), "/problems/switched-off") == 0)
        return EXIT_SWITCHED_OFF;
    return status == 400 || status == 422 ? EXIT_USAGE : EXIT_FAILED;
}

bool service_failed(const struct service *service, const struct service_answer *answer, bool json,
                    int *ret_status)
{
    if (answer->status == 204 || (answer->status >= 200 && answer->status < 300 && answer->json))
        return false;
    if (answer->status == 0) {
        AUTO_FREE char *shown = text_cut(service_shown(service), LIMIT_REASON);
        fprintf(stderr, "reconciled: no service answers at %s", shown);
        if (strstr(answer->error, "connection refused"))
            fputs(" (is it running? systemctl status reconciled)\n", stderr);
        else
            fprintf(stderr, ": %s\n", answer->error);
        *ret_status = EXIT_NO_SERVICE;
        return true;
    }
    struct buffer words = {.max = LIMIT_REASON * 4};
    buffer_puts(&words, json_get_text(answer->json, "detail", ""));
    if (words.len == 0)
        buffer_printf(&words, "what answers at %s is not reconciled: HTTP status %d", service_shown(service),
                      answer->status);
    add_list(&words, answer->json);
    AUTO_FREE char *text = buffer_take(&words);
    AUTO_FREE char *line = text_cut(text, LIMIT_REASON * 4);
    if (json && answer->json)
        (void)service_print(answer);
    fprintf(stderr, "reconciled: %s%s\n", line,
            answer->status == 401 ? " (--token-file names the file that holds it)" : "");
    *ret_status = exit_status_of(answer->status, answer->json);
    return true;
}

/* "config/history" as the segments of a path; *first_take is the caller's to free. */
static void resource_path(const char *resource, char **first_take, const char *ret[4])
{
    const char *slash = strchr(resource, '/');
    *first_take = mem_dupn(resource, slash ? (size_t)(slash - resource) : strlen(resource));
    ret[0] = "reconcile";
    ret[1] = *first_take;
    ret[2] = slash ? slash + 1 : NULL;
    ret[3] = NULL;
}

int service_page_show(struct service *service, const char *resource, const char *const *query)
{
    AUTO_FREE char *first = NULL;
    const char *segments[4];
    resource_path(resource, &first, segments);
    return service_show(service, segments, query, true, NULL);
}

/* One page of a list; `after` NULL: the first. */
static void page_get(struct service *service, const char *resource, const char *const *query, size_t limit,
                     const char *after, struct service_answer *ret)
{
    AUTO_FREE char *first = NULL;
    const char *segments[4];
    resource_path(resource, &first, segments);
    const char *parameters[QUERY_MAX] = {NULL};
    char number[24];
    size_t n = 0;
    for (; query && query[n]; n++)
        parameters[n] = query[n];
    snprintf(number, sizeof number, "%zu", limit);
    parameters[n++] = "limit";
    parameters[n++] = number;
    if (after) {
        parameters[n++] = "after";
        parameters[n++] = after;
    }
    service_get(service, segments, parameters, ret);
}

int service_pages(struct service *service, const char *resource, const char *const *query, size_t most,
                  service_page_fn *take_page, void *arg, bool *ret_more)
{
    AUTO_FREE char *after = NULL;
    int status = EXIT_DONE;
    size_t taken = 0;
    do {
        struct service_answer answer;
        size_t room = most - taken;
        page_get(service, resource, query, room < LIMIT_LIST_MAX ? room : LIMIT_LIST_MAX, after, &answer);
        free(after);
        after = NULL;
        if (!service_failed(service, &answer, false, &status)) {
            const json_t *rows = json_object_get(answer.json, "items");
            taken += json_array_size(rows);
            take_page(rows, arg);
            after = mem_dup(json_get_text(answer.json, "next", NULL));
        }
        service_answer_done(&answer);
    } while (status == EXIT_DONE && after && taken < most);
    *ret_more = after;
    return status;
}

static void rows_collect(const json_t *rows, void *collected)
{
    (void)json_array_extend(collected, (json_t *)(uintptr_t)rows);
}

int service_list(struct service *service, const char *resource, const char *const *query, size_t most,
                 json_t **ret_rows, bool *ret_more)
{
    json_t *rows = json_array();
    int status = service_pages(service, resource, query, most, rows_collect, rows, ret_more);
    if (status == EXIT_DONE)
        *ret_rows = rows;
    else
        json_decref(rows);
    return status;
}

int service_show(struct service *service, const char *const *segments, const char *const *query, bool json,
                 void (*show)(const json_t *answer))
{
    struct service_answer answer;
    int status = EXIT_DONE;
    service_get(service, segments, query, &answer);
    if (!service_failed(service, &answer, json, &status)) {
        if (json)
            status = service_print(&answer);
        else
            show(answer.json);
    }
    service_answer_done(&answer);
    return status;
}
