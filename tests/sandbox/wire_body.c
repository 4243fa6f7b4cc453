#include "tests/sandbox/wire_body.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sandbox/fault.h"
#include "tests/sandbox/out.h"
#include "tests/sandbox/park.h"

struct body {
    char *text; /* NULL: blanks and, at the end, "[]" */
    uint64_t len, ends_at;
    struct MHD_Connection *connection; /* of a drip */
    struct park *park;
    struct park_place place;
    uint64_t step, due_at; /* drip: bytes each time; the position up to which bytes may go now */
    int64_t pause_ms;
};

static ssize_t ready(struct body *body, uint64_t at, char *to, uint64_t n)
{
    if (body->text)
        memcpy(to, body->text + at, n);
    else
        for (uint64_t i = 0; i < n; i++)
            to[i] = at + i == body->len - 2 ? '[' : at + i == body->len - 1 ? ']' : ' ';
    return (ssize_t)n;
}

static ssize_t read_spoilt(void *arg, uint64_t at, char *to, size_t room)
{
    struct body *body = arg;
    if (at >= body->ends_at)
        return body->ends_at < body->len ? MHD_CONTENT_READER_END_WITH_ERROR
                                         : MHD_CONTENT_READER_END_OF_STREAM;
    uint64_t n = body->ends_at - at < room ? body->ends_at - at : room;
    if (body->step) {
        if (at >= body->due_at) {
            body->due_at = at + body->step;
            if (park_here(body->park, &body->place, body->connection, PARK_DELAY, body->pause_ms))
                return 0;
        }
        n = body->due_at - at < n ? body->due_at - at : n;
    }
    return ready(body, at, to, n);
}

static void body_free(void *arg)
{
    struct body *body = arg;
    free(body->text);
    free(body);
}

struct MHD_Response *wire_body_response(struct out *out, const struct fault *fault, struct park *park,
                                        struct MHD_Connection *connection)
{
    uint64_t len = out->len;
    char *text = out_take(out);
    if (fault->kind != FAULT_CUT && fault->kind != FAULT_HUGE && fault->kind != FAULT_DRIP)
        return MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    struct body *body = mem_zero(1, sizeof *body);
    body->text = text;
    body->len = body->ends_at = len;
    if (fault->kind == FAULT_CUT && (uint64_t)fault->bytes < len)
        body->ends_at = (uint64_t)fault->bytes;
    else if (fault->kind == FAULT_HUGE) {
        free(body->text);
        body->text = NULL;
        body->len = body->ends_at = (uint64_t)fault->bytes;
    } else if (fault->kind == FAULT_DRIP) {
        body->connection = connection;
        body->park = park;
        body->step = (uint64_t)fault->bytes;
        body->pause_ms = fault->delay_ms;
    }
    return MHD_create_response_from_callback(fault->chunked ? MHD_SIZE_UNKNOWN : body->len, (size_t)16 * 1024,
                                             read_spoilt, body, body_free);
}
