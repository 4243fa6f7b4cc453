/* sandbox_run.h - the sandbox as a program of its own, for tests of the clients (tests/sandbox/README.md). */
#ifndef RECONCILED_TESTS_SANDBOX_RUN_H
#define RECONCILED_TESTS_SANDBOX_RUN_H

#include <jansson.h>

#include "clients/base/err.h"

struct sandbox_run;

/* sandbox_start: the program that SANDBOX names, else the one of this build. Never NULL: ends the test
 * program if it does not start. It ends with the test program. sandbox_stop: NULL is fine. */
struct sandbox_run *sandbox_start(void);
void sandbox_stop(struct sandbox_run *sandbox);

/* sandbox_url: "http://127.0.0.1:PORT". */
const char *sandbox_url(const struct sandbox_run *sandbox);

/* sandbox_told: `method` of /sandbox/{path}, with a body that is made as by printf (fmt NULL: none), in which
 * ' stands for ". Ends the test program unless the answer is below 300. Caller frees the JSON. sandbox_tell:
 * POST, and the answer thrown away. */
json_t *sandbox_told(struct sandbox_run *sandbox, const char *method, const char *path, const char *fmt, ...)
    ATTR_PRINTF(4, 5);
void sandbox_tell(struct sandbox_run *sandbox, const char *path, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* sandbox_asked: requests so far that fit a glob over "METHOD /path?query". */
size_t sandbox_asked(struct sandbox_run *sandbox, const char *like);

#endif
