/* pg_proxy.h - stands between a client and a PostgreSQL server and loses what the test asks.
 *
 * A thread of its own passes bytes both ways. It understands nothing of them but the word COMMIT in what a
 * client sends. It counts round trips: how often a client spoke and then waited for an answer. */
#ifndef RECONCILED_TESTS_PG_PROXY_H
#define RECONCILED_TESTS_PG_PROXY_H

struct pg_proxy;

enum pg_proxy_fault {
    PG_PROXY_NONE,
    PG_PROXY_LOSE_COMMIT, /* the COMMIT never arrives; both ends see the connection break */
    PG_PROXY_LOSE_ANSWER, /* the server commits; its answer never arrives */
};

/* pg_proxy_start: listens on 127.0.0.1, passes on to that port. End it with pg_proxy_stop. */
struct pg_proxy *pg_proxy_start(int server_port);
void pg_proxy_stop(struct pg_proxy *proxy);
int pg_proxy_port(const struct pg_proxy *proxy);

/* pg_proxy_arm: the next COMMIT meets that fault. pg_proxy_faults: how many did so far. */
void pg_proxy_arm(struct pg_proxy *proxy, enum pg_proxy_fault fault);
int pg_proxy_faults(const struct pg_proxy *proxy);

/* pg_proxy_forget: of the connections that are open now nothing gets through any more, either way, and no end
 * sees them break: what a firewall does to those that rested for too long. Later ones are not touched. */
void pg_proxy_forget(struct pg_proxy *proxy);

/* pg_proxy_trips: round trips so far, of all connections. */
int pg_proxy_trips(const struct pg_proxy *proxy);

#endif
