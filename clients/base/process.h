/* process.h - what the kernel reports about this process, for the process_ families of metric.h. */
#ifndef RECONCILED_BASE_PROCESS_H
#define RECONCILED_BASE_PROCESS_H

/* process_measure: reads /proc/self again. What cannot be read stays as it was. Thread-safe. */
void process_measure(void);

#endif
