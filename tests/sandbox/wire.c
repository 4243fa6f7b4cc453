#include "tests/sandbox/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clients/base/text.h"
#include "tests/sandbox/fault.h"
#include "tests/sandbox/journal.h"
#include "tests/sandbox/park.h"
#include "tests/sandbox/sandbox.h"
#include "tests/sandbox/wire_body.h"

#define WIRE_THREADS 2u
#define WIRE_CONNECTIONS 16384u
#define WIRE_BODY_MAX ((size_t)256 * 1024 * 1024) /* a world in bulk */
#define WIRE_WATCH_MS 10000                       /* a control request waits at most so long for something */

struct wire {
    struct sandbox *sandbox;
    struct MHD_Daemon *daemon;
};

enum phase { PHASE_NEW, PHASE_BODY, PHASE_PARKED, PHASE_ANSWERED };

struct exchange {
    struct call call;
    struct sandbox *sandbox;
    struct park_place place;
    struct fault fault;
    struct out body;
    enum phase phase;
    bool too_large;
    int64_t watch_until_ms; /* monotonic; 0: not watching */
    int64_t number;         /* in the journal; 0: not counted (any more) */
};

static void exchange_end(struct exchange *x, int status)
{
    if (x->number)
        journal_end(x->sandbox->journal, x->number, status);
    x->number = 0;
}

static void exchange_free(struct exchange *x)
{
    exchange_end(x, 0);
    call_done(&x->call);
    fault_done(&x->fault);
    out_free(&x->body);
    free(x);
}

/* The target as it came: libmicrohttpd hands it out here alone, before it is decoded. */
static void *on_target(void *arg, const char *target, struct MHD_Connection *connection)
{
    struct exchange *x = mem_zero(1, sizeof *x);
    x->sandbox = arg;
    x->call.target = mem_dup(target);
    x->call.sandbox = arg;
    x->call.connection = connection;
    return x;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode how)
{
    (void)arg, (void)connection, (void)how;
    if (*con_cls)
        exchange_free(*con_cls);
    *con_cls = NULL;
}

static void serve_locked(struct call *call)
{
    struct sandbox *sandbox = call->sandbox;
    if (call->route && call->route->writes)
        pthread_rwlock_wrlock(&sandbox->lock);
    else
        pthread_rwlock_rdlock(&sandbox->lock);
    if (!call->stand_in->admit || call->stand_in->admit(call)) {
        if (call->route)
            call->route->serve(call);
        else
            call->stand_in->not_found(call);
    }
    pthread_rwlock_unlock(&sandbox->lock);
}

static void serve(struct exchange *x)
{
    struct call *call = &x->call;
    if (x->too_large)
        call_plain(call, 413, "text/plain", "body too large\n");
    else if (!call->stand_in)
        call_plain(call, 404, "text/plain", "404 page not found\n");
    else
        serve_locked(call);
    /* A watcher may be waiting for what this request changed or counted. */
    if (call->stand_in && !call->stand_in->hidden)
        park_release(x->sandbox->park, PARK_WATCH);
}

static void answer_fault(struct call *call, struct fault *fault)
{
    call->status = fault->made ? fault->status : 200;
    call->content_type = fault->made ? fault->content_type : "application/json;charset=utf-8";
    if (fault->made)
        out_plain(&call->out, fault->body);
    else if (fault->kind == FAULT_GARBAGE)
        out_plain(&call->out, "{\"state\": succ");
    if (fault->made && fault->retry_after_s >= 0)
        call_header(call, "Retry-After", "%lld", (long long)fault->retry_after_s);
}

static enum MHD_Result send_answer(struct exchange *x)
{
    struct call *call = &x->call;
    struct fault *fault = &x->fault;
    if (fault->made || fault->kind == FAULT_GARBAGE || fault->kind == FAULT_HUGE)
        answer_fault(call, fault);
    else
        serve(x);
    if (fault->kind == FAULT_RETYPE)
        call->content_type = fault->content_type;
    struct MHD_Response *response = wire_body_response(&call->out, fault, x->sandbox->park, call->connection);
    if (!response)
        return MHD_NO;
    if (call->content_type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, call->content_type);
    for (size_t i = 0; i < call->n_headers; i++)
        MHD_add_response_header(response, call->headers[i].name, call->headers[i].value);
    x->phase = PHASE_ANSWERED;
    exchange_end(x, call->status);
    enum MHD_Result result = MHD_queue_response(call->connection, (unsigned)call->status, response);
    MHD_destroy_response(response);
    return result;
}

