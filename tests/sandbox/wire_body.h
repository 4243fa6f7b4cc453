/* wire_body.h - the body of an answer as it goes out, whole or spoilt by a fault. */
#ifndef SANDBOX_WIRE_BODY_H
#define SANDBOX_WIRE_BODY_H

struct MHD_Connection;
struct MHD_Response;
struct fault;
struct out;
struct park;

/* wire_body_response: takes the text out of `out`. NULL when out of memory. */
struct MHD_Response *wire_body_response(struct out *out, const struct fault *fault, struct park *park,
                                        struct MHD_Connection *connection);

#endif
