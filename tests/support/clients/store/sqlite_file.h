/* sqlite_file.h - a SQLite file in a temporary folder of its own, and raw SQL on it past the store.
 *
 * One at a time in a process. Everything fails the running test when it cannot be done.
 */
#ifndef RECONCILED_TESTS_SQLITE_FILE_H
#define RECONCILED_TESTS_SQLITE_FILE_H

#include <sqlite3.h>
#include <stdint.h>

#include "clients/store/store.h"

/* sqlite_file_make: a new folder; the file itself is not there yet. */
void sqlite_file_make(void);
/* sqlite_file_remove: the folder with all that is in it. */
void sqlite_file_remove(void);

/* The folder, the path of the file, and the same as a URL; valid until sqlite_file_remove. */
const char *sqlite_file_folder(void);
const char *sqlite_file_path(void);
const char *sqlite_file_url(void);

/* On a connection of its own. value: the first column of the first row as text, NULL for none; caller frees.
 */
void sqlite_file_exec(const char *sql);
char *sqlite_file_value(const char *sql);

/* sqlite_file_lock: a connection that has run `sql`, to hold a lock; end it with sqlite3_close. */
sqlite3 *sqlite_file_lock(const char *sql);

/* sqlite_file_assert: sqlite_file_value gives just that. */
void sqlite_file_assert(const char *sql, const char *expected);

/* sqlite_file_plan: the steps by which SQLite would answer a query, a line each; caller frees. */
char *sqlite_file_plan(const char *sql);

/* A query that gives everything tasks and jobs hold as one text. */
extern const char sqlite_file_dump[];

/* a store on the file */

/* sqlite_file_open: a store that has not touched the file; _migrated: one that has made its tables. Free with
 * store_free. */
struct store *sqlite_file_open(void);
struct store *sqlite_file_open_migrated(void);

/* sqlite_file_seed: n tasks, 1 to n, stuck in development. sqlite_file_stuck: what is stuck by suite_query();
 * free with store_task_list_done. */
void sqlite_file_seed(int64_t n);
struct store_task_list sqlite_file_stuck(struct store *store);

/* A test with a folder of its own. */
int sqlite_file_setup(void **state);
int sqlite_file_teardown(void **state);
#define SQLITE_FILE_TEST(test) cmocka_unit_test_setup_teardown(test, sqlite_file_setup, sqlite_file_teardown)

#endif
