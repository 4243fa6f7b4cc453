/* process.h - what the kernel says about this process, for the process_ families of metric.h. */
#ifndef RECONCILED_BASE_PROCESS_H
#define RECONCILED_BASE_PROCESS_H

/* process_measure: reads it anew from /proc/self. What cannot be read stays as it was. Thread-safe. */
void process_measure(void);

#endif
