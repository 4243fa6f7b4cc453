/* app.h - the services that handlers use. Made once, before the listener starts; everything here outlives it.
 */
#ifndef RECONCILED_APP_H
#define RECONCILED_APP_H

struct explainer;
struct follower;
struct query_pool;
struct pipeline;
struct plane;
struct probe;
struct publication;
struct resolver;
struct services;
struct settings;
struct store;
struct sweeper;

struct app {
    const struct services *services;
    const struct settings *settings;
    const struct pipeline *pipeline;
    struct store *store;
    struct plane *plane; /* only for its budget */
    struct sweeper *sweeper;
    struct probe *probe;           /* for readiness */
    struct follower *follower;     /* what the probe's answers show */
    struct query_pool *query_pool; /* used only by the next two */
    struct resolver *resolver;
    struct explainer *explainer;
    struct publication *status; /* body of GET /reconcile/status */
};

#endif
