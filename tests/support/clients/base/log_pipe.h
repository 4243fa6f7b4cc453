/* log_pipe.h - what the program logs, as a test reads it. */
#ifndef RECONCILED_TESTS_LOG_PIPE_H
#define RECONCILED_TESTS_LOG_PIPE_H

/* log_pipe_open: from now on lines of level info and above go into ret_ends[1]. log_pipe_close: to standard
 * error again. */
void log_pipe_open(int ret_ends[2]);
void log_pipe_close(const int ends[2]);

#endif
