/* names.h - what the tests call the settings of an upstream. */
#ifndef RECONCILED_TESTS_NAMES_H
#define RECONCILED_TESTS_NAMES_H

#include "clients/http/upstream.h"

static const struct upstream_names test_names = {
    .url = "THE_URL", .token = "THE_TOKEN", .workspace = "THE_WORKSPACE"};

#endif
