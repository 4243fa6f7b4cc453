/* process.h - what the kernel reports about this process, for the process_ families of metric.h; and what it
 * may do with its memory. */
#ifndef RECONCILED_BASE_PROCESS_H
#define RECONCILED_BASE_PROCESS_H

/* process_measure: reads /proc/self again. What cannot be read stays as it was. Thread-safe. */
void process_measure(void);

/* process_protect: no core dump is written of this process, and no other process of its user may read its
 * memory: it holds secrets. Where a sanitizer is built in, which reads it that way, others may, too. */
void process_protect(void);

#endif
