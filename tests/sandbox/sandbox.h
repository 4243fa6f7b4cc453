/* sandbox.h - what the parts of the sandbox share. */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <pthread.h>

#include "tests/sandbox/call.h"

struct faults;
struct journal;
struct mailer;
struct orchestrator;
struct park;
struct plane;
struct telegram;
struct world;

struct sandbox {
    pthread_rwlock_t lock; /* guards the world, Plane and Telegram */
    struct world *world;
    struct plane *plane;
    struct telegram *telegram;
    struct faults *faults;
    struct journal *journal;
    struct mailer *mailer; /* sends webhooks */
    struct park *park;
    struct orchestrator *orchestrator; /* has a lock of its own */
    int port;
};

/* The stand-ins, NULL-terminated, and the control interface. Each is in the file named after it. */
extern const struct stand_in gitea_api, gitea_web, plane_api, plane_web, telegram_api, gate_stand_in,
    orchestrator_stand_in, control;
extern const struct stand_in *const sandbox_stand_ins[];

/* control_waits: true when the request (a control request) asks to be answered only once something has
 * happened that has not happened yet. Called without the lock. */
bool control_waits(struct call *call);

#endif
