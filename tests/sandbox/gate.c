/* The orchestrator's own gate: GET /gate/{name}?… answers what the control interface has set. */
#include <stdlib.h>

#include "tests/sandbox/sandbox.h"
#include "tests/sandbox/world.h"

static void gate_get(struct call *call)
{
    const struct world *world = call->sandbox->world;
    const char *query = call->target + call->path_len;
    char *exact = mem_printf("%s%s", call->params[0], query);
    const struct gate_setting *gate = map_get(&world->gates, exact);
    free(exact);
    if (!gate)
        gate = map_get(&world->gates, call->params[0]);
    if (!gate) {
        call_plain(call, 404, "application/json", "{\"detail\":\"no such gate\"}");
        return;
    }
    call->status = 200;
    call->content_type = "application/json";
    out_open(&call->out, NULL, '{');
    out_text(&call->out, "verdict", gate->verdict);
    out_text(&call->out, "reason", gate->reason);
    out_close(&call->out, '}');
}

static void not_found(struct call *call)
{
    call_plain(call, call->method_known ? 405 : 404, "application/json", "{\"detail\":\"Not Found\"}");
}

static const struct route routes[] = {{"GET", "{}", gate_get, false}};
const struct stand_in gate_stand_in = {
    .prefix = "/gate/", .routes = routes, .n_routes = ARRAY_LEN(routes), .not_found = not_found};
