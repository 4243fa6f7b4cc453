/* http_gate.h - the orchestrator's own gate: GET a URL, read
 * {"verdict":"green"|"red"|"unknown","reason":"…"}. */
#ifndef RECONCILED_HTTP_GATE_H
#define RECONCILED_HTTP_GATE_H

#include "clients/facts/facts.h"

enum http_gate_verdict { HTTP_GATE_GREEN, HTTP_GATE_RED, HTTP_GATE_UNKNOWN };

struct http_gate {
    struct fact
        fact; /* FACT_FAILED for anything but a 200 with a JSON object whose verdict is one of the three */
    enum http_gate_verdict verdict;
    const char *reason; /* "" when none was given */
};

/* http_gate: `url` is complete (placeholders already filled in and percent-encoded); no token is sent. `repo`
 * is the part of the orchestrator that the call is about. */
const struct http_gate *http_gate(struct facts *facts, const char *url, const char *repo);

#endif
