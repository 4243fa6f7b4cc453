/* limits.h - every number that bounds something from outside, in one place. Sizes in bytes, times in the unit
 * named. */
#ifndef RECONCILED_BASE_LIMITS_H
#define RECONCILED_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* Our own HTTP interface. */
#define LIMIT_REQUEST_BODY ((size_t)64 * 1024)
#define LIMIT_REQUEST_BODIES ((size_t)8 * 1024 * 1024) /* of all requests, while they are not parsed, … */
#define LIMIT_REQUEST_BODY_SMALL ((size_t)1024)        /* … except the first bytes of each */
#define LIMIT_JSON_DEPTH 32u
#define LIMIT_URI ((size_t)4096)
#define LIMIT_LIST_DEFAULT 100u
#define LIMIT_LIST_MAX 500u
#define LIMIT_LIST_BYTES ((size_t)1024 * 1024) /* beyond it a page of history ends early */
#define LIMIT_LIST_ROWS 25u                    /* read at once, where each may be long */
#define LIMIT_PENDING_RUNS 64u                 /* distinct passes that may wait for their turn */
#define LIMIT_WAITING_REQUESTS 1024u           /* suspended connections, whatever they wait for */
#define LIMIT_CONNECTIONS_PER_WORKER 120u      /* below 128, where MHD's epoll loop stalls */
#define LIMIT_CONNECTIONS 1440u  /* of the process; clipped further by workers and RLIMIT_NOFILE */
#define LIMIT_WORKERS 16u        /* listener threads; none of them ever waits for anything */
#define LIMIT_HANDLER_THREADS 3u /* threads for handlers that touch the database */
#define LIMIT_CONNECTION_MEMORY ((size_t)16 * 1024) /* request line, headers and answer headers together */
#define LIMIT_REQUEST_DRAIN ((size_t)1024 * 1024)   /* of a body that is read only to be thrown away */
#define LIMIT_READ_MS 10000       /* from the first line of a request to the end of its body */
#define LIMIT_IDLE_MS 60000       /* between two requests of one connection */
#define LIMIT_SEND_MS 60000       /* for a peer to take a whole answer */
#define LIMIT_AUTH_DELAY_MS 1000  /* before the answer to a wrong token */
#define LIMIT_AUTH_DELAYED 256u   /* such answers waiting at once; more are given without the wait */
#define LIMIT_AUTH_LOG_MS 60000   /* between two lines about one address */
#define LIMIT_TOKEN_OPEN 16u      /* characters of our token where others than this machine can connect, … */
#define LIMIT_TOKEN_GOOD 32u      /* … and below which a warning names it */
#define LIMIT_ANSWER_MS 1500      /* for a handler thread, from a whole request to its answer; then 503 */
#define LIMIT_TICK_MS 250         /* between two looks at deadlines, those above included */
#define LIMIT_PROBE_EVERY_MS 1000 /* between two looks at whether the database is ready */
#define LIMIT_PROBE_STALE_MS 2000 /* what was seen longer ago does not count */
#define LIMIT_HEALTH_MS 5000      /* for us to answer our own health check */
#define LIMIT_COMMAND_MS 60000    /* for a service to answer a command, … */
#define LIMIT_COMMAND_PASS_MS 900000 /* … and one that waits for a pass */
#define LIMIT_COMMAND_ROWS 1000      /* of a list that a command shows */
#define LIMIT_COMMAND_TREE \
    ((size_t)24 * 1024 * 1024) /* what an answer to a command may take as jansson's tree */
#define LIMIT_STOP_MS 5000     /* for requests under way when the service stops */

/* Answers of upstreams, once they are unpacked. A commit's message, a comment, a description may be long; a
 * page is one of 50 rows of Gitea's, of 100 of Plane's. */
