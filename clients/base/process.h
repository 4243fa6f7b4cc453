/* process.h - what the kernel reports about this process, for the process_ families of metric.h; and what it
 * may do with its memory. */
#ifndef RECONCILED_BASE_PROCESS_H
#define RECONCILED_BASE_PROCESS_H

/* process_measure: reads /proc/self again. What cannot be read stays as it was. Thread-safe. */
void process_measure(void);

/* process_open_standard: the descriptors 0 to 2 that are closed become /dev/null, so that no database or
 * connection gets one and with it what is printed or logged. As with a closed one, reading or writing it
 * fails. Before anything else opens a file. */
void process_open_standard(void);

/* process_protect: no core dump is written of this process, and no other process of its user may read its
 * memory: it holds secrets. Where a sanitizer is built in, which reads it that way, others may, too. */
void process_protect(void);

#endif
