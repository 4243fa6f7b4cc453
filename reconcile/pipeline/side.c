#include "reconcile/pipeline/side.h"

#include <string.h>

#include "clients/base/err.h"

static const char *const side_names[] = {[SIDE_BOTH] = "both", [SIDE_GATE] = "gate", [SIDE_PLANE] = "plane"};

const char *pass_side_name(enum pass_side side)
{
    return side_names[side];
}

bool pass_side_parse(const char *text, enum pass_side *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(side_names); i++)
        if (strcmp(text, side_names[i]) == 0) {
            *ret = (enum pass_side)i;
            return true;
        }
    return false;
}