#define LIMIT_UPSTREAM_BODY ((size_t)3 * 1024 * 1024) /* of any answer; each kind has its own below */
#define LIMIT_ANSWER_FIRST ((size_t)256 * 1024)       /* what is reserved for an answer at first, … */
#define LIMIT_ANSWER_FIRST_LEAST ((size_t)64 * 1024)  /* … or less, where many may be under way at once */
#define LIMIT_ANSWER_HEAD LIMIT_ANSWER_FIRST
#define LIMIT_ANSWER_REPO LIMIT_ANSWER_FIRST
#define LIMIT_ANSWER_BRANCHES ((size_t)1024 * 1024)
#define LIMIT_ANSWER_STATUSES ((size_t)1024 * 1024)
#define LIMIT_ANSWER_PULL ((size_t)1024 * 1024)
#define LIMIT_ANSWER_PULLS LIMIT_UPSTREAM_BODY
#define LIMIT_ANSWER_REVIEWS ((size_t)2 * 1024 * 1024)
#define LIMIT_ANSWER_TREE ((size_t)1024 * 1024)
#define LIMIT_ANSWER_HOOKS ((size_t)512 * 1024)
#define LIMIT_ANSWER_DOCUMENT ((size_t)1024 * 1024) /* what a replayed event is made of */
#define LIMIT_ANSWER_PLANE_PAGE ((size_t)2 * 1024 * 1024)
#define LIMIT_ANSWER_PLANE_ISSUE ((size_t)1024 * 1024)
#define LIMIT_ANSWER_PLANE_PROBE ((size_t)64 * 1024)
#define LIMIT_ANSWER_PLANE_ACTIVITIES ((size_t)1024 * 1024)
#define LIMIT_ANSWER_TELEGRAM ((size_t)128 * 1024)
#define LIMIT_ANSWER_ORCHESTRATOR ((size_t)64 * 1024)
#define LIMIT_ANSWER_GATE ((size_t)64 * 1024)
#define LIMIT_ANSWER_CHECK LIMIT_ANSWER_FIRST_LEAST      /* asked once each, all side by side */
#define LIMIT_ANSWER_HEADERS ((size_t)64 * 1024)         /* with those of interim answers and trailers */
#define LIMIT_ANSWER_HEADER_LINES 200u                   /* curl keeps each by itself */
#define LIMIT_FETCH_BYTES ((size_t)16 * 1024 * 1024)     /* bodies under way and in inboxes, of all hosts */
#define LIMIT_FETCH_HOST_BYTES ((size_t)4 * 1024 * 1024) /* of these, from one host, except large ones */
#define LIMIT_FETCH_LARGE 2u                             /* large ones under way at once from one host */

/* What fact sets keep of answers. */
#define LIMIT_FACT_TEXT ((size_t)1024) /* of a name, a path, a URL; Gitea takes 255 characters of a name */
#define LIMIT_PAGE_ROWS 1000u          /* of one page, though 50 are asked for */
#define LIMIT_KEPT_BYTES ((size_t)12 * 1024 * 1024)     /* of rows in lists, of all fact sets together */
#define LIMIT_KEPT_LONG_BYTES ((size_t)8 * 1024 * 1024) /* of these, in lists that are not short */
#define LIMIT_KEPT_SHORT ((size_t)8 * 1024)
#define LIMIT_KEPT_SHARE 8u /* one long list may take this part of what is left */

/* What a JSON text may take in memory as jansson's tree. A page of 50 pull requests takes about 5 MiB. */
#define LIMIT_JSON_TREE ((size_t)8 * 1024 * 1024)
#define LIMIT_JSON_DOCUMENT ((size_t)3 * 1024 * 1024) /* of one that is read beside others */
#define LIMIT_JSON_TREE_SMALL ((size_t)1024 * 1024)   /* a request, an error, what has but a few members */

/* Texts that are put together here. */
#define LIMIT_EVENT ((size_t)32 * 1024 * 1024) /* a replayed event; the largest documents make less */
#define LIMIT_OWN_TEXT ((size_t)1024 * 1024)   /* what our own tables are printed as */
#define LIMIT_URL_MADE ((size_t)64 * 1024)     /* a URL of ours, a template filled in */
#define LIMIT_LISTED ((size_t)1024)            /* names in a sentence for a person */

#define LIMIT_PLANE_PERSON 4096u  /* bytes of JSON of who changed a state; seven short members */
#define LIMIT_UPSTREAM_PAGES 200u /* pages of one list; 10,000 rows of 50 */
#define LIMIT_CLOSED_PULL_PAGES \
    20u                         /* how far back a merged pull request is searched for behind a closed one */
#define LIMIT_WEBHOOK_PAGES 10u /* of one repo's webhooks */
#define LIMIT_RETRY_AFTER_S 3600

