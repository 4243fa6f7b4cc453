/* side.h - the two sides on which the truth is compared with the tasks. Pure, thread-safe. */
#ifndef RECONCILED_SIDE_H
#define RECONCILED_SIDE_H

#include <stdbool.h>

enum pass_side {
    SIDE_BOTH,
    SIDE_GATE, /* F-1: the gates of stuck tasks */
    SIDE_PLANE /* F-2: issues in Plane */
};

/* pass_side_name: "both", "gate", "plane". pass_side_parse: the reverse; false: `text` is none of them. */
const char *pass_side_name(enum pass_side side);
bool pass_side_parse(const char *text, enum pass_side *ret);

#endif
