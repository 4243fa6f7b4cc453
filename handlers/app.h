/* app.h - the services that handlers reach, put together once by main. Everything here outlives the listener.
 */
#ifndef RECONCILED_APP_H
#define RECONCILED_APP_H

struct explainer;
struct query_pool;
struct pipeline;
struct plane;
struct probe;
struct publication;
struct resolver;
struct settings;
struct store;
struct sweeper;

struct app {
    const struct settings *settings;
    const struct pipeline *pipeline;
    struct store *store;
    struct plane *plane; /* for its budget alone */
    struct sweeper *sweeper;
    struct probe *probe;           /* for readiness */
    struct query_pool *query_pool; /* of the next two alone */
    struct resolver *resolver;
    struct explainer *explainer;
    struct publication *status; /* body of GET /reconcile/status */
};

#endif
