/* service.h - HTTP calls to the running service, for commands. Private to server/.
 *
 * One call at a time, each waited for. The service is found by the settings that it runs with, or by --url.
 */
#ifndef RECONCILED_CLI_SERVICE_H
#define RECONCILED_CLI_SERVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "clients/base/err.h"

struct command_line;
struct service;
struct settings;

/* service_url: where a service that listens as these settings describe is reached from its own machine; NULL
 * if they name no port. Caller frees. */
char *service_url(const struct settings *settings);

/* Where to find it, and how to show that one may. */
struct service_place {
    const char *url;
    const char *token;   /* NULL: none */
    const char *ca_file; /* as in struct fetch_options */
    bool ourselves;      /* as in struct fetch_options */
    int64_t timeout_ms;  /* of each call */
};

/* service_open: libcurl is initialised here, so there may be one at a time. Borrows the place's texts. Free
 * with service_close. */
ATTR_NODISCARD enum err service_open(const struct service_place *place, struct service **ret,
                                     struct why *why);
void service_close(struct service *service);
/* service_shown: its address without the scheme, for a person. */
const char *service_shown(const struct service *service);

/* An answer with its body. Free with service_answer_done. */
struct service_answer {
    int status; /* 0: no service answered */
    char *body; /* NUL-terminated; never NULL when there is a status */
    size_t body_len;
    json_t *json;    /* NULL: the body is no JSON */
    char error[256]; /* why none answered */
};
void service_answer_done(struct service_answer *answer);

/* service_get, service_send: segments and query as for fetch_url; `body` NULL: none. */
void service_get(struct service *service, const char *const *segments, const char *const *query,
                 struct service_answer *ret);
/* Called now and then while an answer is waited for, with the milliseconds since the call. */
typedef void service_wait_fn(int64_t waited_ms);
void service_send(struct service *service, const char *method, const char *const *segments,
                  const char *const *query, const json_t *body, service_wait_fn *on_wait,
                  struct service_answer *ret);

/* service_failed: whether the answer is not a success; then prints why, as one line on standard error (with
 * `json` the problem document on standard output as well), and *ret_status is the exit status. */
bool service_failed(const struct service *service, const struct service_answer *answer, bool json,
                    int *ret_status);
/* service_print: the body as it came. Returns the exit status. */
int service_print(const struct service_answer *answer);

/* service_pages: hands the rows of a list ("tasks", "config/history") to take_page, page by page, until there
 * are `most`. `query` as above. Returns the exit status; *ret_more: there are more rows. What failed has been
 * printed. */
typedef void service_page_fn(const json_t *rows, void *arg);
int service_pages(struct service *service, const char *resource, const char *const *query, size_t most,
                  service_page_fn *take_page, void *arg, bool *ret_more);

/* service_page_show: prints one page as it comes. Returns the exit status. */
int service_page_show(struct service *service, const char *resource, const char *const *query);

/* service_list: the same rows as one array, which the caller owns, on EXIT_DONE. */
int service_list(struct service *service, const char *resource, const char *const *query, size_t most,
                 json_t **ret_rows, bool *ret_more);

/* service_show: gets a resource and shows it, or with `json` prints its body. Returns the exit status; what
 * failed has been printed. */
int service_show(struct service *service, const char *const *segments, const char *const *query, bool json,
                 void (*show)(const json_t *answer));

#endif