/* Plane allows 60 calls a minute per key (plane/api/rate_limit.py). */
#define LIMIT_PLANE_CALLS 60u
#define LIMIT_PLANE_WINDOW_MS 60000
#define LIMIT_PLANE_RESERVE 10u     /* of these, kept for passes that a person asked for */
#define LIMIT_PLANE_ABREAST 4u      /* calls under way side by side, to find out whether Plane is up */
#define LIMIT_PLANE_PAGE 100u       /* rows of one page; every version gives that many */
#define LIMIT_PLANE_STATE_PAGES 10u /* of a project's states */
#define LIMIT_PLANE_LOG_PAGES 50u   /* of an issue's activities, down to the newest change of state */
#define LIMIT_PLANE_PAGES 1000u     /* of one listing: 100,000 issues of one project */
#define LIMIT_PLANE_FULL_S 3600     /* from one full listing of a project to the next */
#define LIMIT_PLANE_STATES_MS 60000 /* how old a project's states may be when one issue is read alone */
#define LIMIT_PLANE_AGAIN_MS 30000  /* … and when a pass has calls to spare */
#define LIMIT_PLANE_OVERLAP_S 120   /* read again below the watermark: what was committed late */
#define LIMIT_PLANE_OPEN 20000u     /* issues kept in memory because they may need work */
#define LIMIT_PLANE_OPEN_BYTES ((size_t)4 * 1024 * 1024) /* of their names; beyond it they are cut … */
#define LIMIT_PLANE_OPEN_NAME ((size_t)60)               /* … to so many bytes */
#define LIMIT_PLANE_ODD 100u    /* rows of one project that are counted though they cannot be read */
#define LIMIT_LEASE_S 7200      /* longer than any lease: one that ends later is of a clock that was ahead */
#define LIMIT_PLANE_LEASE_S 300 /* longest lease of the replica that asks Plane by timer */
#define LIMIT_FAILURE_REST_MS 60000 /* how long what failed rests at most, if the interval is shorter */
#define LIMIT_PLANE_SIDE_MS 60000   /* of one pass, for Plane's answers: the gates' next turn must come */

/* Text that comes from tables and upstreams into reports, logs and messages. */
#define LIMIT_REASON ((size_t)400)
#define LIMIT_LOG_LINE ((size_t)8 * 1024)
#define LIMIT_LOG_WAITING \
    ((size_t)64 * 1024)                   /* lines that standard error has not taken yet; more are dropped */
#define LIMIT_LOG_FLUSH_MS 1000           /* for it to take them when the service stops */
#define LIMIT_EVIDENCE_NAME ((size_t)255) /* of a context, a person, a file in it */
#define LIMIT_EVIDENCE_ITEMS 50u          /* contexts, reviews, files named in one verdict's evidence */

/* Telegram. It refuses a text of more than 4096 characters once its HTML is read, and of more than 32 KiB
 * before (telegram-bot-api, Client.cpp); counted in UTF-16 units, five bytes each at most, ours passes both.
 * LIMIT_MESSAGE: its bytes.
 */
#define LIMIT_MESSAGE_UNITS 4096u
#define LIMIT_MESSAGE ((size_t)6 * LIMIT_MESSAGE_UNITS)
#define LIMIT_MESSAGE_VALUE ((size_t)400) /* bytes of one value in a message */
#define LIMIT_DIGEST_FROM 3u              /* more messages that wait at once become one */
#define LIMIT_DIGEST_MESSAGES 1000u       /* at most in one digest */
#define LIMIT_CHAT_GAP_MS 1000            /* between two messages */
#define LIMIT_GROUP_MESSAGES 20u          /* to one group in LIMIT_GROUP_WINDOW_MS */
#define LIMIT_GROUP_WINDOW_MS 60000
#define LIMIT_SEND_ALL_MS 20000 /* how long `run` waits to send the messages of its pass */
#define LIMIT_ANNOUNCED 1024u   /* announcements kept in memory, so that none is repeated */

/* Settings and the pipeline. */
#define LIMIT_SETTING_TEXT ((size_t)4096)
#define LIMIT_SETTING_FILE ((size_t)64 * 1024) /* a secret's file; a setting that is JSON */
#define LIMIT_PEM_FILE ((size_t)1024 * 1024)   /* certificates, a key; the system's bundle is a fifth of it */
#define LIMIT_CERTIFICATE_WARN_DAYS 21         /* before our own expires */
#define LIMIT_PROJECTS 500u
#define LIMIT_REMARK 200u                /* characters of `reason` and `by` in PUT /reconcile/config */
#define LIMIT_OVERRIDE_S (365LL * 86400) /* farthest `until` */
#define LIMIT_PIPELINE_FILE ((size_t)256 * 1024)
#define LIMIT_STAGES 100u
#define LIMIT_STAGE_GATES 16u
#define LIMIT_GATE_ITEMS 50u /* contexts or paths of one gate */
#define LIMIT_GATE_TEXT 500u /* bytes of a context, a path */
#define LIMIT_GATE_URL 2000u
#define LIMIT_APPROVALS 20

/* A pass. */
#define LIMIT_PASS_CANDIDATES \
    5000u /* tasks looked at in one pass; the fair order makes the rest wait for the next */
#define LIMIT_PASS_ITEMS 1000u /* items named in one report; the counters count all */
#define LIMIT_REPORT_ITEMS_BYTES                                                        \
    ((size_t)1024 * 1024)          /* of their texts; beyond it items are counted alone \
                                    */
