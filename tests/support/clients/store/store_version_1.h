/* store_version_1.h - databases as version 1 of the tables' shape left them, rows included: word for word
 * what that version made, so that it stays what it was however the program changes.
 *
 * Task 1 rests in development, where it was healed two hours ago, and a person put it back; task 2 has a
 * running job. The settings are at revision 3, the ledger has two rows of task 1, one pass is reported.
 */
#ifndef RECONCILED_TESTS_STORE_VERSION_1_H
#define RECONCILED_TESTS_STORE_VERSION_1_H

extern const char store_version_1_sqlite[], store_version_1_postgresql[];

#endif