/* The request is here whole: counts it, decides what is to go wrong, and parks it if it has to wait. */
static bool parks_on_arrival(struct exchange *x)
{
    struct call *call = &x->call;
    call->body = out_take(&x->body);
    x->body.text = (char *)(uintptr_t)call->body; /* still freed with the exchange */
    if (call->stand_in && !call->stand_in->hidden) {
        x->number = journal_begin(x->sandbox->journal, call);
        faults_match(x->sandbox->faults, call, &x->fault);
    }
    struct park *park = x->sandbox->park;
    bool parked = false;
    if (x->fault.kind == FAULT_HANG)
        parked = park_here(park, &x->place, call->connection, PARK_HANG, -1);
    else if (x->fault.delay_ms > 0 && x->fault.kind != FAULT_DRIP)
        parked = park_here(park, &x->place, call->connection, PARK_DELAY, x->fault.delay_ms);
    if (x->number)
        park_release(park, PARK_WATCH);
    return parked;
}

static bool parks_to_watch(struct exchange *x)
{
    struct call *call = &x->call;
    if (!call->stand_in || !call->stand_in->hidden || x->place.woken == PARK_TIME_CAME ||
        !control_waits(call))
        return false;
    if (x->watch_until_ms == 0)
        x->watch_until_ms = clock_mono_ms() + WIRE_WATCH_MS;
    int64_t left_ms = x->watch_until_ms - clock_mono_ms();
    return left_ms > 0 && park_here(x->sandbox->park, &x->place, call->connection, PARK_WATCH, left_ms);
}

static void take_body(struct exchange *x, const char *data, size_t len)
{
    if (x->body.len + len > WIRE_BODY_MAX)
        x->too_large = true;
    else
        out_bytes(&x->body, data, len);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *data_len,
                                  void **con_cls)
{
    (void)arg, (void)connection, (void)url, (void)version;
    static const struct stand_in *const *stand_ins = sandbox_stand_ins;
    struct exchange *x = *con_cls;
    if (x->phase == PHASE_NEW) { /* an answer now would close the connection, so only look */
        x->call.method = method;
        (void)call_route(&x->call, stand_ins);
        x->phase = PHASE_BODY;
        return MHD_YES;
    }
    if (*data_len) {
        take_body(x, data, *data_len);
        *data_len = 0;
        return MHD_YES;
    }
    if (x->phase == PHASE_BODY) {
        x->call.body_len = x->body.len;
        x->phase = PHASE_PARKED;
        if (parks_on_arrival(x))
            return MHD_YES;
    }
    if (x->phase == PHASE_PARKED && parks_to_watch(x))
        return MHD_YES;
    if (x->fault.kind == FAULT_CLOSE)
        return MHD_NO;
    return send_answer(x);
}

static uint16_t bound_port(struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

enum err wire_start(struct sandbox *sandbox, int port, struct wire **ret, struct why *why)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct wire *wire = mem_zero(1, sizeof *wire);
    wire->sandbox = sandbox;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, sandbox},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, NULL},
        {MHD_OPTION_SOCK_ADDR, 0, &address},
        {MHD_OPTION_THREAD_POOL_SIZE, WIRE_THREADS, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, WIRE_CONNECTIONS, NULL},
        {MHD_OPTION_LISTENING_ADDRESS_REUSE, 1, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    wire->daemon = MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, (uint16_t)port,
                                    NULL, NULL, on_request, wire, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (!wire->daemon) {
        free(wire);
        return why_set(why, ERR_UNAVAILABLE, "cannot listen on 127.0.0.1:%d: %s", port, strerror(errno));
    }
    sandbox->port = bound_port(wire->daemon);
    *ret = wire;
    return ERR_OK;
}

void wire_stop(struct wire *wire)
{
    park_stop(wire->sandbox->park);
    MHD_stop_daemon(wire->daemon);
    free(wire);
}