#define LIMIT_REPORT_HEAD 8192     /* characters in which all but a report's items fits */
#define LIMIT_BATCH 256u           /* transitions in one transaction */
#define LIMIT_PASSES_KEPT 200u     /* recent pass reports kept for /reconcile/runs */
#define LIMIT_RECHECKS 20000u      /* tasks whose recheck time is kept */
#define LIMIT_UNSTARTED 1000u      /* unfinished starts kept in memory */
#define LIMIT_PASS_MS 300000       /* longest pass; what is not answered by then is unknown */
#define LIMIT_HEALS_WINDOW_S 86400 /* for so long a heal of a task counts where a query names no window */
#define LIMIT_HOLDS 1000
#define LIMIT_CANDIDATES 20     /* tasks that are shown where a name may be several */
#define LIMIT_OBSERVED 10000u   /* tasks whose newest state is kept in mode observe, for the log */
#define LIMIT_CLOCK_SLACK_S 30  /* clocks that differ by more are named */
#define LIMIT_SKEW_S 2          /* from here on the clocks of two machines count as different */
#define LIMIT_DATE_MS 60000     /* for so long a Date shows what a server's clock is */
#define LIMIT_REPLAY_TRIES 6    /* of one event, then it is given up */
#define LIMIT_REPLAY_PAUSE_S 60 /* after the first; each of the next is twice as long */
#define LIMIT_REPLAY_PAUSE_MAX_S 3600
#define LIMIT_WEBHOOKS_EVERY_S 900    /* between two looks at the webhooks of the senders */
#define LIMIT_WEBHOOKS_AUDIT_MS 60000 /* longest such look */
#define LIMIT_WEBHOOKS_SHOWN 20u      /* bad webhooks named in the status; the counters count all */
#define LIMIT_SILENCE_S 3600LL        /* a source of which so many events were lost within it, is silent */
#define LIMIT_SILENCE_SPREAD_S 900LL
#define LIMIT_SILENCE_LOSSES 3u
#define LIMIT_TRIAL_LOCK_MS 1000 /* for which a trial waits for a lock */
#define LIMIT_DISK_ROOM \
    (UINT64_C(1) << 20)         /* bytes that a SQLite file's disk must have free to count as writable */
#define LIMIT_OUTBOX_KEPT 1000u /* sent messages kept, so that none is sent twice */
#define LIMIT_REPORTS_BYTES \
    ((size_t)2 * 1024 * 1024) /* reports kept in memory: beyond it the oldest lose their items */

/* Questions to upstreams outside of passes. */
#define LIMIT_QUERIES 64u         /* distinct ones under way */
#define LIMIT_RESOLVE_REPOS 100u  /* repos that may be the one asked about, renamed */
#define LIMIT_RESOLVE_TASKS 500u  /* unfinished tasks of one repo whose branches are looked at */
#define LIMIT_RESOLVE_CACHE 1024u /* commits of which Gitea's answers are kept … */
#define LIMIT_RESOLVE_CACHE_BYTES ((size_t)4 * 1024 * 1024)
#define LIMIT_RESOLVE_HIT_MS 10000  /* … for so long when the commit is a head, … */
#define LIMIT_RESOLVE_MISS_MS 3000  /* … and for so long when it is none */
#define LIMIT_EXPLAIN_PLANE_SHARE 3 /* explaining leaves passes this part of Plane's calls: a third */

/* The database. */
#define LIMIT_STORED_TEXT ((size_t)8 * 1024 * 1024) /* of one text of ours; what we write is far shorter */
#define LIMIT_STATEMENT_MS 5000        /* longest statement; a lock is waited for at most half of it */
#define LIMIT_CONNECT_S 3              /* to one host */
#define LIMIT_RESOLVE_NAME_MS 2000     /* more than that, where names have to be resolved */
#define LIMIT_CONNECT_WAIT_MS 10000    /* of all hosts together, for one caller */
#define LIMIT_PLANE_IDS_READ 20000u    /* newest tasks whose plane_id readiness looks at */
#define LIMIT_PLANE_IDS_GOOD_MS 300000 /* and for how long it is content with what it found */
/* Bytes of what is read of a task. A name (branch, repo, work item id, plane id, stage) that is longer makes
 * the task unreadable; a title is cut. Plain numbers: they stand in SQL too. */
#define LIMIT_TASK_NAME 400
#define LIMIT_TASK_NAME_SHOWN 100 /* characters of one that is longer */
#define LIMIT_TASK_TITLE 512
#define LIMIT_TASK_VERSION 64
#define LIMIT_DB_CONNECTIONS 4u /* per process */

#endif
