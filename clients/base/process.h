/* process.h - what the kernel reports about this process, for the process_ families of metric.h; and
 * protection of its memory. */
#ifndef RECONCILED_BASE_PROCESS_H
#define RECONCILED_BASE_PROCESS_H

/* process_measure: reads /proc/self again. What cannot be read stays as it was. Thread-safe. */
void process_measure(void);

/* process_open_standard: opens /dev/null at each of the descriptors 0 to 2 that is closed, so that no
 * database or connection gets that number and receives what is printed or logged. As with a closed one,
 * reading or writing it fails. Call it before anything else opens a file. */
void process_open_standard(void);

/* process_protect: forbids core dumps, and forbids other processes of the same user to read the memory of
 * this one, which holds secrets. A build with a sanitizer leaves reading allowed, because the sanitizer needs
 * it. */
void process_protect(void);

#endif
