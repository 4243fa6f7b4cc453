/* control.h - what the parts of the control interface share. */
#ifndef SANDBOX_CONTROL_H
#define SANDBOX_CONTROL_H

#include "tests/sandbox/call.h"

/* control_open: an answer that begins with '{'; what was written before is dropped. control_error: {"error"}.
 */
struct out *control_open(struct call *call, int status);
void control_error(struct call *call, int status, const char *words);

/* Plane's part (plane_control.c). */
call_serve_fn control_plane_get, control_plane_post, control_plane_generate, control_plane_change,
    control_plane_later, control_plane_clock, control_plane_counters, control_plane_counters_reset;

/* The orchestrator's (orchestrator.c). */
call_serve_fn control_orchestrator_get, control_orchestrator_post, control_orchestrator_move,
    control_orchestrator_delete;

#endif
