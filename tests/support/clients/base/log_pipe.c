#include "tests/support/clients/base/log_pipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "clients/base/log.h"

void log_pipe_open(int ret_ends[2])
{
    assert_int_equal(pipe(ret_ends), 0);
    log_set_fd(ret_ends[1]);
    log_set_level(LOG_LEVEL_INFO);
}

void log_pipe_close(const int ends[2])
{
    log_set_fd(STDERR_FILENO);
    (void)close(ends[0]);
    (void)close(ends[1]);
}
